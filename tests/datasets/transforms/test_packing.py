# Licensed under the Apache License 2.0, see LICENSE.
"""Images of any size through flips, crops and resizes: packed, or named."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_depthuda.datasets import FolderDepthDataset

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadLabels'), dict(type='LoadInverseDepth')]
PREFIX = dict(img_path='images', seg_map_path='labels', depth_map_path='depth')


def dataset(root, shape, steps):
    labels = np.arange(shape[0] * shape[1]).reshape(shape) % 2
    for folder, pixels in (
        ('images', np.dstack([labels * 100] * 3).astype(np.uint8)),
        ('labels', labels.astype(np.uint8)),
        ('depth', (100 + 100 * labels).astype(np.uint16)),
    ):
        (root / folder).mkdir(exist_ok=True)
        assert cv2.imwrite(str(root / folder / 'a.png'), pixels)
    return FolderDepthDataset(
        metainfo=dict(classes=['a', 'b']),
        data_root=str(root),
        data_prefix=PREFIX,
        depth_file='png_centimetres',
        pipeline=[*LOAD, *steps, dict(type='PackSegInputs')],
        test_mode=True,
    )


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(
        st.tuples(st.integers(1, 40), st.just(1)),
        st.tuples(st.just(1), st.integers(1, 40)),
        st.tuples(st.integers(1, 40), st.integers(1, 40)),
    ),
    st.sampled_from(['horizontal', 'vertical', 'diagonal']),
    st.sampled_from([[], [dict(type='RandomCrop', crop_size=(8, 16), cat_max_ratio=0.75)]]),
)
def test_flipped_images_of_any_size_stay_with_their_labels(tmp_path_factory, shape, side, crop):
    flip = dict(type='RandomFlip', prob=1.0, direction=side)
    packed = dataset(tmp_path_factory.mktemp('data'), shape, [*crop, flip])[0]
    labels = packed['data_samples'].gt_sem_seg.data
    depth = packed['data_samples'].gt_depth_map.data
    np.testing.assert_array_equal(packed['inputs'][:1] // 100, labels)
    # 1 and 2 meters in CorDA's encoding.
    np.testing.assert_allclose(
        depth, np.where(labels == 0, 655.36 / 1.01, 655.36 / 2.01), rtol=1e-5
    )


def test_an_image_that_would_be_resized_to_nothing_is_named(tmp_path):
    resize = dict(type='Resize', scale_factor=0.3, keep_ratio=True)
    with pytest.raises(ValueError, match=r'a\.png, 1x40 pixels, does not go through the pipeline'):
        dataset(tmp_path, (40, 1), [resize])[0]
