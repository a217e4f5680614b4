# Licensed under the Apache License 2.0, see LICENSE.
"""Learning rates of resumed runs against closed forms; schedules that do not fit are reported."""

import re
from copy import deepcopy

import numpy as np
import pytest
from mmengine.hooks import Hook

from mmseg_depthuda.engine.hooks import ScheduleHook

POLY = dict(type='PolyLR', power=0.9, end=20, by_epoch=False)
WARM_UP = dict(type='LinearLR', start_factor=0.1, end=3, by_epoch=False)


class Rates(Hook):
    """Records the settings that every iteration trains with."""

    def __init__(self):
        self.lr, self.groups, self.momenta = {}, [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        optimizer = runner.optim_wrapper.optimizer
        self.groups.append(dict(optimizer.param_groups[0], params=None))
        self.momenta.append(len(optimizer.state))
        self.lr[runner.iter] = optimizer.param_groups[0]['lr']


@pytest.fixture
def train(tiny_runner, tmp_path, caplog):
    """Runs with a schedule; ``resume`` names the iteration to go on from."""

    def run(length, *schedulers, resume=None, **optimizer):
        rates = Rates()
        path = resume and str(tmp_path / 'run' / f'iter_{resume}.pth')
        hooks = [ScheduleHook(), rates]
        runner = tiny_runner('run', length, resume=bool(resume), load_from=path, hooks=hooks)
        runner.param_schedulers = deepcopy(list(schedulers))
        runner.optim_wrapper['optimizer'].update(optimizer)
        runner.logger.addHandler(caplog.handler)
        caplog.clear()
        runner.train()
        return rates

    return run


def reports(caplog):
    """The warnings of the hook, without those of MMEngine."""
    return [text for text in caplog.messages if 'earning rate' in text or 'param_sch' in text]


def poly(base, begin, end, iterations):
    """MMEngine's decay in closed form."""
    return base * (1 - (np.arange(*iterations) - begin) / (end - begin - 1)) ** 0.9


def test_settings_of_the_config_count_and_momenta_are_kept(train, caplog):
    train(4, POLY)
    changed = train(8, POLY, resume=4, lr=1e-4, momentum=0.5, weight_decay=0.1)
    assert list(changed.lr) == [4, 5, 6, 7] and changed.momenta[0] == 1
    np.testing.assert_allclose(list(changed.lr.values()), poly(1e-4, 0, 20, (4, 8)), rtol=1e-12)
    assert {(g['momentum'], g['weight_decay']) for g in changed.groups} == {(0.5, 0.1)}
    assert (
        'The config counts' in caplog.text and '0.00808358' in caplog.text
    )  # 0.01 * (15 / 19) ** 0.9


def test_unchanged_config_goes_on_bit_by_bit_and_silently(train, caplog):
    settings = [WARM_UP, dict(POLY, begin=3, end=8)]
    whole = train(8, *settings)
    for iteration in (2, 6):
        train(iteration, *settings)
        resumed = train(8, *settings, resume=iteration)
        assert resumed.lr == {t: lr for t, lr in whole.lr.items() if t >= iteration}
        assert not reports(caplog)


def test_finished_run_that_is_made_longer_goes_on_learning(train):
    poly_to_the_end = dict(POLY)
    del poly_to_the_end['end']
    assert train(4, poly_to_the_end).lr[3] == 0
    longer = train(8, poly_to_the_end, resume=4)
    np.testing.assert_allclose(list(longer.lr.values()), poly(0.01, 0, 8, (4, 8)), atol=1e-15)


def test_shorter_run_and_another_kind_of_schedule(train):
    """A checkpoint of LinearLR and PolyLR is resumed with the present closed form."""
    train(4, WARM_UP, dict(POLY, begin=3))
    shorter = train(6, dict(type='mmseg.WarmupPolyLR', power=0.9, by_epoch=False), resume=4)
    expected = 0.01 * (1 - np.arange(4, 6) / 6) ** 0.9
    np.testing.assert_allclose(list(shorter.lr.values()), expected, rtol=1e-14)


def test_run_beyond_its_end_and_another_optimizer_are_refused(train):
    train(4, POLY)
    with pytest.raises(ValueError, match='iteration 4, the run ends at 3. Raise train_cfg.max_it'):
        train(3, POLY, resume=4)
    adam = dict(type='Adam', momentum=None)
    with pytest.raises((ValueError, TypeError), match='optim_wrapper.optimizer.type|momentum'):
        train(8, POLY, resume=4, **adam)


def test_schedule_that_follows_scores_is_kept(train, caplog):
    plateau = dict(type='ReduceOnPlateauLR', monitor='loss', by_epoch=True)
    train(4, plateau)
    assert train(8, plateau, resume=4, lr=1e-4).lr[7] == 0.01
    assert 'lr is 0.0001 in the config and 0.01 in the checkpoint' in caplog.text


@pytest.mark.parametrize(
    'schedulers, message',
    [
        ([dict(POLY, end=4)], None),
        ([dict(POLY, end=5)], None),  # zero after the last iteration
        ([WARM_UP], None),
        ([WARM_UP, dict(POLY, begin=3, end=4)], None),
        ([dict(type='MultiStepLR', milestones=[3], by_epoch=False, end=900)], None),
        ([POLY], 'PolyLR ends at 20, the run at 4: the schedule is cut off. Leave `end` out'),
        ([dict(POLY, end=3)], 'ends at 3, the run at 4: from there on the learning rate stays'),
        ([dict(WARM_UP, end=9)], 'LinearLR ends at 9'),
        ([dict(type='CosineAnnealingLR', T_max=9, by_epoch=False)], 'CosineAnnealingLR ends at 9'),
        ([dict(type='MultiStepLR', milestones=[2, 7], by_epoch=False)], r'never .*\[7\]'),
        ([dict(type='PolyLR', power=0.9, end=4)], 'Set by_epoch=False'),
    ],
)
def test_schedule_that_does_not_fit_the_run_is_reported(train, caplog, schedulers, message):
    train(4, *schedulers)
    if message is None:
        assert not reports(caplog)
    else:
        (report,) = reports(caplog)
        assert report.startswith('param_scheduler: ') and re.search(message, report)
