# Licensed under the Apache License 2.0, see LICENSE.
"""Which frames are targets, what belongs to them, and what is told about the others."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmseg.registry import DATASETS

INTRINSICS = (1.1, 1.9, 0.5, 0.5)
CAMERA = dict(intrinsic=dict(fx=22.0, fy=22.0, u0=9.5, v0=5.5), extrinsic=dict(baseline=0.25))


@pytest.fixture
def log(caplog):
    """What MMEngine's current logger says."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def folder_dataset(root, **options):
    config = dict(type='FolderSequenceDataset', data_root=str(root), intrinsics=INTRINSICS)
    return DATASETS.build(dict(config, pipeline=[]) | options)


def write_frames(files, names):
    generator = np.random.default_rng(0)
    for name in names:
        files.png(name, generator.integers(256, size=(12, 20, 3), dtype=np.uint8))


def targets(dataset):
    """Name of each target with those of its source views."""
    return {
        Path(info['img_path']).stem: [Path(path).stem for path in info['source_paths']]
        for info in (dataset.get_data_info(i) for i in range(len(dataset)))
    }


# -- a folder --------------------------------------------------------------------------------------


def test_neighbors_in_a_folder(files, log):
    write_frames(files, [f'drive/frame_{i:04}.png' for i in range(1, 5)])
    dataset = folder_dataset(files.root, data_prefix=dict(img_path='drive'))
    assert targets(dataset) == {
        'frame_0002': ['frame_0001', 'frame_0003'],
        'frame_0003': ['frame_0002', 'frame_0004'],
    }
    info = dataset.get_data_info(0)
    assert info['frame_offsets'] == (-1, 1)
    assert info['intrinsics'] == dict(zip(('fx', 'fy', 'cx', 'cy'), INTRINSICS, strict=True))
    assert '2 of 4 frames' in log.text and '2 at the ends' in log.text


def test_other_offsets(files):
    write_frames(files, [f'{i}.jpg' for i in range(6)])
    dataset = folder_dataset(files.root, frame_offsets=[-2, 1])
    assert targets(dataset) == {'2': ['0', '3'], '3': ['1', '4'], '4': ['2', '5']}


def test_gaps_and_other_videos_separate(files, log):
    """A lost frame, a second camera and a second folder; numbers without leading zeros."""
    write_frames(files, [f'left_{i}.png' for i in (8, 9, 10, 11, 13, 14, 15)])
    write_frames(files, [f'right_{i}.png' for i in (8, 9, 10)])
    write_frames(files, [f'b/left_{i}.png' for i in (12, 13)])
    dataset = folder_dataset(files.root)
    assert targets(dataset) == {
        'left_9': ['left_8', 'left_10'],
        'left_10': ['left_9', 'left_11'],
        'left_14': ['left_13', 'left_15'],
        'right_9': ['right_8', 'right_10'],
    }
    assert '4 of 12 frames' in log.text and '8 at the ends' in log.text
    assert '1 of 3 sequences' in log.text and 'b/left_* (2 frames)' in log.text


def test_every_fifth_frame_of_a_video(files):
    write_frames(files, [f'{i:03}.png' for i in (0, 5, 10, 20, 25, 30)])
    assert targets(folder_dataset(files.root)) == {'005': ['000', '010'], '025': ['020', '030']}


def test_a_sequence_of_one_frame_is_skipped_or_an_error(files, log):
    write_frames(files, ['a/1.png'])
    with pytest.raises(ValueError, match=r'none of 1 frames.*a/\* \(1 frame\).*at least 3'):
        folder_dataset(files.root)
    write_frames(files, ['b/1.png', 'b/2.png', 'b/3.png'])
    assert list(targets(folder_dataset(files.root))) == ['2']
    assert 'a/* (1 frame)' in log.text


@pytest.mark.parametrize(
    ('names', 'options', 'error', 'message'),
    [
        (['a.png', 'b.png'], {}, ValueError, r'a\.png does not end in a number'),
        (['1.png', '01.png'], {}, ValueError, r'01\.png and 1\.png.*same number'),
        (['1.txt.png'], dict(img_suffix='.jpg'), FileNotFoundError, r'no file ending in \.jpg'),
        ([], dict(data_prefix=dict(img_path='no')), FileNotFoundError, 'there is no folder .*no'),
        ([], dict(frame_offsets=[-1, 0]), ValueError, 'none of them 0'),
        ([], dict(frame_offsets=[1, 1]), ValueError, 'must be different'),
        ([], dict(frame_offsets=[]), ValueError, 'no right images'),
        ([], dict(data_prefix=dict(seg_map_path='')), ValueError, 'needs `img_path`'),
        ([], dict(intrinsics=(1.0, 1.0)), ValueError, r'intrinsics must be \(fx, fy, cx, cy\)'),
        ([], dict(intrinsics=(700, 700, 320, 240)), ValueError, 'shares of the width'),
    ],
)
def test_what_is_wrong_with_a_folder(files, names, options, error, message):
    write_frames(files, names)
    with pytest.raises(error, match=message):
        folder_dataset(files.root, **options)


def test_intrinsics_of_a_file(files):
    write_frames(files, [f'frames/{i}.png' for i in range(3)])
    pixels = dict(fx=22.0, fy=22.8, cx=9.5, cy=5.5, width=20, height=12)
    files.json('intrinsics.json', pixels)
    options = dict(data_prefix=dict(img_path='frames'), intrinsics='intrinsics.json')
    info = folder_dataset(files.root, **options).get_data_info(0)
    assert list(info['intrinsics'].values()) == pytest.approx(INTRINSICS)


# -- Cityscapes ------------------------------------------------------------------------------------


@pytest.fixture
def snippets(files):
    """Two snippets of five frames, one of which has its camera in the middle; right images."""
    for city, sequence, first in (('aachen', 0, 17), ('hanover', 0, 164)):
        names = [f'{city}/{city}_{sequence:06}_{first + i:06}' for i in range(5)]
        write_frames(files, [f'leftImg8bit_sequence/train/{n}_leftImg8bit.png' for n in names])
        write_frames(files, [f'rightImg8bit/train/{names[2]}_rightImg8bit.png'])
        files.json(f'camera/train/{names[2]}_camera.json', CAMERA)
    return files.root


def cityscapes(root, **options):
    config = dict(type='CityscapesSequenceDataset', data_root=str(root), pipeline=[])
    return DATASETS.build(config | options)


def test_snippets_of_cityscapes(snippets):
    dataset = cityscapes(snippets)
    assert len(dataset) == 6
    info = dataset.get_data_info(0)
    name = 'leftImg8bit_sequence/train/aachen/aachen_000000_{:06}_leftImg8bit.png'
    assert info['img_path'] == str(snippets / name.format(18))
    assert info['source_paths'] == [str(snippets / name.format(n)) for n in (17, 19)]
    for index, camera in ((0, 'aachen/aachen_000000_000019'), (5, 'hanover/hanover_000000_000166')):
        path = dataset.get_data_info(index)['camera_path']
        assert path == str(snippets / f'camera/train/{camera}_camera.json')
    assert 'has_right' not in info


def test_the_camera_of_a_frame_is_the_nearest_of_its_sequence(files, snippets):
    """Frankfurt's sequences hold many snippets."""
    files.json('camera/train/aachen/aachen_000000_000021_camera.json', CAMERA)
    dataset = cityscapes(snippets)
    cameras = [Path(dataset.get_data_info(i)['camera_path']).stem[-13:-7] for i in range(3)]
    assert cameras == ['000019', '000019', '000019']
    files.json('camera/train/aachen/aachen_000000_000018_camera.json', CAMERA)
    dataset = cityscapes(snippets)
    cameras = [Path(dataset.get_data_info(i)['camera_path']).stem[-13:-7] for i in range(3)]
    assert cameras == ['000018', '000019', '000019']


def test_right_images_are_a_further_source_view(snippets, log):
    right = dict(right_path='rightImg8bit/train')
    dataset = cityscapes(snippets, data_prefix=right)
    assert targets(dataset) == {
        f'{name}_leftImg8bit': [
            f'{name[:-6]}{int(name[-6:]) - 1:06}_leftImg8bit',
            f'{name[:-6]}{int(name[-6:]) + 1:06}_leftImg8bit',
            f'{name}_rightImg8bit',
        ]
        for name in ('aachen_000000_000019', 'hanover_000000_000166')
    }
    assert dataset.get_data_info(0)['has_right']
    assert '4 of 6 frames have no right image' in log.text
    alone = cityscapes(snippets, data_prefix=right, frame_offsets=[])
    assert [len(views) for views in targets(alone).values()] == [1, 1]


def test_a_sequence_without_camera_is_an_error(snippets):
    (snippets / 'camera/train/hanover/hanover_000000_000166_camera.json').unlink()
    with pytest.raises(FileNotFoundError, match='camera_path.*hanover/hanover_000000_'):
        cityscapes(snippets)


def test_right_images_of_other_frames_are_an_error(snippets):
    for path in list((snippets / 'rightImg8bit').rglob('*.png')):
        path.rename(path.with_name(path.name.replace('_000', '_999', 1)))
    with pytest.raises(FileNotFoundError, match='none of 6 frames.*for example'):
        cityscapes(snippets, data_prefix=dict(right_path='rightImg8bit/train'))


def test_calibrated_size_reaches_the_sample(snippets):
    info = cityscapes(snippets, calibrated_size=[40, 24]).get_data_info(0)
    assert tuple(info['calibrated_size']) == (40, 24)
    assert json.loads(Path(info['camera_path']).read_text()) == CAMERA
