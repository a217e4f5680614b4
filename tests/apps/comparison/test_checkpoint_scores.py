# Licensed under the Apache License 2.0, see LICENSE.
"""Checkpoints evaluated in turn against tests of each alone, what is kept of it, and the best."""

import json
import math
import shutil

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from mmseg_depthuda.apps.comparison import checkpoint_scores as module
from mmseg_depthuda.apps.comparison.checkpoint_scores import (
    best_iteration,
    evaluate_checkpoints,
    find_checkpoints,
    read_checkpoint_metrics,
)
from tests.apps.comparison.checkpointed_run import make_run, write_checkpoint

NAN = float('nan')


# -- finding ---------------------------------------------------------------------------------------


def test_checkpoints_of_a_work_dir_ascend(tmp_path):
    for name in ('iter_1000', 'iter_500', 'best_mIoU_iter_700', 'last'):
        (tmp_path / f'{name}.pth').touch()
    found = find_checkpoints([tmp_path])
    assert list(found.items()) == [(n, tmp_path / f'iter_{n}.pth') for n in (500, 1000)]
    found = find_checkpoints([tmp_path, tmp_path / 'best_mIoU_iter_700.pth', tmp_path])
    assert list(found) == [500, 700, 1000]


def test_what_is_no_checkpoint_of_one_training(tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=r'empty holds no iter_\*.pth'):
        find_checkpoints([tmp_path / 'empty'])
    with pytest.raises(FileNotFoundError, match=r'iter_3.pth does not exist'):
        find_checkpoints([tmp_path / 'iter_3.pth'])
    for name in ('released.pth', 'iter_3.pth', 'best_mIoU_iter_3.pth'):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r'released.pth: the name does not tell the iteration'):
        find_checkpoints([tmp_path / 'released.pth'])
    with pytest.raises(ValueError, match=r'iter_3.pth and .*best_.* are of the same iteration'):
        find_checkpoints([tmp_path, tmp_path / 'best_mIoU_iter_3.pth'])


# -- choosing --------------------------------------------------------------------------------------


METRICS = {
    300: {'mIoU': 20.0, 'IoU.car': NAN, 'IoU.bus': NAN, 'abs_rel': 0.5, 'eval_width': 4.0},
    100: {'mIoU': 30.0, 'IoU.car': 1.0, 'IoU.bus': NAN, 'abs_rel': 0.4, 'eval_width': 4.0},
    200: {'mIoU': 30.0, 'IoU.car': 2.0, 'IoU.bus': NAN, 'abs_rel': 0.2, 'eval_width': 4.0},
}


@pytest.mark.parametrize(('metric', 'best'), [('mIoU', 100), ('IoU.car', 200), ('abs_rel', 200)])
def test_the_best_is_the_earliest_of_the_highest_or_of_the_smallest_error(metric, best):
    assert best_iteration(METRICS, metric) == best


@pytest.mark.parametrize(
    ('metric', 'message'),
    [
        ('eval_width', "no checkpoint can be chosen by 'eval_width': name a metric such as mIoU"),
        ('mIoU_16', 'no checkpoint was evaluated by mIoU_16, only by mIoU, IoU.car'),
        ('IoU.bus', 'IoU.bus is NaN for every checkpoint'),
    ],
)
def test_nothing_can_be_chosen_by_other_metrics(metric, message):
    with pytest.raises(ValueError, match=message):
        best_iteration(METRICS, metric)


# -- evaluating ------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp('evaluated'), [1, 2, 10])


@pytest.fixture
def cfg(run, tmp_path):
    cfg = Config.fromfile(run[0])
    cfg.work_dir = str(tmp_path / 'logs')
    return cfg


@pytest.fixture
def work_dir(run, tmp_path):
    return shutil.copytree(run[1], tmp_path / 'run')


@pytest.fixture
def loads(monkeypatch):
    """What is built and loaded: ``'built'``, and the names of checkpoints."""
    events = []
    build, load = Runner.from_cfg.__func__, Runner.load_checkpoint
    monkeypatch.setattr(
        Runner, 'from_cfg', classmethod(lambda *args: (events.append('built'), build(*args))[1])
    )
    monkeypatch.setattr(
        Runner,
        'load_checkpoint',
        lambda self, path, *args: (events.append(path.rpartition('/')[2]), load(self, path))[1],
    )
    return events


def same(a, b):
    """Whether metrics are equal, NaN too."""
    return a.keys() == b.keys() and all(
        a[key] == b[key] or math.isnan(a[key]) and math.isnan(b[key]) for key in a
    )


def test_each_checkpoint_reaches_what_it_reaches_alone(cfg, work_dir, loads):
    path = work_dir / 'new' / 'results.json'
    metrics = evaluate_checkpoints(cfg, find_checkpoints([work_dir]), path)
    assert loads == ['built', 'iter_1.pth', 'iter_2.pth', 'iter_10.pth']
    assert list(metrics) == [1, 2, 10]
    for iteration in (10, 1):
        cfg.load_from = str(work_dir / f'iter_{iteration}.pth')
        assert same(Runner.from_cfg(cfg).test(), metrics[iteration])
    assert len({own['mIoU'] for own in metrics.values()}) == 3
    kept = read_checkpoint_metrics(path)
    assert list(kept) == [1, 2, 10]
    assert all(same(kept[iteration], metrics[iteration]) for iteration in kept)
    json.loads(path.read_text(), parse_constant=pytest.fail)  # NaN is not JSON


def test_a_checkpoint_that_is_refused_is_named(cfg, work_dir):
    path = work_dir / 'iter_2.pth'
    content = torch.load(path, weights_only=True)
    next(iter(content['state_dict'].values())).fill_(math.nan)
    torch.save(content, path)
    cfg.default_hooks.strict_load = dict(type='StrictLoadHook')
    with pytest.raises(ValueError, match=r'iter_2\.pth: the checkpoint holds NaN'):
        evaluate_checkpoints(cfg, find_checkpoints([path]), work_dir / 'results.json')


def test_only_what_is_new_is_evaluated(cfg, work_dir, loads):
    path = work_dir / 'results.json'
    first = evaluate_checkpoints(cfg, find_checkpoints([work_dir / 'iter_1.pth']), path)
    loads.clear()
    evaluate_checkpoints(cfg, find_checkpoints([work_dir]), path)
    assert loads == ['built', 'iter_2.pth', 'iter_10.pth']
    loads.clear()
    again = evaluate_checkpoints(cfg, find_checkpoints([work_dir]), path)
    assert loads == []
    assert same(again[1], first[1])
    # Trained anew: another file of the same name; and one that max_keep_ckpts has deleted.
    write_checkpoint(work_dir / 'iter_2.pth', cfg, seed=5)
    (work_dir / 'iter_1.pth').unlink()
    anew = evaluate_checkpoints(cfg, find_checkpoints([work_dir]), path)
    assert loads == ['built', 'iter_2.pth']
    assert list(anew) == [1, 2, 10]
    assert anew[2]['mIoU'] != again[2]['mIoU']
    assert same(anew[1], first[1])


def test_what_is_done_survives_an_interruption(cfg, work_dir, monkeypatch):
    load = Runner.load_checkpoint

    def load_once(self, path):
        if path.endswith('iter_2.pth'):
            raise KeyboardInterrupt
        return load(self, path)

    monkeypatch.setattr(Runner, 'load_checkpoint', load_once)
    with pytest.raises(KeyboardInterrupt):
        evaluate_checkpoints(cfg, find_checkpoints([work_dir]), work_dir / 'results.json')
    assert list(read_checkpoint_metrics(work_dir / 'results.json')) == [1]


@pytest.mark.parametrize('main_process', [True, False])
def test_the_main_process_alone_writes(cfg, work_dir, monkeypatch, main_process):
    monkeypatch.setattr(module, 'is_main_process', lambda: main_process)
    path = work_dir / 'results.json'
    metrics = evaluate_checkpoints(cfg, find_checkpoints([work_dir / 'iter_1.pth']), path)
    assert list(metrics) == [1]
    assert path.exists() == main_process


def test_results_of_other_settings_are_refused(cfg, work_dir):
    path = work_dir / 'results.json'
    evaluate_checkpoints(cfg, find_checkpoints([work_dir / 'iter_1.pth']), path)
    cfg.test_dataloader.dataset.pipeline[2].scale = (32, 16)
    with pytest.raises(ValueError, match=r'other settings: test_dataloader.dataset differ. Write'):
        evaluate_checkpoints(cfg, find_checkpoints([work_dir]), path)


@pytest.mark.parametrize('text', ['', '[]', '{"mIoU": 3.0}', '{"checkpoints": {"last": {}}}'])
def test_other_files_are_refused(tmp_path, text):
    assert read_checkpoint_metrics(tmp_path / 'none.json') == {}
    (tmp_path / 'other.json').write_text(text)
    with pytest.raises(ValueError, match=r'other.json holds no results of evaluate_checkpoints'):
        read_checkpoint_metrics(tmp_path / 'other.json')


def test_a_file_that_every_test_replaces_is_refused(cfg, work_dir):
    cfg.test_evaluator.per_image_scores = 'scores.csv'
    with pytest.raises(ValueError, match='would replace the file of per_image_scores'):
        evaluate_checkpoints(cfg, find_checkpoints([work_dir]), work_dir / 'results.json')
