# Licensed under the Apache License 2.0, see LICENSE.
"""The teacher of self-training: an average of the student's parameters."""

from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseAveragedModel
from mmseg.registry import MODELS
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from mmseg_depthuda.adaptation.ema import ema_alpha, ema_update

RANDOM_LAYERS = (_DropoutNd, DropPath, nn.MultiheadAttention)
"""Layers that drop at random in training. None of them has statistics of the batch."""

DROP_PATHS = ('DropPath', 'StochasticDepth')
"""Class names of drop path in timm and in torchvision, which may not be installed."""


@MODELS.register_module()
class TeacherEMA(BaseAveragedModel):
    """Exponential moving average of a student's *parameters*; the buffers are the teacher's own.

    This is the teacher of the release. Its decay is ``min(1 - 1 / (iteration + 1), alpha)``. It
    stays in training mode, so that its BatchNorm layers use the statistics of the batch, but its
    dropout and drop path are off.

    MMEngine's ``ExponentialMovingAverage`` cannot be used: it copies the student's buffers, and its
    decay has another warm-up. It also updates one parameter at a time; here one fused operation
    updates all of them.

    Args:
        model (nn.Module): The student.
        alpha (float): Largest decay, in 0..1. Defaults to 0.999.
        dropout (bool): Whether dropout and drop path stay on. Defaults to False, as in DAFormer's
            release.
        first_iteration (int): Number of the first iteration. Counted from 0, the default, the first
            decay is 0, and the teacher begins as the student after one step. Counted from 1, as in
            Hoyer et al., CVPR 2021, it is 1/2, and the initial weights are a part of the average.

    Raises:
        ValueError: If ``alpha`` is outside 0..1, or ``first_iteration`` is negative.

    Source: Tranheden et al., "DACS", WACV 2021, and its release.
    """

    def __init__(
        self,
        model: nn.Module,
        alpha: float = 0.999,
        dropout: bool = False,
        first_iteration: int = 0,
    ):
        super().__init__(model)
        ema_alpha(first_iteration, alpha)  # refuses wrong arguments right away
        self.alpha = alpha
        self.dropout = dropout
        self.first_iteration = first_iteration
        self.train()

    def train(self, mode: bool = True) -> 'TeacherEMA':
        """Set the mode of the teacher. Without ``dropout``, dropout and drop path stay off."""
        super().train(mode)
        if not self.dropout:
            for layer in self.module.modules():
                if isinstance(layer, RANDOM_LAYERS) or type(layer).__name__ in DROP_PATHS:
                    layer.eval()
        return self

    def update_parameters(self, model: nn.Module) -> None:
        """Move the teacher towards ``model`` after a step of the optimizer.

        Modules that the student names in ``not_averaged`` stay as they were at the start: the
        teacher does not use them.
        """
        alpha = ema_alpha(self.first_iteration + int(self.steps), self.alpha)
        skipped = tuple(f'{name}.' for name in getattr(self.module, 'not_averaged', ()))
        teacher, student = (
            [p.data for name, p in one.named_parameters() if not name.startswith(skipped)]
            for one in (self.module, model)
        )
        ema_update(teacher, student, alpha)
        self.steps += 1
