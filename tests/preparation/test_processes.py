# Licensed under the Apache License 2.0, see LICENSE.
import os

import pytest

from mmseg_depthuda.preparation import map_in_processes


def square(number):
    return number * number, os.getpid()


def reciprocal(number):
    return 1 / number


@pytest.mark.parametrize('workers', [1, 3])
def test_results_are_in_the_order_of_the_items(workers):
    results, processes = zip(*map_in_processes(square, range(20), workers), strict=True)
    assert results == tuple(i * i for i in range(20))
    assert (os.getpid() in processes) == (workers == 1)


@pytest.mark.parametrize('workers', [1, 2])
def test_errors_reach_the_caller(workers):
    with pytest.raises(ZeroDivisionError):
        list(map_in_processes(reciprocal, [3, 2, 1, 0], workers))


def test_nothing_to_do():
    assert list(map_in_processes(square, [], 4)) == []
