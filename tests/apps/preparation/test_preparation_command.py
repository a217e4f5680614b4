# Licensed under the Apache License 2.0, see LICENSE.
"""Defects, reports, exit status; and stopping at any time."""

import errno
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.preparation import label_preparation
from mmseg_depthuda.apps.preparation.inspection import inspect
from mmseg_depthuda.fileio.processes import no_opencv_threads
from tests.commands import command

from .conftest import DEFECTS, contents, prepared, read_report, train_ids_of

prepare_cityscapes, prepare_gta5, prepare_synthia = (
    command('data', name) for name in ('cityscapes', 'gta5', 'synthia')
)

ROOT = Path(__file__).parents[3]
TOOLS = ROOT / 'tools/dataset_converters'


def assert_reported(skipped: dict, defects: dict) -> None:
    assert list(skipped) == list(defects)
    for name, (kind, reason) in defects.items():
        (problem,) = skipped[name]
        assert problem['kind'] == kind
        assert reason in problem['reason']
        assert problem['path'].endswith(name)


def test_every_defect_is_reported_and_the_rest_converted(broken_gta_root, label_ids, capsys):
    assert prepare_gta5([str(broken_gta_root), '--workers', '1']) == 1
    report = read_report(broken_gta_root)
    split = report['splits']['all']
    assert not report['complete']
    assert (split['images'], split['usable'], split['converted']) == (9, 1, 4)
    assert_reported(split['skipped'], DEFECTS)
    printed = capsys.readouterr().out
    for name, (_, reason) in DEFECTS.items():
        assert f'    {name}\n' in printed
        assert reason in printed

    # Labels are converted where they fit their image, whatever the depth is like.
    with_labels = ['00001', '00006', '00008', '00009']
    written = sorted(p.name for p in (broken_gta_root / 'labels').glob('*_labelTrainIds.png'))
    assert written == [f'{stem}_labelTrainIds.png' for stem in with_labels]
    assert (prepared(broken_gta_root) / 'images.txt').read_text() == '00001\n'
    statistics = json.loads((prepared(broken_gta_root) / 'class_statistics.json').read_text())
    counts = np.bincount(train_ids_of(label_ids).ravel(), minlength=256)[:19]
    assert statistics['pixels'] == {f'{stem}.png': counts.tolist() for stem in with_labels}
    shares = np.array(list(split['class_shares'].values()))
    np.testing.assert_allclose(shares, counts / counts.sum(), rtol=1e-12)


def test_depth_is_described(files, gta_root, depth16):
    files.png('gta/disparity/00002.png', np.where(np.arange(20) < 5, 0, depth16).astype(np.uint16))
    files.png('gta/disparity/00003.png', depth16[::2, ::2])
    assert prepare_gta5([str(gta_root), '--workers', '1']) == 0
    depth = read_report(gta_root)['splits']['all']['depth']['disparity']
    assert depth['valid_maps'] == 5
    assert depth['mean_valid_share'] == pytest.approx(0.95)
    assert (depth['least_valid'], depth['least_valid_share']) == ('00002.png', 0.75)
    assert depth['other_resolution'] == ['00003.png']


def test_millimetres_of_a_whole_set_are_reported(files, image, label_ids, capsys):
    """12.5 m in millimeters are 125 m in centimeters: possible for one image, not for four."""
    ids = np.full((*image.shape[:2], 3), 3, np.uint16)
    for i in range(4):
        files.png(f'synthia/RGB/{i:07}.png', image)
        files.png(f'synthia/GT/LABELS/{i:07}.png', ids)
        files.png(f'synthia/Depth/{i:07}.png', np.full(image.shape[:2], 12500, np.uint16))
    arguments = [str(files.root / 'synthia'), '--workers', '1', '--check-only']
    assert prepare_synthia(arguments) == 1
    printed = capsys.readouterr().out
    assert 'median 125 m' in printed
    assert '.png, is 125 m, expected are 2 to 100 m' in printed
    for i in range(4):
        files.png(f'synthia/Depth/{i:07}.png', np.full(image.shape[:2], 1250, np.uint16))
    assert prepare_synthia(arguments) == 0
    assert 'median 12.5 m' in capsys.readouterr().out


def test_check_only_reports_the_same_and_writes_nothing(broken_gta_root, tmp_path):
    before = contents(broken_gta_root)
    report = tmp_path / 'elsewhere/report.json'
    assert prepare_gta5([str(broken_gta_root), '--check-only', '--workers', '1']) == 1
    assert contents(broken_gta_root) == before
    prepare_gta5([str(broken_gta_root), '--check-only', '--report', str(report)])
    assert contents(broken_gta_root) == before
    split = json.loads(report.read_text())['splits']['all']
    assert_reported(split['skipped'], DEFECTS)
    assert (split['usable'], split['converted']) == (1, 0)


def test_defects_of_cityscapes(files, cityscapes_root):
    stem = 'train/aachen/aachen_00000{}_000019'
    files.mat(f'cityscapes/depth/{stem.format(0)}_depth_stereoscopic.mat', depth=np.ones((12, 20)))
    files.truncate(f'cityscapes/depth/{stem.format(1)}_depth_stereoscopic.mat', 0.5)
    (cityscapes_root / f'camera/{stem.format(2)}_camera.json').unlink()
    for path in (cityscapes_root / 'depth/val').rglob('*.mat'):
        path.unlink()
    for folder in ('val/lindau', 'val'):
        (cityscapes_root / 'depth' / folder).rmdir()
    arguments = [str(cityscapes_root), '--depth', 'stereo', 'mono', 'official', '--workers', '1']
    assert prepare_cityscapes(arguments) == 1
    splits = read_report(cityscapes_root)['splits']
    reasons = {
        image.split('/')[-1][:13]: (problem['kind'], problem['reason'])
        for image, (problem,) in splits['train']['skipped'].items()
    }
    assert [kind for kind, _ in reasons.values()] == [
        'depth stereo', 'depth stereo', 'depth official',
    ]  # fmt: skip
    assert "has no key 'depth_map', only ['depth']" in reasons['aachen_000000'][1]
    assert 'cannot be read as a MATLAB file' in reasons['aachen_000001'][1]
    assert 'aachen_000002_000019_camera.json does not exist' in reasons['aachen_000002'][1]
    # Stereo depth was only removed from the validation images, where nothing needs it.
    assert splits['val']['skipped'] == {}
    assert list(splits['val']['depth']) == ['mono', 'official']
    lists = prepared(cityscapes_root)
    assert (lists / 'train/images.txt').read_text() == ''
    assert (lists / 'val/images.txt').read_text() == (
        'lindau/lindau_000000_000019\nlindau/lindau_000001_000019\n'
    )


def test_synthia_with_the_folders_of_another_copy(files, image):
    files.png('RGB/0000000.png', image)
    files.png('parsed_LABELS/0000000.png', np.full((12, 20), 8, np.uint8))
    arguments = [str(files.root), '--labels', 'parsed_LABELS', '--workers', '1']
    assert prepare_synthia([*arguments, '--no-depth']) == 0
    path = files.root / 'parsed_LABELS/0000000_labelTrainIds.png'
    assert (cv2.imread(str(path), cv2.IMREAD_UNCHANGED) == 13).all()  # car
    assert read_report(files.root)['splits']['all']['depth'] == {}
    assert prepare_synthia(arguments) == 2


@pytest.mark.parametrize('missing', ['images', 'labels', 'disparity'])
def test_missing_folder(gta_root, capsys, missing):
    (gta_root / missing).rename(gta_root / 'gone')
    before = contents(gta_root)
    assert prepare_gta5([str(gta_root)]) == 2
    assert f'there is no folder {gta_root / missing}' in capsys.readouterr().err
    assert contents(gta_root) == before


@pytest.mark.parametrize('folder', ['labels', 'disparity'])
def test_folder_of_another_layout(gta_root, capsys, folder):
    inner = gta_root / folder / 'inner'
    outer = list((gta_root / folder).iterdir())
    inner.mkdir()
    for path in outer:
        path.rename(inner / path.name)
    before = contents(gta_root)
    assert prepare_gta5([str(gta_root)]) == 2
    error = capsys.readouterr().err
    assert f'{gta_root / folder} holds none of the {len(outer)} files' in error
    assert f'it holds others, such as {inner}' in error
    assert contents(gta_root) == before
    inner_option = '--labels' if folder == 'labels' else '--depth'
    assert prepare_gta5([str(gta_root), inner_option, f'{folder}/inner', '--workers', '1']) == 0


def test_missing_depth_of_cityscapes(cityscapes_root, capsys):
    (cityscapes_root / 'depth').rename(cityscapes_root / 'gone')
    assert prepare_cityscapes([str(cityscapes_root), '--depth', 'stereo']) == 2
    assert 'depth/train for --depth stereo' in capsys.readouterr().err


@pytest.mark.parametrize('argument', [['--workers', '0'], ['--protocol', 'pascal'], ['--fast']])
def test_bad_arguments(gta_root, argument):
    with pytest.raises(SystemExit) as error:
        prepare_gta5([str(gta_root), *argument])
    assert error.value.code == 2


def test_full_disk(gta_root, monkeypatch, capsys):
    real = os.replace

    def replace(source, target):
        if Path(target).name == '00003_labelTrainIds.png':
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', replace)
        assert prepare_gta5([str(gta_root), '--workers', '1']) == 2
    assert 'No space left' in capsys.readouterr().err
    assert not list(gta_root.rglob('*.tmp'))
    assert prepare_gta5([str(gta_root), '--workers', '1']) == 0
    assert read_report(gta_root)['splits']['all']['up_to_date'] == 2


def killed_inspect(sample, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def test_killed_worker(gta_root, monkeypatch, capsys):
    monkeypatch.setattr(label_preparation, 'inspect', killed_inspect)
    assert prepare_gta5([str(gta_root), '--workers', '2']) == 2
    assert 'a worker process was killed' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['gta', 'synthia', 'cityscapes'])
def test_scripts(name, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, 'argv', [name, str(tmp_path), '--check-only'])
    with pytest.raises(SystemExit) as error:
        runpy.run_path(str(TOOLS / f'{name}.py'), run_name='__main__')
    assert error.value.code == 2
    assert f'there is no folder {tmp_path}' in capsys.readouterr().err


def test_exit_status_reaches_the_shell(broken_gta_root):
    done = subprocess.run(
        [sys.executable, TOOLS / 'gta.py', broken_gta_root, '--check-only', '--no-depth'],
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    assert 'skipped: 5 of 9 images' in done.stdout


# -- stopping --------------------------------------------------------------------------------------


def slow_inspect(sample, **kwargs):
    time.sleep(0.05)
    return inspect(sample, **kwargs)


def convert_slowly(root: Path) -> None:
    """In a process group of its own, as a shell starts a command."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    label_preparation.inspect = slow_inspect
    sys.exit(prepare_gta5([str(root), '--workers', '2']))


def wait_until(condition) -> None:
    for _ in range(3000):
        if condition():
            return
        time.sleep(0.02)
    pytest.fail('waited for a minute')


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ('number', 'whole_group', 'status'),
    [
        (signal.SIGINT, True, 130),  # Ctrl-C reaches the workers, too
        (signal.SIGTERM, False, 143),
        (signal.SIGKILL, False, -signal.SIGKILL),
    ],
)
def test_stopped_run_goes_on(
    files, gta_root, image, label_ids, depth16, number, whole_group, status
):
    for i in range(6, 61):
        files.png(f'gta/images/{i:05}.png', image)
        files.palette_png(f'gta/labels/{i:05}.png', label_ids)
        files.png(f'gta/disparity/{i:05}.png', depth16)
    record = prepared(gta_root) / 'record.jsonl'
    process = multiprocessing.get_context('fork').Process(target=convert_slowly, args=(gta_root,))
    with no_opencv_threads():
        process.start()
    wait_until(lambda: record.exists() and record.read_text().count('"stem"') >= 4)
    (os.killpg if whole_group else os.kill)(process.pid, number)
    process.join(60)
    assert process.exitcode == status
    wait_until(lambda: group_is_gone(process.pid))
    if number != signal.SIGKILL:
        assert not list(gta_root.rglob('*.tmp'))

    finished = record.read_text().count('"stem"')
    assert 4 <= finished < 60
    first = gta_root / 'labels/00001_labelTrainIds.png'
    written = first.stat().st_mtime_ns
    assert prepare_gta5([str(gta_root), '--workers', '1']) == 0
    assert first.stat().st_mtime_ns == written
    assert finished - 1 <= read_report(gta_root)['splits']['all']['up_to_date'] <= finished
    assert len(list(gta_root.glob('labels/*_labelTrainIds.png'))) == 60
    assert not list(gta_root.rglob('*.tmp'))
    last = cv2.imread(str(gta_root / 'labels/00060_labelTrainIds.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(last, train_ids_of(label_ids))
