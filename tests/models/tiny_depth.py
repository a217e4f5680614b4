# Licensed under the Apache License 2.0, see LICENSE.
"""A tiny model of self-supervised depth that trains in milliseconds, and batches for it."""

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import mmseg_depthuda  # noqa: F401  registers what is built here

SIZE = (64, 96)
WIDTHS = [8, 8, 16, 32, 64]
ENCODER = dict(depth=18, base_channels=8, stem_channels=8)


def build(seed=0, **options):
    config = dict(
        type='SelfSupervisedDepth',
        data_preprocessor=dict(type='SequenceDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3),
        backbone=dict(type='ResNetWithStem', **ENCODER),
        decode_head=dict(type='UNetDepthHead', in_channels=WIDTHS, channels=[4, 4, 8, 8, 8]),
        pose_net=dict(
            type='PoseNet', backbone=dict(type='ResNet', **ENCODER), in_channels=64, channels=8
        ),
    )
    torch.manual_seed(seed)
    model = MODELS.build(config | options)
    model.init_weights()
    return model.train()


def make_batch(offsets=(-1, 1), stereo=False, n=2, seed=0):
    """A batch of frames and their source views, as from the data loader."""
    views = 1 + len(offsets) + stereo
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(n, 3, 12, 20, generator=generator)
    scene = F.interpolate(coarse, size=(SIZE[0], SIZE[1] + 8), mode='bicubic').clamp(0, 1)
    shifts = [0, *(2 * offset for offset in offsets)] + [1] * stereo
    frames = torch.stack([scene[..., 4 + s : 4 + s + SIZE[1]] for s in shifts], dim=1)
    intrinsics = torch.tensor([[60.0, 0, 47.5], [0, 60, 31.5], [0, 0, 1]])
    batch = dict(
        inputs=list((255 * frames).to(torch.uint8)),
        intrinsics=[intrinsics] * n,
        data_samples=[
            SegDataSample(metainfo=dict(img_path=f'{i}.png', frame_offsets=tuple(offsets)))
            for i in range(n)
        ],
    )
    assert batch['inputs'][0].shape == (views, 3, *SIZE)
    if stereo:
        pose = torch.eye(4)
        pose[0, 3] = -0.2
        batch['stereo_pose'] = [pose] * n
    return batch
