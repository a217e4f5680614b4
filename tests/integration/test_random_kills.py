# Licensed under the Apache License 2.0, see LICENSE.
"""Runs killed by signal 9 at twenty random moments end as unbroken ones, bit by bit.

Slow: some minutes for each family of methods.
"""

import multiprocessing
import os
import random
import signal
import threading

import pytest
import torch
from mmengine.hooks import Hook

from mmseg_depthuda.fileio.processes import no_opencv_threads
from tests.integration import test_adversarial_resume as adversarial
from tests.integration import test_exact_resume as self_training

pytestmark = pytest.mark.slow
KILLS, ITERATIONS = 20, 160
world = self_training.world


class KillHook(Hook):
    """Kills its process a random time after the start of one of its first iterations."""

    def __init__(self, seed):
        dice = random.Random(seed)
        self.start, self.delay = dice.randint(0, 4), dice.uniform(0, 0.5)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if self.start == 0:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        self.start -= 1


def train_dada(work_dir, name, hooks, resume):
    adversarial.train(work_dir, name, 'dada', hooks, resume=resume)


def train_dacs(work_dir, name, hooks, resume):
    (work_dir / name).mkdir(exist_ok=True)
    cfg = self_training.make_config(work_dir / name, 'dacs')
    cfg.resume = resume
    runner = self_training.Runner.from_cfg(cfg)
    for hook in hooks:
        runner.register_hook(hook)
    runner.train()


def exit_code(train, *arguments):
    """Return the exit code of a training in a forked process."""
    with no_opencv_threads():
        process = multiprocessing.get_context('fork').Process(target=train, args=arguments)
        process.start()
    process.join()
    return process.exitcode


@pytest.mark.parametrize(
    ('train', 'module'), [(train_dacs, self_training), (train_dada, adversarial)]
)
def test_twenty_kills(tmp_path, monkeypatch, train, module):
    monkeypatch.setattr(module, 'ITERATIONS', ITERATIONS)
    assert exit_code(train, tmp_path, 'unbroken', [], False) == 0
    codes = []
    for seed in range(KILLS):
        codes.append(exit_code(train, tmp_path, 'killed', [KillHook(seed)], bool(codes)))
    assert codes == [-signal.SIGKILL] * KILLS
    assert exit_code(train, tmp_path, 'killed', [], True) == 0
    unbroken, killed = (
        torch.load(tmp_path / name / f'iter_{ITERATIONS}.pth', weights_only=True)
        for name in ('unbroken', 'killed')
    )
    parts = ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers')
    module.assert_equal(*({part: s.get(part) for part in parts} for s in (killed, unbroken)))
