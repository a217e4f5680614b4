# Licensed under the Apache License 2.0, see LICENSE.
"""The commands and the three lines of docs/predict.md."""

import shutil

import cv2
import pytest

from mmseg_depthuda.commands import main
from tests.apps.prediction.conftest import write_training
from tests.docs.pages import DOCS, code_blocks, command_lines

CHECKPOINT = 'work_dirs/corda_r18_sim2real/iter_1000.pth'
BLOCKS = code_blocks(DOCS / 'predict.md')
LINES = [
    line.split()[1:]
    for block in BLOCKS
    if block.language == 'bash'
    for line in command_lines(block.code)
    if line.startswith('mmseg-depthuda')
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The files that the page names."""
    monkeypatch.chdir(tmp_path)
    training = write_training(tmp_path)
    (tmp_path / CHECKPOINT).parent.mkdir(parents=True)
    training.checkpoint.rename(CHECKPOINT)
    training.images.rename('my_photographs')
    shutil.copy('my_photographs/city/second.jpg', 'street.jpg')
    return tmp_path


def test_a_folder_in_one_line_and_again(folder, capsys):
    assert main(LINES[0]) == 0
    for name in ('labels/first.png', 'overlay/city/second.jpg', 'depth/first.jpg'):
        assert cv2.imread(f'predictions/{name}') is not None
    assert '2 predicted, 0 were there already' in capsys.readouterr().out
    (folder / 'my_photographs/bad.png').touch()
    assert main([*LINES[0], '--confidence']) == 1
    said = capsys.readouterr().out
    assert 'Left out, 1:\n' in said and 'bad.png' in said
    assert (folder / 'predictions/confidence/first.jpg').is_file()


def test_three_lines_of_python(folder):
    (code,) = (block.code for block in BLOCKS if block.language == 'python')
    names = {}
    exec(code, names)  # what the page shows
    assert names['labels'].shape == names['meters'].shape == (48, 80)
    assert names['picture'].ndim == 3


def test_onnx_in_one_line(folder, capsys):
    pytest.importorskip('onnxruntime')
    assert main(LINES[1]) == 0
    assert 'corda.onnx: images (N, 3, 24, 40)' in capsys.readouterr().out
    assert (folder / 'corda.onnx').is_file()


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['gone.pth', 'street.jpg', 'out'], 'predict: Error: checkpoint gone.pth does not exist'),
        ([CHECKPOINT, 'gone', 'out'], 'predict: Error: gone is not there'),
        ([CHECKPOINT, 'street.jpg', 'out', '--config', 'gone.py'], 'Error: config gone.py'),
        ([CHECKPOINT, 'street.jpg', 'out', '--device', 'x'], '--device x cannot be used here'),
    ],
)
def test_what_is_not_there_is_said_in_one_line(folder, capsys, words, message):
    assert main(['predict', *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
    assert not (folder / 'out').exists()
