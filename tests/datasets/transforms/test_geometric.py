# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmseg.datasets.transforms import RandomCrop, RandomFlip, Resize

from mmseg_depthuda.datasets.transforms import (
    MatchOriShapeToLabels,
    ResizeWithDepth,
    resize_depth_bilinear,
)


def reference_resize(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear over the valid of the four neighbours, loop by loop, in float64."""
    height, width = depth.shape
    out = np.zeros((size[1], size[0]))
    for i in range(size[1]):
        for j in range(size[0]):
            y = np.clip((i + 0.5) * height / size[1] - 0.5, 0, height - 1)
            x = np.clip((j + 0.5) * width / size[0] - 0.5, 0, width - 1)
            top, left = min(int(y), height - 2), min(int(x), width - 2)
            total = weight = 0.0
            for a in (top, top + 1):
                for b in (left, left + 1):
                    share = (1 - abs(y - a)) * (1 - abs(x - b)) * (depth[a, b] > 0)
                    total += share * depth[a, b]
                    weight += share
            out[i, j] = total / weight if weight else 0
    return out


depth_maps = st.tuples(st.integers(2, 9), st.integers(2, 9)).flatmap(
    lambda shape: arrays(
        np.float32, shape, elements=st.one_of(st.just(0.0), st.floats(1, 256, width=32))
    )
)
sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))


@given(depth_maps, sizes)
def test_bilinear_stays_between_the_valid_values(depth, size):
    resized = resize_depth_bilinear(depth, size)
    assert resized.shape == size[::-1]
    assert resized.dtype == np.float32
    valid = resized[resized > 0]
    if valid.size:
        low, high = depth[depth > 0].min(), depth.max()
        assert low * (1 - 1e-4) <= valid.min()
        assert valid.max() <= high * (1 + 1e-4)
    assert not (resized < 0).any()


@given(depth_maps, sizes)
def test_bilinear_agrees_with_the_loop_where_valid(depth, size):
    resized = resize_depth_bilinear(depth, size)
    where = resized > 0
    # OpenCV's weights have float32 precision, which the normalisation amplifies up to fourfold.
    np.testing.assert_allclose(resized[where], reference_resize(depth, size)[where], rtol=2e-3)


@given(depth_maps, sizes)
def test_a_pixel_is_valid_where_its_nearest_source_is(depth, size):
    def nearest(length: int, new: int) -> tuple[np.ndarray, np.ndarray]:
        centre = (np.arange(new) + 0.5) * length / new - 0.5
        decided = np.abs(centre - np.floor(centre) - 0.5) > 1e-3  # no tie between two neighbours
        return np.clip(np.rint(centre), 0, length - 1).astype(int), decided

    rows, rows_decided = nearest(depth.shape[0], size[1])
    columns, columns_decided = nearest(depth.shape[1], size[0])
    decided = rows_decided[:, None] & columns_decided
    expected = depth[np.ix_(rows, columns)] > 0
    np.testing.assert_array_equal(
        (resize_depth_bilinear(depth, size) > 0)[decided], expected[decided]
    )


@given(sizes, st.floats(1, 256, width=32))
def test_a_constant_stays_constant_around_holes(size, value):
    depth = np.full((8, 8), value, dtype=np.float32)
    depth[2:5, 3:6] = 0
    resized = resize_depth_bilinear(depth, size)
    np.testing.assert_allclose(resized[resized > 0], value, rtol=1e-5)


def test_no_mixing_by_hand():
    """Upsampling (8, 0, 0, 4): no value in between appears, and half the pixels stay valid."""
    depth = np.array([[8, 0, 0, 4]], dtype=np.float32).repeat(2, axis=0)
    np.testing.assert_array_equal(
        resize_depth_bilinear(depth, (8, 2)), [[8, 8, 0, 0, 0, 0, 4, 4]] * 2
    )
    full = np.array([[8, 4]], dtype=np.float32).repeat(2, axis=0)
    np.testing.assert_array_equal(resize_depth_bilinear(full, (4, 2)), [[8, 7, 5, 4]] * 2)


def sample(shape=(8, 12)) -> dict:
    generator = np.random.default_rng(0)
    depth = generator.uniform(1, 9, size=shape).astype(np.float32)
    depth[:3, :3] = 0
    return dict(
        img=generator.integers(256, size=(*shape, 3), dtype=np.uint8),
        gt_seg_map=generator.integers(19, size=shape, dtype=np.uint8),
        gt_depth_map=depth,
        seg_fields=['gt_seg_map', 'gt_depth_map'],
        img_shape=shape,
        ori_shape=shape,
    )


def test_nearest_is_mmsegs_resize():
    ours = ResizeWithDepth(scale=(6, 4), depth_interpolation='nearest')(sample())
    theirs = Resize(scale=(6, 4))(sample())
    for key in ('img', 'gt_seg_map', 'gt_depth_map'):
        np.testing.assert_array_equal(ours[key], theirs[key])


@pytest.mark.parametrize(
    'arguments',
    [dict(scale=(18, 16)), dict(scale=(30, 10), keep_ratio=True), dict(scale_factor=0.5)],
)
def test_bilinear_changes_the_depth_only(arguments):
    before = sample()
    ours = ResizeWithDepth(depth_interpolation='bilinear', **arguments)(sample())
    theirs = Resize(**arguments)(sample())
    for key in ('img', 'gt_seg_map'):
        np.testing.assert_array_equal(ours[key], theirs[key])
    assert ours['seg_fields'] == before['seg_fields']
    assert ours['img_shape'] == ours['gt_depth_map'].shape == theirs['gt_depth_map'].shape
    height, width = ours['img_shape']
    np.testing.assert_array_equal(
        ours['gt_depth_map'], resize_depth_bilinear(before['gt_depth_map'], (width, height))
    )


def test_bilinear_without_depth():
    before = sample()
    del before['gt_depth_map']
    before['seg_fields'] = ['gt_seg_map']
    assert ResizeWithDepth(scale=(6, 4), depth_interpolation='bilinear')(before)[
        'gt_seg_map'
    ].shape == (4, 6)


def test_unknown_interpolation_is_an_error():
    with pytest.raises(ValueError, match="depth_interpolation='bicubic'"):
        ResizeWithDepth(scale=(6, 4), depth_interpolation='bicubic')


def test_crop_and_flip_of_mmseg_move_depth_with_the_image():
    """All three maps hold the pixel's number, so that they must stay equal."""
    number = np.arange(96, dtype=np.uint8).reshape(8, 12)
    moved = dict(
        img=np.repeat(number[..., None], 3, axis=-1),
        gt_seg_map=number,
        gt_depth_map=number.astype(np.float32),
        seg_fields=['gt_seg_map', 'gt_depth_map'],
        img_shape=(8, 12),
    )
    moved = RandomFlip(prob=1.0)(RandomCrop(crop_size=(5, 6))(moved))
    assert moved['img'].shape == (5, 6, 3)
    assert moved['img'][0, 0, 0] == moved['img'][0, 1, 0] + 1
    np.testing.assert_array_equal(moved['gt_seg_map'], moved['img'][..., 0])
    np.testing.assert_array_equal(moved['gt_depth_map'], moved['img'][..., 0])


def test_ori_shape_follows_the_labels():
    resized = MatchOriShapeToLabels()(Resize(scale=(6, 4))(sample()))
    assert resized['ori_shape'] == (4, 6)


def test_labels_stay_behind_it_while_the_image_moves():
    """As in the views of test-time augmentation."""
    matched = MatchOriShapeToLabels()(sample())
    labels, depth = matched['gt_seg_map'].copy(), matched['gt_depth_map'].copy()
    view = RandomFlip(prob=1.0)(Resize(scale_factor=0.5, keep_ratio=True)(matched))
    assert view['img'].shape[:2] == (labels.shape[0] // 2, labels.shape[1] // 2)
    np.testing.assert_array_equal(view['gt_seg_map'], labels)
    np.testing.assert_array_equal(view['gt_depth_map'], depth)


def test_ori_shape_stays_without_labels():
    without = dict(img=np.zeros((4, 6, 3)), ori_shape=(8, 12))
    assert MatchOriShapeToLabels()(without)['ori_shape'] == (8, 12)
