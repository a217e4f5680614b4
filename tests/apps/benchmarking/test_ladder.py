# Licensed under the Apache License 2.0, see LICENSE.
"""The order of a ladder, with programs in place of the trainings that note how they are called."""

import json
import os
import threading

import pytest

from mmseg_depthuda.apps.benchmarking import ladder
from mmseg_depthuda.apps.benchmarking.ladder import (
    STREET_WORLD_ADVERSARIAL,
    STREET_WORLD_DEPTH,
    STREET_WORLD_LADDER,
    Method,
    claim_folder,
    density_ladder,
    plan_ladder,
    pretrained_ladder,
    run_ladder,
    some_labels_ladder,
)
from mmseg_depthuda.engine.launch import find_config

TRAIN = """
import json, os, pathlib, sys, zipfile
arguments = sys.argv[1:]
work_dir = pathlib.Path(arguments[arguments.index('--work-dir') + 1])
calls = work_dir / 'calls.json'
known = json.loads(calls.read_text()) if calls.exists() else []
calls.write_text(json.dumps([*known, [arguments, os.environ['OMP_NUM_THREADS']]]))
print('training')
if (work_dir.parent.parent / 'broken').exists() and 'bad.py' in arguments:
    sys.exit(3)
zipfile.ZipFile(work_dir / 'iter_7.pth', 'w').close()
"""
LABEL = """
import pathlib, sys
config, checkpoint, out = sys.argv[1:4]
assert config == 'first.py' and pathlib.Path(checkpoint).is_file()
pathlib.Path(out).mkdir()
"""
TEST = """
import pathlib, sys
arguments = sys.argv[1:]
assert pathlib.Path(arguments[1]).name == 'iter_7.pth'
folder = pathlib.Path(arguments[arguments.index('--work-dir') + 1]) / '20260101_000000'
folder.mkdir(parents=True)
(folder / '20260101_000000.json').write_text('{}')
"""


@pytest.fixture(autouse=True)
def tools(tmp_path, monkeypatch):
    folder = tmp_path / 'tools'
    folder.mkdir()
    (folder / 'train.py').write_text(TRAIN)
    (folder / 'test.py').write_text(TEST)
    (folder / 'write_pseudo_labels.py').write_text(LABEL)
    monkeypatch.setattr(ladder, 'TOOLS', folder)


def calls(training):
    return json.loads((training.work_dir / 'calls.json').read_text())


def test_every_method_is_an_experiment_with_a_seed_of_its_own():
    trainings = plan_ladder('out', STREET_WORLD_LADDER, [1, 2])
    assert len({training.work_dir for training in trainings}) == 12
    assert [training.seed for training in trainings] == [1] * 6 + [2] * 6
    trainings += plan_ladder('out', STREET_WORLD_ADVERSARIAL | STREET_WORLD_DEPTH, [1])
    for pair in ('sim2real', 'sim2camvid'):
        pretrained = pretrained_ladder(pair)
        trainings += plan_ladder('out', pretrained, [1])
        listed = {method.config for method in pretrained.values()}
        folder = find_config('dacs/dacs_effl0_sim2real.py').parents[1]
        there = {p.relative_to(folder).as_posix() for p in folder.glob(f'*/*_effl0_{pair}*.py')}
        others = density_ladder() | some_labels_ladder()
        listed |= {method.config for method in others.values()} & there
        assert listed == there
    trainings += plan_ladder('out', some_labels_ladder(), [1])
    assert all(find_config(training.config).is_file() for training in trainings)


def test_trains_with_resume_and_tests_the_last_checkpoint(tmp_path):
    (training,) = plan_ladder(tmp_path / 'out', dict(a=Method('a.py', ('y=2',))), [5], ['x=1'])
    assert run_ladder([training], jobs=1, report=lambda line: None) == []
    ((arguments, threads),) = calls(training)
    work_dir = str(tmp_path / 'out/a/seed_5')
    options = ['--cfg-options', 'randomness.seed=5', 'y=2', 'x=1']
    assert arguments == ['a.py', '--resume', '--work-dir', work_dir, *options]
    assert int(threads) == os.cpu_count()
    assert training.is_finished
    assert training.log.read_text() == 'training\n'


STAGES = dict(first=Method('first.py'), second=Method('second.py', labels_of='first'))


@pytest.mark.parametrize('jobs', [1, 2])
def test_a_second_stage_learns_from_the_labels_of_its_first(tmp_path, jobs):
    first, second = plan_ladder(tmp_path / 'out', STAGES, [1])
    assert run_ladder([first, second], jobs, report=lambda line: None) == []
    ((arguments, _),) = calls(second)
    assert f'load_from={first.last_checkpoint}' in arguments
    path = 'train_dataloader.dataset.target.data_prefix.pseudo_label_path'
    labels = second.work_dir / 'pseudo_labels'
    assert f'{path}={labels}' in arguments and labels.is_dir()


def test_a_second_stage_without_its_first_does_not_begin(tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out/broken').touch()
    stages = dict(bad=Method('bad.py'), second=Method('second.py', labels_of='bad'))
    bad, second = plan_ladder(tmp_path / 'out', stages, [1])
    errors = run_ladder([bad, second], 2, report=lambda line: None)
    assert len(errors) == 2 and 'not begun, because bad has failed' in errors[1]
    assert not second.work_dir.exists()


def test_cores_are_shared_out(tmp_path):
    trainings = plan_ladder(tmp_path, dict(a=Method('a.py'), b=Method('b.py')), [1])
    run_ladder(trainings, jobs=2 * os.cpu_count(), report=lambda line: None)
    assert [calls(training)[0][1] for training in trainings] == ['1', '1']


def test_runs_side_by_side(tmp_path, monkeypatch):
    together = threading.Barrier(2, timeout=30)
    monkeypatch.setattr(ladder.Training, 'run', lambda self, threads: together.wait())
    trainings = plan_ladder(tmp_path, dict(a=Method('a.py'), b=Method('b.py')), [1])
    assert run_ladder(trainings, jobs=2, report=lambda line: None) == []


def test_a_failure_is_reported_and_only_it_is_tried_again(tmp_path):
    out = tmp_path / 'out'
    out.mkdir()
    (out / 'broken').touch()
    good, bad, last = plan_ladder(
        out, dict(good=Method('good.py'), bad=Method('bad.py'), last=Method('last.py')), [1]
    )
    (error,) = run_ladder([good, bad, last], jobs=1, report=lambda line: None)
    assert 'bad, seed 1: train.py failed with status 3' in error
    assert str(bad.log) in error
    assert good.is_finished and last.is_finished and not bad.is_finished

    (out / 'broken').unlink()
    assert run_ladder([good, bad, last], jobs=1, report=lambda line: None) == []
    assert [len(calls(training)) for training in (good, bad, last)] == [1, 2, 1]


def test_a_folder_keeps_to_one_setting(tmp_path):
    claim_folder(tmp_path, dict(a=Method('a.py')), ['x=1'])
    claim_folder(tmp_path, dict(b=Method('b.py')), ['x=1'])
    claim_folder(tmp_path, dict(a=Method('a.py'), b=Method('b.py')), ['x=1'])
    with pytest.raises(ValueError, match='other settings'):
        claim_folder(tmp_path, dict(a=Method('a.py')), ['x=2'])
    for other in (Method('other.py'), Method('a.py', ('y=2',)), Method('a.py', labels_of='b')):
        with pytest.raises(ValueError, match='other settings'):
            claim_folder(tmp_path, dict(a=other), ['x=1'])
