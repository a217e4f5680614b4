# Licensed under the Apache License 2.0, see LICENSE.
"""Camera motion between two frames."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmseg_depthuda.view_synthesis import pose_matrix

POSE_SCALE = 0.01


@MODELS.register_module()
class PoseNet(BaseModule):
    """Rigid motion of the camera, seen in two frames.

    An encoder on the concatenated frames, four convolutions, and a mean over the image.

    Args:
        backbone (dict): Encoder, such as ``dict(type='ResNet', depth=18)``; it gets 6 input
            channels. Pretrained weights of single images serve: those of the first convolution
            are repeated and halved.
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
        """Initialize; by a checkpoint for single images where ``backbone.init_cfg`` names one."""
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
        """Motion between frames.

        Args:
            first (Tensor): Normalized images, (N, 3, H, W).
            second (Tensor): Later images, likewise.

        Returns:
            Tensor: Float32 (N, 4, 4), from the camera coordinates of the first frame to those of
            the second. Its unit of length is unknown.
        """
        features = self.backbone(torch.cat([first, second], dim=1))[-1]
        pose = POSE_SCALE * self.pose(features).float().mean((2, 3))
        # In half precision, in which kornia 0.8 would compute them, most cosines are 1.
        with torch.autocast(pose.device.type, enabled=False):
            return pose_matrix(pose[:, :3], pose[:, 3:])
