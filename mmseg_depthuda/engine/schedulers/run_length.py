# Licensed under the Apache License 2.0, see LICENSE.
"""Schedules in closed form that take the length of the run from the training loop."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.optim import OptimWrapper, _ParamScheduler
from mmseg.registry import PARAM_SCHEDULERS
from torch.optim import Optimizer


class RunLengthScheduler(_ParamScheduler):
    """Base of schedules that are a factor of the initial value at every iteration of a run.

    A subclass defines :meth:`factor`. MMEngine fills in ``end`` from ``train_cfg.max_iters``, so a
    config does not repeat it. ``by_epoch=False`` has to stand in the config: MMEngine would fill in
    epochs otherwise.

    Args:
        optimizer (Optimizer | OptimWrapper): Its groups' values are set.
        end (int): Length of the run in iterations, >= 1.
        param_name (str): Key of the optimizer's groups, ``lr`` or ``momentum``.
        by_epoch (bool): Must be False.
        verbose (bool): Log every value.

    Raises:
        ValueError: ``by_epoch`` is True.
    """

    def __init__(
        self,
        optimizer: Optimizer | OptimWrapper,
        end: int,
        param_name: str = 'lr',
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if by_epoch:
            raise ValueError(
                f'{type(self).__name__} counts iterations: set by_epoch=False in param_scheduler'
            )
        super().__init__(optimizer, param_name, end=end, by_epoch=False, verbose=verbose)

    def factor(self, iteration: int) -> float:
        """The value at an iteration relative to the initial one.

        Args:
            iteration (int): 0..end - 1.

        Returns:
            float: Factor.
        """
        raise NotImplementedError

    def _get_value(self) -> list[float]:
        factor = self.factor(self.last_step)
        return [base * factor for base in self.base_values]


@PARAM_SCHEDULERS.register_module()
class WarmupPolyLR(RunLengthScheduler):
    """Polynomial decay to zero over the whole run, after a linear warm-up.

    Without warm-up, iteration t of T has ``lr * (1 - t / T) ** power``: the last one still learns,
    and zero would follow it, as in the releases of DACS, AdvEnt and DeepLab (MMEngine's ``PolyLR``
    has zero in the last one). A warm-up of W iterations rises from ``warmup_start`` at t = 0 to 1
    at t = W - 1; the decay starts at t = W and takes the other T - W iterations.

    Args:
        optimizer (Optimizer | OptimWrapper): Its groups' values are set.
        end (int): Iterations of the run, T. MMEngine's runner fills it in.
        power (float): Exponent of the decay.
        warmup (float | int): Length of the warm-up: a share of the run in 0..1 if a float, a number
            of iterations if an int.
        warmup_start (float): Factor at the first iteration of the warm-up, in 0..1.
        **kwargs: See :class:`RunLengthScheduler`.

    Raises:
        ValueError: The warm-up is not shorter than the run, or ``warmup_start`` is not in 0..1.
    """

    def __init__(
        self,
        optimizer: Optimizer | OptimWrapper,
        end: int,
        power: float = 0.9,
        warmup: float = 0,
        warmup_start: float = 0.01,
        **kwargs,
    ) -> None:
        self.power, self.warmup_start = power, warmup_start
        self.warmup = round(warmup * end) if isinstance(warmup, float) else warmup
        if not 0 <= self.warmup < max(end, 1) or not 0 <= warmup_start <= 1:
            raise ValueError(
                f'param_scheduler: a warm-up of {self.warmup} iterations from {warmup_start} does '
                f'not fit into a run of {end}. Give `warmup` as a share of the run, such as 0.1, '
                'and `warmup_start` in 0..1.'
            )
        self.decay_length = end - self.warmup
        super().__init__(optimizer, end, **kwargs)

    def factor(self, iteration: int) -> float:
        """See :meth:`RunLengthScheduler.factor`."""
        if iteration < self.warmup:
            share = iteration / max(self.warmup - 1, 1)
            return self.warmup_start + (1 - self.warmup_start) * share
        return (1 - (iteration - self.warmup) / self.decay_length) ** self.power


@PARAM_SCHEDULERS.register_module()
class RunMultiStepLR(RunLengthScheduler):
    """The value falls by a factor at given shares of the run.

    Args:
        optimizer (Optimizer | OptimWrapper): Its groups' values are set.
        end (int): Iterations of the run. MMEngine's runner fills it in.
        milestones (Sequence[float]): Shares of the run in 0..1, each rounded to an iteration: the
            first with the smaller value.
        gamma (float): Factor.
        **kwargs: See :class:`RunLengthScheduler`.

    Raises:
        ValueError: A milestone is not a share in 0..1.
    """

    def __init__(
        self,
        optimizer: Optimizer | OptimWrapper,
        end: int,
        milestones: Sequence[float],
        gamma: float = 0.1,
        **kwargs,
    ) -> None:
        if not all(0 < share < 1 for share in milestones):
            raise ValueError(
                f'param_scheduler.milestones={list(milestones)} of RunMultiStepLR are shares of '
                f'the run in 0..1. Divide iterations by train_cfg.max_iters={end}, or use '
                "type='MultiStepLR'."
            )
        self.milestones = [round(share * end) for share in milestones]
        self.gamma = gamma
        super().__init__(optimizer, end, **kwargs)

    def factor(self, iteration: int) -> float:
        """See :meth:`RunLengthScheduler.factor`."""
        return self.gamma ** sum(iteration >= milestone for milestone in self.milestones)
