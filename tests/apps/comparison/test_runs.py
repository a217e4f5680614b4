# Licensed under the Apache License 2.0, see LICENSE.
"""Comparison of runs whose files are written as MMEngine writes them, with numbers by hand."""

import csv
import json
import math

import cv2
import numpy as np
import pytest
from matplotlib.container import BarContainer

from mmseg_depthuda.apps.comparison import runs as comparison
from mmseg_depthuda.apps.comparison.runs import ComparedRun

NAN = float('nan')


def write_attempt(work_dir, started, rows, cut=''):
    folder = work_dir / started / 'vis_data'
    folder.mkdir(parents=True)
    lines = [json.dumps(row) for row in rows]
    (folder / 'scalars.json').write_text('\n'.join([*lines, cut]))


def write_test(work_dir, started, metrics):
    folder = work_dir / started
    folder.mkdir(parents=True)
    (folder / f'{started}.json').write_text(json.dumps(metrics))


def train_row(step, loss, **others):
    return dict(lr=0.1, loss=loss, iter=step, step=step, **others)


def metrics(road, sky, **others):
    size = dict(eval_width=64, eval_height=32)
    return {'mIoU': (road + sky) / 2, **size, 'IoU.road': road, 'IoU.sky': sky, **others}


@pytest.fixture
def runs():
    """Source-only once, CorDA with two seeds."""
    return [
        ComparedRun('source', [metrics(50.0, 30.0)]),
        ComparedRun('corda', [metrics(60.0, 20.0), metrics(64.0, 28.0)]),
    ]


# -- reading ---------------------------------------------------------------------------------------


def test_a_resumed_attempt_counts_from_its_first_iteration_on(tmp_path):
    """Killed at 45, resumed from the checkpoint of 20: what the first logged after it is void."""
    first = [train_row(step, step / 100) for step in (10, 20, 30, 40)]
    first.insert(2, dict(mIoU=5.0, step=20))
    second = [train_row(30, 7.0), train_row(40, 8.0), dict(mIoU=9.0, step=40)]
    write_attempt(tmp_path, '20260102_100000', second)
    write_attempt(tmp_path, '20260101_100000', first, cut='{"lr": 0.1, "lo')
    (tmp_path / '20260103_100000').mkdir()  # killed before it logged
    (tmp_path / 'test' / '20260104_100000').mkdir(parents=True)
    curves = comparison.read_curves(tmp_path)
    assert curves['loss'] == {10: 0.1, 20: 0.2, 30: 7.0, 40: 8.0}
    assert list(curves['loss']) == [10, 20, 30, 40]
    assert curves['mIoU'] == {20: 5.0, 40: 9.0}
    assert curves.keys() == {'lr', 'loss', 'mIoU'}


def test_a_broken_line_in_the_middle_is_an_error(tmp_path):
    write_attempt(tmp_path, '20260101_100000', [train_row(10, 1.0)], cut='{"lo\n{"step": 3}')
    with pytest.raises(ValueError, match=r'scalars.json, line 2 is not JSON'):
        comparison.read_curves(tmp_path)


def test_the_latest_test_is_the_result_and_else_the_last_validation(tmp_path):
    rows = [dict(metrics(1.0, 1.0), step=10), train_row(20, 0.5), dict(metrics(2.0, 2.0), step=20)]
    write_attempt(tmp_path / 'run', '20260101_100000', rows)
    run = comparison.read_run('run', [tmp_path / 'run'])
    assert run.values('IoU.road') == [2.0]
    write_test(tmp_path / 'run', '20260101_120000', metrics(3.0, 3.0))
    write_test(tmp_path / 'run' / 'test', '20260101_140000', metrics(4.0, NAN))
    write_test(tmp_path / 'run' / 'test', '20260101_130000', metrics(5.0, 5.0))
    run = comparison.read_run('run', [tmp_path / 'run', tmp_path / 'run' / '..' / 'run'])
    assert run.values('IoU.road') == [4.0, 4.0]
    assert math.isnan(run.values('IoU.sky')[0])
    assert [curves['loss'] for curves in run.curves] == [{20: 0.5}] * 2


@pytest.mark.parametrize(('made', 'message'), [(True, 'no evaluation'), (False, 'not exist')])
def test_an_empty_work_dir_is_an_error_with_its_remedy(tmp_path, made, message):
    if made:
        write_attempt(tmp_path / 'a', '20260101_100000', [train_row(10, 1.0)])
    with pytest.raises(ValueError, match=rf'corda: .*a .*{message}.*tools/test.py CONFIG'):
        comparison.read_run('corda', [tmp_path / 'a'])


def test_checkpoints_are_the_validated_ones_or_those_evaluated_afterwards(tmp_path):
    rows = [dict(metrics(1.0, 3.0), step=10), train_row(20, 0.5), dict(metrics(2.0, 2.0), step=20)]
    write_attempt(tmp_path, '20260101_100000', rows)
    run = comparison.read_run('run', [tmp_path])
    assert list(run.checkpoints[0]) == [10, 20]
    assert run.checkpoints[0][10] == metrics(1.0, 3.0)
    stored = {'30': dict(metrics=metrics(4.0, 4.0)), '5': dict(metrics=metrics(5.0, NAN))}
    path = tmp_path / 'checkpoint_metrics.json'
    path.write_text(json.dumps(dict(checkpoints=stored) | dict(settings={})).replace('NaN', 'null'))
    run = comparison.read_run('run', [tmp_path])
    assert list(run.checkpoints[0]) == [5, 30]
    assert math.isnan(run.checkpoints[0][5]['IoU.sky'])
    assert run.values('IoU.road') == [2.0]
    # Without any validation the last of them stands in.
    (tmp_path / '20260101_100000' / 'vis_data' / 'scalars.json').unlink()
    assert comparison.read_run('run', [tmp_path]).values('IoU.road') == [4.0]


# -- comparing -------------------------------------------------------------------------------------


def test_mean_deviation_and_difference(runs):
    rows = {row['metric']: row for row in comparison.comparison_rows(runs)}
    assert list(rows) == ['IoU.road', 'IoU.sky', 'mIoU']
    assert rows['IoU.road'] == {
        'metric': 'IoU.road',
        'size': '64x32',
        'source': 50.0,
        'source std': pytest.approx(NAN, nan_ok=True),
        'source difference': 0.0,
        'corda': 62.0,
        'corda std': pytest.approx(8**0.5),
        'corda difference': 12.0,
    }
    assert rows['mIoU']['corda difference'] == 3.0
    reverse = {row['metric']: row for row in comparison.comparison_rows(runs, 'corda')}
    assert reverse['mIoU']['source difference'] == -3.0


def test_metrics_are_classes_then_means_then_common_depth_errors():
    first = metrics(1.0, 1.0, mIoU_16=3.0, aAcc=1.0, abs_rel=0.25, d1=0.9)
    second = metrics(1.0, 1.0, mIoU_16=3.0, aAcc=1.0, abs_rel=0.5)
    names = comparison.compared_metrics([ComparedRun('a', [first]), ComparedRun('b', [second])])
    assert names == ['IoU.road', 'IoU.sky', 'mIoU', 'mIoU_16', 'abs_rel']


def depth_errors(abs_rel):
    others = ('sq_rel', 'rmse', 'rmse_log', 'd1', 'd2', 'd3')
    return {'abs_rel': abs_rel} | dict.fromkeys(others, 2.0)


def test_networks_that_predict_depth_alone(tmp_path, figures):
    """Trained with a validation, and tested only; neither segments anything."""
    rows = [train_row(10, 0.5, explained=0.5), dict(depth_errors(0.4), step=10)]
    rows += [train_row(20, 0.4, explained=0.7), dict(depth_errors(0.3), step=20)]
    write_attempt(tmp_path / 'video', '20260101_100000', rows)
    write_test(tmp_path / 'stereo', '20260101_100000', depth_errors(0.25))
    pair = [comparison.read_run(name, [tmp_path / name]) for name in ('video', 'stereo')]
    table = comparison.comparison_table(pair)
    assert 'Depth errors' in table and 'IoU' not in table
    assert '| abs_rel  | 0.300 | 0.250 (-0.050) |' in table
    comparison.draw_classes(tmp_path / 'classes.png', pair)
    assert not (tmp_path / 'classes.png').exists()
    comparison.draw_curves(tmp_path / 'curves.png', pair)
    titles = [axis.get_title() for axis in figures[-1].axes]
    assert {'loss', 'explained', 'abs_rel', 'rmse', 'd1'} == set(titles) - {''}


def test_depth_alone_and_segmentation_are_not_compared(runs):
    with pytest.raises(ValueError, match='different classes'):
        comparison.compared_metrics([*runs, ComparedRun('depth', [depth_errors(0.3)])])


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
        comparison.comparison_rows([ComparedRun('a', [metrics(1.0, 1.0)]), ComparedRun('b', other)])


def test_names_must_tell_the_runs_apart(runs):
    with pytest.raises(ValueError, match=r"names of their own, got \['source', 'source'\]"):
        comparison.comparison_rows([runs[0], runs[0]])
    with pytest.raises(ValueError, match=r"baseline 'dacs' is none of the runs \['source'"):
        comparison.comparison_rows(runs, 'dacs')


def test_a_metric_that_a_seed_lacks_is_named(runs):
    with pytest.raises(ValueError, match=r'source: 1 of 1 runs were evaluated without abs_rel'):
        runs[0].values('abs_rel')


# -- the best checkpoint ---------------------------------------------------------------------------

FIRST = {10: metrics(40.0, 40.0), 20: metrics(80.0, 20.0), 30: metrics(50.0, 30.0)}
SECOND = {10: metrics(60.0, 50.0), 20: metrics(50.0, 40.0)}


def test_the_best_checkpoint_of_each_seed():
    run = ComparedRun('corda', [FIRST[30], SECOND[20]], checkpoints=[FIRST, SECOND])
    best, iterations = comparison.best_checkpoints(run, 'mIoU')
    assert best.name == 'corda (best of 3/2 checkpoints)'
    assert iterations == [20, 10]
    assert best.values('IoU.road') == [80.0, 60.0]
    rows = {row['metric']: row for row in comparison.comparison_rows([run, best])}
    assert rows['mIoU'][f'{best.name} difference'] == (50 + 55) / 2 - (40 + 45) / 2
    assert comparison.best_checkpoints(run, 'IoU.sky')[1] == [10, 10]
    same = ComparedRun('dacs', [FIRST[30]] * 2, checkpoints=[FIRST, FIRST])
    assert comparison.best_checkpoints(same, 'mIoU')[0].name == 'dacs (best of 3 checkpoints)'


def test_runs_without_a_best_checkpoint(runs):
    with pytest.raises(ValueError, match=r'source: a work dir holds no evaluation of single check'):
        comparison.best_checkpoints(runs[0], 'mIoU')
    run = ComparedRun('corda', [FIRST[30]], checkpoints=[FIRST])
    with pytest.raises(ValueError, match=r'corda: no checkpoint was evaluated by mIoU_16'):
        comparison.best_checkpoints(run, 'mIoU_16')


# -- writing ---------------------------------------------------------------------------------------


def cells(table):
    return [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]


def test_table(runs):
    table = comparison.comparison_table(runs)
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
    table = comparison.comparison_table(runs)
    assert 'at an unknown size' in table
    assert ['train', '-', '-'] in cells(table)
    assert ['abs_rel', '0.250', '0.125 (-0.125)'] in cells(table)


def test_csv_holds_unrounded_numbers(runs, tmp_path):
    comparison.write_table(tmp_path / 'new' / 'table.csv', runs, 'source')
    with open(tmp_path / 'new' / 'table.csv', newline='') as file:
        road, sky, _ = csv.DictReader(file)
    assert (road['metric'], road['size'], road['source std']) == ('IoU.road', '64x32', '')
    assert float(road['corda std']) == 8**0.5
    assert float(sky['corda difference']) == -6.0


def test_mean_curve_over_the_iterations_that_all_seeds_have():
    curves = [{'loss': {10: 1.0, 20: 3.0, 30: 9.0}}, {'loss': {10: 2.0, 20: 7.0}}, {'mIoU': {}}]
    steps, middle, deviation = comparison.mean_curve(ComparedRun('a', [], curves), 'loss')
    assert steps.tolist() == [10, 20]
    assert middle.tolist() == [1.5, 5.0]
    assert deviation == pytest.approx([0.5**0.5, 8**0.5])
    assert [len(part) for part in comparison.mean_curve(ComparedRun('a', []), 'loss')] == [0, 0, 0]


@pytest.fixture
def figures(monkeypatch):
    """Figures that are written, which are written all the same."""
    drawn = []
    save = comparison._save
    monkeypatch.setattr(comparison, '_save', lambda *args: (drawn.append(args[0]), save(*args)))
    return drawn


def test_picture_of_the_classes(runs, tmp_path, figures):
    comparison.draw_classes(tmp_path / 'new' / 'classes.png', runs)
    (axis,) = figures[0].axes
    bars = [group for group in axis.containers if isinstance(group, BarContainer)]
    heights = [[bar.get_height() for bar in group] for group in bars]
    assert heights == [[50.0, 30.0, 40.0], [62.0, 24.0, 43.0]]
    assert [label.get_text() for label in axis.get_xticklabels()] == ['road', 'sky', 'mIoU']
    assert cv2.imread(str(tmp_path / 'new' / 'classes.png')).std() > 1


def test_picture_of_the_curves(tmp_path, figures):
    curves = {
        'lr': {10: 0.1},
        'loss': {10: 4.0, 20: 2.0},
        'mixed.loss_seg': {10: 1.0, 20: 0.5},
        'mixed.acc_seg': {10: 50.0},
        'mIoU': {20: 40.0},
        'pseudo_label.accuracy': {10: 70.0, 20: 80.0},
        'pseudo_label.agreement_0.00_0.20.accuracy': {20: 30.0},
        'pseudo_label.agreement_0.00_0.20.share': {20: 10.0},
    }
    runs = [
        ComparedRun('dacs', [], [curves]),
        ComparedRun('source', [], [{'loss': {10: 3.0, 20: 1.0}}]),
    ]
    comparison.draw_curves(tmp_path / 'curves.png', runs)
    panels = {axis.get_title(): axis for axis in figures[0].axes if axis.get_title()}
    assert panels.keys() == {
        *('loss', 'mixed.loss_seg', 'mIoU', 'pseudo_label.accuracy'),
        'pseudo_label.agreement_0.00_0.20.accuracy',
    }
    lines = {line.get_label(): line.get_xydata() for line in panels['loss'].lines}
    np.testing.assert_array_equal(lines['dacs'], [[10, 4], [20, 2]])
    np.testing.assert_array_equal(lines['source'], [[10, 3], [20, 1]])
    assert (tmp_path / 'curves.png').exists()


def test_curves_need_a_training(runs, tmp_path):
    with pytest.raises(ValueError, match='no run has logged a loss'):
        comparison.draw_curves(tmp_path / 'curves.png', runs)


def test_table_of_the_checkpoints_of_a_run():
    extra = {step: own | dict(image_mIoU=1.0, abs_rel=0.25) for step, own in FIRST.items()}
    del extra[10]['abs_rel']
    table = comparison.checkpoint_table(extra, 'IoU.sky')
    assert ['iteration', 'IoU.sky', 'mIoU', 'image_mIoU', 'abs_rel', ''] in cells(table)
    assert ['10', '40.00', '40.00', '1.00', '-', 'best'] in cells(table)
    assert ['20', '20.00', '50.00', '1.00', '0.250', ''] in cells(table)
    assert ['30', '30.00', '40.00', '1.00', '0.250', 'last'] in cells(table)
    assert 'best: of 3 checkpoints by IoU.sky, chosen on the very images' in table
    assert ['20', '50.00', 'best, last'] in cells(
        comparison.checkpoint_table({step: FIRST[step] for step in (10, 20)}, 'mIoU')
    )


def test_picture_of_the_checkpoints(tmp_path, figures):
    path = tmp_path / 'new' / 'checkpoints.png'
    comparison.draw_checkpoints(path, {step: FIRST[step] for step in (30, 10, 20)}, 'mIoU')
    (axis,) = figures[0].axes
    assert axis.lines[0].get_xydata().tolist() == [[10, 40], [20, 50], [30, 40]]
    assert [mark.get_offsets().tolist() for mark in axis.collections] == [[[20, 50]], [[30, 40]]]
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ['best of 3: 50.00 at 20', 'last: 40.00 at 30']
    assert cv2.imread(str(path)).std() > 1
