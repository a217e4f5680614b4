# Licensed under the Apache License 2.0, see LICENSE.
"""Checkpoints of tensors and plain Python objects, and the log that comes back on resume."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer

from mmseg_depthuda.engine.hooks import PlainCheckpointHook

HOOK = PlainCheckpointHook()


def train(tiny_runner, name, max_iters, hooks, **options):
    runner = tiny_runner(name, max_iters, hooks=hooks, **options)
    runner.message_hub.update_info('best_score', np.float64(0.25))
    runner.train()
    return runner


def log(runner):
    return {
        name: [array.tolist() for array in buffer.data]
        for name, buffer in runner.message_hub.log_scalars.items()
        if name == 'train/loss' or name == 'train/lr'
    }


def test_a_process_without_this_package_loads_it(tmp_path, tiny_runner):
    """torch.load refuses what is not plain, unless told otherwise."""
    train(tiny_runner, 'run', 2, [HOOK])
    path = tmp_path / 'run/iter_2.pth'
    script = 'import sys, torch; print(torch.load(sys.argv[1], weights_only=True)["meta"]["iter"])'
    done = subprocess.run(
        [sys.executable, '-c', script, path], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == '2'
    score = torch.load(path, weights_only=True)['message_hub']['runtime_info']['best_score']
    assert type(score) is float and score == 0.25


@pytest.mark.parametrize('first', [[HOOK], []])
def test_the_log_is_resumed(tmp_path, tiny_runner, first):
    """Also from a checkpoint that was written without the hook."""
    whole = log(train(tiny_runner, 'whole', 4, [HOOK]))
    train(tiny_runner, 'run', 2, first)
    resumed = train(
        tiny_runner, 'run', 4, [HOOK], resume=True, load_from=str(tmp_path / 'run/iter_2.pth')
    )
    assert log(resumed) == whole
    assert len(whole['train/loss'][0]) == 4
    buffer = resumed.message_hub.get_scalar('train/loss')
    assert isinstance(buffer, HistoryBuffer) and buffer.max_length == 1000000
    assert buffer.mean(4) == pytest.approx(np.mean(whole['train/loss'][0]))
