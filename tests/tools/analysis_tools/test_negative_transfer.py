# Licensed under the Apache License 2.0, see LICENSE.
"""The command line of the negative transfer rate."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / 'tools/analysis_tools/negative_transfer.py'


def write(path, *miou):
    """The file of a test, as its page describes it."""
    lines = ['image,width,height,labelled_pixels,counted_classes,mIoU,IoU.road']
    lines += [f'{index}.png,8,4,32,1,{value},{value}' for index, value in enumerate(miou)]
    path.write_text('\n'.join(lines) + '\n')


@pytest.fixture
def main(tmp_path, monkeypatch):
    spec = spec_from_file_location('negative_transfer', SCRIPT)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'so.csv', 50.0, 40.0, 30.0, 20.0)
    write(tmp_path / 'dacs.csv', 60.0, 30.0, 40.0, 20.0)
    write(tmp_path / 's=2.csv', 40.0, 30.0, 20.0, 30.0)
    return module.main


def test_table_and_picture(tmp_path, capsys, main):
    main(['so.csv', 'dacs.csv', 'two=dacs.csv,s=2.csv', '--out', 'plots/scatter.png'])
    output = capsys.readouterr().out
    assert '| dacs          |            25.0 % |     1 |     1 |      4 |' in output
    assert '| two (2 seeds) |     50.0 ± 35.4 % |  1, 3 |  1, 0 |      4 |' in output
    assert [path.name for path in (tmp_path / 'plots').iterdir()] == ['scatter.png']


def test_without_out_it_only_prints(tmp_path, capsys, main):
    before = sorted(tmp_path.iterdir())
    main(['so.csv', 'dacs.csv'])
    assert '+2.5' in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


def test_an_error_is_the_exit_status(tmp_path, capsys, main):
    write(tmp_path / 'short.csv', 50.0)
    with pytest.raises(SystemExit, match='negative_transfer: baseline so.csv .* lacks 1.png'):
        main(['so.csv', 'short.csv'])
    with pytest.raises(SystemExit, match=r'gone.csv does not exist. Write it: python tools/test'):
        main(['so.csv', 'gone.csv'])
    with pytest.raises(SystemExit):
        main(['so.csv', 'dacs.csv', '--out', 'plots'])
    assert '--out must end in .png' in capsys.readouterr().err
