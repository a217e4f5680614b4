# Licensed under the Apache License 2.0, see LICENSE.
"""DeepLab-v2's classifier, and the head that is only this classifier (source-only, DACS)."""

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from .seg_weight_mixin import SegWeightMixin


class DeepLabV2Classifier(BaseModule):
    """Sum of parallel dilated 3x3 convolutions ("ASPP" of DeepLab-v2).

    Their weights are drawn from a normal distribution, N(0, 0.01).

    Args:
        in_channels (int): Channels of the features.
        out_channels (int): Channels of the prediction.
        num_summed (int): Number of branches that are summed, from the first on. The releases of
            DACS and CorDA sum 2 (dilations 6 and 12) and keep the others without using them.
            DeepLab-v2, AdvEnt and DADA sum all 4.
        dilations (Sequence[int]): Dilation, and padding, of each branch. Defaults to (6, 12, 18,
            24).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_summed: int = 4,
        dilations: Sequence[int] = (6, 12, 18, 24),
    ):
        super().__init__(init_cfg=dict(type='Normal', layer='Conv2d', std=0.01))
        if not 1 <= num_summed <= len(dilations):
            raise ValueError(f'num_summed must be in 1..{len(dilations)}, got {num_summed}')
        self.num_summed = num_summed
        self.conv2d_list = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
            for dilation in dilations
        )
        # These have no gradient. The optimizer and DistributedDataParallel need not look for one.
        self.conv2d_list[num_summed:].requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """Predict (N, out_channels, h, w) from features (N, in_channels, h, w)."""
        prediction = self.conv2d_list[0](features)
        for conv in self.conv2d_list[1 : self.num_summed]:
            prediction = prediction + conv(features)
        return prediction


@MODELS.register_module()
class DeepLabV2Head(SegWeightMixin, BaseDecodeHead):
    """DeepLab-v2's classifier on one feature map of the backbone.

    Args:
        in_channels (int): Channels of the features.
        num_classes (int): Number of classes.
        num_summed (int): Summed branches of :class:`DeepLabV2Classifier`. Defaults to 4.
        align_corners (bool): How logits are upsampled. Defaults to True, as published.
        loss_decode (dict): Config of the segmentation loss. Defaults to the cross entropy averaged
            over labeled pixels.
        **kwargs: The other arguments of MMSeg's ``BaseDecodeHead``.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        num_summed: int = 4,
        align_corners: bool = True,
        loss_decode: dict = dict(
            type='CrossEntropyLoss', loss_name='loss_seg', avg_non_ignore=True
        ),
        **kwargs: Any,
    ):
        super().__init__(
            in_channels=in_channels,
            channels=in_channels,
            num_classes=num_classes,
            dropout_ratio=0,
            align_corners=align_corners,
            loss_decode=loss_decode,
            init_cfg=None,
            **kwargs,
        )
        self.conv_seg = None
        self.classifier = DeepLabV2Classifier(in_channels, self.out_channels, num_summed)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Segmentation logits (N, num_classes, h, w) at feature resolution."""
        return self.classifier(self._transform_inputs(inputs))
