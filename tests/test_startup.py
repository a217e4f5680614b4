# Licensed under the Apache License 2.0, see LICENSE.
"""Which processes read options first, and what is not said on import."""

import sys
import warnings
from types import ModuleType

import pytest

from mmseg_depthuda.startup import is_command, quiet_imports


@pytest.mark.parametrize(
    ('name', 'attributes', 'argv', 'expected'),
    [
        ('__main__', dict(MMSEG_DEPTHUDA_COMMAND=('train',)), ['tools/train.py'], True),
        ('__main__', dict(__file__='/env/bin/mmseg-depthuda'), ['mmseg-depthuda'], True),
        ('__main__', {}, ['-m'], True),
        ('__main__', dict(__file__='tools/train.py'), ['tools/train.py'], False),
        ('__main__', {}, [''], False),
        # A process that multiprocessing has spawned: it must find everything registered.
        ('__mp_main__', dict(MMSEG_DEPTHUDA_COMMAND=('train',)), ['tools/train.py'], False),
    ],
)
def test_commands_are_known_by_their_main_module(monkeypatch, name, attributes, argv, expected):
    main = ModuleType(name)
    vars(main).update(attributes)
    monkeypatch.setitem(sys.modules, '__main__', main)
    monkeypatch.setattr(sys, 'argv', argv)
    monkeypatch.setattr(sys, 'orig_argv', ['python', '-m', 'mmseg_depthuda', 'train'])
    assert is_command() is expected


def test_modules_of_others_are_no_commands(monkeypatch):
    monkeypatch.setitem(sys.modules, '__main__', ModuleType('__main__'))
    monkeypatch.setattr(sys, 'argv', ['-m'])
    monkeypatch.setattr(sys, 'orig_argv', ['python', '-m', 'my_training', 'mmseg_depthuda'])
    assert not is_command()


def test_only_the_known_notices_are_left_out(capsys):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        with quiet_imports():
            print('Could not import OneDL')
            print('Could not import torch')
            warnings.warn('Fail to import ``MultiScaleDeformableAttention`` from', stacklevel=1)
            warnings.warn('your GPU is on fire', stacklevel=1)
    assert capsys.readouterr().out == 'Could not import torch\n'
    assert [str(one.message) for one in caught] == ['your GPU is on fire']


def test_an_error_while_importing_keeps_what_was_said(capsys):
    with pytest.raises(ImportError), quiet_imports():
        print('before')
        raise ImportError
    assert capsys.readouterr().out == 'before\n'
