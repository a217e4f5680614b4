# Licensed under the Apache License 2.0, see LICENSE.
"""Checkpoints of a real run load under ``weights_only=True``; foreign code does not."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from mmseg_depthuda.checkpoint_types import history_statistic


class ScoreHook(Hook):
    """Stores in the message hub what CheckpointHook and metrics store there in long runs."""

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['message_hub']['runtime_info'].update(
            best_score=np.float64(31.5), confusion=np.arange(4, dtype=np.int32), flag=np.bool_(True)
        )


@pytest.fixture
def checkpoint_path(tmp_path, tiny_runner):
    tiny_runner('run', 4, hooks=[ScoreHook()]).train()
    return tmp_path / 'run' / 'iter_4.pth'


@pytest.mark.parametrize('options', [{}, {'weights_only': True}, {'map_location': 'cpu'}])
def test_checkpoint_of_a_run_is_read(checkpoint_path, options):
    """MMEngine 0.10.7 calls ``torch.load(path, map_location)``; the default is strict since 2.6."""
    checkpoint = torch.load(checkpoint_path, **options)
    hub = checkpoint['message_hub']
    history = hub['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    values, counts = history.data
    assert len(values) == 4
    assert counts.tolist() == [1, 1, 1, 1]
    # Weight 0 and the points (0, 0), (1, 2): a mean squared error of 2 to start with.
    assert values[0] == 2.0
    assert history.statistics('max') == values.max()
    assert hub['runtime_info']['best_score'] == 31.5
    assert hub['runtime_info']['confusion'].tolist() == [0, 1, 2, 3]
    assert hub['runtime_info']['flag']


def test_run_resumes_without_turning_weights_only_off(checkpoint_path, tiny_runner, monkeypatch):
    """Resume with the loading call of MMEngine 0.10.7, which has no fallback."""
    import mmengine.runner.checkpoint as module

    read = []

    def load_from_local(filename, map_location):
        read.append(filename)
        return torch.load(filename, map_location=map_location)

    monkeypatch.setitem(module.CheckpointLoader._schemes, '', load_from_local)
    runner = tiny_runner('run', 6, resume=True)
    runner.train()
    assert read == [str(checkpoint_path)]
    assert runner.iter == 6
    assert len(runner.message_hub.log_scalars['train/loss'].data[0]) == 6


@pytest.mark.parametrize('package', [b'numpy.core', b'numpy._core'])
def test_names_of_both_numpy_generations_are_read(tmp_path, package):
    """The same checkpoint as the other NumPy writes it: only the module names differ."""
    state = dict(array=np.arange(3.0), score=np.float64(1.5))
    written = tmp_path / 'plain.pth'
    torch.save(state, written, _use_new_zipfile_serialization=False)
    content = written.read_bytes()
    present = b'numpy._core' if b'numpy._core' in content else b'numpy.core'
    renamed = tmp_path / 'renamed.pth'
    renamed.write_bytes(content.replace(present + b'.', package + b'.'))
    loaded = torch.load(renamed, weights_only=True)
    assert loaded['array'].tolist() == [0.0, 1.0, 2.0]
    assert loaded['score'] == 1.5


class Evil:
    def __reduce__(self):
        return os.getenv, ('HOME',)


def test_foreign_code_stays_forbidden(tmp_path):
    torch.save(dict(state_dict={}, message_hub=Evil()), tmp_path / 'evil.pth')
    with pytest.raises(pickle.UnpicklingError, match='getenv'):
        torch.load(tmp_path / 'evil.pth')


class Reach:
    def __reduce__(self):
        return getattr, (HistoryBuffer, '__init__')


def test_getattr_reaches_only_the_statistics(tmp_path):
    torch.save(Reach(), tmp_path / 'reach.pth')
    with pytest.raises(pickle.UnpicklingError, match='__init__'):
        torch.load(tmp_path / 'reach.pth', weights_only=True)
    assert history_statistic(HistoryBuffer, 'mean') is HistoryBuffer.mean
    with pytest.raises(pickle.UnpicklingError):
        history_statistic(np.ndarray, 'mean')


def test_the_list_is_what_makes_it_load(checkpoint_path):
    """Without the package PyTorch refuses the same file: else the tests above could not fail."""
    process = subprocess.run(
        [sys.executable, '-c', 'import sys, torch; torch.load(sys.argv[1])', str(checkpoint_path)],
        capture_output=True,
        text=True,
    )
    assert process.returncode != 0
    assert 'WeightsUnpickler error' in process.stderr or 'weights_only' in process.stderr
