# Licensed under the Apache License 2.0, see LICENSE.
import pytest

from mmseg_depthuda.registry import TASKS
from mmseg_depthuda.structures import DenseTask, dense_task


@pytest.mark.parametrize('name', ['depth', 'density'])
def test_maps_of_one_channel(name):
    task = dense_task(name)
    assert (task.channels, task.prediction_field) == (1, f'pred_{name}_map')


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
