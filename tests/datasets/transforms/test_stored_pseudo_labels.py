# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope

from mmseg_depthuda.datasets import FolderDepthDataset
from mmseg_depthuda.datasets.transforms import stored_pseudo_labels

CLASSES = ['road', 'car', 'sky']
SIZE = 8, 12


@pytest.fixture
def labels(tmp_path):
    """Pseudo-labels of two images of 16x24, at half their size."""
    rng = np.random.default_rng(0)
    found = {}
    for name in ('a/1', 'b'):
        for folder in ('images', 'pseudo', 'true'):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        found[name] = rng.choice([0, 1, 2, 255], SIZE).astype(np.uint8)
        cv2.imwrite(str(tmp_path / f'images/{name}_rgb.jpg'), np.zeros((16, 24, 3), np.uint8))
        cv2.imwrite(str(tmp_path / f'pseudo/{name}.png'), found[name])
        cv2.imwrite(str(tmp_path / f'true/{name}.png'), np.zeros((16, 24), np.uint8))
    return found


def build(root, steps=('LoadPseudoLabels',), prefix=None, scale=SIZE[::-1], **options):
    init_default_scope('mmseg')
    steps = [dict(type=step) if isinstance(step, str) else step for step in steps]
    return FolderDepthDataset(
        metainfo=dict(classes=CLASSES),
        label_map={7: 0, 8: 1, 9: 2},  # of the true labels
        data_root=str(root),
        data_prefix=dict(img_path='images', pseudo_label_path=str(root / 'pseudo'))
        | (prefix or {}),
        img_suffix='_rgb.jpg',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=scale),
            *steps,
            dict(type='PackSegInputs'),
        ],
        **options,
    )


def test_labels_go_with_their_images(tmp_path, labels):
    dataset = build(tmp_path)
    for sample, name in zip(dataset, ('a/1', 'b'), strict=True):
        assert sample['data_samples'].img_path.endswith(f'{name}_rgb.jpg')
        np.testing.assert_array_equal(sample['data_samples'].gt_sem_seg.data[0], labels[name])


def test_labels_are_flipped_and_cropped_with_their_image(tmp_path, labels):
    steps = 'LoadPseudoLabels', dict(type='RandomFlip', prob=1.0)
    sample = build(tmp_path, steps)[1]['data_samples']
    np.testing.assert_array_equal(sample.gt_sem_seg.data[0], labels['b'][:, ::-1])


def test_a_relative_folder_starts_at_the_working_directory(tmp_path, labels, monkeypatch):
    monkeypatch.chdir(tmp_path / 'images')
    sample = build(tmp_path, prefix=dict(pseudo_label_path='../pseudo'))[1]['data_samples']
    np.testing.assert_array_equal(sample.gt_sem_seg.data[0], labels['b'])


def test_a_dataset_without_them_has_none(tmp_path, labels):
    sample = build(tmp_path, prefix=dict(pseudo_label_path=None))[0]['data_samples']
    assert 'gt_sem_seg' not in sample


def test_incomplete_folder(tmp_path, labels):
    (tmp_path / 'pseudo/a/1.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'pseudo_label_path: 1 of 2 files.*a/1\.png'):
        build(tmp_path)


@pytest.mark.parametrize('indices', [-1, [1]])
def test_only_the_images_of_the_indices_need_theirs(tmp_path, labels, indices):
    (tmp_path / 'pseudo/a/1.png').unlink()
    (sample,) = build(tmp_path, indices=indices)
    np.testing.assert_array_equal(sample['data_samples'].gt_sem_seg.data[0], labels['b'])
    with pytest.raises(FileNotFoundError, match=r'1 of 1 files.*a/1\.png'):
        build(tmp_path, indices=1)


def test_another_size(tmp_path, labels):
    message = r'b\.png is 12x8, but its image .*b_rgb\.jpg is 24x16.*after the resize to 12x8'
    with pytest.raises(ValueError, match=message):
        build(tmp_path, scale=(24, 16))[1]


@pytest.mark.parametrize(
    ('pixels', 'message'),
    [
        (np.full(SIZE, 3, np.uint8), r'indices \[3\], but the dataset has 3 classes'),
        (np.full(SIZE, 1, np.uint16), r'holds uint16 of shape \(8, 12\)'),
        (np.zeros((*SIZE, 3), np.uint8), r'uint8 of shape \(8, 12, 3\)'),
    ],
)
def test_files_that_are_no_pseudo_labels(tmp_path, labels, pixels, message):
    cv2.imwrite(str(tmp_path / 'pseudo/b.png'), pixels)
    with pytest.raises(ValueError, match=message):
        build(tmp_path)[1]


def test_truncated_file(tmp_path, labels):
    path = tmp_path / 'pseudo/b.png'
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r'b\.png is truncated'):
        build(tmp_path)[1]


def test_true_labels_beside_them(tmp_path, labels):
    with pytest.raises(ValueError, match=r'has true labels, too.*seg_map_path=None'):
        build(tmp_path, prefix=dict(seg_map_path='true'))[0]


def test_an_image_without_a_label_is_skipped_and_told_once(tmp_path, labels, monkeypatch):
    told = []
    monkeypatch.setattr(stored_pseudo_labels, 'print_log', lambda message, *_: told.append(message))
    cv2.imwrite(str(tmp_path / 'pseudo/b.png'), np.full(SIZE, 255, np.uint8))
    dataset = build(tmp_path)
    for _ in range(2):
        np.testing.assert_array_equal(dataset[1]['data_samples'].gt_sem_seg.data[0], labels['a/1'])
    assert len(told) == 1 and told[0].endswith('b.png keeps no label: skip.')
