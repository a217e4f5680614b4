# Licensed under the Apache License 2.0, see LICENSE.
import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import mmseg
import numpy as np
import pytest
from mmseg.registry import DATASETS

from mmseg_depthuda.datasets import GTA5DepthDataset, label_map
from tests.datasets.conftest import PIPELINE

NO_DEPTH = dict(img_path='images', seg_map_path='labels')
LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadLabels'), dict(type='PackSegInputs')]


def test_missing_folder_is_named_with_its_key(gta_root):
    shutil.rmtree(gta_root / 'disparity')
    with pytest.raises(FileNotFoundError, match=r'depth_map_path: .*disparity.*data_prefix'):
        GTA5DepthDataset(data_root=str(gta_root))
    assert len(GTA5DepthDataset(data_root=str(gta_root), data_prefix=NO_DEPTH)) == 5


def test_folder_without_images_is_an_error(gta_root):
    shutil.rmtree(gta_root / 'images')
    (gta_root / 'images').mkdir()
    with pytest.raises(FileNotFoundError, match=r'img_path: no image ending in .png'):
        GTA5DepthDataset(data_root=str(gta_root))


@pytest.mark.parametrize(('kind', 'key'), [('labels', 'seg_map'), ('disparity', 'depth_map')])
def test_missing_files_are_counted_and_named(gta_root, kind, key):
    for i in (2, 3, 4, 5):
        (gta_root / kind / f'0000{i}.png').unlink()
    listed = r'00002.png, 00003.png, 00004.png, \.\.\.'
    pattern = f'{key}_path: 4 of 5 files are missing in .*{kind}: {listed}'
    with pytest.raises(FileNotFoundError, match=pattern):
        GTA5DepthDataset(data_root=str(gta_root))


def test_files_one_folder_deeper_are_pointed_out(gta_root):
    (gta_root / 'disparity').rename(gta_root / 'deeper')
    (gta_root / 'disparity').mkdir()
    (gta_root / 'deeper').rename(gta_root / 'disparity' / 'disparity')
    with pytest.raises(FileNotFoundError, match=r'for example, disparity/00001.png'):
        GTA5DepthDataset(data_root=str(gta_root))


def test_ann_file_chooses_images(gta_root):
    (gta_root / 'list.txt').write_text('00004\n00002\n')
    dataset = GTA5DepthDataset(data_root=str(gta_root), ann_file='list.txt')
    names = [dataset.get_data_info(i)['depth_map_path'][-9:] for i in range(len(dataset))]
    assert names == ['00004.png', '00002.png']
    (gta_root / 'list.txt').write_text('00004\n00009\n')
    with pytest.raises(FileNotFoundError, match='img_path: 1 of 2 files are missing.*00009'):
        GTA5DepthDataset(data_root=str(gta_root), ann_file='list.txt')


def test_ann_file_makes_incomplete_folders_usable(gta_root):
    (gta_root / 'labels' / '00003.png').unlink()
    (gta_root / 'list.txt').write_text('00001\n00002\n')
    assert len(GTA5DepthDataset(data_root=str(gta_root), ann_file='list.txt')) == 2


@pytest.mark.parametrize(
    'prefix', [dict(seg_map_path='labels'), dict(img_path='images', depth='disparity')]
)
def test_wrong_keys_of_data_prefix_are_errors(gta_root, prefix):
    with pytest.raises(ValueError, match='data_prefix'):
        GTA5DepthDataset(data_root=str(gta_root), data_prefix=prefix)


@pytest.mark.parametrize(
    'argument', [dict(metainfo=dict(classes=['a'])), dict(reduce_zero_label=True)]
)
def test_arguments_that_would_be_ignored_are_errors(gta_root, argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        GTA5DepthDataset(data_root=str(gta_root), **argument)


def test_none_in_data_prefix_switches_a_kind_off(gta_root):
    dataset = GTA5DepthDataset(
        data_root=str(gta_root), data_prefix=dict(NO_DEPTH, depth_map_path=None)
    )
    assert 'depth_map_path' not in dataset.get_data_info(0)


@pytest.mark.parametrize('lazy', [False, True])
def test_data_info_carries_what_transforms_need(gta_root, lazy):
    dataset = GTA5DepthDataset(data_root=str(gta_root), lazy_init=lazy)
    dataset.full_init()
    info = dataset.get_data_info(0)
    assert info['label_map'] == label_map('cityscapes_ids', 'cityscapes19')
    assert info['depth_file'] == 'png_disparity'
    assert info['seg_fields'] is not dataset.get_data_info(0)['seg_fields']


@pytest.mark.parametrize(
    ('damage', 'error', 'message'),
    [
        (lambda path: path.unlink(), FileNotFoundError, 'does not exist'),
        (lambda path: path.write_bytes(b''), ValueError, 'is empty'),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), ValueError, 'is truncated'),
    ],
)
@pytest.mark.parametrize(
    ('kind', 'key'),
    [('images', 'img_path'), ('labels', 'seg_map_path'), ('disparity', 'depth_map_path')],
)
def test_damaged_file_is_an_error_when_it_is_read(gta_root, kind, key, damage, error, message):
    dataset = GTA5DepthDataset(data_root=str(gta_root), pipeline=PIPELINE)
    damage(gta_root / kind / '00003.png')
    with pytest.raises(error, match=rf'{key}: .*{kind}/00003.png {message}'):
        dataset[2]
    assert dataset[1]['gt_depth_map'].shape == dataset[1]['gt_seg_map'].shape


def test_mmseg_loader_understands_the_label_map(gta_root):
    """MMSeg's own ``LoadAnnotations`` and ``LoadLabels`` give the same indices."""
    ours, theirs = (
        GTA5DepthDataset(
            data_root=str(gta_root),
            data_prefix=NO_DEPTH,
            pipeline=[dict(type='LoadImageFromFile'), dict(type=loader)],
        )[3]['gt_seg_map']
        for loader in ('LoadLabels', 'LoadAnnotations')
    )
    np.testing.assert_array_equal(ours, theirs)


def test_confusion_matrix_tool_of_mmseg_accepts_the_dataset(gta_root):
    """Predicting the truth gives a diagonal matrix with the true class counts.

    Eleven classes, because the tool computes in uint8 and overflows from 16 classes on.
    """
    tool = Path(mmseg.__file__).parent / '.mim/tools/analysis_tools/confusion_matrix.py'
    spec = spec_from_file_location('confusion_matrix', tool)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    dataset = DATASETS.build(
        dict(
            type='GTA5DepthDataset',
            protocol='camvid11',
            data_root=str(gta_root),
            data_prefix=NO_DEPTH,
            pipeline=LOAD,
            test_mode=True,
        )
    )
    truth = [sample['data_samples'].gt_sem_seg.data[0].numpy() for sample in dataset]
    matrix = module.calculate_confusion_matrix(dataset, truth)
    counts = np.bincount(np.concatenate(truth).ravel(), minlength=256)[:11]
    np.testing.assert_array_equal(matrix, np.diag(counts))
    assert counts.min() > 0
