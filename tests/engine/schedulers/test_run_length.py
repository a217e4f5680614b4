# Licensed under the Apache License 2.0, see LICENSE.
"""Learning rates of every iteration against closed forms and MMEngine's own schedulers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import LinearLR, MultiStepLR, PolyLR
from mmseg.registry import PARAM_SCHEDULERS

SCHEDULES = Path(__file__).parents[3] / 'configs/_base_/schedules'


def optimizer(lr):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)


def rates(schedulers, sgd, length):
    values = []
    sgd.step()  # PyTorch and MMEngine warn of a scheduler that steps before its optimizer
    for _ in range(length):
        values.append(sgd.param_groups[0]['lr'])
        for scheduler in schedulers:
            scheduler.step()
    return np.array(values)


def shipped(name, lr, length=None):
    """Rates of a schedule of the repository at its own or another length."""
    cfg = Config.fromfile(SCHEDULES / f'{name}.py')
    length, sgd = length or cfg.train_cfg.max_iters, optimizer(lr)
    (settings,) = cfg.param_scheduler
    scheduler = PARAM_SCHEDULERS.build(dict(settings, optimizer=sgd, end=length))
    return rates([scheduler], sgd, length)


@pytest.mark.parametrize('length', [None, 500])
@pytest.mark.parametrize('schedule', ['corda_250k', 'deeplab_90k'])
def test_published_poly_decay(schedule, length):
    actual = shipped(schedule, 2.5e-4, length)
    expected = 2.5e-4 * (1 - np.arange(len(actual)) / len(actual)) ** 0.9
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-15)


def test_small_setting_is_as_a_pair_of_mmengine():
    """PolyLR reaches zero at ``end`` - 1, here one iteration after the run."""
    sgd = optimizer(1e-3)
    pair = [
        LinearLR(sgd, start_factor=0.01, begin=0, end=100, by_epoch=False),
        PolyLR(sgd, eta_min=0.0, power=0.9, begin=100, end=1001, by_epoch=False),
    ]
    expected = rates(pair, sgd, 1000)
    np.testing.assert_allclose(shipped('street_world', 1e-3), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    'schedule, milestone, length',
    [('monodepth2_300k', 160000, 300000), ('street_world_monodepth2', 900, 1200)],
)
def test_steps_are_where_they_were(schedule, milestone, length):
    sgd = optimizer(1e-4)
    step = MultiStepLR(sgd, milestones=[milestone], gamma=0.1, end=length, by_epoch=False)
    np.testing.assert_allclose(shipped(schedule, 1e-4), rates([step], sgd, length), rtol=1e-14)


@pytest.mark.parametrize('length', [1, 2, 3, 40])
def test_warm_up_is_a_share_of_any_length(length):
    values = shipped('street_world', 1.0, length)
    assert values.max() == 1 and (values > 0).all()
    assert values.argmax() == max(round(length / 10) - 1, 0)


@pytest.mark.parametrize(
    'settings, message',
    [
        (dict(type='WarmupPolyLR', warmup=10, by_epoch=False), 'share of the run, such as 0.1'),
        (dict(type='WarmupPolyLR'), 'set by_epoch=False'),
        (dict(type='RunMultiStepLR', milestones=[900], by_epoch=False), "type='MultiStepLR'"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PARAM_SCHEDULERS.build(dict(settings, optimizer=optimizer(1), end=10))
