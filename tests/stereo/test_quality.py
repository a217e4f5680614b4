# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.stereo import MatchingOptions
from mmseg_depthuda.stereo.quality import COLUMNS, error_sums, evaluated_pairs, measure, table
from mmseg_depthuda.streetworld import WorldConfig, generate


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


def test_a_street_world_is_matched_well(tmp_path):
    parts = ('image', 'label', 'depth', 'right', 'camera')
    generate(tmp_path, WorldConfig(0, 0, 2, (512, 256), layouts=('cityscapes',), parts=parts))
    measured = measure(evaluated_pairs(str(tmp_path / 'cityscapes')), MatchingOptions())
    matched, inpainted = measured['matched']['all'], measured['inpainted']['all']
    assert matched['density'] < inpainted['density']
    assert inpainted['density'] > 0.85
    assert inpainted['bad_3'] < 0.04
    assert inpainted['epe'] < 0.6
    assert inpainted['abs_rel'] < 0.12
    assert set(matched) == set(COLUMNS)
    assert f'{matched["density"]:.1%} / {inpainted["density"]:.1%}' in table(measured)
