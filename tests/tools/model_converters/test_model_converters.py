# Licensed under the Apache License 2.0, see LICENSE.
"""The command lines; what they convert is tested in tests/released_weights."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

from tests.apps.released_weights.test_weight_conversion import (
    full_state,
    initialisation,
    write_released,
)

TOOLS = Path(__file__).parents[3] / 'tools/model_converters'


def main_of(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.mark.parametrize(('tool', 'kind'), [('corda', 'synthia'), ('dacs', 'dacs')])
def test_released_weights_there_and_back(tool, kind, tmp_path, capsys):
    write_released(tmp_path / 'in.pth', kind, drop=['optimizer'])
    main_of(f'{tool}_to_mmseg')([str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth')])
    first, second, third = capsys.readouterr().out.splitlines()
    assert 'tensors of the student, teacher as ema_state_dict' in first
    assert second == 'Left out: config, iteration'
    assert third.startswith(f'Wrote {tmp_path / "out.pth"} for configs/')

    main_of('mmseg_to_corda')([str(tmp_path / 'out.pth'), str(tmp_path / 'back.pth')])
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.endswith('tensors, student and teacher')
    assert second == 'Left out: meta'
    assert third == f'Wrote {tmp_path / "back.pth"}'


def test_teacher(tmp_path, capsys):
    torch.save(dict(ema_model=full_state('gta')), tmp_path / 'in.pth')
    paths = [str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth')]
    main_of('corda_to_mmseg')([*paths, '--weights', 'teacher'])
    assert 'CorDA, GTA5 variant, 19 classes' in capsys.readouterr().out
    assert torch.load(paths[1], weights_only=True).keys() == {'meta', 'state_dict'}


@pytest.mark.parametrize(
    ('prefix', 'line'),
    [
        ('', 'ImageNet+COCO by its names'),
        ('Scale.', 'ImageNet only by its names'),
    ],
)
def test_initialisation(prefix, line, tmp_path, capsys):
    torch.save(initialisation(prefix), tmp_path / 'in.pth')
    main_of('deeplab_init_to_mmseg')([str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth')])
    output = capsys.readouterr().out
    assert line in output
    variable = 'DEEPLAB_IMAGENET_INIT' if prefix else 'DEEPLAB_INIT'
    assert f'{variable}={tmp_path / "out.pth"}\n' in output


@pytest.mark.parametrize('kind', ['advent', 'dada', 'depth_distribution'])
def test_adversarial(kind, tmp_path, capsys):
    state = full_state(kind)
    torch.save(dict(model=state) if kind == 'depth_distribution' else state, tmp_path / 'in.pth')
    main_of(f'{kind}_to_mmseg')([str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth')])
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f'Wrote {tmp_path / "out.pth"} for configs/{kind}/{kind}_r101_syn2cs_16.py'


@pytest.mark.parametrize(
    'tool',
    [f'{method}_to_mmseg' for method in ('corda', 'dacs', 'advent', 'dada', 'depth_distribution')]
    + ['deeplab_init_to_mmseg', 'mmseg_to_corda'],
)
def test_a_bad_file_ends_with_a_message_and_without_a_result(tool, tmp_path, capsys):
    paths = [str(tmp_path / 'in.pth'), str(tmp_path / 'out.pth')]
    assert main_of(tool)(paths) == 2
    assert re.match(f'{tool}: .*in.pth does not exist', capsys.readouterr().err)
    Path(paths[0]).write_text('no weights')
    assert main_of(tool)(paths) == 2
    assert re.match(f'{tool}: .*in.pth is damaged', capsys.readouterr().err)
    assert not Path(paths[1]).exists()
