# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np

from mmseg_depthuda.datasets import GTA5DepthDataset
from tests.datasets.conftest import PIPELINE


def test_first_sample(gta_root, image, label_ids, depth16):
    sample = GTA5DepthDataset(data_root=str(gta_root), pipeline=PIPELINE)[0]
    np.testing.assert_array_equal(sample['img'], np.roll(image, 1, axis=1))
    labels = np.roll(label_ids, 1, axis=1)
    assert (sample['gt_seg_map'][labels == 26] == 13).all()  # car
    assert (sample['gt_seg_map'][labels == 0] == 255).all()
    np.testing.assert_allclose(
        sample['gt_depth_map'], np.roll(depth16, 1, axis=1) / 256 + 1, rtol=1e-7
    )


def test_protocol_chooses_classes(gta_root, label_ids):
    dataset = GTA5DepthDataset(protocol='camvid11', data_root=str(gta_root), pipeline=PIPELINE)
    assert dataset.metainfo['classes'][10] == 'bicyclist'
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 11
    labels = np.roll(label_ids, 1, axis=1)
    for raw in (25, 32, 33):  # rider, motorcycle, bicycle
        assert (dataset[0]['gt_seg_map'][labels == raw] == 10).all()
