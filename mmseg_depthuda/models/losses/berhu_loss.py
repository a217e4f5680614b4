# Licensed under the Apache License 2.0, see LICENSE.
"""The reverse Huber loss of depth regression."""

import torch
from mmengine.dist import all_gather
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_depthuda.adaptation.depth import valid_depth

THRESHOLD_RATIO = 0.2
"""The threshold ``c`` as a fraction of the largest error (Laina et al., sec. 3.2)."""


def berhu_loss(prediction: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Reverse Huber loss, averaged over the valid pixels of the batch.

    With ``e = prediction - target``, the loss of a pixel is ``|e|`` where ``|e| <= c`` and
    ``(e^2 + c^2) / (2 c)`` above. ``c`` is a fifth of the largest ``|e|`` over the valid pixels of
    the whole batch and carries no gradient.

    Under ``torch.distributed`` the batch is that of all processes. They exchange the largest error
    and the number of valid pixels. Each process returns its part of the sum, scaled so that the
    mean over the processes is the loss of one process with all images. This is the mean that
    ``DistributedDataParallel`` takes of the gradients. Every process must call the function, even
    if it has no valid pixel.

    Args:
        prediction: Any shape with at least one element, floating point, in units of ``target``.
        target: Same shape as ``prediction``. Values at invalid pixels, even NaN, have no effect.
        valid: Bool, same shape as ``prediction``, true on the pixels to use; all if ``None``.

    Returns:
        Scalar, not negative, float32 (float64 for float64 predictions). Without any valid pixel, or
        without any error, it is 0 with a gradient of 0.

    Raises:
        ValueError: If the shapes differ or are empty, or ``valid`` is not bool.

    Source:
        Laina et al., Deeper Depth Prediction with Fully Convolutional Residual Networks, 3DV 2016,
        eq. 2.

    Example:
        >>> prediction = torch.tensor([5.0, 0.5])  # c = 1
        >>> berhu_loss(prediction, torch.zeros(2))  # ((25 + 1) / 2 + 0.5) / 2
        tensor(6.7500)
    """
    if prediction.shape != target.shape or prediction.numel() == 0:
        raise ValueError(
            'prediction and target must have one shape with at least one element, got '
            f'{tuple(prediction.shape)} and {tuple(target.shape)}'
        )
    if valid is not None and (valid.shape != prediction.shape or valid.dtype != torch.bool):
        raise ValueError(
            f'valid must be bool of shape {tuple(prediction.shape)}, got {valid.dtype} of shape '
            f'{tuple(valid.shape)}'
        )

    # The square of an error beyond 256 does not fit into float16.
    dtype = torch.promote_types(prediction.dtype, torch.float32)
    difference = prediction.to(dtype) - target.to(dtype)
    if valid is not None:
        difference = torch.where(valid, difference, 0.0)
    error = difference.abs()

    pixels = error.new_full((), error.numel()) if valid is None else valid.sum().to(dtype)
    largest, pixels = torch.stack(all_gather(torch.stack([error.detach().max(), pixels]))).unbind(
        dim=1
    )

    threshold = THRESHOLD_RATIO * largest.max()
    # Without any error the threshold is 0 and would divide 0 by 0.
    divisor = threshold.clamp(min=torch.finfo(dtype).tiny)
    quadratic = (error * (error / divisor) + threshold) / 2
    loss = torch.where(error <= threshold, error, quadratic)
    return loss.sum() / (pixels.sum().clamp(min=1) / len(pixels))


@MODELS.register_module()
class BerHuLoss(nn.Module):
    """Reverse Huber loss of an inverse-depth prediction, see :func:`berhu_loss`.

    Args:
        loss_weight: Factor of the loss.
        loss_name: Name in the log. MMSeg adds up the values whose name contains ``loss``.
        ignore_invalid: Whether to leave out the pixels without depth, as CorDA does. DADA and depth
            distribution use all pixels, because their depth is complete.

    Raises:
        ValueError: If ``loss_name`` does not contain ``loss``: MMSeg would not train it.

    Source:
        Wang et al., CorDA, ICCV 2021; Vu et al., DADA, ICCV 2019.
    """

    def __init__(
        self,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_depth',
        ignore_invalid: bool = True,
    ) -> None:
        super().__init__()
        if 'loss' not in loss_name:
            raise ValueError(f"loss_name must contain 'loss' to be added up, got {loss_name!r}")
        self.loss_weight = loss_weight
        self.ignore_invalid = ignore_invalid
        self._loss_name = loss_name

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        """Compute the weighted loss.

        Args:
            prediction: Inverse depth, ``(N, 1, H, W)``, floating point.
            target: True inverse depth, ``(N, 1, H, W)``; invalid where not > 0.

        Returns:
            Scalar.
        """
        valid = valid_depth(target) if self.ignore_invalid else None
        return self.loss_weight * berhu_loss(prediction, target, valid)

    @property
    def loss_name(self) -> str:
        """Name of the loss in the log."""
        return self._loss_name
