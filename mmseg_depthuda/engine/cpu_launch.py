# Licensed under the Apache License 2.0, see LICENSE.
"""Import this module from a config to train on several processes without CUDA.

MMEngine imports the ``custom_imports`` of a config before it launches. So this module can connect
the processes that ``torchrun`` (or MMSeg's ``dist_train.sh``) has started, see
:func:`~mmseg_depthuda.engine.launch.join_cpu_processes`. In any other process its import does
nothing.
"""

from .launch import join_cpu_processes

join_cpu_processes()
