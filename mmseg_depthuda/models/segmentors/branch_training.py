# Licensed under the Apache License 2.0, see LICENSE.
"""One optimiser step over the losses of several branches, one graph in memory at a time."""

from collections import OrderedDict
from contextlib import nullcontext

from mmengine.optim import OptimWrapper
from torch import Tensor, nn


def train_by_branch(
    model: nn.Module, module: nn.Module, data: dict, optim_wrapper: OptimWrapper
) -> dict[str, Tensor]:
    """Forward and backward of each branch in turn, then one step of the optimiser.

    The gradient is that of the sum of all losses, but the activations of one branch are freed
    before the next branch needs its own. Under ``DistributedDataParallel`` gradients are exchanged
    once, in the last branch. Gradient accumulation and mixed precision work as in MMEngine.

    Args:
        model (nn.Module): What is called: ``module`` itself or its distributed wrapper.
        module (UDASegmentor): The segmentor.
        data (dict): Branches by name, from the data loader or already preprocessed.
        optim_wrapper (OptimWrapper): Wrapper of the optimiser.

    Returns:
        dict[str, Tensor]: Losses by ``BRANCH.loss_NAME``, and their sum ``loss``.

    Raises:
        ValueError: If no branch of the batch carries a loss.
    """
    with optim_wrapper.optim_context(model):
        branches = module.data_preprocessor(data, training=True)
    names = [name for name in module.trained_branches if name in branches]
    if not names:
        raise ValueError(
            f'The batch has the branches {sorted(branches)}, none of which carries a loss: one of '
            f'{module.trained_branches} is needed. Take SourceTargetDataset as the training '
            'dataset.'
        )
    log_vars = OrderedDict(loss=0.0)
    for name in names:
        is_last = name == names[-1]
        no_sync = nullcontext() if is_last or model is module else model.no_sync()
        with no_sync:
            with optim_wrapper.optim_context(model):
                losses = model(**branches[name], mode='loss')
            loss, branch_log = module.parse_losses(losses)
            if is_last:
                optim_wrapper.update_params(loss)
            else:
                add_gradient(loss, optim_wrapper)
        branch_log = {key: value.detach() for key, value in branch_log.items()}
        log_vars['loss'] = log_vars['loss'] + branch_log.pop('loss')
        log_vars.update({f'{name}.{key}': value for key, value in branch_log.items()})
    return log_vars


def add_gradient(loss: Tensor, optim_wrapper: OptimWrapper) -> None:
    """Add the gradient of one of several losses of an iteration, without a step.

    Args:
        loss (Tensor): Scalar; its graph is freed.
        optim_wrapper (OptimWrapper): Wrapper of the optimiser. Its count of iterations, by which it
            accumulates gradients, stays as it is.
    """
    optim_wrapper.backward(optim_wrapper.scale_loss(loss))
    optim_wrapper._inner_count -= 1  # backward() counts every call as one iteration
