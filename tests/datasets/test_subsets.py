# Licensed under the Apache License 2.0, see LICENSE.
import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_depthuda.datasets import FolderDepthDataset
from mmseg_depthuda.datasets.subsets import check_subset, choose_subset


@pytest.mark.parametrize(
    ('seed', 'first'), [(7, [664, 2130, 1766]), (25, [1844, 1794, 2625]), (42, [2403, 2865, 2159])]
)
def test_the_released_subsets_of_cityscapes(seed, first):
    stems = [f'{index:04}' for index in range(2975)]
    chosen = choose_subset(stems, dict(size=3, seed=seed))
    assert sorted(first) == [int(stem) for stem in chosen]
    assert set(chosen) < set(choose_subset(stems, dict(size=100, seed=seed)))


@given(st.integers(1, 60), st.data())
def test_subset_and_rest_are_all(number, data):
    stems = [f'{index:03}' for index in range(number)]
    size = data.draw(st.integers(1, number))
    subset = dict(size=size, seed=data.draw(st.integers(0, 9)))
    chosen = choose_subset(stems, subset)
    assert len(chosen) == size and chosen == sorted(chosen)
    if size < number:
        assert sorted(chosen + choose_subset(stems, dict(subset, rest=True))) == stems


def test_share_is_rounded_and_not_empty():
    stems = [str(index) for index in range(8)]
    assert len(choose_subset(stems, dict(share=0.3))) == 2
    assert len(choose_subset(stems, dict(share=0.01))) == 1


@pytest.mark.parametrize(
    ('subset', 'message'),
    [
        (dict(), 'exactly one of size, share, file'),
        (dict(size=2, share=0.5), 'exactly one'),
        (dict(size=2, sed=1), 'may have seed, and rest or labels_only'),
        (dict(size=2, rest=True, labels_only=True), 'cannot have both rest and labels_only'),
        (dict(size=0), 'subset.size must be a whole number above 0, got 0'),
        (dict(size=2.5), 'whole number'),
        (dict(share=1.5), 'subset.share must be above 0 and at most 1, got 1.5'),
        (dict(share=math.nan), 'at most 1'),
    ],
)
def test_wrong_forms(subset, message):
    with pytest.raises(ValueError, match=message):
        check_subset(subset)


@pytest.fixture
def folder(tmp_path):
    for name in ('images', 'labels'):
        (tmp_path / name).mkdir()
        for index in range(4):
            cv2.imwrite(str(tmp_path / name / f'{index}.png'), np.zeros((4, 4), np.uint8))
    return tmp_path


def dataset(folder, **options):
    prefix = dict(img_path='images', seg_map_path='labels')
    return FolderDepthDataset(
        data_root=str(folder),
        metainfo=dict(classes=['a', 'b']),
        pipeline=[],
        **dict(dict(data_prefix=prefix), **options),
    )


def names(built):
    return [built.get_data_info(i)['img_path'].rpartition('/')[2] for i in range(len(built))]


def test_a_dataset_takes_a_list_and_the_rest_of_it(folder):
    (folder / 'chosen.txt').write_text('3.png\n1.png\n')
    subset = dict(file=str(folder / 'chosen.txt'))
    assert names(dataset(folder, subset=subset)) == ['1.png', '3.png']
    assert names(dataset(folder, subset=dict(subset, rest=True))) == ['0.png', '2.png']


def test_a_dataset_keeps_all_images_and_the_labels_of_some(folder):
    (folder / 'labels/0.png').unlink()
    (folder / 'chosen.txt').write_text('3.png\n1.png\n')
    built = dataset(folder, subset=dict(file=str(folder / 'chosen.txt'), labels_only=True))
    assert names(built) == ['0.png', '1.png', '2.png', '3.png']
    labels = [built.get_data_info(i).get('seg_map_path') for i in range(4)]
    expected = [None, folder / 'labels/1.png', None, folder / 'labels/3.png']
    assert labels == [path and str(path) for path in expected]


def test_what_a_dataset_refuses(folder):
    with pytest.raises(ValueError, match=r'labels_only .* reads none: set data_prefix.seg_map_pa'):
        prefix = dict(img_path='images')
        dataset(folder, data_prefix=prefix, subset=dict(size=2, labels_only=True))
    with pytest.raises(ValueError, match=r'subset.size is 5, but there are only 4 images .*images'):
        dataset(folder, subset=dict(size=5))
    with pytest.raises(ValueError, match=r'leaves no image of 4'):
        dataset(folder, subset=dict(size=4, rest=True))
    (folder / 'chosen.txt').write_text('7.png\n')
    with pytest.raises(FileNotFoundError, match=r'1 of 1 files are missing .*7.png.*chosen.txt'):
        dataset(folder, subset=dict(file=str(folder / 'chosen.txt')))
    (folder / 'labels/3.png').unlink()  # not labeled
    (folder / 'chosen.txt').write_text('3.png\n1.png\n')
    with pytest.raises(FileNotFoundError, match=r'seg_map_path: 1 of 2 files are missing .*3.png'):
        dataset(folder, subset=dict(file=str(folder / 'chosen.txt')))
    (folder / 'chosen.txt').write_text('0.png\n1.png\n')  # the others need no labels
    assert names(dataset(folder, subset=dict(file=str(folder / 'chosen.txt')))) == [
        '0.png',
        '1.png',
    ]
