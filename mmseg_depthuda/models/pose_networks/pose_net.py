# Licensed under the Apache License 2.0, see LICENSE.
"""A network for the motion of the camera between two frames."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_depthuda.view_synthesis import pose_matrix

POSE_SCALE = 0.01


@MODELS.register_module()
class PoseNet(BaseModule):
    """Predicts the rigid motion of the camera between two frames.

    The two frames are concatenated and go through an encoder and four convolutions. The result is
    averaged over the image.

    Args:
        backbone (dict): Encoder, such as ``dict(type='ResNet', depth=18)``. It is built with 6
            input channels. Weights that are pretrained on single images can be used: those of the
            first convolution are repeated and halved.
        in_channels (int): Channels of its last features. Defaults to 512.
        channels (int): Channels of the convolutions. Defaults to 256.
        init_cfg (dict, optional): As in MMEngine.

    Source: Godard et al., Monodepth2, ICCV 2019.
    """

    def __init__(
        self,
        backbone: dict,
        in_channels: int = 512,
        channels: int = 256,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.single_frame_backbone = dict(backbone)
        self.backbone = MODELS.build(dict(backbone, in_channels=6, init_cfg=None))
        self.pose = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 6, 1),
        )

    def init_weights(self) -> None:
        """Initialize the network, with the weights for single images that ``backbone.init_cfg``
        names, if any."""
        super().init_weights()
        if (self.single_frame_backbone.get('init_cfg') or {}).get('type') != 'Pretrained':
            return
        single = MODELS.build(self.single_frame_backbone)
        single.init_weights()
        weights = single.state_dict()
        (first,) = (
            n for n, p in self.backbone.named_parameters() if p.ndim == 4 and p.shape[1] == 6
        )
        weights[first] = weights[first].repeat(1, 2, 1, 1) / 2
        self.backbone.load_state_dict(weights)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Predict the motion between two frames.

        Args:
            first (Tensor): Normalized images, (N, 3, H, W).
            second (Tensor): Normalized images of a later time, (N, 3, H, W).

        Returns:
            Tensor: Float32, or float64 in a model of float64, (N, 4, 4), from the camera
            coordinates of the first frame to those of the second. Its unit of length is unknown.
        """
        features = self.backbone(torch.cat([first, second], dim=1))[-1]
        pose = self.pose(features)
        pose = POSE_SCALE * (pose if pose.dtype == torch.float64 else pose.float()).mean((2, 3))
        # kornia 0.8 would compute in half precision, where most of these cosines are 1.
        with torch.autocast(pose.device.type, enabled=False):
            return pose_matrix(pose[:, :3], pose[:, 3:])
