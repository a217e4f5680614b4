# Licensed under the Apache License 2.0, see LICENSE.
"""Heads with a U-Net decoder that train in milliseconds, and features and samples for them."""

import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import mmseg_depthuda  # noqa: F401  registers what is built here

CHANNELS = (3, 4, 5, 6, 7)
CLASSES, SIZE = 5, (32, 48)
WEIGHTS = dict(
    source=dict(seg=0.5, side_seg=0.5),
    labelled=dict(seg=0.5, side_seg=0.5, disparity=1.0),
    unlabelled=dict(disparity=1.0),
    mixed=dict(seg=1.0),
)
ENCODER = dict(
    type='ResNetWithStem',
    depth=18,
    strides=(1, 2, 2, 1),
    dilations=(1, 1, 1, 2),
    contract_dilation=True,
    base_channels=8,
    stem_channels=8,
)


def build_head(type='UNetSegHead', **options):
    """A head in float64 and training mode, without dropout."""
    torch.manual_seed(0)
    config = dict(type=type, in_channels=CHANNELS, channels=(4, 4, 6, 6, 8), num_classes=CLASSES)
    if type == 'PADHead':
        config['loss_weights'] = WEIGHTS
    head = MODELS.build(config | options).double().train()
    for module in head.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return head


def build_segmentor(type='UNetSegHead', **options):
    head = dict(type=type, in_channels=[8, 8, 16, 32, 64], channels=[4, 4, 6, 6, 8])
    if type == 'PADHead':
        head['loss_weights'] = WEIGHTS
    config = dict(
        type='UDASegmentor',
        data_preprocessor=dict(
            type='UDADataPreProcessor', mean=[114.75] * 3, std=[57.375] * 3, size_divisor=1
        ),
        backbone=ENCODER,
        decode_head=dict(head, num_classes=CLASSES),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(config | options)).double()


def make_features(size=SIZE, images=2, channels=CHANNELS):
    """Features at the strides 2, 4, 8, 16 and 16."""
    torch.manual_seed(1)
    return [
        torch.randn(images, c, size[0] // stride, size[1] // stride, dtype=torch.float64)
        for c, stride in zip(channels, (2, 4, 8, 16, 16), strict=True)
    ]


def make_samples(branch, size=SIZE, weighted=False, labels=True):
    torch.manual_seed(2)
    samples = [SegDataSample(metainfo=dict(branch=branch, domain=branch)) for _ in range(2)]
    for sample in samples:
        label = torch.randint(CLASSES, (1, *size))
        label[:, :3] = 255
        if labels:
            sample.gt_sem_seg = PixelData(data=label)
        if weighted:  # MMSeg's cross entropy casts weights to float32
            weight = torch.randint(0, 65, (1, *size)).double() / 64
            sample.seg_weight = PixelData(data=weight)
    return samples
