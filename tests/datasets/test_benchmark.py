# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import cv2
import pytest

from mmseg_depthuda.datasets import benchmark
from tests.commands import exit_status_of

TOOL = Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'benchmark_data.py'


@pytest.fixture(autouse=True)
def _small_files(monkeypatch):
    monkeypatch.setattr(benchmark, 'GTA5_SIZE', (191, 105))
    monkeypatch.setattr(benchmark, 'CITYSCAPES_SIZE', (204, 102))


@pytest.fixture
def _restored_threads():
    threads = cv2.getNumThreads()
    yield
    cv2.setNumThreads(threads)


@pytest.mark.usefixtures('_restored_threads')
def test_tool_measures_every_transform(capsys):
    assert exit_status_of(TOOL, '--files', '2', '--pairs', '3') == 0
    printed = capsys.readouterr().out
    assert float(printed.split(' pairs/s')[0].split()[-1]) > 0
    source, target = printed.split('CityscapesDepthDataset')
    for name in ('LoadImageFromFile', 'LoadInverseDepth', 'ResizeWithDepth', 'RandomCrop'):
        assert name in source
        assert name in target


def test_written_files_have_16_bit_depth_and_palette_labels(tmp_path):
    source, target = benchmark.write_full_size_pairs(tmp_path, 1)
    depth = cv2.imread(str(source / 'disparity' / '00001.png'), cv2.IMREAD_UNCHANGED)
    assert (depth.shape, depth.dtype) == ((105, 191), 'uint16')
    assert (source / 'labels' / '00001.png').read_bytes()[25] == 3  # color type: palette
    image = next((target / 'leftImg8bit').rglob('*.png'))
    assert cv2.imread(str(image)).shape == (102, 204, 3)
