# Licensed under the Apache License 2.0, see LICENSE.
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmseg_depthuda.engine.hooks import IterationSeedHook, iteration_seed_hook
from mmseg_depthuda.engine.hooks.iteration_seed_hook import seed_generators


def draw():
    return random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002


def drawn_after(*key):
    seed_generators(*key)
    return draw()


@pytest.fixture(autouse=True)
def _keep_states():
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    yield
    random.setstate(states[0])
    np.random.set_state(states[1])  # noqa: NPY002
    torch.set_rng_state(states[2])


def test_an_iteration_draws_the_same_whatever_was_drawn_before(monkeypatch):
    hook, runner = IterationSeedHook(), SimpleNamespace(seed=5, iter=7)
    hook.before_train_iter(runner, 0)
    first = draw()
    draw()
    hook.before_train_iter(runner, 0)
    assert draw() == first == drawn_after(5, 0, 7)

    monkeypatch.setattr(iteration_seed_hook, 'get_rank', lambda: 3)
    hook.before_train_iter(runner, 0)
    assert draw() == drawn_after(5, 3, 7)


def test_no_two_keys_draw_alike():
    keys = [(s, r, i) for s in range(3) for r in range(3) for i in range(100)]
    drawn = np.array([drawn_after(*key) for key in keys])
    for values in drawn.T:
        assert len(set(values)) == len(keys)
        # Uniform, and not correlated from one iteration to the next, within six standard errors.
        assert abs(values.mean() - 0.5) < 6 * np.sqrt(1 / 12 / len(keys))
        assert abs(np.corrcoef(values[1:], values[:-1])[0, 1]) < 6 / np.sqrt(len(keys))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_is_seeded():
    seed_generators(1, 2, 3)
    first = torch.rand(4, device='cuda')
    seed_generators(1, 2, 3)
    assert torch.equal(torch.rand(4, device='cuda'), first)
