# Licensed under the Apache License 2.0, see LICENSE.
import argparse
import io
import os
import pickle
import tarfile
from collections import OrderedDict
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmseg_depthuda.apps.released_weights.checkpoint_files import (
    check_paths,
    checkpoint_entry,
    read_checkpoint,
    tensors,
    write_checkpoint,
)

STATE = {'conv1.weight': torch.arange(6.0).view(2, 3), 'bn1.running_var': torch.tensor([4.0])}


def assert_is_state(state):
    assert state.keys() == STATE.keys()
    assert all(torch.equal(state[name], value) for name, value in STATE.items())


class Python2Pickler(pickle._Pickler):
    """Writes text as Python 2 did: bytes, for which Python 3 has to know the encoding."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_str(self, text):
        self.write(pickle.SHORT_BINSTRING + bytes([len(text)]) + text.encode())
        self.memoize(text)

    dispatch[str] = save_str


def dump_python2(obj, file, protocol):
    Python2Pickler(file, protocol).dump(obj)


PYTHON2 = SimpleNamespace(Pickler=Python2Pickler, dump=dump_python2, __name__='pickle')


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(_use_new_zipfile_serialization=False),
        dict(_use_new_zipfile_serialization=False, pickle_module=PYTHON2),
    ],
    ids=['zip', 'before PyTorch 1.6', 'Python 2'],
)
def test_formats_of_the_releases(options, tmp_path):
    path = tmp_path / 'in.pth'
    torch.save(dict(model=OrderedDict(STATE), iteration=3), path, **options)
    content = path.read_bytes()
    # The opcode of text: U and one byte of length in Python 2, X and four bytes in Python 3.
    assert (b'U\x0cconv1.weight' in content) == ('pickle_module' in options)
    checkpoint = read_checkpoint(path)
    assert checkpoint['iteration'] == 3
    assert_is_state(checkpoint['model'])


def test_numbers_of_numpy_are_read(tmp_path):
    torch.save(dict(model=STATE, best=np.float64(0.5)), tmp_path / 'in.pth')
    assert read_checkpoint(tmp_path / 'in.pth')['best'] == 0.5


@pytest.mark.parametrize('zipped', [True, False])
def test_python_objects_are_refused_by_name(zipped, tmp_path, monkeypatch):
    path = tmp_path / 'in.pth'
    options = argparse.Namespace(lr=0.1)
    checkpoint = dict(model=STATE, config=options)
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ValueError, match=r'in.pth holds a Python object \(argparse.Namespace\)'):
        read_checkpoint(path)

    # The remedy in the message, which is for a Python without this package.
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD')
    trusted = torch.load(path, map_location='cpu', weights_only=False)
    torch.save({name: trusted[name] for name in ('model',)}, path)
    assert_is_state(read_checkpoint(path)['model'])


class Command:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_code_in_a_file_does_not_run(tmp_path):
    torch.save(dict(model=STATE, x=Command(str(tmp_path / 'made'))), tmp_path / 'in.pth')
    with pytest.raises(ValueError, match=r'asks to run (posix|nt).mkdir, which no weights need'):
        read_checkpoint(tmp_path / 'in.pth')
    assert not (tmp_path / 'made').exists()


def test_first_format_of_pytorch_is_refused(tmp_path):
    with tarfile.open(tmp_path / 'in.pth', 'w') as archive:
        for name in ('sys_info', 'storages', 'tensors', 'pickle'):
            member = tarfile.TarInfo(name)
            member.size = 3
            archive.addfile(member, io.BytesIO(b'abc'))
    with pytest.raises(ValueError, match="is in PyTorch's first format, which is not read here"):
        read_checkpoint(tmp_path / 'in.pth')


def truncated(share, zipped):
    buffer = io.BytesIO()
    torch.save(dict(model=STATE), buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()[: int(share * len(buffer.getvalue()))]


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'<!DOCTYPE html><html>Quota exceeded</html>',
        pickle.dumps(dict(a=1), protocol=4),
        truncated(0.5, zipped=True),
        truncated(0.9, zipped=False),
        truncated(0.2, zipped=False),
    ],
    ids=['empty', 'web page', 'plain pickle', 'half a zip', 'end lost', 'most lost'],
)
@pytest.mark.filterwarnings('ignore:Detected pickle protocol 4')
def test_damaged_files(content, tmp_path):
    (tmp_path / 'in.pth').write_bytes(content)
    with pytest.raises(ValueError, match='in.pth is damaged, or no file of torch.save') as error:
        read_checkpoint(tmp_path / 'in.pth')
    assert 'PyTorch says: ' in str(error.value)
    assert '\n' not in str(error.value)
    assert 'weights_only' not in str(error.value), 'no advice to read it unsafely'


def test_no_dictionary(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / 'in.pth')
    with pytest.raises(ValueError, match='in.pth holds a list, not a dictionary of weights'):
        read_checkpoint(tmp_path / 'in.pth')


def test_entries():
    assert_is_state(checkpoint_entry(dict(model=STATE), 'model', 'in.pth'))
    with pytest.raises(ValueError, match='in.pth has no entry model; it has net, 3'):
        checkpoint_entry({'net': STATE, 3: 0}, 'model', 'in.pth')
    with pytest.raises(ValueError, match='in.pth, entry model must be a dictionary of tensors'):
        checkpoint_entry(dict(model=[1]), 'model', 'in.pth')


def test_tensors_alone():
    state = tensors(STATE, 'in.pth')
    state.pop('conv1.weight')
    assert len(STATE) == 2, 'the file itself must not change'
    with pytest.raises(ValueError, match='in.pth must be a dictionary of tensors, and not be empt'):
        tensors({}, 'in.pth')
    with pytest.raises(ValueError, match=r'tensors alone, but holds lr \(float\), net \(dict\)$'):
        tensors({**STATE, 'lr': 0.1, 'net': {}}, 'in.pth')


def test_paths(tmp_path):
    with pytest.raises(FileNotFoundError, match='in.pth does not exist'):
        check_paths(tmp_path / 'in.pth', tmp_path / 'out.pth')
    write_checkpoint(tmp_path / 'in.pth', dict(model=STATE))
    check_paths(tmp_path / 'in.pth', tmp_path / 'out.pth')
    (tmp_path / 'link.pth').symlink_to('in.pth')
    for same in ('in.pth', '../' + tmp_path.name + '/in.pth', 'link.pth'):
        with pytest.raises(ValueError, match='would overwrite the file it is made of'):
            check_paths(tmp_path / 'in.pth', tmp_path / same)


def test_written_completely_or_not_at_all(tmp_path):
    write_checkpoint(tmp_path / 'folder' / 'out.pth', dict(model=STATE))
    assert_is_state(read_checkpoint(tmp_path / 'folder/out.pth')['model'])
    with pytest.raises((AttributeError, pickle.PicklingError)):
        write_checkpoint(tmp_path / 'folder/out.pth', dict(model=STATE, broken=lambda: 0))
    assert [path.name for path in (tmp_path / 'folder').iterdir()] == ['out.pth']
    assert_is_state(read_checkpoint(tmp_path / 'folder/out.pth')['model'])
