# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
from mmcv.transforms import Compose

from mmseg_depthuda.apps.depth_prediction.prediction import normalized_png
from mmseg_depthuda.datasets.transforms import LoadInverseDepth, NormalizeInverseDepth


def normalize(depth):
    return NormalizeInverseDepth().transform(dict(gt_depth_map=depth))['gt_depth_map']


def test_by_hand():
    found = normalize(np.array([[2.0, 0.0], [10.0, 4.0]], np.float32))
    assert found.dtype == np.float32
    quarter = 1 / 65535 + 0.25 * 65534 / 65535
    np.testing.assert_allclose(found, [[1 / 65535, 0], [1, quarter]], rtol=1e-6)


def test_what_is_not_to_stretch():
    np.testing.assert_array_equal(normalize(np.array([[3.0, 0.0]], np.float32)), [[1, 0]])
    np.testing.assert_array_equal(normalize(np.zeros((2, 2), np.float32)), np.zeros((2, 2)))
    assert NormalizeInverseDepth().transform({}) == {}


def test_a_normalized_file_is_its_value_over_the_maximum(tmp_path):
    """As the release reads it."""
    png = normalized_png(np.random.default_rng(0).uniform(3, 9, (7, 9)))
    cv2.imwrite(str(tmp_path / 'depth.png'), png)
    load = Compose([LoadInverseDepth(encoding='corda'), NormalizeInverseDepth()])
    info = dict(depth_map_path=str(tmp_path / 'depth.png'), depth_file='png_disparity')
    read = load(dict(info, ori_shape=(7, 9), seg_fields=[]))['gt_depth_map']
    np.testing.assert_allclose(read, png / 65535, rtol=1e-5, atol=1e-9)
