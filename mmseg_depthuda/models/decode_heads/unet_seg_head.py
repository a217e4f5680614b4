# Licensed under the Apache License 2.0, see LICENSE.
"""Segmentation with the U-Net decoder of a depth network."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmseg_depthuda.structures import upsample

from .seg_weight_mixin import SegWeightMixin
from .unet_decoder import STAGES, UNetDecoder


class UNetHead(SegWeightMixin, BaseDecodeHead):
    """Base of the segmentation heads with :class:`UNetDecoder`.

    They predict at the size of the image. Therefore its sides must be divisible by the output
    stride of the backbone.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's features, fine to coarse.
        num_classes (int): Number of classes.
        channels (Sequence[int]): Channels of the decoder's stages, fine to coarse.
        in_index (Sequence[int], optional): Features of the backbone to take. Defaults to None: all.
        align_corners (bool): How logits of another size than the labels are upsampled. Defaults to
            True, as released.
        loss_decode (dict): Config of the segmentation loss. Defaults to the cross entropy averaged
            over labeled pixels.
        **kwargs: The other arguments of :class:`SegWeightMixin` and of MMSeg's ``BaseDecodeHead``.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        channels: Sequence[int],
        in_index: Sequence[int] | None = None,
        align_corners: bool = True,
        loss_decode: dict = dict(
            type='CrossEntropyLoss', loss_name='loss_seg', avg_non_ignore=True
        ),
        **kwargs: Any,
    ):
        in_index = range(len(in_channels)) if in_index is None else in_index
        super().__init__(
            in_channels=tuple(in_channels),
            channels=channels[0],
            num_classes=num_classes,
            in_index=tuple(in_index),
            input_transform='multiple_select',
            dropout_ratio=0,
            align_corners=align_corners,
            loss_decode=loss_decode,
            init_cfg=None,
            **kwargs,
        )
        self.conv_seg = None

    def selected(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        """The features that the decoder takes.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.

        Returns:
            Sequence[Tensor]: Fine to coarse.

        Raises:
            ValueError: The backbone has too few features, or their sizes do not follow from sides
                that the output stride divides.
        """
        if max(self.in_index) >= len(inputs):
            raise ValueError(
                f'{type(self).__name__} takes the features {self.in_index}, but the backbone gives '
                f'{len(inputs)}. Take a backbone with a feature at stride 2, such as '
                'ResNetWithStem, or change model.backbone.out_indices or in_channels of the head.'
            )
        features: Sequence[Tensor] = self._transform_inputs(inputs)
        sizes = [tuple(feature.shape[2:]) for feature in features]
        first = 2 ** (1 + STAGES - len(sizes))  # stride of the finest features
        halved = sum(fine != coarse for fine, coarse in pairwise(sizes))
        for fine, coarse in pairwise(sizes):
            if coarse not in (fine, (fine[0] / 2, fine[1] / 2)):
                raise ValueError(
                    f'{type(self).__name__} got features of {_named(sizes)} pixels, of which each '
                    'must have the size of the one before or half of it. Either the backbone has '
                    f'other strides, or the output stride, {first * 2**halved}, does not divide '
                    f'the sides of the image. {_REMEDY}'
                )
        return features

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """See :meth:`SegWeightMixin.loss_by_feat`.

        Raises:
            ValueError: The logits do not have the size of the labels.
        """
        self._check_size(seg_logits, batch_data_samples[0].gt_sem_seg.shape)
        return super().loss_by_feat(seg_logits, batch_data_samples)

    def predict_by_feat(self, seg_logits: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """As in MMSeg.

        Raises:
            ValueError: The logits do not have the size of the image.
        """
        predictions = super().predict_by_feat(seg_logits, batch_img_metas)
        self._check_size(seg_logits, predictions.shape[2:])
        return predictions

    def _check_size(self, seg_logits: Tensor, size: Sequence[int]) -> None:
        if tuple(seg_logits.shape[2:]) != tuple(size):
            raise ValueError(
                f'{type(self).__name__} predicts {_named([seg_logits.shape[2:]])} pixels for an '
                f'image of {_named([size])}. Either the first features of the backbone are not at '
                f'stride {2 ** (1 + STAGES - len(self.in_channels))}, or the output stride does '
                f'not divide the sides of the image. {_REMEDY}'
            )


_REMEDY = (
    'In training, crop to sides that are divisible by it; for predictions set '
    'model.data_preprocessor.test_cfg=dict(size_divisor=16), or the output stride of your backbone.'
)


def _named(sizes: Sequence[Sequence[int]]) -> str:
    return ', '.join(f'{width}x{height}' for height, width in sizes)


@MODELS.register_module()
class UNetSegHead(UNetHead):
    """The U-Net decoder of a depth network with a classifier in place of the disparity.

    Its decoder can start from the decoder of a depth network (``transfer`` of
    :class:`UDASegmentor`). The layers of disparity are kept, without any use.

    Args:
        in_channels (Sequence[int]): Channels of the backbone's features, fine to coarse.
        num_classes (int): Number of classes.
        channels (Sequence[int]): Channels of the decoder's stages, fine to coarse. Defaults to
            those of "dec5" and "dec6"; see :class:`UNetDecoder`.
        aspp_dilations (Sequence[int], optional): Dilations of the ASPP, see :class:`UNetDecoder`.
            Defaults to (6, 12, 18), for features of stride 16.
        decoder_norm_cfg (dict, optional): Normalization of the decoder's 3x3 convolutions. Defaults
            to None, no normalization.
        stage (int): Stage of the decoder that is classified. 0, the default: a 1x1 convolution
            without bias and a 1x1 classifier at full resolution. 1, of the network that selects
            images for annotation: at half resolution, with a 3x3 convolution, BatchNorm and ReLU
            between the two; the logits are enlarged by two.
        **kwargs: The other arguments of :class:`UNetHead`.

    Raises:
        ValueError: ``stage`` is neither 0 nor 1, or the number of features or stages does not fit.
            In training and prediction: features do not fit the decoder, the output stride does not
            divide the sides of the image, or an ASPP is trained with one image per process.

    Source: Hoyer et al., "Three Ways to Improve Semantic Segmentation with Self-Supervised Depth
        Estimation", CVPR 2021, and its release.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        channels: Sequence[int] = (64, 128, 128, 256, 256),
        aspp_dilations: Sequence[int] | None = (6, 12, 18),
        decoder_norm_cfg: dict | None = None,
        stage: int = 0,
        **kwargs: Any,
    ):
        if stage not in (0, 1):
            raise ValueError(f'stage must be 0 (full resolution) or 1 (half), got {stage!r}')
        super().__init__(
            in_channels=in_channels, num_classes=num_classes, channels=channels, **kwargs
        )
        self.stage = stage
        self.decoder = UNetDecoder(in_channels, channels, aspp_dilations, decoder_norm_cfg)
        self.decoder.freeze_disparity()
        self.decoder.freeze_stages(range(stage))
        width = channels[stage]
        self.project = nn.Conv2d(width, width, 1, bias=False)
        layers: list[nn.Module] = []
        if stage == 1:
            layers = [
                nn.Conv2d(width, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
        self.classifier = nn.Sequential(*layers, nn.Conv2d(width, self.out_channels, 1))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Segmentation logits (N, num_classes, H, W) at the size of the image.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
        """
        features = self.selected(inputs)
        outputs = self.decoder.decode(features, range(STAGES - 1, self.stage - 1, -1))
        logits: Tensor = self.classifier(self.project(outputs[self.stage]))
        size = [side << self.stage for side in logits.shape[2:]]
        return upsample(logits, size, align_corners=False)
