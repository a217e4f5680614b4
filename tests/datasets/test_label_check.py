# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
from mmengine.dataset import ConcatDataset
from mmseg.datasets import BaseSegDataset

from mmseg_depthuda.datasets import FolderDepthDataset, GTA5DepthDataset
from mmseg_depthuda.datasets.label_check import check_labels

THREE = ('ground', 'road', 'car')


@pytest.fixture
def folder(files):
    """Maker of a folder dataset: one file of 4x4 pixels for each list of values that it holds."""

    def make(*contents, classes=THREE, pipeline=(dict(type='LoadLabels'),), name='', **options):
        for i, values in enumerate(contents):
            files.png(f'{name}images/{i}.png', np.zeros((4, 4, 3), np.uint8))
            labels = values if isinstance(values, np.ndarray) else np.resize(values, (4, 4))
            files.png(f'{name}labels/{i}.png', labels.astype(np.uint8))
        return FolderDepthDataset(
            metainfo=dict(classes=classes),
            data_root=str(files.root / name),
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            pipeline=list(pipeline),
            **options,
        )

    return make


def check(dataset, required=True, files=50):
    return check_labels(dataset, 'train_dataloader.dataset', required, files, seconds=60)


def only(report, kind):
    """The one message of a report."""
    (message,) = getattr(report, kind)
    assert report.errors + report.warnings == [message]
    return message


def test_good_labels(folder):
    report = check(folder([0, 1, 2], [1, 255], [255]))
    assert not report.errors and not report.warnings
    assert '3 of 3 label files were read; 2 show a class, together 3 classes' in report.summary


@pytest.mark.parametrize('required', [True, False])
def test_nothing_labeled(folder, required):
    report = check(folder([255], [255]), required)
    message = only(report, 'errors' if required else 'warnings')
    assert 'nothing is labeled' in message and '[255]' in message and 'label_map=' in message


def test_nothing_labeled_by_the_map(folder):
    message = only(check(folder([7, 9], label_map={7: 255, 9: 255, 0: 0, 1: 1, 2: 2})), 'errors')
    assert 'nothing is labeled' in message and '[7, 9]' in message


def test_an_unlabeled_image_among_others_is_fine(folder):
    parts = [folder([0, 1], name='a/'), folder([255], name='b/'), folder([2], name='c/')]
    report = check(ConcatDataset(parts))
    assert not report.errors and not report.warnings


def test_masks_of_0_and_255(folder):
    masks = [0, 255], [0, 255]
    message = only(check(folder(*masks, classes=THREE[:2])), 'errors')
    assert 'label_map={0: 0, 255: 1}' in message and "'road' never occurs" in message
    mapped = check(folder(*masks, classes=THREE[:2], label_map={0: 0, 255: 1}))
    assert not mapped.errors and not mapped.warnings


def test_absent_classes_are_named_once(folder):
    message = only(check(folder([0], [0, 255])), 'warnings')
    assert '2 of 3 classes never occur' in message and 'road, car.' in message


def test_unknown_values_are_counted_and_a_map_is_named(folder):
    message = only(check(folder([1, 2], [1, 3], [2, 3])), 'errors')
    assert '2 of 3 label files' in message and '[3], as ' in message
    assert '1.png does (known: [0, 1, 2, 255])' in message
    assert 'label_map={1: 0, 2: 1, 3: 2}' in message


def test_files_that_cannot_be_read_are_counted(folder, files):
    dataset = folder([0, 1, 2], [0], np.zeros((64, 64)))
    files.truncate('labels/2.png', 0.5)
    message = only(check(dataset), 'errors')
    assert '1 of 3 label files' in message and '2.png is truncated' in message


def test_an_even_sample_is_read(folder):
    dataset = folder(*[[index, 255] for index in (0, 0, 1, 1, 1, 2)])
    report = check(dataset, files=3)
    assert '3 of 6 label files were read; 3 show a class, together 3 classes' in report.summary


def test_labels_that_are_not_loaded_are_not_judged(folder):
    assert check(folder([99], pipeline=[])) is None


def test_train_indices_read_as_ids(gta_root, files):
    indices = np.resize([0, 1, 2, 8, 10, 13, 255], (12, 20)).astype(np.uint8)
    for i in range(1, 6):
        files.palette_png(f'gta/labels/{i:05}.png', indices)
    pipeline = [dict(type='LoadLabels')]
    message = only(check(GTA5DepthDataset(data_root=str(gta_root), pipeline=pipeline)), 'errors')
    assert "labelling='cityscapes_train_ids'" in message and '[0, 1, 2, 8, 10, 13, 255]' in message


@pytest.mark.parametrize('reduce_zero_label', [False, True])
def test_labels_that_mmseg_loads(folder, files, reduce_zero_label):
    folder([0, 1, 2], [3, 0])
    dataset = BaseSegDataset(
        metainfo=dict(classes=THREE),
        data_root=str(files.root),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        img_suffix='.png',
        reduce_zero_label=reduce_zero_label,
        pipeline=[dict(type='LoadAnnotations')],
    )
    report = check(dataset)
    if reduce_zero_label:
        assert not report.errors and not report.warnings
    else:
        message = only(report, 'errors')
        assert '1 of 2 label files' in message and 'reduce_zero_label' in message
