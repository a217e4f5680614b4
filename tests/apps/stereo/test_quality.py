# Licensed under the Apache License 2.0, see LICENSE.
import json
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import loadmat

from mmseg_depthuda.apps.stereo import MatchingOptions, match_stereo
from mmseg_depthuda.apps.stereo.quality import COLUMNS, error_sums, evaluated_pairs, measure, table
from mmseg_depthuda.apps.street_world import WorldConfig, generate


def test_sums_counted_by_hand():
    truth = np.float32([[10, 10, 4, 0], [8, 2, 0, 5]])
    estimate = np.float32([[10.5, 14, 0, 3], [6, 2, 0, 5]])
    labels = np.uint8([[0, 0, 0, 1], [1, 1, 1, 255]])
    found = dict(
        zip(('a', 'b', 'all', 'none'), error_sums(estimate, truth, labels, 2), strict=True)
    )
    assert found['a'] == pytest.approx([3, 2, 1, 1, 4.5, 0.5 / 10.5 + 4 / 14])
    assert found['b'] == pytest.approx([2, 2, 1, 0, 2, 2 / 6])
    assert found['all'] == pytest.approx([6, 5, 2, 1, 6.5, 0.5 / 10.5 + 4 / 14 + 2 / 6])
    assert found['none'] == pytest.approx([2, 1, 0, 0, 0, 0])


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Two pairs, in the layout of Cityscapes."""
    root = tmp_path_factory.mktemp('world')
    parts = ('image', 'label', 'depth', 'right', 'camera')
    generate(root, WorldConfig(0, 0, 2, (512, 256), layouts=('cityscapes',), parts=parts))
    return root / 'cityscapes'


def test_a_street_world_is_matched_well(world):
    measured = measure(evaluated_pairs(str(world)), MatchingOptions())
    matched, inpainted = measured['matched']['all'], measured['inpainted']['all']
    assert matched['density'] < inpainted['density']
    assert inpainted['density'] > 0.85
    assert inpainted['bad_3'] < 0.04
    assert inpainted['epe'] < 0.6
    assert inpainted['abs_rel'] < 0.12
    assert set(matched) == set(COLUMNS)
    assert f'{matched["density"]:.1%} / {inpainted["density"]:.1%}' in table(measured)


def inpainted_row(world):
    """The cells of all pixels, from the files: density, bad-1, bad-3, end-point error, abs_rel."""
    exact, estimate, scale = [], [], []
    for path in sorted((world / 'depth/val').rglob('*.mat')):
        camera, left, right = (
            Path(str(path).replace('/depth/', f'/{folder}/').replace('depth_stereoscopic.mat', end))
            for folder, end in (
                ('camera', 'camera.json'),
                ('leftImg8bit', 'leftImg8bit.png'),
                ('rightImg8bit', 'rightImg8bit.png'),
            )
        )
        content = json.loads(camera.read_text())
        focal_baseline = content['intrinsic']['fx'] * content['extrinsic']['baseline']
        pair = cv2.imread(str(left)), cv2.imread(str(right))
        exact.append(loadmat(path)['depth_map'].astype(float))
        estimate.append(match_stereo(*pair, focal_baseline / 3).astype(float))
        scale.append(np.full_like(exact[-1], focal_baseline))
    exact, estimate, scale = map(np.stack, (exact, estimate, scale))
    known = exact > 0
    both = known & (estimate > 0)
    exact, disparity, scale = exact[both], estimate[both], scale[both]
    error = np.abs(disparity - scale / exact)
    abs_rel = np.mean(np.abs(scale / disparity - exact) / exact)
    return [
        100 * np.mean(estimate[known] > 0),
        100 * np.mean(error > 1),
        100 * np.mean(error > 3),
        error.mean(),
        abs_rel,
    ]


def test_tool(world, tmp_path, monkeypatch, capsys):
    tool = Path(__file__).parents[3] / 'tools/analysis_tools/stereo_quality.py'
    picture = tmp_path / 'pairs.jpg'
    arguments = [str(world), '--workers', '1', '--enlarge', '1', '--picture', str(picture)]
    monkeypatch.setattr(sys, 'argv', [str(tool), *arguments])
    with pytest.raises(SystemExit) as status:
        runpy.run_path(str(tool), run_name='__main__')
    assert status.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == '2 pairs, matched / inpainted'
    (row,) = (line for line in lines if line.startswith('| all |'))
    printed = [float(cell.split('/')[1].strip(' %')) for cell in row.split('|')[3:-1]]
    rounding = 0.051, 0.051, 0.051, 0.0051, 0.00051
    np.testing.assert_array_less(np.abs(np.subtract(printed, inpainted_row(world))), rounding)
    assert lines[-1].startswith('512x256: ')
    assert cv2.imread(str(picture)).shape == (2 * 256, 5 * 512, 3)
