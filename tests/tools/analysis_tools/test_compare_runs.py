# Licensed under the Apache License 2.0, see LICENSE.
"""The command line of the comparison."""

import json
from pathlib import Path

import pytest

from tests.commands import exit_status_of, main_of

SCRIPT = Path(__file__).parents[3] / 'tools/analysis_tools/compare_runs.py'


def write_work_dir(folder, road, loss):
    rows = [
        dict(loss=loss, iter=10, step=10),
        {'mIoU': road, 'IoU.road': road, 'eval_width': 8, 'eval_height': 4, 'step': 10},
    ]
    (folder / '20260101_100000/vis_data').mkdir(parents=True)
    scalars = folder / '20260101_100000/vis_data/scalars.json'
    scalars.write_text(''.join(json.dumps(row) + '\n' for row in rows))


@pytest.fixture
def main():
    return main_of(SCRIPT)


def test_table_csv_and_pictures(tmp_path, monkeypatch, capsys, main):
    monkeypatch.chdir(tmp_path)
    for name, road in (('dacs', 40.0), ('lr=1', 50.0), ('s2', 60.0)):
        write_work_dir(tmp_path / name, road, loss=1.0)
    main(['dacs', 'corda=lr=1,s2', 'other=s2', '--baseline', 'other', '--out', 'report'])
    output = capsys.readouterr().out
    assert 'IoU in % at 8x4' in output
    assert '| road  | 40.0 (-20.0) | 55.0 ± 7.1 (-5.0) |  60.0 |' in output
    written = sorted(path.name for path in (tmp_path / 'report').iterdir())
    assert written == ['classes.png', 'comparison.csv', 'curves.png']


def test_without_a_folder_it_only_prints(tmp_path, monkeypatch, capsys, main):
    monkeypatch.chdir(tmp_path)
    write_work_dir(tmp_path / 'dacs', 40.0, loss=1.0)
    main(['dacs'])
    assert '| mIoU   |   40.0 |' in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ['dacs']


def test_the_best_checkpoint_beside_the_last(tmp_path, monkeypatch, capsys, main):
    monkeypatch.chdir(tmp_path)
    write_work_dir(tmp_path / 'dacs', 40.0, loss=1.0)
    row = {'mIoU': 70.0, 'IoU.road': 70.0, 'eval_width': 8, 'eval_height': 4, 'step': 5}
    scalars = tmp_path / 'dacs/20260101_100000/vis_data/scalars.json'
    scalars.write_text(json.dumps(row) + '\n' + scalars.read_text())
    main(['dacs', '--best', 'mIoU', '--out', 'report'])
    output = capsys.readouterr().out
    assert '| class | dacs | dacs (best of 2 checkpoints) |' in output
    assert '| mIoU  | 40.0 |                 70.0 (+30.0) |' in output
    assert 'dacs (best of 2 checkpoints): iteration 5\n' in output
    assert 'chosen by mIoU on the very images that they are measured on: optimistic' in output
    header = (tmp_path / 'report/comparison.csv').read_text().splitlines()[0]
    assert 'dacs (best of 2 checkpoints) difference' in header
    with pytest.raises(ValueError, match="dacs: no checkpoint can be chosen by 'loss'"):
        main(['dacs', '--best', 'loss'])


def test_an_error_is_the_exit_status(capsys):
    assert exit_status_of(SCRIPT, 'corda=nowhere') == 2
    assert capsys.readouterr().err.startswith('compare_runs: Error: corda: nowhere does not exist')
