# Licensed under the Apache License 2.0, see LICENSE.
"""A training that left one checkpoint, and pictures."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from tests.models.tiny_segmentor import NUM_CLASSES, backbone_config, head_config

CLASSES = ('road', 'tree', 'sky', 'car', 'bus')
PALETTE = [[128, 64, 128], [0, 128, 0], [70, 130, 180], [0, 0, 142], [0, 60, 100]]
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='Resize', scale=(40, 24)),
    dict(type='MatchOriShapeToLabels'),
    dict(type='PackSegInputs'),
]
NAMES = ('first.png', 'city/second.jpg')


def write_training(folder, depth_file='mat_metres', pipeline=PIPELINE, **head):
    """A network of random weights with its config; the pictures have labels of one class."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        image = cv2.resize(rng.integers(0, 255, (6, 10, 3), np.uint8), (80, 48))
        label = np.ones((48, 80), np.uint8)
        for kind, pixels in (('images', image), ('labels', label)):
            path = (folder / kind / name).with_suffix('.png' if kind == 'labels' else name[-4:])
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), pixels)
    dataset = dict(
        type='FolderDepthDataset',
        metainfo=dict(classes=CLASSES, palette=PALETTE),
        data_prefix=dict(img_path=str(folder / 'images'), seg_map_path=str(folder / 'labels')),
        pipeline=pipeline,
        test_mode=True,
    )
    target = dict(
        type='FolderDepthDataset',
        depth_file=depth_file,
        pipeline=[dict(type='LoadInverseDepth', encoding='corda')],
    )
    cfg = Config(
        dict(
            default_scope='mmseg',
            custom_imports=dict(imports=['mmseg_depthuda'], allow_failed_imports=False),
            model=dict(
                type='UDASegmentor',
                data_preprocessor=dict(
                    type='UDADataPreProcessor',
                    mean=[104.0, 117.0, 123.0],
                    std=[50.0, 60.0, 70.0],
                    bgr_to_rgb=True,
                    size_divisor=1,
                ),
                backbone=backbone_config(
                    init_cfg=dict(type='Pretrained', checkpoint='https://nowhere.invalid/a.pth')
                ),
                decode_head=head_config(**head),
                train_cfg=dict(),
                test_cfg=dict(mode='whole'),
            ),
            train_dataloader=dict(dataset=dict(type='SourceTargetDataset', target=target)),
            train_cfg=dict(type='IterBasedTrainLoop', max_iters=1),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
            test_dataloader=dict(batch_size=1, num_workers=0, dataset=dataset),
            test_evaluator=dict(type='PerClassIoUMetric'),
            test_cfg=dict(type='TestLoop'),
            default_hooks=dict(visualization=dict(type='OutputFoldersHook')),
        )
    )
    (folder / 'config.py').write_text(cfg.pretty_text)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmseg'):
        network = MODELS.build(cfg.model)
    for name, weight in network.named_parameters():
        if weight.ndim == 4:  # kept in size; of mean 0, or one class would win everywhere
            values = torch.randn_like(weight) / weight[0].numel() ** 0.5
            weight.data = values - values.mean(dim=(1, 2, 3), keepdim=True)
        elif name.startswith('decode_head') and name.endswith('bias'):
            weight.data.zero_()
    meta = dict(cfg=cfg.pretty_text, dataset_meta=dict(classes=CLASSES, palette=PALETTE))
    torch.save(dict(state_dict=network.state_dict(), meta=meta), folder / 'iter_4.pth')
    return SimpleNamespace(
        folder=folder,
        images=folder / 'images',
        config=folder / 'config.py',
        checkpoint=folder / 'iter_4.pth',
        num_classes=NUM_CLASSES,
    )


@pytest.fixture(scope='session')
def training(tmp_path_factory):
    return write_training(tmp_path_factory.mktemp('training'))
