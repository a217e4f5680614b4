# Licensed under the Apache License 2.0, see LICENSE.
"""Neighboring frames of labeled images: found, and cropped and mirrored with image and camera."""

import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmseg.registry import DATASETS

from mmseg_depthuda.apps.street_world import StreetScene, WorldConfig, generate

PARTS = ('image', 'label', 'sequence', 'camera')
LOAD = (dict(type='LoadImageFromFile'), dict(type='LoadLabels'))
FRAMES, PACK = dict(type='LoadNeighboringFrames'), dict(type='PackSegInputs')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    generate(root, WorldConfig(0, 2, 0, size=(128, 64), layouts=('cityscapes',), parts=PARTS))
    return root / 'cityscapes'


def dataset(root, *steps, prefix=(), **options):
    prefix = dict(sequence_path='leftImg8bit_sequence/train', camera_path='camera/train') | dict(
        prefix
    )
    return DATASETS.build(
        dict(
            type='CityscapesDepthDataset',
            data_root=str(root),
            data_prefix=prefix,
            pipeline=[*LOAD, *steps],
            **options,
        )
    )


def test_frames_and_camera_of_the_same_place(root):
    sample = dataset(root, FRAMES, PACK)[1]['data_samples']
    scene = StreetScene(0, 'real', 1, (128, 64))
    frames = [scene.view(offset).image.transpose(2, 0, 1) for offset in (-1, 1)]
    np.testing.assert_array_equal(sample.source_views.data, np.concatenate(frames))
    assert sample.source_views.data.dtype == torch.uint8 and sample.frame_offsets == (-1, 1)
    np.testing.assert_allclose(sample.camera_matrix, scene.camera().matrix, atol=1e-9)


def test_crop_and_flip_by_hand(monkeypatch):
    """Columns are numbered, so that every pixel says where it comes from."""
    monkeypatch.setattr(np.random, 'randint', lambda low, high: high - 2)  # last place but one
    columns = np.broadcast_to(np.arange(20, dtype=np.uint8)[None, :, None], (12, 20, 3))
    results = dict(
        img=columns.copy(),
        source_imgs=[columns + 100, columns + 200],
        gt_seg_map=columns[..., 0].copy(),
        gt_depth_map=columns[..., 0].astype(np.float32),
        seg_fields=['gt_seg_map', 'gt_depth_map'],
        camera_matrix=np.array([[22.0, 0, 9.5], [0, 24, 5], [0, 0, 1]]),
        frame_offsets=(-1, 1),
        img_path='a.png',
    )
    crop = dict(type='RandomCropSequence', crop_size=(8, 10))
    flip = dict(type='RandomFlipSequence', prob=1.0)
    results = Compose([crop, flip])(results)
    expected = np.arange(18, 8, -1)  # columns 9 to 18
    for key in ('gt_seg_map', 'gt_depth_map'):
        np.testing.assert_array_equal(results[key][3], expected)
    for image, offset in zip([results['img'], *results['source_imgs']], (0, 100, 200), strict=True):
        np.testing.assert_array_equal(image[3, :, 1], expected + offset)
    # The principal point is at column 9.5 - 9 of the crop, and row 5 - 3; mirrored 9 - 0.5.
    np.testing.assert_allclose(results['camera_matrix'], [[22, 0, 8.5], [0, 24, 2], [0, 0, 1]])
    sample = Compose([PACK])(results)['data_samples']
    assert sample.source_views.shape == (8, 10)
    np.testing.assert_array_equal(sample.source_views.data[3, 0], expected + 200)


@pytest.mark.parametrize(
    'step',
    [dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=1.0)],
    ids=lambda step: step['type'],
)
def test_image_and_frames_that_no_longer_belong_together(root, step):
    with pytest.raises(ValueError, match='frames differently.*RandomCropSequence'):
        dataset(root, FRAMES, step, PACK)[0]


def test_a_missing_frame_is_named_before_any_is_read(root):
    with pytest.raises(FileNotFoundError, match=r'sequence_path: 2 neighboring.*_\*\d+'):
        dataset(root, frame_offsets=(-1, 5))
    assert len(dataset(root, frame_offsets=(-1, 1))) == 2


@pytest.mark.parametrize('folder', ['sequence_path', 'camera_path'])
def test_a_folder_that_is_not_named(root, folder):
    with pytest.raises(ValueError, match=f'data_prefix.{folder}'):
        dataset(root, FRAMES, prefix={folder: None})[0]


def test_offsets_of_the_image_itself(root):
    with pytest.raises(ValueError, match='frame_offsets=.*other than 0'):
        dataset(root, frame_offsets=(0, 1))


def test_names_without_numbers(files, image):
    files.png('images/a.png', image)
    with pytest.raises(ValueError, match='name of a in .*does not end in a number'):
        DATASETS.build(
            dict(
                type='FolderDepthDataset',
                data_root=str(files.root),
                data_prefix=dict(img_path='images', sequence_path='images'),
                pipeline=[],
            )
        )
