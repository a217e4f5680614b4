# Licensed under the Apache License 2.0, see LICENSE.
import subprocess
import sys

import cv2
import numpy as np
import pytest

from mmseg_depthuda.engine.opencv_threads import no_opencv_threads

# Forks once OpenCV has threads. Without the precaution the child never returns.
PROGRAM = """
import multiprocessing, sys
import cv2, numpy as np
from mmseg_depthuda.engine.opencv_threads import no_opencv_threads
from mmseg_depthuda.preparation import map_in_processes

def features(seed):
    image = np.random.default_rng(seed).integers(0, 256, (400, 400), np.uint8)
    return len(cv2.SIFT_create(200).detect(image))

cv2.setNumThreads(4)
here = [features(seed) for seed in range(4)]
assert list(map_in_processes(features, range(4), 2)) == here
with no_opencv_threads(), multiprocessing.get_context('fork').Pool(2) as pool:
    assert pool.map(features, range(4)) == here
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
        with pytest.raises(ZeroDivisionError), no_opencv_threads():
            assert cv2.getNumThreads() == 1
            cv2.GaussianBlur(np.zeros((9, 9)), (3, 3), 1)
            raise ZeroDivisionError
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)
