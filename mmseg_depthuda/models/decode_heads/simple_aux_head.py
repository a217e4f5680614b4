# Licensed under the Apache License 2.0, see LICENSE.
"""Depth as a simple auxiliary task, the baseline that CorDA is compared with."""

from collections.abc import Collection, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from .deeplab_v2_head import DeepLabV2Classifier
from .head_contract import Predictions
from .seg_depth_head import SegDepthHead, task_trunk


@MODELS.register_module()
class SimpleAuxHead(SegDepthHead):
    """Segmentation and depth, each with a trunk and a classifier of its own.

    It is CorDA without its additions: no distillation, no initial predictions and losses, and one
    depth decoder for all domains, so that there is no adaptation difficulty.

    Args:
        in_channels (int): Channels of the backbone's features.
        num_classes (int): Number of classes.
        num_summed (int): Summed branches of each :class:`DeepLabV2Classifier`. Defaults to 2, as in
            the release; the paper has 4.
        trunks (bool): Whether each task has a trunk. If not, both classifiers use the backbone's
            features, as in the released script. This is the network of DACS with a classifier for
            depth. Defaults to True.
        **kwargs: The other arguments of :class:`SegDepthHead`.

    Source: "SimpleAux" in Table 1 of Wang et al., "Domain Adaptive Semantic Segmentation with
        Self-Supervised Depth Estimation", ICCV 2021.
    """

    channels: int
    depth_parts = ('depth_trunk', 'final_depth')

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
        """See :meth:`SegDepthHead.forward_by_task`.

        Both trunks run whatever the tasks are, so that the statistics of their BatchNorm layers
        follow all images. Without ``learn_depth`` there is no use for those of the depth trunk.
        """
        features = self._transform_inputs(inputs)
        seg = self.seg_trunk(features)
        depth = self.depth_trunk(features) if self.learn_depth else None
        predictions = {}
        if 'seg' in tasks:
            predictions['seg'] = self.final_seg(seg)
        if 'depth' in tasks:
            predictions['depth'] = self.final_depth(depth)
        return predictions
