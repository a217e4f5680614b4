# Licensed under the Apache License 2.0, see LICENSE.
"""Self-supervised monocular depth from video: Monodepth2 as a model of MMEngine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_depthuda.view_synthesis import disparity_to_depth, feature_distance

from .depth_results import depth_results, resized
from .video_depth import VideoDepthMixin


@MODELS.register_module()
class SelfSupervisedDepth(VideoDepthMixin, BaseModel):
    """A depth network, and a pose network for its training.

    It is trained on frames with their source views. A source view is a neighboring frame, whose
    pose the pose network predicts, or the right image of a stereo pair, whose pose is known. The
    depth of the frame warps the source views into the frame. The loss compares the result with the
    frame.

    The unit of depth is meters if there are right images. From neighboring frames alone the unit is
    unknown.

    Args:
        data_preprocessor (dict): :class:`SequenceDataPreProcessor`.
        backbone (dict): Encoder, such as :class:`ResNetWithStem`.
        decode_head (dict): :class:`UNetDepthHead`.
        pose_net (dict, optional): :class:`PoseNet`. None if the right image is the only source
            view.
        smoothness_weight (float): Weight of the edge-aware smoothness at the finest scale, halved
            at each coarser one. Defaults to 1e-3.
        feature_distance_weight (float): Weight of the distance between the features of the encoder
            and those of its pretrained weights (``backbone.init_cfg``). Defaults to 0.
        train_cfg (dict, optional): Not used; MMSeg's ``init_model`` passes it.
        test_cfg (dict, optional): Not used.
        pretrained (str, optional): Not used; MMSeg's ``init_model`` passes it.
        init_cfg (dict, optional): As in MMEngine.

    Source: Godard et al., Monodepth2, ICCV 2019; feature distance: Hoyer et al., IJCV 2023.
    """

    predicts_depth = True
    # Modules that a test does not need, for StrictLoadHook.
    training_only = ('^pose_net', '^pretrained_encoder')

    def __init__(
        self,
        data_preprocessor: dict,
        backbone: dict,
        decode_head: dict,
        pose_net: dict | None = None,
        smoothness_weight: float = 1e-3,
        feature_distance_weight: float = 0.0,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        pretrained: str | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = MODELS.build(backbone)
        self.decode_head = MODELS.build(decode_head)
        self.pose_net = None if pose_net is None else MODELS.build(pose_net)
        self.smoothness_weight = smoothness_weight
        self.feature_distance_weight = feature_distance_weight
        self.pretrained_encoder = None
        if feature_distance_weight:
            self.pretrained_encoder = MODELS.build(backbone).requires_grad_(False)

    def init_weights(self) -> None:
        """Initialize the networks.

        Raises:
            ValueError: There is a feature distance, but no pretrained weights to measure it from.
        """
        super().init_weights()
        if self.pretrained_encoder is not None:
            init_cfg = self.pretrained_encoder.init_cfg
            if not isinstance(init_cfg, dict) or init_cfg.get('type') != 'Pretrained':
                raise ValueError(
                    'feature_distance_weight keeps the encoder near its pretrained weights, but '
                    'model.backbone.init_cfg names none. Set it to '
                    "dict(type='Pretrained', checkpoint=...), or the weight to 0."
                )

    def train(self, mode: bool = True) -> SelfSupervisedDepth:
        """Switch between training and testing. The pretrained encoder stays in testing mode."""
        super().train(mode)
        if self.pretrained_encoder is not None:
            self.pretrained_encoder.eval()
        return self

    def forward(
        self,
        inputs: Tensor,
        data_samples: Sequence[SegDataSample] | None = None,
        mode: str = 'tensor',
        **views: Tensor,
    ) -> dict[str, Tensor] | list[SegDataSample] | Tensor:
        """As in MMEngine.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W); for the loss (N, V, 3, H, W).
            data_samples (Sequence[SegDataSample], optional): One per frame. The loss needs them.
            mode (str): ``'loss'``, ``'predict'``, or ``'tensor'`` for the finest disparity of the
                network, (N, 1, H, W), 0..1.
            **views: For the loss, ``images``, ``intrinsics`` and ``stereo_pose`` of
                :class:`SequenceDataPreProcessor`.

        Returns:
            See :meth:`loss` and :meth:`predict`.

        Raises:
            ValueError: There is no such mode, or the loss has no ``data_samples``.
        """
        if mode == 'loss':
            if data_samples is None:
                raise ValueError('the loss needs data_samples: they name the frame_offsets')
            return self.loss(inputs, data_samples, **views)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self._disparity(inputs)
        raise ValueError(f"mode must be 'loss', 'predict' or 'tensor', got {mode!r}.")

    def _disparity(self, inputs: Tensor) -> Tensor:
        """Finest disparity of the network, (N, 1, H, W), 0..1."""
        return resized(self.decode_head(self.backbone(inputs))[0], inputs.shape[2:])

    def predict(
        self, inputs: Tensor, data_samples: Sequence[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Predict depth.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (Sequence[SegDataSample], optional): Their ``img_padding_size`` (left,
                right, top, bottom) is cut off. Then the prediction is resized to ``ori_shape``.

        Returns:
            list[SegDataSample]: With ``pred_depth_map``: inverse depth ``1 / depth``, float32
            (1, H, W), in 0.01 (far) .. 10 (near) per meter. If the training had no right images,
            the unit is unknown.
        """
        inverse_depth = 1 / disparity_to_depth(self._disparity(inputs).float())
        return depth_results(inverse_depth, data_samples)

    def loss(
        self,
        inputs: Tensor,
        data_samples: Sequence[SegDataSample],
        images: Tensor,
        intrinsics: Tensor,
        stereo_pose: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            inputs (Tensor): Images for the networks, normalized, (N, V, 3, H, W): the frame, the
                source frames in the order of ``frame_offsets``, and the right image, if any.
            data_samples (Sequence[SegDataSample]): With the metainfo ``frame_offsets``.
            images (Tensor): Images for the loss, 0..1, same shape and order.
            intrinsics (Tensor): Camera matrices in pixels, (N, 3, 3).
            stereo_pose (Tensor, optional): Motion of points from the left camera to the right,
                (N, 4, 4), meters.

        Returns:
            dict[str, Tensor]: ``loss_photometric``, ``loss_smoothness``, and if it has a weight
            ``loss_feature_distance``. Also ``explained``: the share of the pixels, 0..1, for which
            the error at the finest scale is smaller with warping than without.
        """
        frame = inputs[:, 0]
        features = self.backbone(frame)
        disparities = self.decode_head(features)
        poses = self.predict_poses(inputs, data_samples[0].metainfo['frame_offsets'])
        if stereo_pose is not None:
            poses.append(stereo_pose)
        losses = self.view_synthesis_losses(disparities, poses, images, intrinsics)
        if self.pretrained_encoder is not None:
            with torch.no_grad():
                reference = self.pretrained_encoder(frame)[-1]
            distance = feature_distance(features[-1].float(), reference.float())
            losses['loss_feature_distance'] = self.feature_distance_weight * distance
        return losses
