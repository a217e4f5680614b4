# Licensed under the Apache License 2.0, see LICENSE.
"""A source of three images with labels and depth, and a small network."""

import cv2
import numpy as np

SIZE = 33, 65  # whose feature map is 5x9
NUM_IMAGES = 3
CLASSES = ('road', 'car', 'sky')


def write_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_source(folder):
    """Labels and centimeters of each image; the first shows no car."""
    rng = np.random.default_rng(0)
    maps = []
    for i in range(NUM_IMAGES):
        label = rng.choice([0, 1, 2, 255], SIZE).astype(np.uint8)
        label[label == 1] = 1 if i else 0
        centimetres = rng.integers(100, 3000, SIZE).astype(np.uint16)
        centimetres[label == 2] = 65535
        centimetres[:4] = 0  # missing
        write_png(folder / f'images/{i}.png', np.full((*SIZE, 3), 80, np.uint8))
        write_png(folder / f'labels/{i}.png', label)
        write_png(folder / f'depth/{i}.png', centimetres)
        maps.append((label, centimetres))
    return maps


def source_config(folder, encoding='dada', **changes):
    """Config of the dataset in a folder of :func:`write_source`."""
    return dict(
        type='FolderDepthDataset',
        metainfo=dict(classes=CLASSES),
        data_root=str(folder),
        data_prefix=dict(img_path='images', seg_map_path='labels', depth_map_path='depth'),
        depth_file='png_centimetres',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadLabels'),
            dict(type='LoadInverseDepth', encoding=encoding, expected_metres=None),
            dict(type='PackSegInputs'),
        ],
    ) | dict(changes)


def model_config(**preprocessor):
    """A network whose features have an eighth of the size of its image."""
    return dict(
        type='UDASegmentor',
        data_preprocessor=dict(
            type='UDADataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3, size_divisor=1
        )
        | preprocessor,
        backbone=dict(
            type='DeepLabV2ResNet',
            depth=18,
            base_channels=8,
            stem_channels=8,
            norm_cfg=dict(type='BN'),
        ),
        decode_head=dict(
            type='DeepLabV2Head', in_channels=64, in_index=3, num_classes=len(CLASSES)
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    )
