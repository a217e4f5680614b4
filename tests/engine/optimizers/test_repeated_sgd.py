# Licensed under the Apache License 2.0, see LICENSE.
"""RepeatedSGD against PyTorch's SGD and against the update rule in plain NumPy."""

import copy

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmseg_depthuda.engine.optimizers import RepeatedSGD

LR, MOMENTUM, DECAY = 0.05, 0.9, 5e-4


def run_reference(start, gradients, repeats, lr=LR, momentum=MOMENTUM, decay=DECAY):
    """The published update, one scalar operation after the other, in NumPy float64."""
    theta, buffer = start.copy(), None
    for gradient in gradients:
        for _ in range(repeats):
            update = gradient + decay * theta
            buffer = update if buffer is None else momentum * buffer + update
            theta = theta - lr * buffer
    return theta, buffer


def run_optimizer(optimizer, params, gradients):
    for step in gradients:
        for param, gradient in zip(params, step, strict=True):
            param.grad = torch.from_numpy(gradient.copy())
        optimizer.step()


@pytest.mark.parametrize('repeats', [1, 3, 4])
def test_equals_the_written_out_rule(repeats):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(5, 3, 2))
    param = nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = RepeatedSGD([param], LR, MOMENTUM, DECAY, repeats=repeats)
    run_optimizer(optimizer, [param], gradients[:, None])
    theta, buffer = run_reference(start, gradients, repeats)
    np.testing.assert_allclose(param.detach().numpy(), theta, rtol=1e-14)
    np.testing.assert_allclose(optimizer.state[param]['momentum_buffer'], buffer, rtol=1e-14)


def test_three_updates_by_hand():
    """theta 1, g 1, lr 0.1, momentum 0.5, no decay: buffers 1, 1.5, 1.75, so theta 0.575."""
    param = nn.Parameter(torch.tensor(1.0, dtype=torch.float64))
    optimizer = RepeatedSGD([param], lr=0.1, momentum=0.5, repeats=3)
    param.grad = torch.ones_like(param)
    optimizer.step()
    assert param.item() == pytest.approx(0.575, abs=1e-15)


@pytest.mark.parametrize(('momentum', 'decay'), [(0.0, 0.0), (0.9, 5e-4), (0.0, 1e-2)])
def test_one_repeat_is_bit_for_bit_pytorch(momentum, decay):
    rng = np.random.default_rng(1)
    starts = [rng.normal(size=(4, 4)).astype(np.float32), rng.normal(size=7).astype(np.float32)]
    gradients = [[rng.normal(size=s.shape).astype(np.float32) for s in starts] for _ in range(6)]
    outcomes = []
    for cls in (RepeatedSGD, torch.optim.SGD):
        params = [nn.Parameter(torch.from_numpy(start.copy())) for start in starts]
        run_optimizer(cls(params, lr=LR, momentum=momentum, weight_decay=decay), params, gradients)
        outcomes.append(params)
    for ours, theirs in zip(*outcomes, strict=True):
        assert torch.equal(ours, theirs)


def test_groups_have_their_own_repeats_and_lr():
    starts = np.array([[1.0], [-2.0]])
    params = [nn.Parameter(torch.from_numpy(start.copy())) for start in starts]
    optimizer = RepeatedSGD(
        [dict(params=[params[0]], repeats=3), dict(params=[params[1]], lr=10 * LR)],
        LR,
        MOMENTUM,
        DECAY,
    )
    gradients = np.array([[[0.3], [0.7]], [[-0.2], [0.1]]])
    run_optimizer(optimizer, params, gradients)
    for index, (repeats, lr) in enumerate([(3, LR), (1, 10 * LR)]):
        expected, _ = run_reference(starts[index], gradients[:, index], repeats, lr=lr)
        np.testing.assert_allclose(params[index].detach().numpy(), expected, rtol=1e-14)


def test_parameter_without_gradient_is_left_alone():
    used, unused = (nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = RepeatedSGD([used, unused], LR, MOMENTUM, DECAY, repeats=3)
    used.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(unused, torch.ones(2))
    assert 'momentum_buffer' not in optimizer.state[unused]
    assert not torch.equal(used, torch.ones(2))


def test_state_dict_goes_on_where_it_stopped():
    rng = np.random.default_rng(2)
    gradients = rng.normal(size=(4, 1, 5))
    param = nn.Parameter(torch.zeros(5, dtype=torch.float64))
    optimizer = RepeatedSGD([dict(params=[param], repeats=3)], LR, MOMENTUM, DECAY)
    run_optimizer(optimizer, [param], gradients[:2])
    resumed = nn.Parameter(param.detach().clone())
    other = RepeatedSGD([resumed], LR, MOMENTUM, DECAY)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run_optimizer(optimizer, [param], gradients[2:])
    run_optimizer(other, [resumed], gradients[2:])
    assert torch.equal(param, resumed)


def test_state_of_plain_sgd_is_refused():
    param = nn.Parameter(torch.zeros(1))
    plain = torch.optim.SGD([param], lr=LR, momentum=MOMENTUM)
    with pytest.raises(ValueError, match='not written by RepeatedSGD'):
        RepeatedSGD([param], LR, MOMENTUM).load_state_dict(plain.state_dict())


@pytest.mark.parametrize('repeats', [0, -1, 1.5, True, '3'])
def test_bad_repeats_are_refused(repeats):
    param = nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match='positive integer'):
        RepeatedSGD([param], LR, repeats=repeats)
    with pytest.raises(ValueError, match='positive integer'):
        RepeatedSGD([dict(params=[param], repeats=repeats)], LR)


def test_closure_is_evaluated_once_with_gradients():
    param = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    optimizer = RepeatedSGD([param], lr=0.1, repeats=3)
    calls = []

    def closure():
        calls.append(1)
        optimizer.zero_grad()
        loss = 3 * param
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 6.0
    assert len(calls) == 1
    assert param.item() == pytest.approx(2.0 - 3 * 0.1 * 3)


@pytest.mark.parametrize('finite', [True, False])
def test_gradient_scaler_unscales_once_and_skips_overflow(finite):
    param = nn.Parameter(torch.tensor(1.0))
    optimizer = RepeatedSGD([param], lr=0.1, repeats=3)
    scaler = torch.amp.GradScaler('cpu', init_scale=1024.0)
    scaler.scale(param * (2.0 if finite else float('inf'))).backward()
    scaler.step(optimizer)
    scaler.update()
    assert param.item() == pytest.approx(1.0 - 3 * 0.1 * 2.0 if finite else 1.0)


def test_works_in_an_optim_wrapper():
    param = nn.Parameter(torch.tensor(1.0))
    wrapper = OptimWrapper(RepeatedSGD([param], lr=0.1, repeats=3), accumulative_counts=2)
    wrapper.initialize_count_status(nn.Identity(), 0, 2)
    for _ in range(2):
        wrapper.update_params(param * 2.0)
    assert param.item() == pytest.approx(1.0 - 3 * 0.1 * 2.0)
