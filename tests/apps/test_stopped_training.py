# Licensed under the Apache License 2.0, see LICENSE.
"""The command that goes on with a stopped training, however it was called."""

import os
from types import SimpleNamespace

import pytest

from mmseg_depthuda.apps import stopped_training
from mmseg_depthuda.apps.stopped_training import how_to_go_on


@pytest.mark.parametrize(
    ('argv', 'resume', 'command'),
    [
        (['tools/train.py', 'a.py'], None, 'python tools/train.py a.py --resume'),
        (['/env/bin/mmseg-depthuda', 'train', 'a.py'], None, 'mmseg-depthuda train a.py --resume'),
        (
            ['/src/mmseg_depthuda/__main__.py', 'train', 'a.py', '--resume', 'b.pth', '--amp'],
            'b.pth',
            'python -m mmseg_depthuda train a.py --amp --resume',
        ),
    ],
)
def test_the_command_that_goes_on(tmp_path, monkeypatch, argv, resume, command):
    checkpoint = tmp_path / 'iter_3.pth'
    checkpoint.touch()
    os.utime(checkpoint, (2e9, 2e9))  # later than the start of the run
    monkeypatch.setattr(stopped_training, 'latest_checkpoint', lambda folder: str(checkpoint))
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    runner = SimpleNamespace(_train_loop=None, work_dir=tmp_path, timestamp='20260101_000000')
    assert how_to_go_on(runner, argv, resume).endswith(f'Go on with: {command}')
