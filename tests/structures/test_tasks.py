# Licensed under the Apache License 2.0, see LICENSE.
import pytest

from mmseg_depthuda.registry import TASKS
from mmseg_depthuda.structures import DenseTask, dense_task


def test_depth():
    task = dense_task('depth')
    assert (task.channels, task.prediction_field) == (1, 'pred_depth_map')


def test_a_task_of_a_user():
    class Normals(DenseTask):
        channels = 3
        prediction_field = 'pred_normals'

    with pytest.raises(KeyError, match=r"'normals' is no task.*'depth'.*name='normals'"):
        dense_task('normals')
    TASKS.register_module(name='normals', module=Normals)
    try:
        assert dense_task('normals') is Normals
    finally:
        del TASKS.module_dict['normals']
