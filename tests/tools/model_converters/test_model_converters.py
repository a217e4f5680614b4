# Licensed under the Apache License 2.0, see LICENSE.
"""The command lines; what they convert is tested in tests/apps/released_weights."""

import re
from pathlib import Path

import pytest
import torch

from tests.apps.released_weights import test_sde_conversion as sde
from tests.apps.released_weights.test_weight_conversion import (
    full_state,
    initialization,
    write_released,
)
from tests.commands import main_of

TOOLS = Path(__file__).parents[3] / 'tools/model_converters'


@pytest.fixture
def run(tmp_path, capsys):
    """Runs a converter from in.pth to out.pth; its exit status and what it prints."""

    def run(tool, *options, source='in.pth', target='out.pth'):
        paths = [str(tmp_path / name) for name in (source, target)]
        status = main_of(TOOLS / f'{tool}.py')([*paths, *options])
        return status, ''.join(capsys.readouterr())

    return run


@pytest.mark.parametrize(('tool', 'kind'), [('corda', 'synthia'), ('dacs', 'dacs')])
def test_released_weights_there_and_back(tool, kind, tmp_path, run):
    write_released(tmp_path / 'in.pth', kind, drop=['optimizer'])
    status, output = run(f'{tool}_to_mmseg')
    assert status == 0 and 'tensors of the student, teacher as ema_state_dict\n' in output
    assert f'\nWrote {tmp_path / "out.pth"} for configs/' in output
    status, output = run('mmseg_to_corda', source='out.pth', target='back.pth')
    assert status == 0 and output.endswith(f'Left out: meta\nWrote {tmp_path / "back.pth"}\n')


@pytest.mark.parametrize('kind', ['depth', 'multi_task'])
def test_networks_of_self_supervised_depth_there_and_back(kind, tmp_path, run):
    sde.write(tmp_path / 'in.pth', kind)
    status, output = run('sde_to_mmseg')
    assert status == 0 and f'\nWrote {tmp_path / "out.pth"} for configs/' in output
    status, output = run('mmseg_to_sde', source='out.pth', target='back')
    assert status == 0 and output.endswith(f'Left out: meta\nWrote {tmp_path / "back"}\n')


def test_teacher(tmp_path, run):
    torch.save(dict(ema_model=full_state('gta')), tmp_path / 'in.pth')
    assert 'CorDA, GTA5 variant, 19 classes' in run('corda_to_mmseg', '--weights', 'teacher')[1]


@pytest.mark.parametrize(
    ('tool', 'state', 'line'),
    [
        ('deeplab_init', lambda: initialization(), 'variable DEEPLAB_INIT='),
        ('deeplab_init', lambda: initialization('Scale.'), 'variable DEEPLAB_IMAGENET_INIT='),
        ('advent', lambda: full_state('advent'), 'for configs/advent/advent_r101_syn2cs_16.py'),
        ('dada', lambda: full_state('dada'), 'for configs/dada/dada_r101_syn2cs_16.py'),
        (
            'depth_distribution',
            lambda: dict(model=full_state('depth_distribution')),
            'for configs/depth_distribution/depth_distribution_r101_syn2cs_16.py',
        ),
    ],
)
def test_plain_files(tool, state, line, tmp_path, run):
    torch.save(state(), tmp_path / 'in.pth')
    status, output = run(f'{tool}_to_mmseg')
    assert status == 0 and line in output
    assert (tmp_path / 'out.pth').exists()


@pytest.mark.parametrize('tool', sorted(path.stem for path in TOOLS.glob('*.py')))
def test_a_bad_file_ends_with_a_message_and_without_a_result(tool, tmp_path, run):
    status, output = run(tool)
    assert status == 2 and re.match(f'{tool}: .*in.pth does not exist', output)
    (tmp_path / 'in.pth').write_text('no weights')
    status, output = run(tool)
    assert status == 2 and re.match(f'{tool}: .*in.pth is damaged', output)
    assert not (tmp_path / 'out.pth').exists()
