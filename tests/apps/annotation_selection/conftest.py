# Licensed under the Apache License 2.0, see LICENSE.
"""A pool of nine images with depth, a depth network of random weights, and a student."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from tests.models.tiny_depth import ENCODER, WIDTHS, build

SIZE = (64, 96)
NAMES = [
    f'{folder}/{i}.png' for folder in 'ab' for i in range(9) if (i % 2 == 0) == (folder == 'a')
]
HEAD = dict(type='UNetDepthHead', in_channels=WIDTHS, channels=[4, 4, 8, 8, 8])
LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadInverseDepth', encoding='corda'),
    dict(type='NormalizeDepth'),
]
PACK = dict(type='PackSegInputs')


@pytest.fixture
def images(tmp_path):
    """Images and depth are smooth, each of its own brightness."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        for folder, shape, high, dtype in (
            ('images', (4, 6, 3), 255, np.uint8),
            ('depth', (4, 6), 2**16 - 1, np.uint16),
        ):
            coarse = rng.uniform(0.1, 1, shape) * (number + 3) / (len(NAMES) + 3)
            picture = cv2.resize(coarse, SIZE[::-1], interpolation=cv2.INTER_LINEAR)
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / folder / name), (high * picture).astype(dtype))
    return tmp_path


@pytest.fixture
def network(tmp_path):
    """Config and checkpoint of a depth network that was trained on video."""
    init_default_scope('mmseg')
    preprocessor = dict(type='SequenceDataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3)
    model = build(seed=1).eval()
    parts = dict(
        type='SelfSupervisedDepth',
        data_preprocessor=preprocessor,
        backbone=dict(type='ResNetWithStem', **ENCODER),
        decode_head=HEAD,
    )
    state = {n: v for n, v in model.state_dict().items() if not n.startswith('pose_net')}
    torch.save(dict(state_dict=state, meta=dict(dataset_meta={})), tmp_path / 'network.pth')
    config = dict(
        default_scope='mmseg',
        model=parts,
        test_pipeline=[LOAD[0], PACK],
        train_dataloader=dict(dataset=dict()),
    )
    Config(config).dump(tmp_path / 'network.py')
    return dict(
        config=str(tmp_path / 'network.py'),
        checkpoint=str(tmp_path / 'network.pth'),
        layer='decode_head.after.1',
    )


@pytest.fixture
def cfg(images, network):
    """Config of the student's training."""
    config = dict(
        default_scope='mmseg',
        model=dict(
            type='SupervisedDepth',
            data_preprocessor=dict(
                type='UDADataPreProcessor', mean=[120.0] * 3, std=[60.0] * 3, size_divisor=1
            ),
            backbone=dict(type='ResNetWithStem', **ENCODER),
            decode_head=HEAD,
        ),
        train_dataloader=dict(
            batch_size=2,
            num_workers=0,
            sampler=dict(type='InfiniteSampler'),
            dataset=dict(
                type='FolderDepthDataset',
                data_root=str(images),
                data_prefix=dict(img_path='images', depth_map_path='depth'),
                pipeline=[*LOAD, PACK],
            ),
        ),
        test_pipeline=[*LOAD, PACK],
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3)),
        param_scheduler=[dict(type='WarmupPolyLR', power=0.9, by_epoch=False)],
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=2),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1, max_keep_ckpts=2),
        ),
        log_level='WARNING',
        randomness=dict(seed=0),
        selection_network=network,
    )
    Config(config).dump(images / 'student.py')
    return Config.fromfile(images / 'student.py')
