# Licensed under the Apache License 2.0, see LICENSE.
import json
import math

import pytest

from mmseg_depthuda.apps.comparison import run_results as work_dirs

from .finished_runs import NAN, metrics, train_row, write_attempt, write_test


def test_a_resumed_attempt_counts_from_its_first_iteration_on(tmp_path):
    """Killed at 45, resumed from the checkpoint of 20: what the first logged after it is void."""
    first = [train_row(step, step / 100) for step in (10, 20, 30, 40)]
    first.insert(2, dict(mIoU=5.0, step=20))
    second = [train_row(30, 7.0), train_row(40, 8.0), dict(mIoU=9.0, step=40)]
    write_attempt(tmp_path, '20260102_100000', second)
    write_attempt(tmp_path, '20260101_100000', first, cut='{"lr": 0.1, "lo')
    (tmp_path / '20260103_100000').mkdir()  # killed before it logged
    (tmp_path / 'test' / '20260104_100000').mkdir(parents=True)
    curves = work_dirs.read_curves(tmp_path)
    assert curves['loss'] == {10: 0.1, 20: 0.2, 30: 7.0, 40: 8.0}
    assert list(curves['loss']) == [10, 20, 30, 40]
    assert curves['mIoU'] == {20: 5.0, 40: 9.0}
    assert curves.keys() == {'lr', 'loss', 'mIoU'}


def test_a_broken_line_in_the_middle_is_an_error(tmp_path):
    write_attempt(tmp_path, '20260101_100000', [train_row(10, 1.0)], cut='{"lo\n{"step": 3}')
    with pytest.raises(ValueError, match=r'scalars.json, line 2 is not JSON'):
        work_dirs.read_curves(tmp_path)


def test_the_latest_test_is_the_result_and_else_the_last_validation(tmp_path):
    rows = [dict(metrics(1.0, 1.0), step=10), train_row(20, 0.5), dict(metrics(2.0, 2.0), step=20)]
    write_attempt(tmp_path / 'run', '20260101_100000', rows)
    run = work_dirs.read_run('run', [tmp_path / 'run'])
    assert [m['IoU.road'] for m in run.metrics] == [2.0]
    write_test(tmp_path / 'run', '20260101_120000', metrics(3.0, 3.0))
    write_test(tmp_path / 'run' / 'test', '20260101_140000', metrics(4.0, NAN))
    write_test(tmp_path / 'run' / 'test', '20260101_130000', metrics(5.0, 5.0))
    run = work_dirs.read_run('run', [tmp_path / 'run', tmp_path / 'run' / '..' / 'run'])
    assert [m['IoU.road'] for m in run.metrics] == [4.0, 4.0]
    assert math.isnan(run.metrics[0]['IoU.sky'])
    assert [curves['loss'] for curves in run.curves] == [{20: 0.5}] * 2


@pytest.mark.parametrize(('made', 'message'), [(True, 'no evaluation'), (False, 'not exist')])
def test_an_empty_work_dir_is_an_error_with_its_remedy(tmp_path, made, message):
    if made:
        write_attempt(tmp_path / 'a', '20260101_100000', [train_row(10, 1.0)])
    with pytest.raises(ValueError, match=rf'corda: .*a .*{message}.*tools/test.py CONFIG'):
        work_dirs.read_run('corda', [tmp_path / 'a'])


def test_checkpoints_are_the_validated_ones_or_those_evaluated_afterwards(tmp_path):
    rows = [dict(metrics(1.0, 3.0), step=10), train_row(20, 0.5), dict(metrics(2.0, 2.0), step=20)]
    write_attempt(tmp_path, '20260101_100000', rows)
    run = work_dirs.read_run('run', [tmp_path])
    assert list(run.checkpoints[0]) == [10, 20]
    assert run.checkpoints[0][10] == metrics(1.0, 3.0)
    stored = {'30': dict(metrics=metrics(4.0, 4.0)), '5': dict(metrics=metrics(5.0, NAN))}
    path = tmp_path / 'checkpoint_metrics.json'
    path.write_text(json.dumps(dict(checkpoints=stored) | dict(settings={})).replace('NaN', 'null'))
    run = work_dirs.read_run('run', [tmp_path])
    assert list(run.checkpoints[0]) == [5, 30]
    assert math.isnan(run.checkpoints[0][5]['IoU.sky'])
    assert [m['IoU.road'] for m in run.metrics] == [2.0]
    # Without any validation the last of them stands in.
    (tmp_path / '20260101_100000' / 'vis_data' / 'scalars.json').unlink()
    assert work_dirs.read_run('run', [tmp_path]).metrics[0]['IoU.road'] == 4.0
