# Licensed under the Apache License 2.0, see LICENSE.
"""A tiny network of segmentation and depth from video, and batches with neighboring frames."""

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.models.tiny_unet import CLASSES, ENCODER, SIZE

IGNORE = 255
MEAN, STD = 114.75, 57.375
POSE_NET = dict(
    type='PoseNet',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    in_channels=64,
    channels=8,
)
WEIGHTS = dict(
    labelled=dict(seg=0.5, side_seg=0.5, disparity=1.0),
    target=dict(disparity=1.0),
    mixed=dict(seg=1.0),
)


def build_multi_task(head=(), **options):
    """In float64 and training mode, with motions and disparities near those of the batches."""
    config = dict(
        type='MultiTaskUDASegmentor',
        data_preprocessor=dict(
            type='UDADataPreProcessor', mean=[MEAN] * 3, std=[STD] * 3, bgr_to_rgb=True, size=SIZE
        ),
        backbone=dict(ENCODER, zero_init_residual=False),
        decode_head=dict(
            type='PADHead',
            in_channels=[8, 8, 16, 32, 64],
            channels=[4, 4, 6, 6, 8],
            aspp_dilations=[1, 2],
            num_classes=CLASSES,
            loss_weights=WEIGHTS,
        )
        | dict(head),
        pose_net=POSE_NET,
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(config | options))
    model.init_weights()
    for layer in model.decode_head.depth_decoder.disparity:
        layer.weight.data *= 5
        layer.bias.data -= 4.5
    bias = torch.tensor([0.2, -0.3, 0.4, -6, 2, 6], dtype=torch.float64)
    model.pose_net.pose[-1].bias.data = bias
    return model.double().train()


def make_domain(name, seed=0, images=2, labels=True):
    """Images with moved frames as from the data loader; labels in blobs, some of them ignored."""
    generator = torch.Generator().manual_seed(seed)
    height, width = SIZE
    coarse = torch.rand(images, 3, 8, 14, generator=generator)
    scene = F.interpolate(coarse, (height, width + 8), mode='bicubic').clamp(0, 1)
    scene = (255 * scene).to(torch.uint8)
    blobs = torch.randint(0, CLASSES + 1, (images, 1, 4, 6), generator=generator)
    label = F.interpolate(blobs.double(), SIZE).long()
    label[label == CLASSES] = IGNORE
    samples = []
    for index in range(images):
        sample = SegDataSample(
            metainfo=dict(
                img_path=f'{name}_{index}.png',
                img_shape=SIZE,
                frame_offsets=(-1, 1),
                camera_matrix=np.array([[60.0 + index, 0, 23.5], [0, 60, 15.5], [0, 0, 1]]),
            )
        )
        frames = [scene[index, ..., 4 + s : 4 + s + width] for s in (-2, 2)]
        sample.source_views = PixelData(data=torch.cat(frames))
        if labels:
            sample.gt_sem_seg = PixelData(data=label[index])
        samples.append(sample)
    return dict(inputs=[one[..., 4 : 4 + width] for one in scene], data_samples=samples)


def make_multi_task_batch(seed=0, images=2):
    return dict(
        labelled=make_domain('labelled', 2 * seed, images),
        target=make_domain('target', 2 * seed + 1, images, labels=False),
    )
