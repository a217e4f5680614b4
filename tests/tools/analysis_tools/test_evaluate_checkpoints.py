# Licensed under the Apache License 2.0, see LICENSE.
"""The command line that tests every checkpoint of a work dir, on a small network."""

import json
from pathlib import Path

import pytest
from mmengine.runner import Runner

from tests.apps.comparison.checkpointed_run import make_run
from tests.commands import exit_status_of, main_of

SCRIPT = Path(__file__).parents[3] / 'tools/analysis_tools/evaluate_checkpoints.py'


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return [str(path) for path in make_run(tmp_path_factory.mktemp('evaluated'), [1, 10])]


@pytest.fixture
def main(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')
    return main_of(SCRIPT)


def test_table_results_and_picture(run, main, capsys, monkeypatch, tmp_path):
    main(run)
    output = capsys.readouterr().out
    stored = json.loads(Path(run[1], 'checkpoint_metrics.json').read_text())['checkpoints']
    values = {step: stored[step]['metrics']['mIoU'] for step in ('1', '10')}
    best = max(values, key=values.get)
    for step, value in values.items():
        (row,) = (line for line in output.splitlines() if line.startswith(f'| {step:>9} |'))
        assert f'| {value:.2f} |' in row.replace('  ', ' ')
        assert ('best' in row, 'last' in row) == (step == best, step == '10')
    assert 'chosen on the very images that it is measured on, hence optimistic' in output
    assert Path(run[1], 'checkpoint_metrics.png').stat().st_size > 1000
    assert list(tmp_path.iterdir()) == []  # all of it is beside the checkpoints
    # The second time nothing is built.
    monkeypatch.setattr(Runner, 'from_cfg', pytest.fail)
    main([*run, '--metric', 'IoU.road'])
    assert 'by IoU.road' in capsys.readouterr().out


def test_an_error_is_the_exit_status(run, main, capsys):
    with pytest.raises(FileNotFoundError, match='nowhere does not exist'):
        main([run[0], 'nowhere'])
    with pytest.raises(ValueError, match="no checkpoint can be chosen by 'loss'"):
        main([*run, '--metric', 'loss', '--out', 'new.json'])
    assert exit_status_of(SCRIPT, 'gone.py', run[1]) == 2
    assert 'evaluate_checkpoints: Error: config gone.py: neither' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*run, '--out', 'results.csv'])
    assert '--out must end in .json' in capsys.readouterr().err
