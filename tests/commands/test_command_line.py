# Licensed under the Apache License 2.0, see LICENSE.
"""Commands are found, described, and read their options before anything large is imported."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

import mmseg_depthuda
from mmseg_depthuda.adaptation.depth_mixtures import PUBLISHED_SCALE
from mmseg_depthuda.apps import released_weights
from mmseg_depthuda.apps.comparison.checkpoint_scores import CHECKPOINT_METRICS
from mmseg_depthuda.apps.depth_prediction.depth_sheet import SUFFIXES
from mmseg_depthuda.apps.depth_prediction.prediction import SCALES
from mmseg_depthuda.apps.preparation.preparation_command import FOLDER_DATASETS
from mmseg_depthuda.apps.stereo import stereo_command
from mmseg_depthuda.apps.stereo.matching import MIN_DISPARITY, NEAREST_METRES
from mmseg_depthuda.apps.street_world import layouts
from mmseg_depthuda.commands import command_line, main
from mmseg_depthuda.datasets.label_protocols import PROTOCOLS
from tests.commands import exit_status_of

ROOT = Path(mmseg_depthuda.__file__).parents[1]
TOOLS = [
    path
    for path in sorted((ROOT / 'tools').rglob('*.py'))
    if 'run_tool' in path.read_text(encoding='utf-8')
]


def commands(part=command_line.COMMANDS):
    for name, command in part.items():
        if isinstance(command, str):
            yield (name,), command
        else:
            yield from (((name, *names), module) for names, module in commands(command))


COMMANDS = dict(commands())

HELP_OF_ALL = """
import sys
sys.argv = ['mmseg-depthuda']
MMSEG_DEPTHUDA_COMMAND = ()
from mmseg_depthuda.commands.command_line import parse
for module in sys.stdin.read().split():
    try:
        parse(module, module, ['--help'])
    except SystemExit as end:
        assert end.code == 0
assert not {'torch', 'mmseg', 'mmcv', 'cv2'} & sys.modules.keys()
"""


def test_help_of_every_command_needs_nothing_large():
    done = subprocess.run(
        [sys.executable, '-c', HELP_OF_ALL],
        input=' '.join(COMMANDS.values()),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('usage: ') == len(COMMANDS)


@pytest.mark.parametrize('start', [['-m', 'mmseg_depthuda', 'train'], ['tools/train.py']])
def test_help_is_there_within_two_processor_seconds(start):
    before = getrusage(RUSAGE_CHILDREN).ru_utime
    command = [sys.executable, *start, '--help']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and '--resume' in done.stdout
    assert getrusage(RUSAGE_CHILDREN).ru_utime - before < 2


@pytest.mark.parametrize('tool', TOOLS, ids=lambda path: path.stem)
def test_every_script_is_a_command(tool, capsys):
    assert exit_status_of(tool, '--help') == 0
    assert f'usage: {tool}' in capsys.readouterr().out.replace('\n' + ' ' * 7, ' ')


def test_every_command_has_a_script_and_a_short_description():
    scripts = ' '.join(tool.read_text(encoding='utf-8') for tool in TOOLS)
    for names, module in COMMANDS.items():
        assert repr(names)[:-1].rstrip(',') in scripts, names
        first = import_module(f'mmseg_depthuda.commands.{module}').__doc__.splitlines()[0]
        assert first[-1] in '.?' and len(first) < 100, module


@pytest.mark.parametrize('names', [[], ['depth'], ['--help']])
def test_groups_list_their_commands(names, capsys):
    with pytest.raises(SystemExit) as end:
        main(names)
    listed = command_line.COMMANDS['depth'] if names == ['depth'] else command_line.COMMANDS
    said = capsys.readouterr().out
    assert end.value.code == 0 and all(name in said for name in listed)


@pytest.mark.parametrize('names', [['tran'], ['depth', 'sow'], ['train'], ['predict', 'a.pth']])
def test_mistakes_of_the_command_line(names, capsys):
    with pytest.raises(SystemExit) as end:
        main(names)
    assert end.value.code == 2 and 'error: ' in capsys.readouterr().err


def test_a_missing_library_is_one_line(monkeypatch, capsys):
    def register():
        raise ImportError('mmseg_depthuda needs mmcv')

    monkeypatch.setattr(mmseg_depthuda, 'register', register)
    assert main(['train', 'config.py']) == 2
    assert capsys.readouterr().err == 'mmseg-depthuda train: Error: mmseg_depthuda needs mmcv\n'


def test_choices_and_defaults_are_those_of_the_package():
    def module(name):
        return import_module(f'mmseg_depthuda.commands.{name}')

    assert set(module('preparation').PROTOCOLS) == set(PROTOCOLS)
    assert module('predict_depth').SCALES == SCALES
    assert set(module('show_depth').DEPTH_FILES) == set(SUFFIXES)
    assert set(module('stereo_depth').CITYSCAPES_KINDS) == set(stereo_command.CITYSCAPES_KINDS)
    assert module('stereo_depth').FOLDER_KINDS == stereo_command.FOLDER_KINDS
    world = module('render_street_world')
    assert set(world.LAYOUTS) == set(layouts.LAYOUTS) and world.PARTS == layouts.PARTS
    assert world.DEFAULT_PARTS == layouts.DEFAULT_PARTS
    assert set(FOLDER_DATASETS) == {'GTA5', 'SYNTHIA'}
    converters = module('convert_weights').CONVERSIONS
    assert all(callable(getattr(released_weights, name)) for name in converters)
    for name, number in (('stereo_depth', NEAREST_METRES), ('stereo_depth', MIN_DISPARITY)):
        assert f'({number:g})' in Path(module(name).__file__).read_text()
    assert CHECKPOINT_METRICS in Path(module('evaluate_checkpoints').__file__).read_text()
    assert PUBLISHED_SCALE == 1e6
