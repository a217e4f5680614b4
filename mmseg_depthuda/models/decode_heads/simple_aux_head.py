# Licensed under the Apache License 2.0, see LICENSE.
"""Depth as a plain auxiliary task, which CorDA is measured against."""

from collections.abc import Collection, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from .deeplab_v2_head import DeepLabV2Classifier
from .head_contract import Predictions
from .seg_depth_head import SegDepthHead, task_trunk


@MODELS.register_module()
class SimpleAuxHead(SegDepthHead):
    """Segmentation and depth side by side: a trunk and a classifier each, nothing exchanged.

    What CorDA adds is missing here: no distillation, no initial predictions and losses, one depth
    decoder for both domains and therefore no adaptation difficulty.

    Args:
        in_channels (int): Channels of the backbone's features.
        num_classes (int): Number of classes.
        num_summed (int): Summed branches of each :class:`DeepLabV2Classifier`. Defaults to 2, as
            released; the paper's network is 4.
        trunks (bool): Give each task a trunk. False puts both classifiers straight on the
            backbone's features, as the released script does, which is the network of DACS with a
            classifier for depth. Defaults to True.
        **kwargs: The other arguments of :class:`SegDepthHead`.

    Source: "SimpleAux" in Table 1 of Wang et al., "Domain Adaptive Semantic Segmentation with
        Self-Supervised Depth Estimation", ICCV 2021.
    """

    channels: int

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        num_summed: int = 2,
        trunks: bool = True,
        **kwargs: Any,
    ):
        super().__init__(in_channels=in_channels, num_classes=num_classes, **kwargs)
        self.seg_trunk: nn.Module = nn.Identity()
        self.depth_trunk: nn.Module = nn.Identity()
        if trunks:
            self.seg_trunk = task_trunk(in_channels, self.channels, self.norm_cfg)
            self.depth_trunk = task_trunk(in_channels, self.channels, self.norm_cfg)
        else:
            self.channels = in_channels
        self.final_seg = DeepLabV2Classifier(self.channels, self.out_channels, num_summed)
        self.final_depth = DeepLabV2Classifier(self.channels, 1, num_summed)

    def forward_by_task(
        self, inputs: Sequence[Tensor], tasks: Collection[str], domain: str | None = None
    ) -> Predictions:
        """See :meth:`SegDepthHead.forward_by_task`. Both trunks run for every task, so that the
        statistics of their BatchNorm layers follow all images."""
        features = self._transform_inputs(inputs)
        seg, depth = self.seg_trunk(features), self.depth_trunk(features)
        predictions = {}
        if 'seg' in tasks:
            predictions['seg'] = self.final_seg(seg)
        if 'depth' in tasks:
            predictions['depth'] = self.final_depth(depth)
        return predictions
