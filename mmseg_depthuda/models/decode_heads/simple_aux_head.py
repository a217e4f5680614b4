# Licensed under the Apache License 2.0, see LICENSE.
"""Depth as a plain auxiliary task, which CorDA is measured against."""

from collections.abc import Collection, Sequence

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

    depth_parts = ('depth_trunk', 'final_depth')

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        num_summed: int = 2,
        trunks: bool = True,
        **kwargs,
    ):
        super().__init__(in_channels=in_channels, num_classes=num_classes, **kwargs)
        if trunks:
            self.seg_trunk, self.depth_trunk = (
                task_trunk(in_channels, self.channels, self.norm_cfg) for _ in range(2)
            )
        else:
            self.channels = in_channels
            self.seg_trunk, self.depth_trunk = nn.Identity(), nn.Identity()
        self.final_seg = DeepLabV2Classifier(self.channels, self.out_channels, num_summed)
        self.final_depth = DeepLabV2Classifier(self.channels, 1, num_summed)
        self._settle_depth()

    def forward_seg_depth(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Logits (N, num_classes, h, w) and inverse depth (N, 1, h, w) at feature resolution."""
        predictions = self.forward(inputs, tasks=('seg', 'depth'))
        return predictions['seg'], predictions['depth']

    def forward(
        self,
        inputs: Sequence[Tensor],
        tasks: Collection[str] | None = None,
        domain: str | None = None,
    ) -> Tensor | Predictions:
        """Predictions at feature resolution, and nothing but those asked for; see
        :meth:`SegDepthHead.forward`."""
        features = self._transform_inputs(inputs)
        wanted = ('seg',) if tasks is None else tasks
        predictions = {}
        if 'seg' in wanted:
            predictions['seg'] = self.final_seg(self.seg_trunk(features))
        if 'depth' in wanted:
            predictions['depth'] = self.final_depth(self.depth_trunk(features))
        return predictions['seg'] if tasks is None else predictions
