# Licensed under the Apache License 2.0, see LICENSE.
"""Distributed training of models whose parts have optimisers of their own."""

from mmengine.device import get_device
from mmengine.model import MMSeparateDistributedDataParallel
from mmseg.registry import MODEL_WRAPPERS
from torch import nn


@MODEL_WRAPPERS.register_module()
class UDASeparateDistributedDataParallel(MMSeparateDistributedDataParallel):
    """MMEngine's wrapper of every part of a model, on the CPU as well.

    Set it in the config as ``model_wrapper_cfg =
    dict(type='mmseg.UDASeparateDistributedDataParallel', find_unused_parameters=True)``: the target
    need not pass through every part of a head.

    Args:
        module (nn.Module): The model, such as :class:`AdversarialSegmentor`.
        device_ids (list[int], optional): Its CUDA device; ignored without CUDA, where MMEngine's
            runner names one all the same.
        **kwargs: The other arguments of MMEngine's ``MMSeparateDistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, device_ids: list[int] | None = None, **kwargs):
        if get_device() == 'cpu':  # where MMEngine's wrapper puts the parts
            device_ids = None
        super().__init__(module, device_ids=device_ids, **kwargs)
