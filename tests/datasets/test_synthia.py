# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.datasets import SYNTHIADepthDataset
from tests.datasets.conftest import PIPELINE


@pytest.fixture
def class_ids() -> np.ndarray:
    return (np.arange(240) % 23).reshape(12, 20)


def test_labels_are_in_the_first_channel_and_depth_in_centimetres(files, image, class_ids):
    instances = np.full_like(class_ids, 777)
    # OpenCV writes BGR: the file's first channel comes last.
    files.png('RGB/0000000.png', image)
    files.png(
        'GT/LABELS/0000000.png',
        np.stack([np.zeros_like(class_ids), instances, class_ids], axis=-1).astype(np.uint16),
    )
    centimetres = np.full(image.shape[:2], 1999, dtype=np.uint16)
    centimetres[0, 0] = 65535
    files.png('Depth/0000000.png', np.repeat(centimetres[..., None], 3, axis=-1))
    dataset = SYNTHIADepthDataset(
        protocol='synthia16', data_root=str(files.root), pipeline=PIPELINE
    )
    sample = dataset[0]
    assert (sample['gt_seg_map'][class_ids == 3] == 0).all()  # road
    assert (sample['gt_seg_map'][class_ids == 11] == 15).all()  # bicycle, last of 16
    assert (sample['gt_seg_map'][class_ids == 20] == 255).all()  # train
    # 655.36 / (19.99 + 0.01)
    assert sample['gt_depth_map'][5, 5] == np.float32(32.768)
    assert sample['gt_depth_map'][0, 0] == 0
    assert dataset.metainfo['classes'][-1] == 'bicycle'


def test_other_copies_of_the_dataset(files, image, class_ids):
    files.png('RGB/0000000.png', image)
    files.png('parsed_LABELS/0000000.png', class_ids.astype(np.uint8))
    files.png('Depth/Depth/0000000.png', np.full(image.shape[:2], 1999, dtype=np.uint16))
    prefix = dict(img_path='RGB', seg_map_path='parsed_LABELS', depth_map_path='Depth/Depth')
    sample = SYNTHIADepthDataset(data_root=str(files.root), data_prefix=prefix, pipeline=PIPELINE)[
        0
    ]
    assert (sample['gt_seg_map'][class_ids == 8] == 13).all()  # car
    assert sample['gt_depth_map'][0, 0] == np.float32(32.768)
