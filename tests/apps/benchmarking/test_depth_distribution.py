# Licensed under the Apache License 2.0, see LICENSE.
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from mmseg_depthuda.adaptation.depth_mixtures import GridMixtures
from mmseg_depthuda.apps.benchmarking import depth_distribution
from mmseg_depthuda.apps.benchmarking.depth_distribution import (
    benchmark_density,
    benchmark_spatial_prior,
    pixel_by_pixel,
    plain_search,
    random_mixtures,
)
from tests.commands import exit_status_of

TOOL = Path(__file__).parents[3] / 'tools/analysis_tools/benchmark_depth_distribution.py'


def test_pixel_by_pixel_is_scipys():
    mixtures = random_mixtures(2, 3, (2, 3))
    depth = np.array([[1.0, 50, 100], [7, 0, 200]])
    found = pixel_by_pixel(mixtures, depth)
    for (c, y, x), value in np.ndenumerate(found):
        expected = sum(
            w * multivariate_normal(m, np.diag(v)).pdf([x, y, depth[y, x]])
            for w, m, v in zip(
                mixtures.weights[c], mixtures.means[c], mixtures.variances[c], strict=True
            )
        )
        assert value == pytest.approx(float(expected))


def test_plain_search_by_hand():
    label = np.array([[0, 0, 1], [1, 255, 1], [1, 0, 255]], dtype=np.uint8)
    expected = np.array([[255, 255, 255], [1, 255, 255], [1, 255, 255]])
    # Of class 0: two pixels and one; of class 1: two on the right, two on the left.
    np.testing.assert_array_equal(plain_search(label, [3, 2]), np.where(label == 1, 1, 255))
    label[0, 2] = 2
    np.testing.assert_array_equal(plain_search(label, [3, 2, 2]), expected)


def test_the_ways_are_compared(monkeypatch):
    density = benchmark_density((6, 8), 3, 2, repeats=2)
    prior = benchmark_spatial_prior((50, 60), 3, repeats=2)
    assert density[0].factor == prior[0].factor == 1
    assert all(timing.seconds > 0 for timing in density + prior)
    wrong = depth_distribution.keep_large_components
    monkeypatch.setattr(
        depth_distribution, 'keep_large_components', lambda label, t: wrong(label, np.zeros(3))
    )
    with pytest.raises(ArithmeticError, match='not those of the plain search'):
        benchmark_spatial_prior((50, 60), 3, repeats=2)
    monkeypatch.setattr(depth_distribution, 'pixel_by_pixel', lambda *a: pixel_by_pixel(*a) + 1)
    with pytest.raises(ArithmeticError, match='not that of the plain loop'):
        benchmark_density((6, 8), 3, 2, repeats=2)


def test_density_of_a_training_takes_less_than_ten_milliseconds():
    """CPU time of the best of ten, so that other processes do not count."""
    grid = 96, 161
    mixtures = GridMixtures(random_mixtures(16, 5, grid), grid)
    classes, depth = torch.randint(16, (1, *grid)), 200 * torch.rand(1, *grid)
    seconds = []
    for _ in range(10):
        start = time.process_time()
        mixtures.density(classes, depth)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.010


@pytest.mark.slow
def test_published_sizes_are_much_faster():
    assert benchmark_density()[-1].factor >= 200
    assert benchmark_spatial_prior()[-1].factor >= 10


def test_tool(monkeypatch, capsys):
    for name, small in dict(
        benchmark_density=dict(grid=(6, 8)), benchmark_spatial_prior=dict(size=(50, 60))
    ).items():
        whole = getattr(depth_distribution, name)
        monkeypatch.setattr(
            depth_distribution, name, lambda whole=whole, small=small, **kw: whole(**small, **kw)
        )
    assert exit_status_of(TOOL, '--classes', 3, '--repeats', 2) == 0
    said = capsys.readouterr().out
    assert said.count('density, ') == 3 and said.count('spatial prior, ') == 2
