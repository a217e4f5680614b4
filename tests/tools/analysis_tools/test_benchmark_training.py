# Licensed under the Apache License 2.0, see LICENSE.
import json
from pathlib import Path

import pytest

from tests.commands import exit_status_of
from tests.models.tiny_segmentor import segmentor_config

TOOL = Path(__file__).parents[3] / 'tools' / 'analysis_tools' / 'benchmark_training.py'


def run(*arguments):
    return exit_status_of(TOOL, *arguments)


def test_prints_and_writes_the_report(tmp_path, capsys):
    config = tmp_path / 'tiny.py'
    config.write_text(
        f'model = {segmentor_config()!r}\n'
        "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-3))\n"
        "custom_hooks = [dict(type='DACSHook')]\n"
    )
    out = tmp_path / 'new' / 'report.json'
    status = run(
        config,
        '--size',
        '24x40',
        '--iters',
        '1',
        '--warmup',
        '0',
        '--no-memory',
        '--out',
        out,
        '--cfg-options',
        'optim_wrapper.optimizer.lr=1e-4',
    )
    assert status == 0
    report = json.loads(out.read_text())
    assert report['config'] == 'tiny.py'
    assert report['setting']['size'] == [24, 40]
    assert report['ratios']['seconds'] == pytest.approx(
        report['package']['seconds'] / report['naive']['seconds']
    )
    assert f'{report["ratios"]["seconds"]:.3f} (bar: under 1)' in capsys.readouterr().out


@pytest.mark.parametrize('size', ['512', '512x', '0.5x3', 'axb'])
def test_a_size_that_is_none_is_refused(size, capsys):
    assert run('config.py', '--size', size) == 2
    assert f"'{size}' is not of the form HxW" in capsys.readouterr().err
