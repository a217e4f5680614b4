# Licensed under the Apache License 2.0, see LICENSE.
"""The checkpoint of a run: damaged files, and a pointer that is damaged or of another folder."""

import shutil

import pytest
import torch
from mmengine.logging import MMLogger

from mmseg_depthuda.fileio import (
    checkpoint_damage,
    last_finite_checkpoint,
    latest_checkpoint,
)


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / 'run'
    folder.mkdir()
    for iteration in (2, 4, 10):
        torch.save(dict(weight=torch.arange(1000.0)), folder / f'iter_{iteration}.pth')
    (folder / 'last_checkpoint').write_text(str(folder / 'iter_10.pth'))
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def empty(path):
    path.write_bytes(b'')


def flip(path):
    """Alter one byte of the weights."""
    content = bytearray(path.read_bytes())
    content[content.index(torch.tensor(500.0).numpy().tobytes())] ^= 1
    path.write_bytes(content)


def no_archive(path):
    path.write_text('<html>not found</html>')


@pytest.mark.parametrize('damage', [cut, empty, flip, no_archive])
def test_damaged_checkpoint_gives_way_to_the_one_before(run, damage, caplog):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    assert checkpoint_damage(run / 'iter_10.pth') is None
    damage(run / 'iter_10.pth')
    assert latest_checkpoint(run) == str(run / 'iter_4.pth')
    assert 'iter_10.pth is damaged' in caplog.text
    damage(run / 'iter_2.pth')
    damage(run / 'iter_4.pth')
    with pytest.raises(ValueError, match='all checkpoints .* iter_10.pth, iter_4.pth, iter_2.pth'):
        latest_checkpoint(run)


def test_checkpoint_before_the_named_one_and_not_after_it(run):
    (run / 'last_checkpoint').write_text(str(run / 'iter_4.pth'))
    assert latest_checkpoint(run) == str(run / 'iter_4.pth')
    cut(run / 'iter_4.pth')
    assert latest_checkpoint(run) == str(run / 'iter_2.pth')


@pytest.mark.parametrize('content', [b'', b'\xff\xfe\x00\x01', b'/gone/iter_3.pth', b'iter_'])
def test_damaged_pointer(run, content):
    (run / 'last_checkpoint').write_bytes(content)
    assert latest_checkpoint(run) == str(run / 'iter_10.pth')


def test_pointer_of_a_copied_folder_does_not_lead_back(run, tmp_path):
    copy = tmp_path / 'copy'
    shutil.copytree(run, copy)
    assert latest_checkpoint(copy) == str(copy / 'iter_10.pth')
    (copy / 'iter_10.pth').unlink()
    assert latest_checkpoint(copy) == str(copy / 'iter_4.pth')
    shutil.move(run, tmp_path / 'moved')
    assert latest_checkpoint(copy) == str(copy / 'iter_4.pth')


def test_pointer_to_the_folder_that_checkpoints_are_written_to(run, tmp_path):
    (tmp_path / 'logs').mkdir()
    shutil.copy(run / 'last_checkpoint', tmp_path / 'logs')
    assert latest_checkpoint(tmp_path / 'logs') == str(run / 'iter_10.pth')


def test_the_last_finite_checkpoint_passes_over_what_cannot_be_read(run, caplog):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    cut(run / 'iter_10.pth')
    assert last_finite_checkpoint(run) == str(run / 'iter_4.pth')
    assert 'iter_10.pth is damaged' in caplog.text
