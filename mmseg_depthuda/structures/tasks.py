# Licensed under the Apache License 2.0, see LICENSE.
"""Tasks: what a head can predict in addition to the classes.

A task is a name, such as ``'depth'``, with what the code of prediction must know about it. It is
registered in :data:`~mmseg_depthuda.registry.TASKS`, here or in a file of the user.
"""

from mmseg_depthuda.registry import TASKS


class DenseTask:
    """A map that a head predicts. Subclass it, and register the class under the task's name.

    Attributes:
        channels (int): Channels of the prediction.
        prediction_field (str): Key of the predicted map in a sample, (channels, H, W).
    """

    channels: int = 1
    prediction_field: str


@TASKS.register_module(name='depth')
class DepthTask(DenseTask):
    """Inverse depth, larger is nearer, in the encoding that the network was trained on."""

    prediction_field = 'pred_depth_map'


def dense_task(name: str) -> type[DenseTask]:
    """Look up a task by its name.

    Args:
        name: Its registered name.

    Returns:
        type[DenseTask]: The task.

    Raises:
        KeyError: There is no such task.
    """
    task = TASKS.get(name)
    if task is None:
        raise KeyError(
            f'{name!r} is no task. The tasks are {sorted(TASKS.module_dict)}; '
            f'to add one, put @TASKS.register_module(name={name!r}) before a subclass of DenseTask.'
        )
    return task
