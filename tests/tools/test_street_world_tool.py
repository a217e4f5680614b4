# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import cv2
import pytest

from mmseg_depthuda.commands.render_street_world import parse_size
from tests.commands import main_of

TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/street_world.py'


@pytest.fixture(scope='module')
def main():
    return main_of(TOOL)


def test_renders_then_says_that_it_is_complete(main, tmp_path, capsys):
    args = [str(tmp_path), '--source-images', '1', '--size', '64x32', '--workers', '1']
    main(args)
    assert '1 scenes in' in capsys.readouterr().out
    assert (tmp_path / 'gta/images/00001.png').exists()
    main(args)
    assert 'is complete' in capsys.readouterr().out


def test_other_seed_in_the_same_folder_is_an_error(main, tmp_path):
    args = [str(tmp_path), '--size', '64x32', '--workers', '1']
    main([*args, '--seed', '1'])
    with pytest.raises(ValueError, match='records seed = 1, but 2 is asked for'):
        main([*args, '--seed', '2'])


@pytest.mark.parametrize(
    'args',
    [['x', '--size', '512'], ['x', '--layouts', 'kitti'], ['x', '--parts', 'lidar'], []],
)
def test_bad_arguments(main, args, capsys):
    with pytest.raises(SystemExit) as error:
        main(args)
    assert error.value.code == 2
    assert 'error:' in capsys.readouterr().err


def test_preview(main, tmp_path):
    path = tmp_path / 'preview.jpg'
    main(['--preview', str(path), '--size', '64x32'])
    # Six columns of 256 + 4 and two rows of 3 * 128 + 4 pixels
    assert cv2.imread(str(path)).shape == (2 * 388, 6 * 260, 3)


def test_preview_that_cannot_be_written(main, tmp_path):
    with pytest.raises(OSError, match='cannot write'):
        main(['--preview', str(tmp_path / 'missing/preview.jpg'), '--size', '64x32'])


def test_parse_size():
    assert parse_size('512x256') == (512, 256)
    for text in ('512', '512x', '512x256x3', 'wide', '-5x5'):
        with pytest.raises(ValueError, match='WIDTHxHEIGHT'):
            parse_size(text)
