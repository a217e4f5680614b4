# Licensed under the Apache License 2.0, see LICENSE.
"""Checkpoints survive a full disk and a killed process."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch
from mmengine.fileio import get_file_backend

import mmseg_depthuda
from mmseg_depthuda.fileio import (
    AtomicBackend,
    atomic_write,
    last_finite_checkpoint,
    latest_checkpoint,
)


def files(folder):
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_writes_bytes_and_text_and_creates_the_folder(tmp_path):
    backend = get_file_backend(backend_args=dict(backend='atomic'))
    assert isinstance(backend, AtomicBackend)
    target = tmp_path / 'new' / 'folder' / 'file.bin'
    backend.put(b'\x00\xff', target)
    assert target.read_bytes() == b'\x00\xff'
    backend.put_text('ä', target, encoding='latin-1')
    assert target.read_bytes() == b'\xe4'
    assert files(target.parent) == ['file.bin']


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    (tmp_path / 'plain').write_bytes(b'')
    AtomicBackend().put(b'', tmp_path / 'atomic')
    assert (tmp_path / 'atomic').stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_full_disk_keeps_the_old_file_and_names_the_remedy(tmp_path, monkeypatch):
    target = tmp_path / 'iter_2.pth'
    target.write_bytes(b'old')

    def no_space(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', no_space)
    with pytest.raises(OSError, match='No space left.*--work-dir') as caught:
        AtomicBackend().put(b'new', target)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(target)
    assert target.read_bytes() == b'old'
    assert files(tmp_path) == ['iter_2.pth']


def test_only_durable_files_are_forced_to_the_disk(tmp_path, monkeypatch):
    forced = []
    monkeypatch.setattr(os, 'fsync', forced.append)
    with atomic_write(tmp_path / 'a', durable=False) as file:
        file.write(b'quick')
    assert (tmp_path / 'a').read_bytes() == b'quick'
    assert forced == []
    with atomic_write(tmp_path / 'b') as file:
        file.write(b'safe')
    assert len(forced) == 2  # the file, then the folder with its new name
    assert files(tmp_path) == ['a', 'b']


@pytest.mark.parametrize('durable', [True, False])
def test_another_exception_passes_and_leaves_nothing(tmp_path, durable):
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / 'file', durable) as file:
        file.write(b'half')
        raise KeyboardInterrupt
    assert files(tmp_path) == []


def test_folder_in_the_way_is_reported(tmp_path):
    (tmp_path / 'iter_2.pth').mkdir()
    with pytest.raises(OSError, match='cannot write the file') as caught:
        AtomicBackend().put(b'new', tmp_path / 'iter_2.pth')
    assert caught.value.filename == str(tmp_path / 'iter_2.pth')
    assert files(tmp_path) == []


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='needs the device /dev/full')
def test_a_device_that_is_really_full(tmp_path):
    """The temporary name leads to a device without space, so that the kernel itself refuses."""
    (tmp_path / 'iter_2.pth').write_bytes(b'old')
    (tmp_path / 'iter_2.pth.tmp').symlink_to('/dev/full')
    with pytest.raises(OSError, match='No space left'):
        AtomicBackend().put(b'x' * 100_000, tmp_path / 'iter_2.pth')
    assert (tmp_path / 'iter_2.pth').read_bytes() == b'old'


def test_full_disk_during_training_leaves_a_resumable_checkpoint(
    tmp_path, tiny_runner, monkeypatch
):
    """Checkpoints at 2 and 4 are written, 6 fails; resumed, the run ends as an unbroken one."""
    unbroken = tiny_runner('unbroken', 10).train()
    real_replace = os.replace

    def replace(source, target):
        if Path(target).name == 'iter_6.pth':
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real_replace(source, target)

    work_dir = tmp_path / 'broken'
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', replace)
        with pytest.raises(OSError, match='No space left'):
            tiny_runner('broken', 10).train()
    # MMEngine had deleted iter_2 before it tried to write iter_6.
    assert [name for name in files(work_dir) if name.startswith('iter')] == ['iter_4.pth']
    assert latest_checkpoint(work_dir) == str(work_dir / 'iter_4.pth')

    runner = tiny_runner('broken', 10, resume=True)
    resumed = runner.train()
    assert runner.iter == 10
    assert torch.equal(resumed.linear.weight, unbroken.linear.weight)


KILLED_WHILE_WRITING = """
    import os, signal, sys
    from mmseg_depthuda.fileio import AtomicBackend

    os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
    AtomicBackend().put(b'new' * 1000, sys.argv[1])
"""


def test_kill_while_writing_leaves_the_previous_checkpoint(tmp_path, tiny_runner):
    tiny_runner('run', 4).train()
    target = tmp_path / 'run' / 'iter_4.pth'
    before = target.read_bytes()
    process = subprocess.run(
        [sys.executable, '-c', textwrap.dedent(KILLED_WHILE_WRITING), str(target)],
        env={**os.environ, 'PYTHONPATH': str(Path(mmseg_depthuda.__file__).parents[1])},
        capture_output=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert target.read_bytes() == before
    assert (tmp_path / 'run' / 'iter_4.pth.tmp').stat().st_size == 3000
    runner = tiny_runner('run', 6, resume=True)
    runner.train()
    assert runner.iter == 6
    AtomicBackend().put(before, target)
    assert not (tmp_path / 'run' / 'iter_4.pth.tmp').exists()


def test_hook_keeps_the_number_of_checkpoints_it_is_told(tmp_path, tiny_runner):
    tiny_runner('run', 8).train()
    names = [name for name in files(tmp_path / 'run') if name.startswith('iter')]
    assert names == ['iter_6.pth', 'iter_8.pth']
    assert latest_checkpoint(tmp_path / 'run') == str(tmp_path / 'run' / 'iter_8.pth')


def test_hook_writes_to_another_folder(tmp_path, tiny_runner):
    tiny_runner('run', 2, out_dir=str(tmp_path / 'elsewhere')).train()
    assert files(tmp_path / 'elsewhere' / 'run') == ['iter_2.pth']
    expected = tmp_path / 'elsewhere' / 'run' / 'iter_2.pth'
    assert latest_checkpoint(tmp_path / 'run') == str(expected)


@pytest.mark.parametrize('content', [None, '', 'gone/iter_30.pth'])
def test_latest_is_found_without_a_good_pointer(tmp_path, content):
    for name in ('iter_9.pth', 'iter_10.pth', 'iter_11.pth.tmp', 'best_mIoU_iter_12.pth'):
        torch.save({}, tmp_path / name)
    if content is not None:
        (tmp_path / 'last_checkpoint').write_text(content)
    assert latest_checkpoint(tmp_path) == str(tmp_path / 'iter_10.pth')


def test_no_checkpoint_is_none(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    assert latest_checkpoint(tmp_path / 'missing') is None


def test_last_finite_checkpoint(tmp_path):
    weights = torch.ones(3)
    bad = torch.tensor([1.0, float('nan')])
    states = {
        'iter_2.pth': dict(state_dict=dict(w=weights)),
        # A score of the log may be NaN, such as the IoU of an absent class.
        'iter_10.pth': dict(
            state_dict=dict(w=weights, n=torch.tensor(7)), message_hub=dict(iou=bad)
        ),
        'iter_12.pth': dict(state_dict=dict(w=bad)),
        'iter_14.pth': dict(state_dict=dict(w=weights), ema_state_dict=dict(w=bad)),
        'iter_16.pth': dict(
            state_dict=dict(w=weights), optimizer=dict(state={0: dict(momentum=[1 / bad, bad])})
        ),
        'best_mIoU_iter_18.pth': dict(state_dict=dict(w=weights)),
    }
    for name, state in states.items():
        torch.save(state, tmp_path / name)
    assert last_finite_checkpoint(tmp_path) == str(tmp_path / 'iter_10.pth')
    (tmp_path / 'iter_10.pth').unlink()
    assert last_finite_checkpoint(tmp_path) == str(tmp_path / 'iter_2.pth')
    (tmp_path / 'iter_2.pth').unlink()
    assert last_finite_checkpoint(tmp_path) is None
