# Licensed under the Apache License 2.0, see LICENSE.
"""SGD that applies its update several times per step, as the released CorDA trained with.

The releases of DACS, CorDA, AdvEnt and DADA pass each backbone weight to the optimizer once for
every module that contains it. The PyTorch of that time updated the weight that many times in one
step. PyTorch now warns of such lists, so this optimizer repeats the update explicitly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import overload

import torch
from mmseg.registry import OPTIMIZERS
from torch import Tensor
from torch.optim.sgd import SGD, sgd


def _check_repeats(repeats: int) -> None:
    if not isinstance(repeats, int) or isinstance(repeats, bool) or repeats < 1:
        raise ValueError(f'repeats must be a positive integer, got {repeats!r}')


@OPTIMIZERS.register_module()
class RepeatedSGD(SGD):
    r"""SGD with momentum whose parameter groups carry a repeat count.

    In one step the whole update is applied ``repeats`` times in sequence, with the same gradient
    :math:`g` and one buffer :math:`b` per parameter (:math:`b = d` at the very first update):

    .. math::
        d = g + \lambda\,\theta, \qquad b \leftarrow \mu\,b + d, \qquad
        \theta \leftarrow \theta - \mathrm{lr}\; b

    With a constant gradient the buffer tends to :math:`g/(1-\mu)`, as in plain SGD. In the limit a
    step moves ``repeats`` times as far.

    Args:
        params (Iterable): Parameters, or groups of them; a group may set ``repeats``.
        lr (float): Learning rate.
        momentum (float): Momentum factor :math:`\mu`.
        weight_decay (float): Weight decay :math:`\lambda`.
        repeats (int): Updates per step of groups that do not set their own.

    Raises:
        ValueError: ``repeats`` is not a positive integer.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        repeats: int = 1,
    ) -> None:
        _check_repeats(repeats)
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.defaults['repeats'] = repeats
        for group in self.param_groups:
            group.setdefault('repeats', repeats)

    def add_param_group(self, param_group: dict) -> None:
        """Add a group, as PyTorch does.

        Args:
            param_group (dict): ``params`` and the options that differ from the defaults.

        Raises:
            ValueError: ``repeats`` is not a positive integer.
        """
        _check_repeats(param_group.get('repeats', 1))
        super().add_param_group(param_group)

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        if any('repeats' not in group for group in self.param_groups):
            raise ValueError(
                'the optimizer state was not written by RepeatedSGD: a parameter group has no '
                '"repeats". Resume with the optimizer of the checkpoint, or start from its '
                'weights alone (load_from without resume).'
            )

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient.

        Args:
            closure (Callable, optional): Evaluates the model and returns the loss.

        Returns:
            float | None: What ``closure`` returned; PyTorch's closures return a tensor.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [param for param in group['params'] if param.grad is not None]
            grads = [param.grad for param in params]
            buffers = [self.state[param].get('momentum_buffer') for param in params]
            for _ in range(group['repeats']):
                sgd(
                    params,
                    grads,
                    buffers,
                    foreach=group['foreach'],
                    lr=group['lr'],
                    momentum=group['momentum'],
                    weight_decay=group['weight_decay'],
                    dampening=0,
                    nesterov=False,
                    maximize=False,
                )
            if group['momentum'] != 0:
                for param, buffer in zip(params, buffers, strict=True):
                    self.state[param]['momentum_buffer'] = buffer
        return loss
