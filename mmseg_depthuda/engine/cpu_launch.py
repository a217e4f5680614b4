# Licensed under the Apache License 2.0, see LICENSE.
"""Import this module from a config to train on several processes without CUDA.

A config is read, and its ``custom_imports`` are imported, before MMEngine launches: the processes
that ``torchrun`` (or MMSeg's ``dist_train.sh``) has started are joined here, see
:func:`~mmseg_depthuda.engine.launch.join_cpu_processes`. In any other process, importing it does
nothing.
"""

from .launch import join_cpu_processes

join_cpu_processes()
