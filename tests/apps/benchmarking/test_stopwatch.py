# Licensed under the Apache License 2.0, see LICENSE.
import time

import pytest
import torch

from mmseg_depthuda.apps.benchmarking.stopwatch import Stopwatch


@pytest.fixture
def watch(monkeypatch):
    """A stopwatch whose clock reads 0, 1, 3, 7, 15, ...: every interval has its own length."""
    moments = iter([2.0**n - 1 for n in range(50)])
    monkeypatch.setattr(time, 'perf_counter', lambda: next(moments))
    return Stopwatch(torch.device('cpu'))


def test_inner_part_is_taken_out_of_the_outer(watch):
    with watch.part('outer'):  # 0
        with watch.part('inner'):  # 1
            pass  # 3
        with watch.part('inner'):  # 7
            pass  # 15
        # 31
    assert watch.read() == {'outer': 1 + 4 + 16, 'inner': 2 + 8}


def test_a_part_within_itself_counts_once(watch):
    with watch.part('same'), watch.part('same'):  # 0, 1
        pass  # 3, 7
    assert watch.read() == {'same': 7}


def test_time_between_parts_belongs_to_none(watch):
    with watch.part('first'):  # 0
        pass  # 1
    with watch.part('second'):  # 3
        pass  # 7
    assert watch.read() == {'first': 1, 'second': 4}


def test_reading_starts_anew(watch):
    with watch.part('first'):  # 0
        pass  # 1
    watch.read()
    with watch.part('second'):  # 3
        pass  # 7
    assert watch.read() == {'second': 4}


def test_timed_passes_values_through_and_names_the_part_by_the_call(watch):
    double = watch.timed(lambda value, to: to, lambda value, to: 2 * value)
    assert double(4, to='here') == 8  # 0, 1
    assert watch.timed('there', abs)(-3) == 3  # 3, 7
    assert watch.read() == {'here': 1, 'there': 4}


def test_a_part_ends_with_an_exception(watch):
    with pytest.raises(KeyError), watch.part('failing'):  # 0
        raise KeyError  # 1
    assert watch.read() == {'failing': 1}


def test_reading_within_a_part_is_refused(watch):
    with watch.part('running'), pytest.raises(RuntimeError, match="'running'"):
        watch.read()
