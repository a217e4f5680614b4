# Licensed under the Apache License 2.0, see LICENSE.
import os
import subprocess
import sys
from contextlib import closing

import cv2
import pytest

from mmseg_depthuda.fileio import map_in_processes, processes


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


@pytest.mark.parametrize('workers', [1, 2])
def test_progress_is_told_on_standard_error(workers, capfd):
    assert len(list(map_in_processes(square, range(3), workers, 'squares'))) == 3
    out, err = capfd.readouterr()
    assert err == 'squares: 3 of 3 (100%)\n' and not out


def test_a_log_file_is_told_now_and_then(monkeypatch, capfd):
    clock = iter([0, 10, 32, 40, 60, 65, 70])  # the start, then after each item
    monkeypatch.setattr(processes.time, 'monotonic', lambda: next(clock))
    list(map_in_processes(square, range(6), 1, 'squares'))
    assert capfd.readouterr().err.splitlines() == [
        'squares: 2 of 6 (33%), about 64 s left',
        'squares: 5 of 6 (83%), about 13 s left',
        'squares: 6 of 6 (100%)',
    ]


def test_a_terminal_gets_a_bar(monkeypatch, capfd):
    monkeypatch.setenv('FORCE_COLOR', '1')  # rich takes this for a terminal
    list(map_in_processes(square, range(3), 1, 'squares'))
    err = capfd.readouterr().err
    assert 'squares' in err and '100%' in err and '3 of 3' not in err


# Forks once OpenCV has threads. Without the precaution the child never returns.
PROGRAM = """
import cv2, numpy as np
from mmseg_depthuda.fileio import map_in_processes

def features(seed):
    image = np.random.default_rng(seed).integers(0, 256, (400, 400), np.uint8)
    return len(cv2.SIFT_create(200).detect(image))

cv2.setNumThreads(4)
here = [features(seed) for seed in range(4)]
assert list(map_in_processes(features, range(4), 2)) == here
assert cv2.getNumThreads() == 4
print('done')
"""


def test_processes_fork_though_opencv_has_threads(tmp_path):
    program = tmp_path / 'program.py'
    program.write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', program], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.endswith('done\n'), done.stderr[-2000:]


def test_the_number_of_threads_comes_back():
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(3)
        with closing(map_in_processes(square, range(9), 2)) as results:
            next(results)
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
