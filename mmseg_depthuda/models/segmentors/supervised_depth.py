# Licensed under the Apache License 2.0, see LICENSE.
"""A depth network that learns stored depth."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_depthuda.adaptation.depth import valid_depth
from mmseg_depthuda.models.losses.berhu_loss import berhu_loss

from .depth_results import depth_results, resized


@MODELS.register_module()
class SupervisedDepth(BaseModel):
    """A depth network that learns the depth of its samples, such as the student of a selection.

    It learns disparity in 0..1, which :class:`NormalizeDepth` makes of any depth. Only the
    finest of the head's disparities is trained.

    Args:
        data_preprocessor (dict): :class:`UDADataPreProcessor`.
        backbone (dict): Encoder, such as :class:`ResNetWithStem`.
        decode_head (dict): :class:`UNetDepthHead`.
        ignore_bottom (float): Share of the rows, from the bottom, that have no loss: the car's own
            hood. Defaults to 0.1.
        train_cfg (dict, optional): Not used; MMSeg's ``init_model`` passes it.
        test_cfg (dict, optional): Not used.
        pretrained (str, optional): Not used; MMSeg's ``init_model`` passes it.
        init_cfg (dict, optional): As in MMEngine.

    Raises:
        ValueError: ``ignore_bottom`` is not in 0..1.

    Source: the student of Hoyer et al., CVPR 2021, sec. 3.4.
    """

    def __init__(
        self,
        data_preprocessor: dict,
        backbone: dict,
        decode_head: dict,
        ignore_bottom: float = 0.1,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if not 0 <= ignore_bottom < 1:
            raise ValueError(f'model.ignore_bottom must be in 0..1, got {ignore_bottom}.')
        self.backbone = MODELS.build(backbone)
        self.decode_head = MODELS.build(decode_head)
        self.decode_head.disparity[:-1].requires_grad_(False)  # all but the finest
        self.ignore_bottom = ignore_bottom

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[SegDataSample] | None = None,
        mode: str = 'tensor',
    ) -> dict[str, Tensor] | list[SegDataSample] | Tensor:
        """As in MMEngine.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (Sequence[SegDataSample], optional): One per image, with
                ``gt_depth_map`` for the loss.
            mode (str): ``'loss'``, ``'predict'``, or ``'tensor'`` for the disparity, float
                (N, 1, H, W), 0 (far) .. 1 (near).

        Returns:
            See :meth:`loss` and :meth:`predict`.

        Raises:
            ValueError: There is no such mode, or the samples have no depth.
        """
        if mode == 'loss':
            return self.loss(inputs, data_samples or ())
        disparity = self._disparity(inputs)
        if mode == 'predict':
            return self.predict(disparity, data_samples)
        if mode == 'tensor':
            return disparity
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}.")

    def loss(self, inputs: Tensor, data_samples: Sequence[SegDataSample]) -> dict[str, Tensor]:
        """The reverse Huber loss over all pixels; those without depth and below count as 0.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (Sequence[SegDataSample]): With ``gt_depth_map``, (1, H, W), in 0..1.

        Returns:
            dict[str, Tensor]: ``loss_depth``.

        Raises:
            ValueError: A sample has no depth, or its depth is not in 0..1.
        """
        if not data_samples or not all('gt_depth_map' in sample for sample in data_samples):
            raise ValueError(
                f'{type(self).__name__} learns depth, but its samples have none. Set '
                'data_prefix.depth_map_path of the dataset (or `depth`), and put LoadInverseDepth '
                'into its pipeline.'
            )
        target = torch.stack([sample.gt_depth_map.data for sample in data_samples])
        if target.max() > 1 + 1e-4:
            raise ValueError(
                f'the depth of {data_samples[int(target.flatten(1).amax(1).argmax())].img_path} '
                f'goes up to {float(target.max()):.4g}, but {type(self).__name__} learns 0..1. Put '
                "dict(type='NormalizeDepth') after LoadInverseDepth into the pipeline."
            )
        prediction = self._disparity(inputs).float()
        used = valid_depth(target)
        used[:, :, int((1 - self.ignore_bottom) * used.shape[2]) :] = False
        # Where the difference is 0, so are loss and gradient, and the pixel is counted.
        target = torch.where(used, target, prediction.detach())
        return dict(loss_depth=berhu_loss(prediction, target))

    def predict(
        self, disparity: Tensor, data_samples: Sequence[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Give samples their depth.

        Args:
            disparity (Tensor): Of the network, (N, 1, H, W).
            data_samples (Sequence[SegDataSample], optional): Their ``img_padding_size`` (left,
                right, top, bottom) is cut off. Then the prediction is resized to ``ori_shape``.

        Returns:
            list[SegDataSample]: With ``pred_depth_map``: float32, (1, H, W), 0 (far) .. 1 (near).
        """
        return depth_results(disparity.float(), data_samples)

    def _disparity(self, inputs: Tensor) -> Tensor:
        return resized(self.decode_head(self.backbone(inputs))[0], inputs.shape[2:])
