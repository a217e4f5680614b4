# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.datasets import CITYSCAPES_19, CityscapesDepthDataset
from tests.datasets.conftest import PIPELINE


def build(root, **kwargs):
    return CityscapesDepthDataset(data_root=str(root), pipeline=PIPELINE, **kwargs)


@pytest.mark.parametrize(
    ('depth', 'inverse_depth'),
    [
        ('stereo', lambda raw: np.full(raw.shape, 655.36 / (11 + 0.01))),  # meters of sample 1
        ('mono', lambda raw: raw / 256 + 1),
        # meters = 0.25 * 2000 / disparity
        ('official', lambda raw: 655.36 / (500 / ((raw - 1.0) / 256) + 0.01)),
    ],
)
def test_depth_kinds(cityscapes_root, depth16, label_ids, depth, inverse_depth):
    dataset = build(cityscapes_root, depth=depth)
    assert len(dataset) == 3
    sample = dataset[1]
    expected = inverse_depth(depth16.astype(np.float64))
    if depth == 'official':
        expected[expected <= 1] = 0
    np.testing.assert_allclose(sample['gt_depth_map'], expected, rtol=1e-6)
    assert (sample['gt_seg_map'][np.roll(label_ids, 1, axis=0) == 33] == 18).all()


def test_without_depth_and_labels(cityscapes_root):
    sample = build(cityscapes_root, data_prefix=dict(seg_map_path=None))[0]
    assert 'gt_seg_map' not in sample
    assert 'gt_depth_map' not in sample


def test_validation_split(cityscapes_root):
    dataset = build(cityscapes_root, split='val', test_mode=True)
    assert len(dataset) == 2
    assert 'val/lindau' in dataset.get_data_info(0)['seg_map_path']
    assert dataset.metainfo['classes'] == CITYSCAPES_19


def test_train_id_labels(files, cityscapes_root, image):
    train_ids = (np.arange(240) % 19).astype(np.uint8).reshape(12, 20)
    train_ids[0, 0] = 255
    for i in range(3):
        files.png(
            f'cityscapes/gtFine/train/aachen/aachen_{i:06}_000019_gtFine_labelTrainIds.png',
            train_ids,
        )
    sample = build(cityscapes_root, labelling='cityscapes_train_ids')[0]
    np.testing.assert_array_equal(sample['gt_seg_map'], train_ids)


def test_unknown_depth_is_an_error(cityscapes_root):
    with pytest.raises(ValueError, match="depth='lidar'"):
        build(cityscapes_root, depth='lidar')
