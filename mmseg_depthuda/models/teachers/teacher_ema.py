# Licensed under the Apache License 2.0, see LICENSE.
"""The teacher of self-training: an average of the student's parameters."""

from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseAveragedModel
from mmseg.registry import MODELS
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from mmseg_depthuda.adaptation.ema import ema_alpha, ema_update

RANDOM_LAYERS = (_DropoutNd, DropPath, nn.MultiheadAttention)
"""Layers that drop at random in training; none of them has statistics of the batch."""

DROP_PATHS = ('DropPath', 'StochasticDepth')
"""Names of the drop path of timm and of torchvision, which need not be installed."""


@MODELS.register_module()
class TeacherEMA(BaseAveragedModel):
    """Exponential moving average of a student's *parameters*; the buffers are the teacher's own.

    MMEngine's ``ExponentialMovingAverage`` copies the student's buffers, has no published warm-up
    of the decay and updates one parameter at a time. This one follows the release: decay ``min(1 -
    1 / (iteration + 1), alpha)``, all parameters in one fused operation. It stays in training mode,
    so that its BatchNorm layers use the statistics of the batch, but its dropout and drop path are
    off.

    Args:
        model (nn.Module): The student.
        alpha (float): Largest decay, in 0..1. Defaults to 0.999.
        dropout (bool): Whether dropout and drop path stay on. Defaults to False, as in DAFormer's
            release.

    Raises:
        ValueError: If ``alpha`` is outside 0..1.

    Source: Tranheden et al., "DACS", WACV 2021, and its release.
    """

    def __init__(self, model: nn.Module, alpha: float = 0.999, dropout: bool = False):
        super().__init__(model)
        ema_alpha(0, alpha)  # refuses an alpha out of range before the first iteration is done
        self.alpha = alpha
        self.dropout = dropout
        self.train()

    def train(self, mode: bool = True) -> 'TeacherEMA':
        """Set the mode of the teacher; dropout stays off unless it was asked for."""
        super().train(mode)
        if not self.dropout:
            for layer in self.module.modules():
                if isinstance(layer, RANDOM_LAYERS) or type(layer).__name__ in DROP_PATHS:
                    layer.eval()
        return self

    def update_parameters(self, model: nn.Module) -> None:
        """Move the teacher towards ``model``, after the ``steps``-th step of the optimizer."""
        alpha = ema_alpha(int(self.steps), self.alpha)
        student = [parameter.data for parameter in model.parameters()]
        ema_update([parameter.data for parameter in self.module.parameters()], student, alpha)
        self.steps += 1
