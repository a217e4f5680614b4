# Licensed under the Apache License 2.0, see LICENSE.
"""From folders of pairs to depth that the datasets load; bad input; stopping at any time."""

import json
import multiprocessing
import os
import re
import runpy
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.stereo import StereoCamera, pair_matching
from mmseg_depthuda.apps.stereo.pair_files import ENCODERS, StereoPair
from mmseg_depthuda.apps.stereo.pair_matching import _naming
from mmseg_depthuda.datasets import CityscapesDepthDataset, FolderDepthDataset
from mmseg_depthuda.datasets.transforms import LoadInverseDepth
from mmseg_depthuda.fileio.processes import no_opencv_threads
from tests.commands import command

from .conftest import (
    BASELINE,
    FX,
    camera_json,
    plane_pair,
    write_cityscapes,
    write_image,
)

write_stereo_depth = command('depth', 'stereo')

ROOT = Path(__file__).parents[3]
STEMS = [f'train/ulm/ulm_{i:06}_000019' for i in range(3)]
OWN = ['--fx', str(FX), '--baseline', str(BASELINE), '--workers', '1']


@pytest.fixture
def cityscapes(tmp_path, plane):
    root = tmp_path / 'cityscapes'
    for stem in STEMS:
        write_cityscapes(root, stem, *plane[:2])
    return root


def write_pairs(root, pairs):
    """Write pairs by name; arguments for their two folders and for that of the depth files."""
    for name, pair in pairs.items():
        for side, image in zip(('left', 'right'), pair, strict=True):
            write_image(root / side / f'{name}.png', image)
    return [word for name in ('left', 'right', 'out') for word in (f'--{name}', str(root / name))]


@pytest.fixture
def folders(tmp_path, plane):
    """Arguments for two folders of three pairs, and the folder of the depth files."""
    return write_pairs(tmp_path, dict.fromkeys(('a/1', 'a/2', '3'), plane[:2]))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def assert_depth_of_the_plane(dataset, truth, tolerance=0.2):
    """Load a sample as training does and compare with ``fx * baseline / disparity``."""
    info = dataset.get_data_info(0)
    inverse = LoadInverseDepth(encoding='corda').transform(
        info | dict(img_shape=truth.shape, ori_shape=truth.shape)
    )['gt_depth_map']
    valid = inverse > 0
    assert valid.mean() > 0.85
    metres = 655.36 / inverse[valid] - 0.01
    disparity = FX * BASELINE / metres
    assert np.abs(disparity - truth[valid]).mean() < tolerance
    assert not valid[:, :2].any()  # the right camera does not see it


@pytest.mark.parametrize('depth', ['stereo', 'official'])
def test_cityscapes_loads_what_was_written(cityscapes, plane, depth):
    arguments = [str(cityscapes), '--splits', 'train', '--workers', '1']
    assert write_stereo_depth([*arguments, '--kinds', 'stereo', 'official']) == 0
    dataset = CityscapesDepthDataset(
        depth=depth, data_root=str(cityscapes), data_prefix=dict(seg_map_path=None)
    )
    assert len(dataset) == 3
    assert_depth_of_the_plane(dataset, plane[2])


def test_official_png_is_that_of_cityscapes(cityscapes, plane):
    write_stereo_depth([str(cityscapes), '--splits', 'train', '--kinds', 'official'])
    path = cityscapes / f'disparity/{STEMS[0]}_disparity.png'
    stored = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert stored.dtype == np.uint16
    disparity = (stored.astype(float) - 1) / 256
    assert np.abs(disparity - plane[2])[stored > 0].mean() < 0.2
    assert not (cityscapes / 'depth').exists()


@pytest.mark.parametrize(('kind', 'suffix'), [('mat_metres', '.mat'), ('png_disparity', '.png')])
def test_folder_dataset_loads_what_was_written(folders, tmp_path, plane, kind, suffix):
    assert write_stereo_depth([*folders, *OWN, '--depth-file', kind]) == 0
    dataset = FolderDepthDataset(
        data_prefix=dict(img_path=str(tmp_path / 'left'), depth_map_path=str(tmp_path / 'out')),
        depth_map_suffix=suffix,
        depth_file=kind,
    )
    assert len(dataset) == 3
    assert_depth_of_the_plane(dataset, plane[2])


def test_encodings_beyond_their_range():
    """Closed forms at the ends of 16 bits: 0 is unknown, nothing wraps around."""
    camera = StereoCamera(200, 0.25)  # meters = 50 / disparity
    disparity = np.float32([[0, 0.05, 0.076, 0.077, 1, 19.5, 19.7, 255.9, 300]])
    stored = {
        kind: cv2.imdecode(
            np.frombuffer(ENCODERS[kind].encode(disparity, camera), np.uint8), cv2.IMREAD_UNCHANGED
        )[0]
        for kind in ('png_disparity', 'cityscapes_disparity')
    }
    # 256 * (655.36 / (meters + 0.01) - 1): nearer than 2.55 m saturates, and from 655.35 m on
    # (a disparity of 0.0763), there is no depth.
    metres = 50 / disparity.astype(float)[0, 3:6]
    expected = np.rint(256 * (655.36 / (metres + 0.01) - 1))
    np.testing.assert_array_equal(stored['png_disparity'][:3], 0)
    np.testing.assert_allclose(stored['png_disparity'][3:6], expected, atol=1)
    np.testing.assert_array_equal(stored['png_disparity'][6:], 65535)
    np.testing.assert_array_equal(
        stored['cityscapes_disparity'], [0, 14, 20, 21, 257, 4993, 5044, 65511, 65535]
    )


def test_problems_name_their_file():
    pair = StereoPair('a', 'l/a.png', 'r/a.png', 'c/a.json', {})
    assert _naming(pair, 'not a pair') == 'l/a.png: not a pair'
    for path in ('l/a.png', 'r/a.png', 'c/a.json'):
        assert _naming(pair, f'image: {path} is truncated') == f'image: {path} is truncated'


def test_camera_file_is_the_same_as_its_numbers(folders, tmp_path):
    assert write_stereo_depth([*folders, *OWN]) == 0
    first = contents(tmp_path / 'out')
    (tmp_path / 'out').rename(tmp_path / 'first')
    (tmp_path / 'camera.json').write_text(camera_json())
    assert write_stereo_depth([*folders, '--camera', str(tmp_path / 'camera.json')]) == 0
    assert contents(tmp_path / 'out') == first


def test_parallel_writes_the_same_bytes(cityscapes, tmp_path):
    arguments = [str(cityscapes), '--splits', 'train']
    for workers in ('1', '3'):
        out = str(tmp_path / workers)
        assert write_stereo_depth([*arguments, '--out', out, '--workers', workers]) == 0
    assert contents(tmp_path / '1') == contents(tmp_path / '3')
    assert len(contents(tmp_path / '1')) == 5  # three depth files, the settings, the list


def test_existing_files_are_kept(folders, tmp_path, capsys):
    existing = tmp_path / 'out/a/1.mat'
    existing.parent.mkdir(parents=True)
    existing.write_bytes(b'from elsewhere')
    assert write_stereo_depth([*folders, *OWN]) == 0
    assert 'pairs: 3 pairs, 2 written, 1 were there already' in capsys.readouterr().out
    assert existing.read_bytes() == b'from elsewhere'
    before = contents(tmp_path / 'out')
    assert write_stereo_depth([*folders, *OWN]) == 0
    assert '0 written, 3 were there already' in capsys.readouterr().out
    assert contents(tmp_path / 'out') == before


def test_other_settings_are_not_mixed(folders, tmp_path, capsys):
    assert write_stereo_depth([*folders, *OWN]) == 0
    assert write_stereo_depth([*folders, *OWN, '--nearest', '5']) == 2
    assert 'nearest was 3.0, now 5.0' in capsys.readouterr().err
    assert write_stereo_depth([*folders, *OWN, '--baseline', '0.5']) == 2
    assert 'baseline was 0.25, now 0.5' in capsys.readouterr().err


def test_without_inpainting_less_is_known(folders, tmp_path):
    report = tmp_path / 'report.json'
    shares = []
    for out, options in (('a', []), ('b', ['--no-inpainting'])):
        where = [*folders[:-1], str(tmp_path / out)]
        assert write_stereo_depth([*where, *OWN, *options, '--report', str(report)]) == 0
        shares.append(json.loads(report.read_text())['groups']['pairs']['mean_valid_share'])
    assert shares[0] > shares[1] > 0.8


# -- bad input -------------------------------------------------------------------------------------


def test_bad_pairs_are_reported_and_the_rest_written(cityscapes, plane, tmp_path, capsys):
    left, right, _ = plane

    def stem(name):
        return f'train/ulm/ulm_{name}_000019'

    constant = np.full_like(left, 90)
    other = plane_pair(3.0, 0.1, seed=8)[1]
    bad = {
        'size': (left, right[:, :-2], 'ulm_size_000019_leftImg8bit.png is 192x96, but its right'),
        'flat': (
            constant,
            constant,
            'ulm_flat_000019_leftImg8bit.png: the left image is .* constant',
        ),
        'swap': (right, left, 'ulm_swap_000019_leftImg8bit.png: 100% of the points lie farther'),
        'rows': (left, np.roll(right, 3, axis=0), 'points lie 3.0 pixels apart vertically'),
        'other': (left, other, 'ulm_other_000019_leftImg8bit.png: not a pair'),
        'cut': (left, right, 'ulm_cut_000019_rightImg8bit.png is truncated'),
        'lost': (left, right, 'right image: .*ulm_lost_000019_rightImg8bit.png does not exist'),
        'left': (left, right, 'left image: .*ulm_left_000019_leftImg8bit.png does not exist'),
        'nocam': (left, right, 'camera: .*ulm_nocam_000019_camera.json does not exist'),
        'nobase': (left, right, "ulm_nobase_000019_camera.json must .* KeyError\\('baseline'\\)"),
        'unit': (left, right, 'ulm_unit_000019_camera.json: the baseline is 22.0'),
        'scale': (left, right, 'fx 800 and u0 400 do not belong to images of 192x'),
    }
    cameras = {
        'nobase': camera_json().replace('baseline', 'base'),
        'unit': camera_json(baseline=22),
        'scale': camera_json(fx=800, u0=400),
    }
    for name, (a, b, _) in bad.items():
        write_cityscapes(cityscapes, stem(name), a, b, cameras.get(name))
    cut = cityscapes / f'rightImg8bit/{stem("cut")}_rightImg8bit.png'
    cut.write_bytes(cut.read_bytes()[:2000])
    (cityscapes / f'rightImg8bit/{stem("lost")}_rightImg8bit.png').unlink()
    (cityscapes / f'leftImg8bit/{stem("left")}_leftImg8bit.png').unlink()
    (cityscapes / f'camera/{stem("nocam")}_camera.json').unlink()

    report = tmp_path / 'report.json'
    arguments = [str(cityscapes), '--splits', 'train', '--report', str(report), '--workers', '1']
    assert write_stereo_depth(arguments) == 1
    printed = capsys.readouterr().out
    content = json.loads(report.read_text())
    skipped = content['groups']['train']['skipped']
    assert not content['complete']
    assert sorted(skipped) == sorted(f'ulm/ulm_{name}_000019' for name in bad)
    for name, (_, _, message) in bad.items():
        problem = skipped[f'ulm/ulm_{name}_000019']
        assert re.search(message, problem), problem
        assert problem in printed
    assert len(list(cityscapes.rglob('*.mat'))) == 3
    listed = cityscapes / 'stereo_depth_train.txt'
    assert f'{listed} lists the images that have depth' in printed
    dataset = CityscapesDepthDataset(
        depth='stereo',
        data_root=str(cityscapes),
        data_prefix=dict(seg_map_path=None),
        ann_file='stereo_depth_train.txt',
    )
    assert [info['depth_map_path'] for info in map(dataset.get_data_info, range(3))] == [
        str(path) for path in sorted(cityscapes.rglob('*.mat'))
    ]


def test_list_has_the_pairs_of_earlier_runs(folders, tmp_path):
    write_stereo_depth([*folders, *OWN])
    (tmp_path / 'out/a/1.mat').unlink()
    write_stereo_depth([*folders, *OWN])
    listed = (tmp_path / 'out/stereo_depth_pairs.txt').read_text()
    assert listed == '3\na/1\na/2\n'


def test_a_view_without_texture_has_no_depth(tmp_path, plane, capsys):
    left, right, _ = (view.copy() for view in plane)
    for image in (left, right):
        image[12:], image[:, :-16] = 90, 90  # 1 % of the image has texture, and ends of its own
    arguments = write_pairs(tmp_path, {'0': (left, right)})
    assert write_stereo_depth([*arguments, '--no-pair-check', *OWN]) == 1
    assert re.search(r'0\.\d% of the pixels were matched', capsys.readouterr().out)
    assert not (tmp_path / 'out/0.mat').exists()


@pytest.mark.parametrize(
    ('swap', 'camera', 'message'),
    [
        (True, [], 'left and right are exchanged. Exchange the two folders.'),
        (False, ['--fx', '2262'], 'fx 2262 do not belong to images of 192x'),
    ],
)
def test_what_is_wrong_with_all_pairs_stops_at_once(
    folders, tmp_path, capsys, swap, camera, message
):
    if swap:
        folders[1], folders[3] = folders[3], folders[1]
    assert write_stereo_depth([*folders, *OWN, *camera]) == 2
    error = capsys.readouterr().err
    assert '3 pairs were looked at, and none can be matched' in error
    assert message in error
    assert not list(tmp_path.rglob('*.mat'))


@pytest.mark.parametrize('wrong', ['partner', 'exchanged', 'rows'])
def test_one_wrong_pair_among_many_is_found(tmp_path, plane, capsys, wrong):
    """Five of eight are looked at in advance, and pass; the wrong one is found by its matching."""
    left, right, _ = plane
    pair, message = {
        'partner': ((left, plane_pair(3.0, 0.1, seed=8)[1]), 'not a pair'),
        'exchanged': ((right, left), 'are exchanged'),
        'rows': ((left, np.roll(right, 2, axis=0)), 'not rectified'),
    }[wrong]
    pairs = {str(i): pair if i == 1 else (left, right) for i in range(8)}  # 1 is not among the five
    assert write_stereo_depth([*write_pairs(tmp_path, pairs), *OWN]) == 1
    assert re.search(f'left/1.png: .*{message}', capsys.readouterr().out)
    written = sorted(path.stem for path in (tmp_path / 'out').glob('*.mat'))
    assert written == [str(i) for i in range(8) if i != 1]


def test_pair_check_can_be_switched_off(tmp_path, capsys):
    left, right, _ = plane_pair(6.0)
    arguments = [*write_pairs(tmp_path, {'0': (left, np.roll(right, 3, axis=0))}), *OWN]
    assert write_stereo_depth(arguments) == 2
    assert 'lie 3.0 pixels apart vertically' in capsys.readouterr().err
    assert not (tmp_path / 'out/0.mat').exists()
    assert write_stereo_depth([*arguments, '--no-pair-check']) == 0
    assert (tmp_path / 'out/0.mat').exists()


def test_disparity_beyond_the_official_files(tmp_path, capsys):
    left, right, _ = plane_pair(300.0, size=(64, 700))
    write_cityscapes(tmp_path, STEMS[0], left, right, camera_json(fx=700, u0=350))
    arguments = [str(tmp_path), '--splits', 'train', '--kinds', 'official']
    assert write_stereo_depth([*arguments, '--max-disparity', '320']) == 1
    assert 'more than the official files of Cityscapes hold' in capsys.readouterr().out


@pytest.mark.parametrize('folder', ['leftImg8bit', 'rightImg8bit', 'camera'])
def test_missing_folder(cityscapes, capsys, folder):
    (cityscapes / folder).rename(cityscapes / 'gone')
    assert write_stereo_depth([str(cityscapes), '--splits', 'train']) == 2
    assert f'there is no folder {cityscapes / folder}' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments',
    [
        [],
        ['--left', 'a', '--right', 'b'],
        ['--left', 'a', '--right', 'b', '--out', 'c'],
        ['--left', 'a', '--right', 'b', '--out', 'c', '--fx', '500'],
        ['--left', 'a', '--right', 'b', '--out', 'c', '--fx', '5', '--camera', 'd'],
        ['root', '--fx', '500'],
        ['root', '--workers', '0'],
        ['root', '--kinds', 'mono'],
    ],
)
def test_bad_arguments(arguments):
    with pytest.raises(SystemExit) as error:
        write_stereo_depth(arguments)
    assert error.value.code == 2


def test_kinds_of_cityscapes_are_not_for_folders(folders, capsys):
    with pytest.raises(SystemExit):
        write_stereo_depth([*folders, *OWN, '--kinds', 'official'])
    error = capsys.readouterr().err
    assert '--splits and --kinds are for the root of Cityscapes' in error
    assert 'get meters with --depth-file mat_metres' in error


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        (['--nearest', '-1'], 'nearest must be positive'),
        (['--min-disparity', '0'], 'min_disparity must be positive'),
        (['--max-disparity', 'nan'], 'max_disparity must be positive'),
        (['--block-size', '4'], 'block_size must be a positive odd number'),
        (['--baseline', '25'], 'the baseline is 25.0, but must be between'),
        (['--fx', '-2'], 'fx is -2.0, but must be positive'),
    ],
)
def test_bad_values(folders, capsys, option, message):
    assert write_stereo_depth([*folders, *OWN, *option]) == 2
    assert message in capsys.readouterr().err


def test_tool(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, 'argv', ['stereo_depth.py', str(tmp_path)])
    with pytest.raises(SystemExit) as error:
        runpy.run_path(str(ROOT / 'tools/depth/stereo_depth.py'), run_name='__main__')
    assert error.value.code == 2
    assert f'there is no folder {tmp_path}' in capsys.readouterr().err


# -- stopping --------------------------------------------------------------------------------------

_convert_pair = pair_matching.convert_pair


def slow_convert(pair, options, pair_check):
    time.sleep(0.1)
    return _convert_pair(pair, options, pair_check)


def convert_slowly(arguments) -> None:
    os.setsid()
    pair_matching.convert_pair = slow_convert
    sys.exit(write_stereo_depth(arguments))


@pytest.mark.parametrize(
    ('number', 'status'), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_stopped_run_goes_on(tmp_path, plane, number, status, capsys):
    out = tmp_path / 'out'
    pairs = {f'{i:02}': plane[:2] for i in range(24)}
    arguments = [*write_pairs(tmp_path, pairs), *OWN[:-1], '2']
    process = multiprocessing.get_context('fork').Process(target=convert_slowly, args=(arguments,))
    with no_opencv_threads():
        process.start()
    for _ in range(3000):
        if len(list(out.glob('*.mat'))) >= 3:
            break
        time.sleep(0.02)
    os.kill(process.pid, number)
    process.join(60)
    assert process.exitcode == status
    finished = {path: path.stat().st_mtime_ns for path in out.glob('*.mat')}
    assert 3 <= len(finished) < 24
    time.sleep(0.5)  # workers of a killed process are ending
    finished |= {path: path.stat().st_mtime_ns for path in out.glob('*.mat')}
    capsys.readouterr()
    assert write_stereo_depth([*arguments[:-1], '1']) == 0
    assert f'{len(finished)} were there already' in capsys.readouterr().out
    assert len(list(out.glob('*.mat'))) == 24
    assert not list(out.glob('*.tmp'))
    assert all(path.stat().st_mtime_ns == changed for path, changed in finished.items())
    assert len({path.read_bytes() for path in out.glob('*.mat')}) == 1


def killed_convert(pair, options, pair_check):
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker(folders, monkeypatch, capsys):
    monkeypatch.setattr(pair_matching, 'convert_pair', killed_convert)
    assert write_stereo_depth([*folders, *OWN[:-1], '2']) == 2
    assert 'a worker process was killed' in capsys.readouterr().err
