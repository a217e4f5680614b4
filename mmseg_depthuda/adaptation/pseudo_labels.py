# Licensed under the Apache License 2.0, see LICENSE.
"""Labels made from a teacher's predictions, and the trust in them."""

import torch
from mmengine.dist import all_reduce
from torch import Tensor


@torch.no_grad()
def pseudo_labels(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Take the most probable class of every pixel and its probability.

    ``label = argmax_c logits_c`` and ``confidence = max_c softmax(logits)_c``, computed as
    ``1 / sum_c exp(logits_c - max_c logits_c)`` in float32 at least. Near 1, neighboring values of
    float16 are 0.0005 apart, which is too coarse for a threshold of 0.968.

    Args:
        logits: ``(N, C, H, W)``, floating point.

    Returns:
        The label, ``(N, H, W)`` int64 in ``0 .. C - 1``, and the confidence, ``(N, H, W)`` in
        ``1 / C .. 1``, float32 (float64 for float64 logits); both detached.

    Raises:
        ValueError: If ``logits`` is not four-dimensional.

    Example:
        >>> logits = torch.tensor([0.0, 3.0]).log1p().view(1, 2, 1, 1)
        >>> label, confidence = pseudo_labels(logits)
        >>> label.item(), round(confidence.item(), 4)
        (1, 0.8)
    """
    if logits.ndim != 4:
        raise ValueError(f'logits must be (N, C, H, W), got {tuple(logits.shape)}')
    largest, label = logits.max(dim=1)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    shifted = logits.to(dtype) - largest.to(dtype).unsqueeze(1)
    return label, shifted.exp_().sum(dim=1).reciprocal_()


@torch.no_grad()
def confident_share(
    confidence: Tensor, threshold: float = 0.968, valid: Tensor | None = None
) -> Tensor:
    """Share of the batch's pixels whose confidence reaches the threshold.

    ``q = #{confidence >= threshold} / #pixels``, over all images of the batch together. Under
    ``torch.distributed`` it is over the batches of all processes, and every process must call it.

    Args:
        confidence: Maximal softmax, ``(N, H, W)``, in ``0 .. 1``.
        threshold: Confidence to reach, in ``0 .. 1``; 0.968 is the published value.
        valid: Bool, of the shape of ``confidence``, false on pixels that are not counted, such as
            the padding of the images. All pixels are counted if ``None``.

    Returns:
        ``q`` as a scalar tensor of the dtype of ``confidence``, in ``0 .. 1``; 0 if no pixel is
        counted.

    Raises:
        ValueError: If ``threshold`` is outside 0 .. 1 or the shape or dtype of ``valid`` is wrong.

    Source:
        Tranheden et al., DACS, WACV 2021, the adaptive weight of the unlabeled loss.

    Example:
        >>> confident_share(torch.tensor([[[0.5, 0.968, 0.99, 0.2]]]))
        tensor(0.5000)
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f'threshold must be in 0 .. 1, got {threshold}')
    confident = confidence >= threshold
    if valid is None:
        valid = torch.ones_like(confident)
    if valid.shape != confidence.shape or valid.dtype != torch.bool:
        raise ValueError(
            f'valid must be bool of shape {tuple(confidence.shape)}, got {valid.dtype} of shape '
            f'{tuple(valid.shape)}'
        )
    counts = torch.stack([(confident & valid).sum(), valid.sum()])
    all_reduce(counts)
    confident_pixels, pixels = counts.to(confidence.dtype)
    return confident_pixels / pixels.clamp(min=1)


def pseudo_label_weight(mask: Tensor, share: Tensor) -> Tensor:
    """Weight of every pixel of a mixed image in the segmentation loss.

    Source pixels have true labels and get 1. Target pixels have pseudo-labels and get ``q``.

    Args:
        mask: Bool mixing mask of any shape, true on source pixels.
        share: Scalar tensor ``q`` of :func:`confident_share`, or a map of the shape of ``mask``
            if the trust differs from pixel to pixel.

    Returns:
        Tensor of the shape of ``mask`` and the dtype of ``share``, values in ``0 .. 1``.

    Raises:
        ValueError: If ``mask`` is not bool or ``share`` neither a scalar tensor nor of its shape.

    Source:
        Tranheden et al., DACS, WACV 2021.

    Example:
        >>> pseudo_label_weight(torch.tensor([True, False]), torch.tensor(0.25))
        tensor([1.0000, 0.2500])
    """
    if mask.dtype != torch.bool:
        raise ValueError(f'mask must be bool, got {mask.dtype}')
    if share.ndim != 0 and share.shape != mask.shape:
        raise ValueError(
            f'share must be a scalar tensor or of shape {tuple(mask.shape)}, got '
            f'{tuple(share.shape)}'
        )
    return torch.where(mask, 1.0, share)
