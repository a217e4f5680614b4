# Licensed under the Apache License 2.0, see LICENSE.
"""What the converters write, and what training makes of it."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.preparation import cityscapes_splits, folder_split, prepare_split
from mmseg_depthuda.datasets import (
    CityscapesDepthDataset,
    GTA5DepthDataset,
    RareClassSampling,
    SYNTHIADepthDataset,
)
from mmseg_depthuda.datasets.class_statistics import write_class_statistics

from .conftest import contents, train_ids_of

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth'),
    dict(type='PackSegInputs'),
]
GTA_FOLDERS = dict(images='images', labels='labels', depth='disparity')


def gta_split(root, out=None, protocol='cityscapes19', **folders):
    return folder_split(
        GTA5DepthDataset, str(root), str(out or root), protocol, **GTA_FOLDERS | folders
    )


def prepare_gta(root, **kwargs):
    return prepare_split(gta_split(root, **kwargs), root / 'prepared')


def assert_same_samples(converted, on_the_fly):
    assert len(converted) == len(on_the_fly) > 0
    for new, old in zip(converted, on_the_fly, strict=True):
        assert new['inputs'].equal(old['inputs'])
        new, old = new['data_samples'], old['data_samples']
        assert 'TrainIds' in new.seg_map_path
        assert new.gt_sem_seg.data.equal(old.gt_sem_seg.data)
        if 'gt_depth_map' in old:
            assert new.gt_depth_map.data.equal(old.gt_depth_map.data)


def test_labels_are_mapped_pixel_by_pixel(gta_root, label_ids):
    prepare_gta(gta_root)
    for i in range(1, 6):
        path = gta_root / f'labels/{i:05}_labelTrainIds.png'
        labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert labels.dtype == np.uint8
        np.testing.assert_array_equal(labels, train_ids_of(np.roll(label_ids, i, axis=1)))


@pytest.mark.parametrize(
    ('protocol', 'labelling'),
    [
        ('cityscapes19', 'cityscapes_train_ids'),
        ('camvid11', 'camvid11_train_ids'),
        ('categories7', 'categories7_train_ids'),
    ],
)
def test_gta5_trains_on_converted_labels(gta_root, tmp_path, protocol, labelling):
    """From a folder of its own, with the list of images and the statistics beside it."""
    out = tmp_path / 'out'
    prepare_split(gta_split(gta_root, out, protocol), tmp_path / 'prepared')
    common = dict(protocol=protocol, data_root=str(gta_root), pipeline=PIPELINE)
    converted = GTA5DepthDataset(
        labelling=labelling,
        ann_file=str(tmp_path / 'prepared/images.txt'),
        data_prefix=dict(
            img_path='images', seg_map_path=str(out / 'labels'), depth_map_path='disparity'
        ),
        **common,
    )
    on_the_fly = GTA5DepthDataset(**common)
    assert_same_samples(converted, on_the_fly)
    write_class_statistics(on_the_fly, tmp_path / 'counted.json')
    statistics = tmp_path / 'prepared/class_statistics.json'
    assert statistics.read_text() == (tmp_path / 'counted.json').read_text()
    RareClassSampling(converted, statistics, min_pixels=1)


@pytest.mark.parametrize('labels', ['GT/LABELS', 'parsed_LABELS'])
def test_synthia_trains_on_converted_labels(files, image, labels):
    class_ids = (np.arange(240) % 23).reshape(12, 20)
    files.png('RGB/0000000.png', image)
    red_last = np.stack([0 * class_ids, 0 * class_ids + 777, class_ids], axis=-1)
    files.png('GT/LABELS/0000000.png', red_last.astype(np.uint16))
    files.png('parsed_LABELS/0000000.png', class_ids.astype(np.uint8))
    files.png('Depth/Depth/0000000.png', np.full((12, 20), 1999, dtype=np.uint16))
    root = str(files.root)
    split = folder_split(
        SYNTHIADepthDataset, root, root, 'synthia16', images='RGB', labels=labels,
        depth='Depth/Depth',
    )  # fmt: skip
    (inspection,) = prepare_split(split, files.root / 'prepared').inspections
    assert inspection.valid_depth == {'Depth/Depth': 1.0}
    common = dict(
        protocol='synthia16',
        data_root=root,
        data_prefix=dict(img_path='RGB', seg_map_path=labels, depth_map_path='Depth/Depth'),
        pipeline=PIPELINE,
    )
    converted = SYNTHIADepthDataset(labelling='synthia16_train_ids', **common)
    assert_same_samples(converted, SYNTHIADepthDataset(**common))
    stored = cv2.imread(f'{root}/{labels}/0000000_synthia16TrainIds.png', cv2.IMREAD_UNCHANGED)
    assert stored.shape == (12, 20)
    assert (stored[class_ids == 11] == 15).all()  # bicycle


@pytest.mark.parametrize('depth', ['stereo', 'mono', 'official'])
def test_cityscapes_trains_on_converted_labels(cityscapes_root, depth):
    root = str(cityscapes_root)
    for split in cityscapes_splits(root, root, 'cityscapes19', ['train', 'val'], [depth]):
        result = prepare_split(split, cityscapes_root / 'prepared')
        assert not result.skipped
        common = dict(data_root=root, split=split.name, depth=depth, pipeline=PIPELINE)
        converted = CityscapesDepthDataset(
            labelling='cityscapes_train_ids',
            ann_file=f'prepared/{split.name}/images.txt',
            **common,
        )
        assert_same_samples(converted, CityscapesDepthDataset(**common))


def test_number_of_workers_does_not_matter(broken_gta_root, tmp_path):
    for workers in (1, 3):
        split = gta_split(broken_gta_root, tmp_path / f'{workers}')
        prepare_split(split, tmp_path / f'{workers}/prepared', workers)
    one, three = (contents(tmp_path / name) for name in '13')
    record = 'prepared/record.jsonl'  # holds times of writing
    assert one.pop(record).count(b'\n') == three.pop(record).count(b'\n') == 9
    assert one == three


# -- a second run ----------------------------------------------------------------------------------


@pytest.fixture
def reread(monkeypatch):
    """Names of the images that were inspected."""
    from mmseg_depthuda.apps.preparation import label_preparation

    names = []
    inspect = label_preparation.inspect

    def recorded(sample, **kwargs):
        names.append(sample.stem)
        return inspect(sample, **kwargs)

    monkeypatch.setattr(label_preparation, 'inspect', recorded)
    return names


def later(path: Path) -> None:
    """Date a file a second into the future, whatever the resolution of the clock."""
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 10**9))


def test_finished_images_are_not_read_again(gta_root, reread):
    prepare_gta(gta_root)
    before = contents(gta_root)
    reread.clear()
    assert prepare_gta(gta_root).reused == 5
    assert reread == []
    assert contents(gta_root) == before


@pytest.mark.parametrize('file', ['images', 'labels', 'disparity'])
def test_changed_sources_are_read_again(gta_root, reread, file):
    prepare_gta(gta_root)
    reread.clear()
    later(gta_root / file / '00003.png')
    assert prepare_gta(gta_root).reused == 4
    assert reread == ['00003']


def test_changed_label_is_converted_again(files, gta_root, label_ids):
    prepare_gta(gta_root)
    files.palette_png('gta/labels/00003.png', np.full_like(label_ids, 26))
    later(gta_root / 'labels/00003.png')
    prepare_gta(gta_root)
    converted = cv2.imread(str(gta_root / 'labels/00003_labelTrainIds.png'), cv2.IMREAD_UNCHANGED)
    assert (converted == 13).all()  # car


def test_lost_or_foreign_output_is_written_again(gta_root, reread):
    prepare_gta(gta_root)
    before = (gta_root / 'labels/00002_labelTrainIds.png').read_bytes()
    (gta_root / 'labels/00001_labelTrainIds.png').unlink()
    (gta_root / 'labels/00002_labelTrainIds.png').write_bytes(b'')
    reread.clear()
    prepare_gta(gta_root)
    assert reread == ['00001', '00002']
    assert (gta_root / 'labels/00002_labelTrainIds.png').read_bytes() == before


@pytest.mark.parametrize('change', [dict(depth=None), dict(protocol='camvid11')])
def test_other_settings_are_not_reused(gta_root, reread, change):
    prepare_gta(gta_root)
    reread.clear()
    assert prepare_gta(gta_root, **change).reused == 0
    assert len(reread) == 5


def test_protocols_lie_side_by_side(gta_root):
    prepare_gta(gta_root)
    first = (gta_root / 'labels/00001_labelTrainIds.png').read_bytes()
    prepare_gta(gta_root, protocol='synthia16')
    assert (gta_root / 'labels/00001_labelTrainIds.png').read_bytes() == first
    assert (gta_root / 'labels/00001_synthia16TrainIds.png').exists()


def test_output_of_a_label_that_broke_since_is_removed(files, gta_root):
    prepare_gta(gta_root)
    files.truncate('gta/labels/00002.png', 0.5)
    assert [item.name for item in prepare_gta(gta_root).skipped] == ['00002.png']
    assert not (gta_root / 'labels/00002_labelTrainIds.png').exists()
    assert (gta_root / 'prepared/images.txt').read_text().split() == [
        '00001', '00003', '00004', '00005',
    ]  # fmt: skip


def test_train_ids_of_somebody_else_are_not_removed(gta_root):
    """A copy may hold train ids alone, here for all images but the first."""
    for path in sorted((gta_root / 'labels').glob('*.png'))[1:]:
        path.rename(path.with_name(f'{path.stem}_labelTrainIds.png'))
    before = contents(gta_root)
    assert len(prepare_gta(gta_root).skipped) == 4
    after = contents(gta_root)
    assert {path: after.get(path) for path in before} == before


def test_half_a_line_of_a_killed_process_is_ignored(gta_root, reread):
    prepare_gta(gta_root)
    record = gta_root / 'prepared/record.jsonl'
    record.write_bytes(record.read_bytes()[:-100])
    reread.clear()
    prepare_gta(gta_root)
    assert reread == ['00005']
    reread.clear()
    assert prepare_gta(gta_root).reused == 5
