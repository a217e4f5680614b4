# Licensed under the Apache License 2.0, see LICENSE.
import time

import pytest

from mmseg_depthuda.apps.benchmarking.instrumentation import replaced
from mmseg_depthuda.apps.benchmarking.matching_times import MatchingTimes, benchmark_matching
from mmseg_depthuda.datasets.geometry_matching import GeometryMatching
from tests.apps.tiny_domains import tiny_domains


@pytest.fixture
def cfg(tmp_path):
    cfg = tiny_domains(tmp_path)
    match = dict(to='target', candidates=2, ignore_top=1, ignore_bottom=1)
    cfg.train_dataloader.dataset.source.match = match
    return cfg


def test_the_time_of_the_matching_is_found(cfg):
    """A matching that works for 50 ms more takes this more."""
    choose = GeometryMatching.choose

    def slow(self, *args):
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return choose(self, *args)

    with replaced(GeometryMatching, 'choose', slow):
        times = benchmark_matching(cfg, iters=2, warmup=1)
    assert times.iterations == 2
    assert 2 * 2 * 0.05 < times.matched < times.total
    assert 0 < times.plain < 0.05


def test_share():
    times = MatchingTimes(total=1.1, matched=0.2, plain=0.11)
    assert times.share == pytest.approx(0.1)


def test_what_cannot_be_measured(cfg):
    with pytest.raises(ValueError, match='must be positive, got 0 and 2'):
        benchmark_matching(cfg, iters=0)
    cfg.train_dataloader.dataset.source.pop('match')
    with pytest.raises(ValueError, match='No domain of train_dataloader.dataset has `match`'):
        benchmark_matching(cfg, iters=1)
