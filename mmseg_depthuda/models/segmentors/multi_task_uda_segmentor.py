# Licensed under the Apache License 2.0, see LICENSE.
"""Segmentation of several branches, and depth from video as a task of one network."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from kornia.augmentation import ColorJitter
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor
from torch.utils.data import Dataset

from mmseg_depthuda.datasets.data_check import find_transform, simple_datasets
from mmseg_depthuda.datasets.transforms import LoadNeighboringFrames
from mmseg_depthuda.models.data_preprocessors.sequence_data_preprocessor import jitter_views
from mmseg_depthuda.models.decode_heads.head_contract import (
    branch_weights,
    has_disparities,
    loss_and_disparities,
    loss_and_predict,
)
from mmseg_depthuda.models.wrappers.bare_model import bare_model
from mmseg_depthuda.structures import branch_of, pack_pixel_data, stack_required

from .uda_segmentor import UDASegmentor
from .video_depth import VideoDepthMixin, at_least_float32


@MODELS.register_module()
class MultiTaskUDASegmentor(VideoDepthMixin, UDASegmentor):
    """Segmentor whose decode head also learns disparity, from the neighboring frames of images.

    On every branch for which ``decode_head.loss_weights`` name ``disparity``, the disparities of
    the pass that gives the segmentation loss warp the neighboring frames into the image, and the
    result is compared with the image (:class:`SelfSupervisedDepth`). This needs no labels, so a
    branch in ``unlabelled`` can have it, too. Images of such branches need ``source_views``.

    **Online depth.** A branch maker may need the network's own depth of the images that it mixes,
    before there is a loss of the mixed images. :meth:`run_ahead` then makes the pass of the plain
    images first, writes its finest disparity into the samples, and keeps its losses. :meth:`loss`
    hands them out when the turn of the branch comes. So there is one pass for depth and losses, and
    no additional one. Its graph is in memory while the teacher predicts, which needs none. The
    branch is then the first to be backpropagated.

    With ``decode_head.learn_depth=False``, the control, the pose network is frozen, and the
    neighboring frames are not used.

    Args:
        pose_net (dict): Config of :class:`PoseNet`. It is not part of the teacher's average.
        smoothness_weight (float): See :class:`SelfSupervisedDepth`. Defaults to 1e-3.
        color_jitter (dict, optional): Arguments of kornia's ``ColorJitter``. The networks then see
            images with jitter, all views of a sample with the same, while views are compared
            without it. Monodepth2's is ``dict(brightness=0.2, contrast=0.2, saturation=0.2,
            hue=0.1, p=0.5)``; it changes the images of the segmentation loss, too. Defaults to
            None, no jitter, as in the release.
        **kwargs: As in :class:`UDASegmentor`.

    Raises:
        TypeError: The decode head gives no disparities.

    Source: Hoyer et al., "Three Ways to Improve Semantic Segmentation with Self-Supervised Depth
        Estimation", CVPR 2021, and its release.
    """

    training_only = ('^pose_net',)  # for StrictLoadHook
    not_averaged = ('pose_net',)  # for TeacherEMA

    def __init__(
        self,
        pose_net: dict,
        smoothness_weight: float = 1e-3,
        color_jitter: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        head = bare_model(self.decode_head)
        if not hasattr(head, 'loss_and_disparities'):
            raise TypeError(
                f'MultiTaskUDASegmentor needs a head that gives disparities, such as PADHead, got '
                f"{type(head).__name__}. Take PADHead, or set model.type='UDASegmentor'."
            )
        self.pose_net = MODELS.build(pose_net)
        self.pose_net.requires_grad_(has_disparities(head))
        self.smoothness_weight = smoothness_weight
        self.color_jitter = None if color_jitter is None else ColorJitter(**color_jitter)
        self._ahead: dict[str, tuple[Tensor, dict[str, Tensor]]] = {}

    def learns_disparity(self, branch: str) -> bool:
        """Whether a branch has a loss of disparity."""
        weights = (branch_weights(self.decode_head) or {}).get(branch, {})
        return has_disparities(self.decode_head) and 'disparity' in weights

    def check_data(self, domains: Mapping[str, Dataset]) -> None:
        """Refuse data without neighboring frames, before a training.

        Args:
            domains (Mapping[str, Dataset]): Datasets of the training by their domains.

        Raises:
            ValueError: A domain has a loss of disparity and loads no neighboring frames.
        """
        for name, dataset in domains.items():
            for part in simple_datasets(dataset) if self.learns_disparity(name) else ():
                if find_transform(part, LoadNeighboringFrames) is None:
                    raise ValueError(
                        f'model.decode_head.loss_weights.{name} names disparity, but the dataset '
                        f'of {name} loads no neighboring frames. Set data_prefix.sequence_path and '
                        'camera_path, and put LoadNeighboringFrames into its pipeline; or take '
                        'disparity out of these weights.'
                    )

    def trained_branches(self, branches: Collection[str]) -> list[str]:
        """The branches of a batch that have a loss; first those whose pass has been made."""
        return sorted(super().trained_branches(branches), key=lambda name: name not in self._ahead)

    def check_online(self, field: str, branches: Collection[str]) -> None:
        """Refuse branches whose samples the network cannot give ``online_disparity``.

        Raises:
            ValueError: A branch has no loss of disparity.
        """
        for name in branches:
            if not self.learns_disparity(name):
                raise ValueError(
                    f'a branch maker needs {field} of {name!r}, but the network does not learn '
                    f'disparity there. Set model.decode_head.loss_weights.{name}='
                    'dict(disparity=1.0), or take another `depth` for the maker.'
                )

    def run_ahead(self, branches: Mapping[str, dict]) -> None:
        """Make the passes of some branches before their turn, for the depth of their images.

        Every sample gets ``online_disparity``: sigmoid disparity of the finest scale, 0 (far) ..
        1 (near), detached, at least float32, (1, H, W).

        Args:
            branches (Mapping[str, dict]): By name, preprocessed. Disparity is learned on each of
                them.
        """
        self._ahead = {}
        for name, branch in branches.items():
            losses, disparity = self._video_losses(branch['inputs'], branch['data_samples'])
            pack_pixel_data(branch['data_samples'], dict(online_disparity=disparity))
            self._ahead[name] = branch['inputs'], losses

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (list[SegDataSample]): Their samples, with branch and domain. Where
                disparity is learned, with ``source_views``, and the metainfo ``frame_offsets`` and
                ``camera_matrix``.

        Returns:
            dict[str, Tensor]: Those of :class:`UDASegmentor`. Where disparity is learned also
            ``loss_photometric`` and ``loss_smoothness``, times the weight of ``disparity``, and
            ``explained``.
        """
        branch = branch_of(data_samples)
        if branch in self._ahead:
            of, losses = self._ahead.pop(branch)
            if of.data_ptr() == inputs.data_ptr():
                return losses
        if self.learns_disparity(branch):
            return self._video_losses(inputs, data_samples)[0]
        return super().loss(inputs, data_samples)

    def _video_losses(
        self, inputs: Tensor, data_samples: SampleList
    ) -> tuple[dict[str, Tensor], Tensor]:
        """All losses of a branch where disparity is learned; its finest disparity, detached."""
        branch = branch_of(data_samples)
        images, intrinsics = self._views(inputs, data_samples)
        views = self._network_inputs(images)
        features = self.extract_feat(inputs if self.color_jitter is None else views[:, 0])
        losses, disparities = loss_and_disparities(self.decode_head, features, data_samples)
        for name, prefix, head in self.named_heads():
            if name != 'decode_head' and branch not in self.unlabelled:
                own = loss_and_predict(head, features, data_samples, self.train_cfg)[0]
                losses |= {f'{prefix}{key}': value for key, value in own.items()}
        poses = self.predict_poses(views, data_samples[0].metainfo['frame_offsets'])
        found = self.view_synthesis_losses(disparities, poses, images, intrinsics)
        weight = (branch_weights(self.decode_head) or {})[branch]['disparity']
        losses |= {k: weight * v if k.startswith('loss') else v for k, v in found.items()}
        return losses, at_least_float32(disparities[0].detach())

    def _views(self, inputs: Tensor, data_samples: SampleList) -> tuple[Tensor, Tensor]:
        """Image and neighboring frames, RGB, 0..1, (N, V, 3, H, W); camera matrices (N, 3, 3)."""
        preprocessor = self.data_preprocessor
        frames = stack_required(data_samples, 'source_views').to(inputs.dtype) / 255
        frame = (inputs * preprocessor.std + preprocessor.mean) / 255
        frame = frame if preprocessor.is_rgb else frame.flip(1)
        images = torch.cat([frame[:, None], frames.unflatten(1, (-1, 3)).flip(2)], dim=1)
        cameras = [torch.from_numpy(s.metainfo['camera_matrix']) for s in data_samples]
        return images, torch.stack(cameras).to(frame)

    def _network_inputs(self, images: Tensor) -> Tensor:
        """Normalized views, jittered, of images in RGB, 0..1, (N, V, 3, H, W)."""
        images = jitter_views(images, self.color_jitter)
        preprocessor = self.data_preprocessor
        views = images if preprocessor.is_rgb else images.flip(2)
        return (255 * views - preprocessor.mean) / preprocessor.std
