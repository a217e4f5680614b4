# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from mmseg.datasets.transforms.loading import InferencerLoader
from mmseg.registry import TRANSFORMS

RGBA = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)


def test_files_are_read_by_our_rules_under_the_name_of_mmcv(tmp_path):
    path = tmp_path / 'a.png'
    load = TRANSFORMS.build(dict(type='LoadImageFromFile', to_float32=True)).transform
    cv2.imwrite(str(path), RGBA)
    results = load(dict(img_path=path))
    np.testing.assert_array_equal(results['img'], RGBA[:, :, :3].astype(np.float32))
    assert results['img_shape'] == results['ori_shape'] == (3, 5)
    cv2.imwrite(str(path), np.full((2, 3, 3), 4080, np.uint16))
    with pytest.raises(ValueError, match=r'a\.png holds uint16 values up to 4080'):
        load(dict(img_path=path))
    remote = TRANSFORMS.build(dict(type='LoadImageFromFile', backend_args=dict(backend='local')))
    with pytest.raises(ValueError, match=r'a\.png holds uint16 values up to 4080'):
        remote.transform(dict(img_path=path))


def test_arrays_given_to_the_inferencer():
    load = InferencerLoader().transform
    for array, expected in (
        (RGBA, RGBA[:, :, :3]),
        (RGBA[:, :, 0], RGBA[:, :, [0, 0, 0]]),
        (RGBA[:, :, :1], RGBA[:, :, [0, 0, 0]]),
    ):
        np.testing.assert_array_equal(load(array)['img'], expected)
    for array, message in (
        (RGBA / 510, 'float64 values up to 0'),
        (RGBA[:, :, :2], r'\(3, 5, 2\)'),
    ):
        with pytest.raises(ValueError, match=message):
            load(array)
