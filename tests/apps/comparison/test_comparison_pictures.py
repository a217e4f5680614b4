# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from matplotlib.container import BarContainer

from mmseg_depthuda.apps.comparison import comparison_pictures as pictures
from mmseg_depthuda.apps.comparison import comparison_tables as tables
from mmseg_depthuda.apps.comparison import run_results as work_dirs
from mmseg_depthuda.apps.comparison.run_results import ComparedRun

from .finished_runs import depth_errors, metrics, train_row, write_attempt, write_test


@pytest.fixture
def runs():
    """Source-only once, CorDA with two seeds."""
    return [
        ComparedRun('source', [metrics(50.0, 30.0)]),
        ComparedRun('corda', [metrics(60.0, 20.0), metrics(64.0, 28.0)]),
    ]


def test_mean_curve_over_the_iterations_that_all_seeds_have():
    curves = [{'loss': {10: 1.0, 20: 3.0, 30: 9.0}}, {'loss': {10: 2.0, 20: 7.0}}, {'mIoU': {}}]
    curve = pictures.mean_curve(ComparedRun('a', [], curves), 'loss')
    assert curve['mean'].to_dict() == {10: 1.5, 20: 5.0}
    assert curve['std'].to_list() == pytest.approx([0.5**0.5, 8**0.5])
    assert pictures.mean_curve(ComparedRun('a', []), 'loss').empty


@pytest.fixture
def figures(monkeypatch):
    """Figures that are written, which are written all the same."""
    drawn = []
    save = pictures._save
    monkeypatch.setattr(pictures, '_save', lambda *args: (drawn.append(args[0]), save(*args)))
    return drawn


def test_picture_of_the_classes(runs, tmp_path, figures):
    pictures.draw_classes(tmp_path / 'new' / 'classes.png', runs)
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
    pictures.draw_curves(tmp_path / 'curves.png', runs)
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
        pictures.draw_curves(tmp_path / 'curves.png', runs)


def test_networks_that_predict_depth_alone(tmp_path, figures):
    """Trained with a validation, and tested only; neither segments anything."""
    rows = [train_row(10, 0.5, explained=0.5), dict(depth_errors(0.4), step=10)]
    rows += [train_row(20, 0.4, explained=0.7), dict(depth_errors(0.3), step=20)]
    write_attempt(tmp_path / 'video', '20260101_100000', rows)
    write_test(tmp_path / 'stereo', '20260101_100000', depth_errors(0.25))
    pair = [work_dirs.read_run(name, [tmp_path / name]) for name in ('video', 'stereo')]
    table = tables.comparison_table(pair)
    assert 'Depth errors' in table and 'IoU' not in table
    assert '| abs_rel  | 0.300 | 0.250 (-0.050) |' in table
    pictures.draw_classes(tmp_path / 'classes.png', pair)
    assert not (tmp_path / 'classes.png').exists()
    pictures.draw_curves(tmp_path / 'curves.png', pair)
    titles = [axis.get_title() for axis in figures[-1].axes]
    assert {'loss', 'explained', 'abs_rel', 'rmse', 'd1'} == set(titles) - {''}


def test_picture_of_the_checkpoints(tmp_path, figures):
    path = tmp_path / 'new' / 'checkpoints.png'
    reached = {30: metrics(50.0, 30.0), 10: metrics(40.0, 40.0), 20: metrics(80.0, 20.0)}
    pictures.draw_checkpoints(path, reached, 'mIoU')
    (axis,) = figures[0].axes
    assert axis.lines[0].get_xydata().tolist() == [[10, 40], [20, 50], [30, 40]]
    assert [mark.get_offsets().tolist() for mark in axis.collections] == [[[20, 50]], [[30, 40]]]
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ['best of 3: 50.00 at 20', 'last: 40.00 at 30']
    assert cv2.imread(str(path)).std() > 1
