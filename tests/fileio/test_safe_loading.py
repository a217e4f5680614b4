# Licensed under the Apache License 2.0, see LICENSE.
"""No loader of MMEngine or PyTorch runs code from a file; what cannot be read is explained."""

import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

import mmseg_depthuda  # noqa: F401
from mmseg_depthuda.fileio.safe_loading import SAFE, UNSAFE

ROOT = Path(__file__).parents[2]


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


class Attribute:
    def __init__(self, owner, name):
        self.arguments = owner, name

    def __reduce__(self):
        return getattr, self.arguments


class Reach:
    """Reaches ``exec`` through ``getattr``; BUILD calls it as a buffer's ``__setstate__``."""

    def __init__(self, marker):
        self.code = f'open({str(marker)!r}, "w")'


class ReachPickler(pickle._Pickler):
    def save(self, value, *args, **kwargs):
        if not isinstance(value, Reach):
            return super().save(value, *args, **kwargs)
        self.save_global(HistoryBuffer)
        self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
        run = Attribute(Attribute(getattr, '__self__'), 'exec')
        super().save({'__setstate__': run})
        self.write(pickle.BUILD)
        super().save(value.code)
        self.write(pickle.BUILD)


REACH = SimpleNamespace(
    Pickler=ReachPickler,
    dump=lambda value, file, protocol=None: ReachPickler(file, protocol).dump(value),
    __name__='pickle',
)


@pytest.fixture
def marker(tmp_path):
    return tmp_path / 'executed'


@pytest.mark.parametrize('attack', [Touch, Reach])
@pytest.mark.parametrize('read', [torch.load, CheckpointLoader.load_checkpoint])
def test_code_is_not_run(tmp_path, marker, attack, read):
    path = tmp_path / 'evil.pth'
    torch.save(dict(state_dict={}, meta=attack(marker)), path, pickle_module=REACH)
    with pytest.raises((ValueError, pickle.UnpicklingError)) as error:
        read(str(path))
    assert not marker.exists()
    if read is not torch.load:
        name = 'pathlib' if attack is Touch else 'builtins.getattr for __self__'
        for part in (str(path), name):
            assert part in str(error.value)
    if attack is Touch:
        # The file does harm where it can: even an explicit wish to read it is not enough.
        with pytest.raises(pickle.UnpicklingError):
            torch.load(path, weights_only=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv(SAFE)
            torch.load(path, weights_only=False)
        assert marker.exists()


def test_the_message_names_the_way_out(tmp_path, marker):
    path = tmp_path / 'evil.pth'
    torch.save(Touch(marker), path)
    with pytest.raises(ValueError, match=f'{UNSAFE}=1 before the command .docs/weights.md'):
        CheckpointLoader.load_checkpoint(str(path))


@pytest.mark.parametrize(
    ('variables', 'expected'),
    [({}, '1'), ({SAFE: '0'}, '0'), ({UNSAFE: '1'}, 'None')],
    ids=['default', 'switched off', 'unsafe'],
)
def test_the_choice_of_the_user_stays(tmp_path, marker, variables, expected):
    path = tmp_path / 'evil.pth'
    torch.save(Touch(marker), path)
    others = {name: value for name, value in os.environ.items() if name not in (SAFE, UNSAFE)}
    code = (
        f'import os, sys, mmseg_depthuda; print("", os.environ.get("{SAFE}"), flush=True)\n'
        'from mmengine.runner import CheckpointLoader\n'
        'CheckpointLoader.load_checkpoint(sys.argv[1])'
    )
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code, path],
        env=others | variables | dict(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
    )
    assert f' {expected}\n' in done.stdout, done.stderr
    assert marker.exists() == (UNSAFE in variables)
    assert (done.returncode == 0) == (UNSAFE in variables)


def zoo_file(line):
    """Content of a published file: of MMCV 1.x, or of MMEngine, which keeps its message hub."""
    state = OrderedDict(weight=torch.ones(2))
    state._metadata = OrderedDict({'': dict(version=1)})
    if line == 'mmcv':
        meta = dict(
            mmcv_version='1.3.0',
            time='Mon Dec  7',
            config='a = 1',
            CLASSES=('road',),
            PALETTE=[[128, 64, 128]],
            env_info='',
            hook_msgs={},
        )
        return dict(meta=meta, state_dict=state, optimizer=dict(state={}, param_groups=[]))
    history = HistoryBuffer()
    history.update(2.0)
    history.update(0.5, 2)
    runtime = OrderedDict(iter=np.int64(3), best_score=np.float64(31.5), loop_stage='train')
    hub = dict(
        log_scalars=OrderedDict(loss=history),
        runtime_info=runtime,
        resumed_keys=OrderedDict(loss=True),
    )
    meta = dict(dataset_meta=dict(classes=('road',), palette=np.zeros((1, 3), np.uint8)), seed=1)
    return dict(meta=meta, state_dict=state, message_hub=hub)


@pytest.mark.parametrize('line', ['mmcv', 'mmengine'])
@pytest.mark.parametrize('package', [b'numpy.core', b'numpy._core'])
def test_files_of_the_model_zoo_are_read(tmp_path, line, package):
    path = tmp_path / 'zoo.pth'
    torch.save(zoo_file(line), path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    for present in (b'numpy._core.', b'numpy.core.'):
        content = content.replace(present, package + b'.')
    path.write_bytes(content)
    loaded = CheckpointLoader.load_checkpoint(str(path), 'cpu')
    assert loaded['state_dict']['weight'].tolist() == [1, 1]
    if line == 'mmengine':
        assert loaded['message_hub']['log_scalars']['loss'].mean() == pytest.approx(2.5 / 3)
        assert loaded['message_hub']['runtime_info']['iter'] == 3
        assert loaded['meta']['dataset_meta']['palette'].tolist() == [[0, 0, 0]]


@pytest.mark.parametrize('content', [b'', b'<!DOCTYPE html>', b'some text\n', b'PK\x03\x04 cut'])
def test_what_is_no_checkpoint_is_named(tmp_path, content):
    path = tmp_path / 'bad.pth'
    path.write_bytes(content)
    with pytest.raises(ValueError, match='bad.pth is damaged, or no file of torch.save'):
        CheckpointLoader.load_checkpoint(str(path))


def test_folders_and_addresses(tmp_path):
    with pytest.raises(FileNotFoundError, match='is a folder'):
        CheckpointLoader.load_checkpoint(str(tmp_path))
    with pytest.raises(OSError, match=r'checkpoint http://127.0.0.1:9/a.pth cannot be downloaded'):
        CheckpointLoader.load_checkpoint('http://127.0.0.1:9/a.pth')
