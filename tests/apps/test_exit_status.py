# Licensed under the Apache License 2.0, see LICENSE.
"""How tools end on bad input and on signals: real commands in new processes."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import DataLoader, Dataset

from mmseg_depthuda.apps.exit_status import FAILED, exit_status, raise_stop_again
from mmseg_depthuda.apps.expected_errors import message_for_user
from mmseg_depthuda.apps.process_group import is_first_to_speak
from tests.commands import exit_status_of
from tests.integration.test_malicious_checkpoint import CONFIG

ROOT = Path(__file__).parents[2]
TOOLS = ROOT / 'tools'


@pytest.fixture
def folder(tmp_path):
    """A sound config with its data, and one of each kind of bad file."""
    for kind, shape in (('images', (32, 32, 3)), ('labels', (32, 32))):
        (tmp_path / 'data' / kind).mkdir(parents=True)
        for name in ('a.png', 'b.png'):
            cv2.imwrite(str(tmp_path / 'data' / kind / name), np.zeros(shape, np.uint8))
    (tmp_path / 'empty').mkdir()
    sound = CONFIG.format(work_dir=str(tmp_path / 'run'), data_root=str(tmp_path / 'data'))
    (tmp_path / 'sound.py').write_text(sound)
    (tmp_path / 'syntax.py').write_text('model = (')
    (tmp_path / 'child.py').write_text("_base_ = './syntax.py'")
    (tmp_path / 'name.py').write_text('a = 1\nmodel = b')
    (tmp_path / 'imports.py').write_text("custom_imports = dict(imports=['no_such_module'])")
    (tmp_path / 'broken.json').write_text('{"a": }')
    (tmp_path / 'no_model.py').write_text('a = 1')
    (tmp_path / 'text.pth').write_text('no checkpoint')
    other = dict(state_dict={'x.weight': torch.zeros(1)}, meta={})
    torch.save(other, tmp_path / 'other.pth')
    return tmp_path


def command(arguments):
    return [sys.executable, '-W', 'ignore', *arguments.replace('TOOLS', str(TOOLS)).split(' ')]


ENVIRONMENT = os.environ | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')


def run(arguments, folder):
    return subprocess.run(
        command(arguments),
        env=ENVIRONMENT,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )


BAD = {
    'train.py child.py': "syntax.py: line 1: '(' was never closed",
    'test.py sound.py text.pth': 'test: Error: checkpoint text.pth is damaged',
    'depth/predict_depth.py sound.py other.pth data/images out': 'Error: the checkpoint '
    'shares no tensor with the model',
}
BAD_AS_WELL = {
    'test.py sound.py gone.pth': 'test: Error: checkpoint gone.pth does not exist',
    'train.py sound.py --cfg-options a': "--cfg-options takes KEY=VALUE, got 'a'",
    'depth/predict_depth.py sound.py other.pth empty out': 'Error: empty holds no image',
    'depth/predict_depth.py sound.py other.pth empty out --device x': '--device x cannot be '
    'used here',
    'depth/show_depth.py empty empty out.png': 'show_depth: ',
    'dataset_converters/class_statistics.py no_model.py out.json': 'Error: the config has no '
    'train_dataloader',
    'quickstart_report.py empty --run a sound.py': 'Error: empty/a holds no checkpoint',
    'analysis_tools/benchmark_data.py --config gone.py': 'Error: config gone.py: neither',
    'analysis_tools/benchmark_matching.py gone.py': 'Error: config gone.py: neither',
    'analysis_tools/benchmark_training.py no_model.py': 'benchmark_training: Error: custom_hooks',
    'analysis_tools/confusion_matrix.py gone.py a b': 'Error: config gone.py: neither',
}


@pytest.mark.parametrize('arguments', BAD)
def test_bad_input_ends_with_one_line_and_status_2(folder, arguments):
    done = run(f'TOOLS/{arguments}', folder)
    assert done.returncode == 2
    assert BAD[arguments] in done.stderr.splitlines()[-1]
    assert 'Traceback' not in done.stderr


@pytest.mark.parametrize('arguments', BAD_AS_WELL)
def test_bad_input_in_this_process(folder, monkeypatch, capsys, arguments):
    monkeypatch.chdir(folder)
    tool, *others = arguments.split(' ')
    assert exit_status_of(TOOLS / tool, *others) == 2
    assert BAD_AS_WELL[arguments] in capsys.readouterr().err.splitlines()[-1]


def test_the_variable_shows_the_traceback(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv('MMSEG_DEPTHUDA_TRACEBACK', '1')
    assert exit_status_of(TOOLS / 'train.py', 'gone.py') == 2
    error = capsys.readouterr().err
    assert error.startswith('Traceback (most recent call last):')
    assert error.splitlines()[-1].startswith('train: Error: config gone.py: neither')


def test_processes_of_torchrun_speak_once(folder):
    """Each loads a data set that is not there."""
    port = 29600 + os.getpid() % 1000
    done = run(
        f'-m torch.distributed.run --nproc_per_node=2 --master_port={port} TOOLS/train.py sound.py '
        '--launcher pytorch --cfg-options train_dataloader.dataset.data_root=gone',
        folder,
    )
    assert done.returncode != 0
    assert done.stderr.count('train: Error: gone/images: No such file or directory\n') == 1
    assert 'train.py", line' not in done.stderr  # no traceback but torchrun's own


# -- in this process -------------------------------------------------------------------------------


def fail(action):
    try:
        action()
    except Exception as error:
        return message_for_user(error)
    pytest.fail('no error')


def load(folder, config, **options):
    cfg = Config.fromfile(folder / config)
    cfg.merge_from_dict(options)
    cfg.experiment_name = f'{folder.name}_{config}'
    Runner.from_cfg(cfg).train()


@pytest.mark.parametrize(
    ('config', 'options', 'message'),
    [
        ('syntax.py', {}, "syntax.py: line 1: '(' was never closed"),
        ('name.py', {}, "name.py, line 2: name 'b' is not defined"),
        ('broken.json', {}, 'broken.json: Expecting value: line 1 column 7'),
        ('sound.py', {'model': None}, 'model should be a nn.Module object or dict, but got None'),
        ('imports.py', {}, "imports.py: No module named 'no_such_module'. Let PYTHONPATH hold"),
        ('sound.py', {'model.backbone.a': 1}, "unexpected keyword argument 'a'"),
        ('sound.py', {'model.backbone.depth': 19}, 'ResNetV1c cannot be built from the values of'),
        ('sound.py', {'model.backbone.type': 'Net'}, 'Net is not in the mmseg::model registry'),
        (
            'sound.py',
            {'train_dataloader.dataset.img_suffix': '.bmp'},
            'data/images has none that ends in .bmp',
        ),
    ],
)
def test_bad_configs(folder, config, options, message):
    assert message in fail(lambda: load(folder, config, **options))


class Failing(Dataset):
    def __init__(self, action):
        self.action = action

    def __len__(self):
        return 1

    def __getitem__(self, index):
        self.action()


def undecodable():
    b'\xff'.decode()


def two_lines():
    try:
        int('a')
    except ValueError as error:
        raise ValueError('first\nsecond') from error


def no_image():
    LoadImageFromFile()(dict(img_path=__file__))


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(
    ('action', 'message'),
    [
        (two_lines, 'first\nsecond'),
        (undecodable, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (no_image, f'failed to load image: {__file__}'),
        (lambda: dict()['npy'], None),
    ],
)
def test_an_error_in_a_worker_is_told_as_in_the_main_process(action, message):
    assert fail(action) == message
    assert fail(lambda: list(DataLoader(Failing(action), num_workers=1))) == message


def test_a_killed_worker():
    message = fail(lambda: list(DataLoader(Failing(killed), num_workers=1)))
    assert 'perhaps killed for lack of memory: try a smaller num_workers' in message


def test_a_mistake_in_a_program_keeps_its_traceback():
    with pytest.raises(KeyError, match='npy'):
        exit_status('tool', lambda: dict()['npy'])


def test_the_first_process_speaks(monkeypatch):
    store = torch.distributed.TCPStore('127.0.0.1', 0, is_master=True)
    variables = dict(WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(store.port))
    assert is_first_to_speak()  # alone
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert [is_first_to_speak() for _ in range(3)] == [True, False, False]
    monkeypatch.setenv('TORCHELASTIC_RESTART_COUNT', '1')
    assert is_first_to_speak()


# -- stopping --------------------------------------------------------------------------------------


def wait_for(path, process):
    for _ in range(3000):
        if path.exists() or process.poll() is not None:
            return
        time.sleep(0.02)


@pytest.mark.parametrize(('number', 'status'), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_says_how_to_go_on(folder, number, status):
    checkpoint = folder / 'run/iter_2.pth'
    options = (
        'TOOLS/train.py sound.py --resume --cfg-options train_cfg.max_iters=100000 '
        'train_dataloader.num_workers=2 default_hooks.checkpoint.type=CheckpointHook '
        'default_hooks.checkpoint.by_epoch=False default_hooks.checkpoint.interval=2'
    )
    # In a process group of its own, as a shell starts a command: Ctrl-C reaches the workers, too.
    process = subprocess.Popen(
        command(options),
        env=ENVIRONMENT,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    wait_for(checkpoint, process)
    os.killpg(process.pid, number)
    error = process.communicate(timeout=60)[1]
    assert (process.returncode, error.count('\n')) == (status, 1), error
    begin = f'train: {"interrupted" if status == 130 else "terminated"}. '
    assert re.match(rf'{begin}\d+ of 100000 iterations are done, last checkpoint: \S+iter_', error)
    before, after = options.replace('TOOLS', str(TOOLS)).split(' --resume ')
    assert error.endswith(f'Go on with: python {before} {after} --resume\n')


def test_a_stop_that_is_swallowed_is_raised_again(capsys):
    def work():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
        except:  # noqa: E722  as in MMEngine
            pass
        raise_stop_again()

    assert exit_status('tool', work, lambda: 'Go on.') == 143
    assert capsys.readouterr().err == 'tool: terminated. Go on.\n'
    # Later work is not stopped by it.
    assert exit_status('tool', raise_stop_again) == 0


def test_a_stop_that_became_another_error(capsys):
    def work():
        try:
            raise KeyboardInterrupt
        except BaseException:
            raise SyntaxError('cannot format the config') from None

    assert exit_status('tool', work) == 130
    assert capsys.readouterr().err == 'tool: interrupted.\n'


def test_files_are_named(tmp_path, capsys):
    assert exit_status('tool', (tmp_path / 'gone').read_text) == FAILED
    assert capsys.readouterr().err == f'tool: Error: {tmp_path}/gone: No such file or directory\n'
