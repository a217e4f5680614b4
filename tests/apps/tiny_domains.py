# Licensed under the Apache License 2.0, see LICENSE.
"""A training of the tiny network on files, whose two domains have labels and depth."""

import cv2
import numpy as np
from mmengine.config import Config

from tests.models.tiny_segmentor import SIZE, head_config, segmentor_config


def tiny_domains(root):
    """Write three random images into a folder, and give the config of a training on them."""
    rng = np.random.default_rng(0)
    kinds = dict(image=(2**8, (*SIZE, 3), 'uint8'), label=(5, SIZE, 'uint8'))
    kinds['depth'] = (2**16, SIZE, 'uint16')
    for folder, (high, shape, dtype) in kinds.items():
        (root / folder).mkdir()
        for i in range(3):
            pixels = rng.integers(1, high, shape, dtype=dtype)
            assert cv2.imwrite(str(root / folder / f'{i}.png'), pixels)
    domain = dict(
        type='FolderDepthDataset',
        data_root=str(root),
        data_prefix=dict(img_path='image', seg_map_path='label', depth_map_path='depth'),
        metainfo=dict(classes=list('abcde')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadLabels'),
            dict(type='LoadInverseDepth', expected_metres=None),
            dict(type='PackSegInputs'),
        ],
    )
    loader = dict(batch_size=2, num_workers=2, sampler=dict(type='DomainsSampler'))
    loader['dataset'] = dict(type='DomainsDataset', source=domain, target=domain)
    return Config(
        dict(
            model=segmentor_config(head_config('DeepLabV2Head')),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
            train_dataloader=loader,
            custom_hooks=[dict(type='DACSHook')],
        )
    )
