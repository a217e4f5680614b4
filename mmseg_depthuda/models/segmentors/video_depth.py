# Licensed under the Apache License 2.0, see LICENSE.
"""Losses of depth that is learned from neighboring frames, for every model that learns so."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from kornia.geometry.linalg import inverse_transformation
from torch import Tensor, nn

from mmseg_depthuda.view_synthesis import (
    disparity_to_depth,
    edge_aware_smoothness,
    minimum_reprojection,
    photometric_error,
    warp,
)

from .depth_results import resized


class VideoDepthMixin:
    """Motions between frames, and losses of disparity, for a model with a pose network.

    Attributes:
        pose_net (nn.Module, optional): :class:`PoseNet`. None if the right image is the only source
            view.
        smoothness_weight (float): Weight of the edge-aware smoothness at the finest scale, halved
            at each coarser one.

    Source: Godard et al., Monodepth2, ICCV 2019.
    """

    pose_net: nn.Module | None
    smoothness_weight: float

    def predict_poses(self, views: Tensor, frame_offsets: Sequence[int]) -> list[Tensor]:
        """Predict the motion from each frame to its neighbors.

        The pose network always gets the two frames in the order of time. If the neighbor is the
        earlier one, its result is inverted.

        Args:
            views (Tensor): Normalized images, (N, V, 3, H, W), the frame first.
            frame_offsets (Sequence[int]): Offset of each source frame from the frame, in frames.

        Returns:
            list[Tensor]: For each source frame the motion of points from the camera coordinates of
            the frame to those of the source frame, (N, 4, 4).

        Raises:
            ValueError: There are source frames, but no pose network; or there is a pose network,
                but no source frame. Such a network would learn nothing, and distributed training
                would wait for its gradients for ever.
        """
        if not frame_offsets:
            if self.pose_net is not None:
                raise ValueError(
                    'the dataset gives no neighboring frames (frame_offsets=()), from which '
                    'model.pose_net could learn. Set model.pose_net=None.'
                )
            return []
        if self.pose_net is None:
            raise ValueError(
                f'the dataset gives the frames at {tuple(frame_offsets)}, but the model has no '
                'pose network. Set model.pose_net, or frame_offsets=() of the dataset for stereo '
                'alone.'
            )
        frame = views[:, 0]
        pairs = [
            (frame, source) if offset > 0 else (source, frame)
            for offset, source in zip(frame_offsets, views[:, 1:].unbind(1), strict=False)
        ]
        first, second = (torch.cat(images) for images in zip(*pairs, strict=True))
        poses = self.pose_net(first, second).chunk(len(pairs))
        with torch.autocast(views.device.type, enabled=False):
            return [
                pose if offset > 0 else inverse_transformation(pose)
                for offset, pose in zip(frame_offsets, poses, strict=True)
            ]

    def view_synthesis_losses(
        self,
        disparities: Sequence[Tensor],
        poses: Sequence[Tensor],
        images: Tensor,
        intrinsics: Tensor,
    ) -> dict[str, Tensor]:
        """Photometric and smoothness losses, averaged over the scales.

        Computed in float32 at least: half precision is too coarse for coordinates of pixels.

        Args:
            disparities (Sequence[Tensor]): Fine to coarse, 0 (far) .. 1 (near), (N, 1, h, w).
            poses (Sequence[Tensor]): For each source view the motion of points to it, (N, 4, 4).
            images (Tensor): 0..1, (N, V, 3, H, W): the frame, then the source views.
            intrinsics (Tensor): Camera matrices in pixels, (N, 3, 3).

        Returns:
            dict[str, Tensor]: ``loss_photometric``, ``loss_smoothness``, and ``explained``: the
            share of the pixels, 0..1, for which the error at the finest scale is smaller with
            warping than without.
        """
        with torch.autocast(images.device.type, enabled=False):
            return self._view_synthesis_losses(
                [at_least_float32(one) for one in disparities], poses, images, intrinsics
            )

    def _view_synthesis_losses(
        self,
        disparities: Sequence[Tensor],
        poses: Sequence[Tensor],
        images: Tensor,
        intrinsics: Tensor,
    ) -> dict[str, Tensor]:
        frame, sources = images[:, 0], images[:, 1:].unbind(1)
        with torch.no_grad():
            unwarped = torch.stack([photometric_error(source, frame) for source in sources])
        photometric, smoothness = [], []
        for scale, disparity in enumerate(disparities):
            depth = disparity_to_depth(resized(disparity, frame.shape[2:]))
            warped = [
                photometric_error(warp(source, depth, pose, intrinsics), frame)
                for source, pose in zip(sources, poses, strict=True)
            ]
            error, by_warping = minimum_reprojection(torch.stack(warped), unwarped)
            photometric.append(error.mean())
            smoothness.append(edge_aware_smoothness(disparity, frame) / 2**scale)
            if scale == 0:
                explained = by_warping.float().mean()
        return dict(
            loss_photometric=torch.stack(photometric).mean(),
            loss_smoothness=self.smoothness_weight * torch.stack(smoothness).mean(),
            explained=explained,
        )


def at_least_float32(values: Tensor) -> Tensor:
    """The values in float32, or in float64 if they have it."""
    return values if values.dtype == torch.float64 else values.float()
