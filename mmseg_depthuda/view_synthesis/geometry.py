# Licensed under the Apache License 2.0, see LICENSE.
"""Geometry of two views: which pixels of another view show the same points.

Pixel centers have integer coordinates. The camera's axes are x right, y down, z forward. Depth is
measured along z. This is the convention of kornia and of the street world, too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from kornia.geometry import Rt_to_matrix4x4, axis_angle_to_rotation_matrix, create_meshgrid
from torch import Tensor

MIN_DEPTH, MAX_DEPTH = 0.1, 100.0
NEAREST_PROJECTED = 1e-3


def disparity_to_depth(
    disparity: Tensor, min_depth: float = MIN_DEPTH, max_depth: float = MAX_DEPTH
) -> Tensor:
    """Depth of a network's sigmoid output.

    ``1 / (1 / max_depth + (1 / min_depth - 1 / max_depth) * disparity)``

    Args:
        disparity: Any shape, floating point, in 0 (far) .. 1 (near).
        min_depth: Depth of disparity 1.
        max_depth: Depth of disparity 0.

    Returns:
        Depth of that shape, ``min_depth .. max_depth``, in their unit: meters if the training had
        stereo pairs whose baseline is known in meters, else unknown.

    Source:
        Godard et al., Monodepth2, ICCV 2019, section 4.
    """
    nearest, farthest = 1 / min_depth, 1 / max_depth
    return 1 / (farthest + (nearest - farthest) * disparity)


def pose_matrix(axis_angle: Tensor, translation: Tensor) -> Tensor:
    """Matrix of a rigid motion, from its rotation and its translation.

    Args:
        axis_angle: Rotation axis times angle in radians, ``(N, 3)``, floating point.
        translation: ``(N, 3)``, likewise.

    Returns:
        ``(N, 4, 4)``: points are rotated, then shifted. It has a gradient everywhere, also where
        the rotation is zero.
    """
    return Rt_to_matrix4x4(axis_angle_to_rotation_matrix(axis_angle), translation[..., None])


def warp(images: Tensor, depth: Tensor, poses: Tensor, intrinsics: Tensor) -> Tensor:
    """Look up, for every pixel of a target view, the color of the same point in a source view.

    Sampling is bilinear. Points outside of the source image get the color of its border.

    ``z' p' = z K R K^-1 p + K t`` (Hartley and Zisserman, Multiple View Geometry, eq. 9.6): one
    matrix for each image moves its pixels. kornia's ``warp_frame_depth`` takes three times as long,
    because it computes back-projection, motion and projection for every pixel in turn, and it gives
    black outside of the source image.

    Args:
        images: Source views, ``(N, C, H, W)``, floating point.
        depth: Depth of the target views, ``(N, 1, H, W)``, > 0, finite.
        poses: Motion of points from the target's camera coordinates to the source's,
            ``(N, 4, 4)``, in the unit of the depth.
        intrinsics: Camera matrices K of both views in pixels, ``(N, 3, 3)``.

    Returns:
        ``(N, C, H, W)``. Points at the source camera or on its rear side are treated as 1e-3 in
        front of it, so that the result and its gradients stay finite.

    Source:
        Zhou et al., CVPR 2017, eq. 2; Godard et al., Monodepth2, ICCV 2019.
    """
    height, width = images.shape[2:]
    pixels = create_meshgrid(height, width, False, device=depth.device, dtype=depth.dtype)
    pixels = F.pad(pixels.reshape(1, -1, 2), (0, 1), value=1.0).mT
    rays = intrinsics @ poses[:, :3, :3] @ torch.linalg.inv(intrinsics) @ pixels
    points = rays * depth.reshape(len(depth), 1, -1) + intrinsics @ poses[:, :3, 3:]
    projected = points[:, :2] / points[:, 2:].clamp_min(NEAREST_PROJECTED)
    # grid_sample wants the outermost pixel centers at -1 and 1.
    to_unit = projected.new_tensor([[2 / (width - 1)], [2 / (height - 1)]])
    grid = (projected * to_unit - 1).mT.reshape(len(images), height, width, 2)
    return F.grid_sample(images, grid, padding_mode='border', align_corners=True)
