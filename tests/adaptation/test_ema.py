# Licensed under the Apache License 2.0, see LICENSE.
from fractions import Fraction

import pytest
import torch

from mmseg_depthuda.adaptation import ema_alpha, ema_update


@pytest.mark.parametrize('iteration', [0, 1, 2, 9, 998, 999, 1000, 250_000])
def test_alpha(iteration):
    expected = min(1 - Fraction(1, iteration + 1), Fraction(999, 1000))
    assert ema_alpha(iteration) == pytest.approx(float(expected), abs=1e-15)


def test_alpha_with_another_maximum():
    assert [ema_alpha(i, maximum=0.6) for i in range(4)] == [0, 0.5, 0.6, 0.6]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [((-1,), 'iteration .* got -1'), ((1, 1.5), 'maximum .* got 1.5'), ((1, -0.1), 'got -0.1')],
)
def test_alpha_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        ema_alpha(*arguments)


@pytest.mark.parametrize('alpha', [0.0, 0.3, 0.5, 0.999, 1.0])
def test_update_equals_closed_form(alpha):
    """``a_T = alpha^T a_0 + (1 - alpha) sum_t alpha^(T - 1 - t) s_t``."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 4), (7,), (), (2, 3, 1, 1)]
    start = [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes]
    sources = [
        [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes] for _ in range(5)
    ]
    averaged = [tensor.clone() for tensor in start]
    for source in sources:
        ema_update(averaged, source, alpha)

    for index, average in enumerate(averaged):
        expected = alpha ** len(sources) * start[index]
        for t, source in enumerate(sources):
            expected = expected + (1 - alpha) * alpha ** (len(sources) - 1 - t) * source[index]
        torch.testing.assert_close(average, expected, rtol=1e-13, atol=1e-14)


def test_warm_up_averages_the_students():
    students = [torch.tensor([float(i**2)], dtype=torch.float64) for i in range(10)]
    average = torch.tensor([1e9], dtype=torch.float64)
    for iteration, student in enumerate(students):
        ema_update([average], [student], ema_alpha(iteration))
    assert average.item() == pytest.approx(sum(i**2 for i in range(10)) / 10, rel=1e-13)


def test_first_update_is_an_exact_copy():
    average, source = torch.rand(100) * 1e8, torch.rand(100)
    ema_update([average], [source], ema_alpha(0))
    assert torch.equal(average, source)


def test_update_of_parameters_is_in_place_and_without_graph():
    average, source = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    before = [p.data_ptr() for p in average.parameters()]
    unchanged = [p.detach().clone() for p in source.parameters()]
    ema_update(list(average.parameters()), list(source.parameters()), 0.5)
    assert [p.data_ptr() for p in average.parameters()] == before
    assert all(p.is_leaf and p.grad_fn is None for p in average.parameters())
    for parameter, expected in zip(source.parameters(), unchanged, strict=True):
        assert torch.equal(parameter, expected)


@pytest.mark.parametrize(
    ('averaged', 'source', 'alpha', 'message'),
    [
        ([torch.zeros(2)], [torch.zeros(2)], 1.1, 'alpha must be in 0 .. 1, got 1.1'),
        ([torch.zeros(2)], [], 0.5, '1 averages cannot follow 0 sources'),
        ([torch.zeros(2)], [torch.zeros(3)], 0.5, r'average 0 is .*\(2,\), its source .*\(3,\)'),
        ([torch.zeros(2)], [torch.zeros(2).double()], 0.5, 'its source torch.float64'),
    ],
)
def test_update_errors(averaged, source, alpha, message):
    with pytest.raises(ValueError, match=message):
        ema_update(averaged, source, alpha)
