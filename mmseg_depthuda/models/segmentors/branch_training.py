# Licensed under the Apache License 2.0, see LICENSE.
"""One step of the optimizer on the losses of several passes, with one graph in memory at a time."""

from collections.abc import Mapping
from contextlib import nullcontext

from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import Tensor


def train_passes(
    model: BaseModel | MMDistributedDataParallel,
    module: BaseModel,
    passes: Mapping[str, Mapping],
    optim_wrapper: OptimWrapper,
) -> dict[str, Tensor]:
    """Run forward and backward of each pass in turn, then one step of the optimizer.

    The gradient is that of the sum of all losses. The activations of a pass are freed before the
    next pass begins. Under ``DistributedDataParallel`` gradients are exchanged once, in the last
    pass. Gradient accumulation and mixed precision work as in MMEngine.

    Args:
        model (BaseModel | MMDistributedDataParallel): What is called: ``module`` itself or its
            distributed wrapper.
        module (BaseModel): The segmentor.
        passes (Mapping[str, Mapping]): Name of a pass -> the arguments of ``model`` for it.
            ``model`` returns losses by name.
        optim_wrapper (OptimWrapper): Wrapper of the optimizer.

    Returns:
        dict[str, Tensor]: ``PASS.NAME`` for every loss, and the sum of all, ``loss``.
    """
    log_vars: dict[str, Tensor] = {}
    for index, (name, arguments) in enumerate(passes.items()):
        is_last = index == len(passes) - 1
        exchanges = is_last and optim_wrapper.should_sync()
        with nullcontext() if exchanges or model is module else model.no_sync():
            with optim_wrapper.optim_context(module):
                losses = model(**arguments)
            loss, log = module.parse_losses(losses)
            if is_last:
                optim_wrapper.update_params(loss)
            else:
                add_gradient(loss, optim_wrapper)
        log = {key: value.detach() for key, value in log.items()}
        log_vars['loss'] = log_vars.get('loss', 0.0) + log.pop('loss')
        log_vars.update({f'{name}.{key}': value for key, value in log.items()})
    return log_vars


def add_gradient(loss: Tensor, optim_wrapper: OptimWrapper) -> None:
    """Add the gradient of one of several losses of an iteration, without a step.

    Args:
        loss (Tensor): Scalar. Its graph is freed.
        optim_wrapper (OptimWrapper): Wrapper of the optimizer. Its count of iterations, which it
            uses to accumulate gradients, does not change.
    """
    optim_wrapper.backward(optim_wrapper.scale_loss(loss))
    optim_wrapper._inner_count -= 1  # backward() counts every call as one iteration
