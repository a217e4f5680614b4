# Licensed under the Apache License 2.0, see LICENSE.
"""A run that is killed and resumed ends, bit by bit, as an unbroken one.

Started as a script it is the process that gets killed: ``test_exact_resume.py WORK_DIR METHOD``.
"""

import json
import os
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate
from mmseg_depthuda.datasets import SourceTargetDataset
from mmseg_depthuda.engine.launch import resume_from

REPOSITORY = Path(__file__).parents[2]
CONFIGS = dict(
    corda='corda/corda_r18_sim2real.py',
    dacs='dacs/dacs_r18_sim2real.py',
    matching='corda/corda_r18_sim2real_depthmix_matching.py',
    source_only='source_only/source_only_r18_sim2real.py',
    some_labels='semi_supervised_da/ssda_depthmix_r18_sim2real.py',
)
ITERATIONS, VALIDATED_EVERY, SAVED_EVERY = 6, 4, 2
SIZE = (96, 48)
TIMES = ('time', 'data_time')
# MMEngine 0.10.7 loads what it skips.
MMENGINE_SKIPS = hasattr(InfiniteSampler, 'skip')
serial = count()


class Killed(BaseException):
    """Is not caught by ``except Exception``, just as a signal."""


@HOOKS.register_module()
class KillHook(Hook):
    """Ends the run after an iteration, after all other hooks."""

    priority = 'LOWEST'

    def __init__(self, iteration, by_signal=False, in_validation=False):
        self.iteration, self.by_signal, self.in_validation = iteration, by_signal, in_validation

    def kill(self):
        if self.by_signal:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Killed

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == self.iteration and not self.in_validation:
            self.kill()

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration and self.in_validation:
            self.kill()


def make_config(work_dir, method, workers=0, **options):
    """The config of the repository with a network and images small enough for a test."""
    cfg = Config.fromfile(REPOSITORY / 'configs' / CONFIGS[method])
    loaders = ('train_dataloader', 'val_dataloader', 'test_dataloader')
    for name in loaders:
        cfg[name].num_workers = workers
        cfg[name].persistent_workers = workers > 0
    datasets = [cfg.val_dataloader.dataset]
    train_dataset = cfg.train_dataloader.dataset
    several = train_dataset.type in ('SourceTargetDataset', 'DomainsDataset')
    datasets += (
        [d for d in train_dataset.values() if d != train_dataset.type]
        if several
        else [train_dataset]
    )
    size = (128, 64) if method == 'some_labels' else SIZE  # its output stride is 32
    for dataset in datasets:
        for transform in dataset.pipeline:
            if 'scale' in transform:
                transform.scale = size
    name = f'{work_dir.name}_{next(serial)}'  # MMEngine keeps what it has built by its name
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': name,
            'visualizer.name': name,
            'log_level': 'WARNING',
            'model.backbone.base_channels': 8,
            'model.backbone.stem_channels': 8,
            'model.decode_head.in_channels': [8, 8, 16, 32, 64] if method == 'some_labels' else 64,
            'train_cfg.max_iters': ITERATIONS,
            'train_cfg.val_interval': VALIDATED_EVERY,
            'default_hooks.logger.interval': 1,
            'default_hooks.checkpoint.interval': SAVED_EVERY,
            'default_hooks.checkpoint.save_best': 'mIoU',
            'param_scheduler.0.warmup': 3,  # ends between two checkpoints
            **options,
        }
    )
    if method in ('corda', 'matching'):
        cfg.model.decode_head.channels = 16
    return cfg


def train(work_dir, method, resume=None, kill=None, **options):
    cfg = make_config(work_dir, method, **options)
    if resume == 'as MMSeg':
        cfg.resume = True
    else:
        resume_from(cfg, resume)
    if kill is not None:
        cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='mmengine.KillHook', **kill)]
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


# -- what is compared ------------------------------------------------------------------------------


def final_state(work_dir):
    """The last checkpoint without the name of the run and measured times."""
    checkpoint = torch.load(work_dir / f'iter_{ITERATIONS}.pth', weights_only=True)
    messages = checkpoint['message_hub']
    checkpoint['message_hub'] = {
        name: history
        for name, history in messages['log_scalars'].items()
        if not name.endswith(TIMES)
    }
    for name in ('best_score', 'keep_ckpt_ids', 'last_validation'):
        checkpoint['message_hub'][name] = messages['runtime_info'].get(name)
    for name in ('cfg', 'experiment_name', 'time'):
        del checkpoint['meta'][name]
    return checkpoint


def log_rows(work_dir):
    """Rows of all logs of a run by step and kind; one that was written twice must be the same."""
    rows = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in path.read_text().splitlines():
            row = {name: value for name, value in json.loads(line).items() if name not in TIMES}
            key = (row['step'], 'mIoU' in row)
            assert rows.setdefault(key, row) == row
    return rows


def assert_equal(actual, expected, path=''):
    assert type(actual) is type(expected), path
    if isinstance(expected, dict):
        assert list(actual) == list(expected), path
        for key, value in expected.items():
            assert_equal(actual[key], value, f'{path}.{key}')
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), path
        for index, (a, b) in enumerate(zip(actual, expected, strict=True)):
            assert_equal(a, b, f'{path}.{index}')
    elif isinstance(expected, torch.Tensor):
        assert actual.dtype == expected.dtype, path
        assert torch.equal(actual.nan_to_num(1e30), expected.nan_to_num(1e30)), path
    else:
        assert actual == expected, path


# -- the runs --------------------------------------------------------------------------------------


@pytest.fixture(scope='module', autouse=True)
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'street_world'
    generate(folder, WorldConfig(source_images=5, train_images=4, val_images=2, size=(128, 64)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('STREET_WORLD_ROOT', str(folder))
        patch.setenv('LABELLED', '2')
        patch.setenv('OMP_NUM_THREADS', '1')
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        yield folder
        torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def unbroken(world, tmp_path_factory):
    """Final state and log of the unbroken run, by method."""
    runs = {}

    def run(method):
        if method not in runs:
            work_dir = tmp_path_factory.mktemp(f'unbroken_{method}')
            train(work_dir, method)
            runs[method] = final_state(work_dir), log_rows(work_dir)
        return runs[method]

    return run


def check(work_dir, unbroken):
    state, rows = unbroken
    assert_equal(final_state(work_dir), state)
    assert log_rows(work_dir) == rows
    steps = {(step, False) for step in range(1, ITERATIONS + 1)}
    assert set(rows) == steps | {(VALIDATED_EVERY, True), (ITERATIONS, True)}


@pytest.fixture
def loaded_pairs(monkeypatch):
    """Indices of the pairs that this process has loaded."""
    loaded, load = [], SourceTargetDataset.__getitem__
    monkeypatch.setattr(
        SourceTargetDataset,
        '__getitem__',
        lambda dataset, index: (loaded.append(index), load(dataset, index))[1],
    )
    return loaded


def interrupted(work_dir, method, **kill):
    with pytest.raises(Killed):
        train(work_dir, method, kill=kill)


def test_a_killed_process(tmp_path, world, unbroken):
    """Signal 9 between two checkpoints; two workers load for the killed run, none afterwards."""
    killed = subprocess.run(
        [sys.executable, '-W', 'ignore', __file__, str(tmp_path)],
        env=os.environ | dict(PYTHONPATH=str(REPOSITORY)),
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-3000:]
    train(tmp_path, 'corda', resume='auto')
    check(tmp_path, unbroken('corda'))


def test_after_a_checkpoint_and_before_its_validation(tmp_path, unbroken, loaded_pairs):
    interrupted(tmp_path, 'corda', iteration=VALIDATED_EVERY, in_validation=True)
    loaded_pairs.clear()
    runner = train(tmp_path, 'corda', resume='auto')
    check(tmp_path, unbroken('corda'))
    if MMENGINE_SKIPS:
        batch_size = runner.cfg.train_dataloader.batch_size
        assert len(loaded_pairs) == batch_size * (ITERATIONS - VALIDATED_EVERY)


def test_after_the_last_checkpoint(tmp_path, unbroken, loaded_pairs, monkeypatch):
    renamed, rename = set(), os.replace
    monkeypatch.setattr(
        os, 'replace', lambda source, to: (renamed.add(Path(to).name), rename(source, to))[1]
    )
    interrupted(tmp_path, 'corda', iteration=ITERATIONS)
    assert (ITERATIONS, True) not in log_rows(tmp_path)
    loaded_pairs.clear()
    train(tmp_path, 'corda', resume='auto')
    check(tmp_path, unbroken('corda'))
    assert not (MMENGINE_SKIPS and loaded_pairs)
    # A file has its name only when it is complete.
    written = {path.name for path in tmp_path.glob('*.pth')}
    assert written <= renamed
    assert any(name.startswith('best_mIoU') for name in written)


def test_dacs_resumed_with_workers(tmp_path, unbroken):
    interrupted(tmp_path, 'dacs', iteration=3)
    train(tmp_path, 'dacs', resume='auto', workers=2)
    check(tmp_path, unbroken('dacs'))


def test_depth_mix_and_matching_geometry_resumed_with_workers(tmp_path, unbroken):
    interrupted(tmp_path, 'matching', iteration=3)
    train(tmp_path, 'matching', resume='auto', workers=2)
    check(tmp_path, unbroken('matching'))


def test_training_with_some_labels_resumed(tmp_path, unbroken):
    interrupted(tmp_path, 'some_labels', iteration=3)
    train(tmp_path, 'some_labels', resume='auto')
    check(tmp_path, unbroken('some_labels'))


def test_source_only_as_mmseg_resumes_with_last_checkpoint_cut(tmp_path, unbroken):
    """Its pipeline draws nothing; random transforms would go on with other numbers."""
    interrupted(tmp_path, 'source_only', iteration=5)
    (tmp_path / 'last_checkpoint').write_text('')
    train(tmp_path, 'source_only', resume='as MMSeg')
    check(tmp_path, unbroken('source_only'))


if __name__ == '__main__':
    torch.set_num_threads(1)
    train(Path(sys.argv[1]), 'corda', kill=dict(iteration=5, by_signal=True), workers=2)
