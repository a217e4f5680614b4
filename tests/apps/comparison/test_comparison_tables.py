# Licensed under the Apache License 2.0, see LICENSE.
import csv
import math

import pytest

from mmseg_depthuda.apps.comparison import comparison_tables as tables
from mmseg_depthuda.apps.comparison.run_results import ComparedRun

from .finished_runs import NAN, cells, depth_errors, metrics


@pytest.fixture
def runs():
    """Source-only once, CorDA with two seeds."""
    return [
        ComparedRun('source', [metrics(50.0, 30.0)]),
        ComparedRun('corda', [metrics(60.0, 20.0), metrics(64.0, 28.0)]),
    ]


def test_mean_deviation_and_difference(runs):
    table = tables.comparison(runs)
    assert list(table.index) == ['IoU.road', 'IoU.sky', 'mIoU']
    road = table.loc['IoU.road']
    assert road['source', 'mean'] == 50 and math.isnan(road['source', 'std'])
    assert road['corda', 'mean'] == 62 and road['corda', 'std'] == pytest.approx(8**0.5)
    assert road['corda', 'difference'] == 12 and road['source', 'difference'] == 0
    assert road.xs('low', level=1).isna().all()  # one seed against two
    assert table.loc['mIoU', ('corda', 'difference')] == 3
    assert tables.comparison(runs, 'corda').loc['mIoU', ('source', 'difference')] == -3


def test_interval_of_the_difference_of_paired_seeds():
    """Differences 1, 2, 6: mean 3, standard error sqrt(7 / 3); t of 97.5 % with 2 degrees of
    freedom, by its closed form, is 2 p' sqrt(2 / (1 - 4 p'^2)) at p' = 0.475."""
    before = ComparedRun('dacs', [metrics(r, 0.0) for r in (10.0, 50.0, 20.0)])
    after = ComparedRun('corda', [metrics(r, 0.0) for r in (11.0, 52.0, 26.0)])
    row = tables.comparison([before, after]).loc['IoU.road', 'corda']
    half = 2 * 0.475 * math.sqrt(2 / (1 - 4 * 0.475**2)) * math.sqrt(7 / 3)
    assert row['low'] == pytest.approx(3 - half) and row['high'] == pytest.approx(3 + half)
    text = tables.comparison_table([before, after])
    assert f'corda - dacs: mIoU +1.5, 95 % of 3 paired seeds {1.5 - half / 2:+.1f} to' in text
    assert text.endswith('within the noise')
    surely = ComparedRun('corda', [metrics(r, 0.0) for r in (20.0, 60.0, 30.1)])
    assert tables.comparison_table([before, surely]).endswith('outside the noise')


def test_metrics_are_classes_then_means_then_common_depth_errors():
    first = metrics(1.0, 1.0, mIoU_16=3.0, aAcc=1.0, abs_rel=0.25, d1=0.9)
    second = metrics(1.0, 1.0, mIoU_16=3.0, aAcc=1.0, abs_rel=0.5)
    names = tables.compared_metrics([ComparedRun('a', [first]), ComparedRun('b', [second])])
    assert names == ['IoU.road', 'IoU.sky', 'mIoU', 'mIoU_16', 'abs_rel']


def test_depth_alone_and_segmentation_are_not_compared(runs):
    with pytest.raises(ValueError, match='different classes'):
        tables.compared_metrics([*runs, ComparedRun('depth', [depth_errors(0.3)])])


@pytest.mark.parametrize(
    ('other', 'message'),
    [
        ([{'mIoU': 3.0}], r'b: no IoU of each class. Evaluate with PerClassIoUMetric'),
        ([metrics(1.0, 1.0), {'IoU.road': 1.0}], r'b: seeds differ in their classes'),
        ([{'IoU.road': 1.0, 'IoU.car': 1.0}], r"a and b .*different classes \(\['car', 'sky'\]"),
        ([metrics(1.0, 1.0) | dict(eval_width=128)], r'a at 64x32, b at 128x32'),
    ],
)
def test_runs_that_cannot_be_compared(other, message):
    with pytest.raises(ValueError, match=message):
        tables.comparison([ComparedRun('a', [metrics(1.0, 1.0)]), ComparedRun('b', other)])


def test_names_must_tell_the_runs_apart(runs):
    with pytest.raises(ValueError, match=r"names of their own, got \['source', 'source'\]"):
        tables.comparison([runs[0], runs[0]])
    with pytest.raises(ValueError, match=r"baseline 'dacs' is none of the runs \['source'"):
        tables.comparison(runs, 'dacs')


# -- the best checkpoint ---------------------------------------------------------------------------

FIRST = {10: metrics(40.0, 40.0), 20: metrics(80.0, 20.0), 30: metrics(50.0, 30.0)}
SECOND = {10: metrics(60.0, 50.0), 20: metrics(50.0, 40.0)}


def test_the_best_checkpoint_of_each_seed():
    run = ComparedRun('corda', [FIRST[30], SECOND[20]], checkpoints=[FIRST, SECOND])
    best, iterations = tables.best_checkpoints(run, 'mIoU')
    assert best.name == 'corda (best of 3/2 checkpoints)'
    assert iterations == [20, 10]
    assert [m['IoU.road'] for m in best.metrics] == [80.0, 60.0]
    gain = tables.comparison([run, best]).loc['mIoU', (best.name, 'difference')]
    assert gain == (50 + 55) / 2 - (40 + 45) / 2
    assert tables.best_checkpoints(run, 'IoU.sky')[1] == [10, 10]
    same = ComparedRun('dacs', [FIRST[30]] * 2, checkpoints=[FIRST, FIRST])
    assert tables.best_checkpoints(same, 'mIoU')[0].name == 'dacs (best of 3 checkpoints)'


def test_runs_without_a_best_checkpoint(runs):
    with pytest.raises(ValueError, match=r'source: a work dir holds no evaluation of single check'):
        tables.best_checkpoints(runs[0], 'mIoU')
    run = ComparedRun('corda', [FIRST[30]], checkpoints=[FIRST])
    with pytest.raises(ValueError, match=r'corda: no checkpoint was evaluated by mIoU_16'):
        tables.best_checkpoints(run, 'mIoU_16')


# -- writing ---------------------------------------------------------------------------------------


def test_table(runs):
    table = tables.comparison_table(runs)
    assert 'IoU in % at 64x32' in table
    assert ['class', 'source', 'corda (2 seeds)'] in cells(table)
    assert ['road', '50.0', '62.0 ± 2.8 (+12.0)'] in cells(table)
    assert ['sky', '30.0', '24.0 ± 5.7 (-6.0)'] in cells(table)
    assert ['mIoU', '40.0', '43.0 ± 4.2 (+3.0)'] in cells(table)


def test_table_of_absent_classes_depth_errors_and_unknown_size():
    runs = [
        ComparedRun('a', [{'mIoU': 1.0, 'IoU.road': 1.0, 'IoU.train': NAN, 'abs_rel': 0.25}]),
        ComparedRun('b', [{'mIoU': 2.0, 'IoU.road': 2.0, 'IoU.train': NAN, 'abs_rel': 0.125}]),
    ]
    table = tables.comparison_table(runs)
    assert 'at an unknown size' in table
    assert ['train', '-', '-'] in cells(table)
    assert ['abs_rel', '0.250', '0.125 (-0.125)'] in cells(table)


def test_csv_holds_unrounded_numbers(runs, tmp_path):
    tables.write_table(tmp_path / 'new' / 'table.csv', runs, 'source')
    with open(tmp_path / 'new' / 'table.csv', newline='') as file:
        road, sky, _ = csv.DictReader(file)
    assert (road['metric'], road['size'], road['source std']) == ('IoU.road', '64x32', '')
    assert float(road['corda std']) == 8**0.5
    assert float(sky['corda difference']) == -6.0


def test_table_of_the_checkpoints_of_a_run():
    extra = {step: own | dict(image_mIoU=1.0, abs_rel=0.25) for step, own in FIRST.items()}
    del extra[10]['abs_rel']
    table = tables.checkpoint_table(extra, 'IoU.sky')
    assert ['iteration', 'IoU.sky', 'mIoU', 'image_mIoU', 'abs_rel', ''] in cells(table)
    assert ['10', '40.00', '40.00', '1.00', '-', 'best'] in cells(table)
    assert ['20', '20.00', '50.00', '1.00', '0.250', ''] in cells(table)
    assert ['30', '30.00', '40.00', '1.00', '0.250', 'last'] in cells(table)
    assert 'best: of 3 checkpoints by IoU.sky, chosen on the very images' in table
    assert ['20', '50.00', 'best, last'] in cells(
        tables.checkpoint_table({step: FIRST[step] for step in (10, 20)}, 'mIoU')
    )
