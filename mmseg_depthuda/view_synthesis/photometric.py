# Licensed under the Apache License 2.0, see LICENSE.
"""The losses of Monodepth2 (ICCV 2019): how much a synthesized view differs from a frame."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.losses import inverse_depth_smoothness_loss
from torch import Tensor

SSIM_WEIGHT = 0.85
TIE_BREAKING_NOISE = 1e-5


def ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """Structural similarity (Wang et al., TIP 2004) in a 3x3 box, borders reflected.

    kornia's ``ssim`` weights its window by a Gaussian of sigma 1.5 and gives other values.

    Args:
        prediction: Images, ``(N, C, H, W)``, floating point, 0 .. 1; H and W at least 2.
        target: Images of the same shape.

    Returns:
        ``(N, C, H, W)``, -1 .. 1, 1 where the two are equal in the box. C1 = 0.01^2, C2 = 0.03^2.
    """
    c1, c2 = 0.01**2, 0.03**2
    x, y = (F.pad(image, (1, 1, 1, 1), mode='reflect') for image in (prediction, target))
    mean_x, mean_y = _box(x), _box(y)
    mean_xx, mean_yy, mean_xy = mean_x.square(), mean_y.square(), mean_x * mean_y
    # Only the sum of the two variances is needed: one pooling for both.
    variances = _box(x.square() + y.square()) - mean_xx - mean_yy
    covariance = _box(x * y) - mean_xy
    return ((2 * mean_xy + c1) * (2 * covariance + c2)) / (
        (mean_xx + mean_yy + c1) * (variances + c2)
    )


def _box(images: Tensor) -> Tensor:
    return F.avg_pool2d(images, 3, stride=1)


def photometric_error(prediction: Tensor, target: Tensor) -> Tensor:
    """Difference of two images per pixel: ``0.85 * (1 - SSIM) / 2 + 0.15 * |difference|``.

    Args:
        prediction: ``(N, C, H, W)``, floating point, 0 .. 1.
        target: Likewise.

    Returns:
        ``(N, 1, H, W)``, the mean over the channels, 0 .. 1.

    Source:
        Godard et al., Monodepth2, ICCV 2019, eq. 2.
    """
    dissimilarity = ((1 - ssim(prediction, target)) / 2).clamp(0, 1).mean(1, keepdim=True)
    difference = (prediction - target).abs().mean(1, keepdim=True)
    return SSIM_WEIGHT * dissimilarity + (1 - SSIM_WEIGHT) * difference


def minimum_reprojection(warped: Tensor, unwarped: Tensor) -> tuple[Tensor, Tensor]:
    """Smallest error of each pixel over the source views, with Monodepth2's automatic mask.

    Some pixels fit better without warping than with it: those of an object that moves along with
    the camera, or all pixels while the camera stands still. Such a pixel gets its smallest unwarped
    error, which has no gradient.

    Args:
        warped: Photometric errors of the warped source views, ``(S, N, 1, H, W)``.
        unwarped: Photometric errors of the source views without warping, of the same shape, without
            gradient. Noise from N(0, 1e-5) is added to break ties.

    Returns:
        The errors, ``(N, 1, H, W)``; and bool of the same shape, true where the error is that of a
        warped view.

    Source:
        Godard et al., Monodepth2, ICCV 2019, eq. 4 and 5.
    """
    warped = warped.amin(0)
    unwarped = (unwarped + TIE_BREAKING_NOISE * torch.randn_like(unwarped)).amin(0)
    return torch.minimum(warped, unwarped), warped < unwarped


def edge_aware_smoothness(disparity: Tensor, images: Tensor) -> Tensor:
    """Mean gradient of mean-normalized disparity; edges of the image have less weight.

    Args:
        disparity: ``(N, 1, H, W)``, floating point, >= 0.
        images: ``(N, 3, h, w)``, 0 .. 1, the same views; averaged down to the disparity's size.

    Returns:
        Scalar; 0 for constant disparity. A multiple of the disparity gives the same value.

    Source:
        Godard et al., Monodepth2, ICCV 2019, eq. 3; Wang et al., CVPR 2018 (the normalization).
    """
    images = F.interpolate(images, size=disparity.shape[2:], mode='area')
    normalized = disparity / (disparity.mean((2, 3), keepdim=True) + 1e-7)
    return inverse_depth_smoothness_loss(normalized, images)


def feature_distance(features: Tensor, reference: Tensor) -> Tensor:
    """L2 norm of the difference of two feature maps. As a loss it keeps an encoder near its
    pretrained weights.

    Args:
        features: ``(N, C, H, W)``, floating point.
        reference: Likewise, without gradient.

    Returns:
        Scalar, the mean over the images; its gradient is 0 where the two are equal.

    Source:
        Hoyer et al., IJCV 2023.
    """
    return torch.linalg.vector_norm((features - reference).flatten(1), dim=1).mean()
