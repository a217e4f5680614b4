# Licensed under the Apache License 2.0, see LICENSE.
"""Distributed training of batches of several branches."""

from typing import Any

from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmseg.registry import MODEL_WRAPPERS
from torch import Tensor, nn

from mmseg_depthuda.structures import is_batch_of_branches


@MODEL_WRAPPERS.register_module()
class UDADistributedDataParallel(MMDistributedDataParallel):
    """MMEngine's wrapper, with the training of :class:`UDASegmentor`: one branch after the other.

    The gradients of the first branches stay on their process (``no_sync``). They are averaged over
    the processes together with those of the last branch. Set it in the config as
    ``model_wrapper_cfg = dict(type='mmseg.UDADistributedDataParallel',
    find_unused_parameters=True)``. Unused parameters must be found, because a branch does not use
    the depth decoder of another domain.

    Args:
        module (nn.Module): The model.
        device_ids (list[int], optional): The CUDA device of the model. Ignored if the model is on
            the CPU.
        **kwargs: The other arguments of MMEngine's ``MMDistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, device_ids: list[int] | None = None, **kwargs: Any):
        # MMEngine names the CUDA device of the process even where the model is on the CPU.
        if next(module.parameters()).device.type == 'cpu':
            device_ids = None
        super().__init__(module, device_ids=device_ids, **kwargs)

    def train_step(
        self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One optimizer step; see :meth:`UDASegmentor.train_step`."""
        if not is_batch_of_branches(data):
            return super().train_step(data, optim_wrapper)
        return self.module.train_on_branches(self, data, optim_wrapper)
