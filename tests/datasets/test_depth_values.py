# Licensed under the Apache License 2.0, see LICENSE.
"""Depth in wrong units and files without depth, through the transform that training uses."""

import numpy as np
import pytest

from mmseg_depthuda.datasets import LoadInverseDepth
from mmseg_depthuda.datasets.depth_encodings import DEPTH_ENCODINGS
from mmseg_depthuda.datasets.depth_values import check_expected_metres, median_metres

SHAPE = (12, 20)


def street(median=15.0):
    """Meters with a known median; a tenth of the pixels has none."""
    depth = np.geomspace(median / 4, median * 4, 239).astype(np.float32)
    depth = np.random.default_rng(0).permutation(np.append(depth, median)).reshape(SHAPE)
    return np.where(np.arange(240).reshape(SHAPE) % 10 == 3, np.float32(np.nan), depth)


@pytest.fixture
def load(files):
    """Write depth in meters times a factor, and load it."""
    transform = {}

    def loaded(metres, kind='mat_metres', factor=1.0, name='a', encoding='corda', **options):
        numbers = np.nan_to_num(metres * factor)
        if kind == 'mat_metres':
            path = files.mat(f'{name}.mat', depth_map=(metres * factor).astype(np.float32))
        else:
            path = files.png(f'{name}.png', np.clip(np.rint(numbers), 0, 65535).astype(np.uint16))
        key = str((encoding, options))
        transform.setdefault(key, LoadInverseDepth(encoding=encoding, **options))
        info = dict(depth_map_path=str(path), depth_file=kind, img_path='i.png')
        return transform[key](info | dict(ori_shape=SHAPE, seg_fields=[]))['gt_depth_map']

    return loaded


@pytest.mark.parametrize('encoding', DEPTH_ENCODINGS)
@pytest.mark.parametrize('median', [0.7, 5.0, 15.0, 120.0])
def test_median_of_both_encodings_leaves_out_what_is_infinite(encoding, median):
    metres = street(median)
    finite = metres[metres < 655]
    found = median_metres(DEPTH_ENCODINGS[encoding](metres))
    assert found == pytest.approx(np.median(finite), rel=1e-3)


def test_median_of_sparse_depth_uses_every_pixel():
    metres = np.full((1000, 2000), np.nan, np.float32)
    metres[501, [3, 1001, 1999]] = 5, 7, 9
    assert median_metres(DEPTH_ENCODINGS['corda'](metres)) == pytest.approx(7, rel=1e-4)
    assert median_metres(np.zeros(SHAPE, np.float32)) is None


@pytest.mark.parametrize('encoding', DEPTH_ENCODINGS)
def test_streets_in_the_right_unit_are_loaded(load, encoding):
    for i, median in enumerate((2.0, 8, 15, 30, 90, 15)):
        load(street(median), name=str(i), encoding=encoding)
        load(street(median), 'png_centimetres', 100, name=str(i), encoding=encoding)


@pytest.mark.parametrize(
    ('kind', 'factor', 'message'),
    [
        (
            'mat_metres',
            1000,
            r'no valid pixel: the median .* is 1.51e\+04 m, .*millimeters by 1000',
        ),
        ('mat_metres', 0.01, r'the median depth of .*a.mat is 0.2\d* m, expected are 0.5 to 300 m'),
        ('png_centimetres', 1, r'the median depth of .*a.png is 0.2\d* m, .*meters to centimeters'),
    ],
)
def test_a_file_in_another_unit_is_refused_with_its_median(load, kind, factor, message):
    with pytest.raises(ValueError, match=message):
        load(street(), kind, factor)


def test_centimetres_as_metres_are_refused(load):
    """Of a street from 3 to 48 m, what is nearer than 6.55 m alone has a code."""
    with pytest.raises(
        ValueError, match=r'the median depth of .* is 4\d\d m, .*centimeters by 100'
    ):
        load(street(12), factor=100)


def test_millimetres_as_centimetres_are_refused_by_the_fourth_file(load):
    for name in 'abc':
        load(street(), 'png_centimetres', 1000, name=name)
        load(street(), 'png_centimetres', 1000, name=name)  # of an earlier epoch
    with pytest.raises(ValueError, match=r'median depth of 4 files, such as .*a.png, is 15\d m'):
        load(street(), 'png_centimetres', 1000, name='d')


def test_one_odd_file_does_not_make_a_set(load):
    for name, median in zip('abcd', (0.8, 12, 14, 20), strict=True):
        load(street(median), name=name)


def test_other_scenes_state_their_range(load):
    for name in 'abcd':
        load(street(0.9), name=name, expected_metres=(0.3, 10))
        load(street(300), name=name, expected_metres=None)
    with pytest.raises(ValueError, match='is 90.5 m, expected are 0.075 to 30 m'):
        load(street(90), expected_metres=(0.3, 10))


@pytest.mark.parametrize('bad', [(3,), (10, 1), (0, 5), (1, float('inf'))])
def test_a_range_is_two_rising_numbers(bad):
    with pytest.raises(ValueError, match=r'expected_metres=.* \(low, high\)'):
        check_expected_metres(bad)


@pytest.mark.parametrize('kind', ['mat_metres', 'png_centimetres', 'png_disparity'])
@pytest.mark.parametrize('expected_metres', [(2, 100), None])
def test_a_file_without_depth_is_refused(load, kind, expected_metres):
    with pytest.raises(ValueError, match=r'depth_map_path: .*a\.(mat|png) has no valid pixel\. '):
        load(np.full(SHAPE, np.nan), kind, expected_metres=expected_metres)


def test_disparity_of_unknown_scale_has_no_range(load):
    for name in 'abcde':
        load(np.full(SHAPE, 3), 'png_disparity', name=name)
