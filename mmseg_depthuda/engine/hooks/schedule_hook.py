# Licensed under the Apache License 2.0, see LICENSE.
"""Keeps the learning rate as the config says, over the whole run and after a resume."""

from __future__ import annotations

import warnings

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class ScheduleHook(Hook):
    """Ties the optimizer's settings to the config.

    * A resumed run takes the settings of the optimizer (learning rate, momentum, weight decay) and
      the schedule from the present config. MMEngine would take those of the checkpoint. The
      schedulers are stepped from the start to the iteration of the checkpoint. So an unchanged
      config gives the same numbers, bit by bit, and a changed config gives the numbers that it has
      at this iteration in an unbroken run. Momenta and steps of the optimizer come from the
      checkpoint.
    * A schedule that does not fit the length of the run is reported before the run starts.

    A schedule that follows scores (``ReduceOnPlateauLR``) cannot be repeated; it goes on as in the
    checkpoint, and a changed learning rate is reported.
    """

    priority = 'LOW'

    def __init__(self) -> None:
        self._saved_rates: list[float] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Replace the settings in a checkpoint that is resumed by those of the config.

        Args:
            runner (Runner): With built optimizer and schedulers.
            checkpoint (dict): Its ``optimizer`` is changed, ``param_schedulers`` is removed.

        Raises:
            ValueError: The optimizer of the checkpoint has other groups of parameters.
        """
        self._saved_rates = None
        wrappers = runner.optim_wrapper
        if not (
            runner._resume and 'optimizer' in checkpoint and isinstance(wrappers, OptimWrapper)
        ):
            return
        pairs = _pairs(wrappers, checkpoint['optimizer'])
        for wrapper, saved in pairs:
            _check_groups(wrapper, saved)
        if _follow_scores(runner):
            _report_kept_rates(runner, pairs)
            return
        self._saved_rates = [saved['param_groups'][0]['lr'] for _, saved in pairs]
        for wrapper, saved in pairs:
            saved.pop('base_param_settings', None)  # the wrapper keeps its own
            for group, old in zip(
                wrapper.optimizer.param_groups, saved['param_groups'], strict=True
            ):
                old.update({key: value for key, value in group.items() if key != 'params'})
        checkpoint.pop('param_schedulers', None)

    def before_train(self, runner: Runner) -> None:
        """Bring the schedule to the checkpoint's iteration; warn if it does not fit the run."""
        if runner.param_schedulers is not None:
            schedulers = _schedulers(runner)
            is_iterative = isinstance(runner.train_loop, IterBasedTrainLoop)
            found = (_misfits(each, runner, is_iterative) for each in schedulers)
            for message in dict.fromkeys(text for texts in found for text in texts):
                runner.logger.warning(message)
        if self._saved_rates is None:
            return
        if runner.iter > runner.max_iters:
            raise ValueError(
                f'The checkpoint is of iteration {runner.iter}, the run ends at '
                f'{runner.max_iters}. Raise train_cfg.max_iters, or resume from an earlier '
                'checkpoint.'
            )
        _replay(runner)
        rates = [wrapper.optimizer.param_groups[0]['lr'] for wrapper in _wrappers(runner)]
        if rates != self._saved_rates:
            runner.logger.warning(
                f'Learning rate at iteration {runner.iter}: {_text(rates)} by the config, '
                f'{_text(self._saved_rates)} in the checkpoint. The config counts.'
            )


def _text(rates: list[float]) -> str:
    return ', '.join(f'{rate:.6g}' for rate in rates)


def _wrappers(runner: Runner) -> list[OptimWrapper]:
    wrappers = runner.optim_wrapper
    return list(wrappers.values()) if isinstance(wrappers, OptimWrapperDict) else [wrappers]


def _schedulers(runner: Runner) -> list[list[_ParamScheduler]]:
    """The schedulers of each optimizer."""
    schedulers = runner.param_schedulers or []
    return list(schedulers.values()) if isinstance(schedulers, dict) else [schedulers]


# -- resume ----------------------------------------------------------------------------------------


def _pairs(wrappers: OptimWrapper, saved: dict) -> list[tuple[OptimWrapper, dict]]:
    """Each optimizer with its state in the checkpoint."""
    if isinstance(wrappers, OptimWrapperDict):
        if set(saved) != set(wrappers.keys()):
            raise ValueError(
                f'The checkpoint has the optimizers {sorted(saved)}, the config '
                f'{sorted(wrappers.keys())}. Resume with the optim_wrapper of that run, or start '
                'anew from its weights with load_from.'
            )
        return [(wrapper, saved[name]) for name, wrapper in wrappers.items()]
    if 'param_groups' not in saved:
        raise ValueError(
            f'The checkpoint has several optimizers, {sorted(saved)}, the config one. Resume with '
            'the optim_wrapper of that run, or start anew from its weights with load_from.'
        )
    return [(wrappers, saved)]


def _check_groups(wrapper: OptimWrapper, saved: dict) -> None:
    """Refuse the state of an optimizer of another kind or over other groups."""
    groups, others = wrapper.optimizer.param_groups, saved['param_groups']
    same_sizes = [len(group['params']) for group in groups] == [
        len(group['params']) for group in others
    ]
    same_kind = all((key in groups[0]) == (key in others[0]) for key in ('momentum', 'betas'))
    if not same_sizes or not same_kind:
        saved_tensors = sum(len(group['params']) for group in others)
        tensors = sum(len(group['params']) for group in groups)
        raise ValueError(
            f'The optimizer of the checkpoint has {saved_tensors} tensors in {len(others)} groups, '
            f'{type(wrapper.optimizer).__name__} of the config {tensors} in {len(groups)}, or it '
            'is of another kind. Resume with the optim_wrapper.optimizer.type and paramwise_cfg of '
            'that run (a learning rate may differ), or start anew from its weights with load_from.'
        )


def _follow_scores(runner: Runner) -> bool:
    return any(
        getattr(scheduler, 'need_val_args', False)
        for schedulers in _schedulers(runner)
        for scheduler in schedulers
    )


def _report_kept_rates(runner: Runner, pairs: list[tuple[OptimWrapper, dict]]) -> None:
    """Warn if the checkpoint, whose learning rate is kept, has another one than the config."""
    for wrapper, saved in pairs:
        old = saved['param_groups'][0].get('initial_lr')
        new = wrapper.optimizer.param_groups[0].get('initial_lr')
        if old != new:
            runner.logger.warning(
                f'optim_wrapper.optimizer.lr is {new} in the config and {old} in the checkpoint, '
                'which is kept: param_scheduler follows scores. To change it, start anew from the '
                'weights with load_from.'
            )


def _replay(runner: Runner) -> None:
    """Step freshly built schedulers as ParamSchedulerHook has up to the current iteration."""
    per_epoch = max(len(runner.train_dataloader), 1)
    is_iterative = isinstance(runner.train_loop, IterBasedTrainLoop)
    with warnings.catch_warnings():
        # PyTorch's advice on the order of the two steps is for training.
        warnings.filterwarnings('ignore', '.*`optimizer.step\\(\\)`.*', UserWarning)
        for schedulers in _schedulers(runner):
            for iteration in range(1, runner.iter + 1):
                ends_epoch = not is_iterative and iteration % per_epoch == 0
                for scheduler in schedulers:
                    if not scheduler.by_epoch or ends_epoch:
                        scheduler.step()


# -- length ----------------------------------------------------------------------------------------


def _misfits(schedulers: list[_ParamScheduler], runner: Runner, is_iterative: bool) -> list[str]:
    """Messages on what does not fit the length of the run, with the remedy."""
    messages, curves = [], []
    for scheduler in schedulers:
        name = f'param_scheduler: {type(scheduler).__name__}'
        length = runner.max_epochs if scheduler.by_epoch else runner.max_iters
        end = _curve_end(scheduler)
        if is_iterative and scheduler.by_epoch:
            messages.append(
                f'{name} counts epochs, the training loop iterations: the learning rate stays as '
                'it is. Set by_epoch=False.'
            )
            continue
        late = [
            scheduler.begin + step
            for step in getattr(scheduler, 'milestones', ())
            if scheduler.begin + step >= min(length, scheduler.end)
        ]
        if late:
            messages.append(
                f'{name} never reaches its milestones {late}: it ends at {scheduler.end}, the run '
                f"at {length}. Change milestones, or give shares with type='RunMultiStepLR'."
            )
        if end is not None:
            curves.append((end, length, scheduler, name))
    for end, length, scheduler, name in curves:
        is_last = end == max(other[0] for other in curves)
        remedy = (
            f'Leave `end` out, for which the length of the run is taken, or set it to {length}; '
            "type='WarmupPolyLR' follows the length with its warm-up."
        )
        if end > length + 1 or (_is_warm_up(scheduler) and end > length):
            messages.append(
                f'{name} ends at {end}, the run at {length}: the schedule is cut off. {remedy}'
            )
        elif is_last and end < length and not _is_warm_up(scheduler):
            messages.append(
                f'{name} ends at {end}, the run at {length}: from there on the learning rate stays '
                f'at the last value. {remedy}'
            )
    return messages


def _curve_end(scheduler: _ParamScheduler) -> int | None:
    """Where a curve ends that is stretched over its length; None for other schedules."""
    for attribute in ('T_max', 'total_steps'):
        if hasattr(scheduler, attribute):
            return scheduler.begin + getattr(scheduler, attribute)
    return scheduler.end if hasattr(scheduler, 'total_iters') else None


def _is_warm_up(scheduler: _ParamScheduler) -> bool:
    """Whether the value is the initial one after the scheduler's end."""
    return getattr(scheduler, 'end_factor', None) == 1 or hasattr(scheduler, 'factor')
