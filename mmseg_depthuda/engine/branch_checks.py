# Licensed under the Apache License 2.0, see LICENSE.
"""Checks that every branch is trained or declared unlabeled, and every part reached by a loss."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import cast

from mmengine.hooks import Hook
from torch import nn

from mmseg_depthuda.engine.hooks.self_training_hook import SelfTrainingHook
from mmseg_depthuda.models.decode_heads.head_contract import branch_weights, unlabelled_tasks
from mmseg_depthuda.models.decode_heads.seg_weight_mixin import SegWeightMixin
from mmseg_depthuda.models.segmentors import UDASegmentor
from mmseg_depthuda.models.wrappers import bare_model


def check_branches(
    model: UDASegmentor, domains: Collection[str], labelled: Collection[str], hooks: Iterable[Hook]
) -> None:
    """Refuse a training if nothing is learned from a branch, or nothing reads what a hook makes.

    Args:
        model (UDASegmentor): The model in training.
        domains (Collection[str]): Branches that the data give.
        labeled (Collection[str]): Of these, those that load labels.
        hooks (Iterable[Hook]): Hooks of the runner.

    Raises:
        ValueError: Names the branches, and the line of the config that mends it.
    """
    trainers = [hook for hook in hooks if isinstance(hook, SelfTrainingHook)]
    made = [name for hook in trainers for name in hook.makers]
    _check_names(model, domains, made, trainers)
    branches = [*domains, *made]
    trained = model.trained_branches(branches)
    missing = [name for name in model.unsupervised if name not in branches]
    if missing:
        raise ValueError(
            f'{type(model).__name__} learns from {_named(missing)} images, but the data have the '
            f'domains {list(domains)} alone. Take SourceTargetDataset or DomainsDataset as the '
            'training dataset.'
        )
    read = {name for hook in trainers for name in hook.reads}
    idle = [name for name in branches if name not in trained and name not in read]
    if idle:
        raise ValueError(
            f'Nothing learns from {_named(idle)}: model.unlabelled={list(model.unlabelled)} '
            f'declares no labels, {type(model).__name__} has no loss without labels there, and no '
            'hook reads it. Take it out of train_dataloader.dataset, or out of model.unlabelled, '
            'or let custom_hooks have a hook that reads it, such as DACSHook.'
        )
    supervised = [name for name in trained if name not in model.unlabelled]
    without = [name for name in supervised if name in domains and name not in labelled]
    if without:
        raise ValueError(
            f'{_named(without)} is trained with labels, but its dataset loads none. Set '
            'data_prefix.seg_map_path and put LoadLabels into the pipeline, or declare it: '
            f'model.unlabelled={[*model.unlabelled, *without]}.'
        )
    _check_weights(model, supervised)


def _check_names(
    model: UDASegmentor,
    domains: Collection[str],
    made: Collection[str],
    trainers: Collection[SelfTrainingHook],
) -> None:
    """Refuse names that stand for nothing, or for two things."""
    known = {*domains, *made}
    # The default, ('target',), may name a branch that the training does not have.
    unknown = sorted(set(model.unlabelled) - known - {'target'})
    if unknown:
        raise ValueError(
            f'model.unlabelled names {_named(unknown)}, but the branches are {sorted(known)}.'
        )
    twice = sorted({name for name in made if name in domains or list(made).count(name) > 1})
    if twice:
        raise ValueError(
            f'Two branches are called {_named(twice)}: rename one in custom_hooks (branches=...).'
        )
    for hook in trainers:
        missing = sorted(hook.reads - known)
        if missing:
            raise ValueError(
                f'{type(hook).__name__} needs the branches {_named(missing)}, but there are '
                f'{sorted(known)}. Set train_dataloader.dataset.type to SourceTargetDataset or '
                'DomainsDataset, with such a domain.'
            )
    for branch in sorted(set(model.unlabelled) & set(made)):
        raise ValueError(
            f'A hook makes the branch {branch!r} with labels, but model.unlabelled names it, so '
            'that nothing would learn from it. Take it out of model.unlabelled.'
        )


def _check_weights(model: UDASegmentor, supervised: Collection[str]) -> None:
    """Refuse heads whose weights leave out a trained branch."""
    for name, _, head in model.named_heads():
        weights = branch_weights(head)
        if weights is None:
            continue
        missing = [branch for branch in supervised if branch not in weights]
        if missing:
            weighted = cast(SegWeightMixin, bare_model(head))  # who has loss_weights is one
            weighted.loss_weight(missing[0], 'seg')  # raises, with the remedy
        without = unlabelled_tasks(head)
        for branch in (b for b in model.unlabelled if without and b in weights):
            with_labels = [task for task in weights[branch] if task not in without]
            if with_labels:
                raise ValueError(
                    f'model.{name}.loss_weights.{branch} names {_named(with_labels)}, but '
                    f'model.unlabelled={list(model.unlabelled)} declares that its labels are not '
                    f'used; without labels the head learns {_named(without)} alone. Change '
                    'one of the two.'
                )
        silent = [b for b in supervised if not any(weights[b].values())]
        if silent:
            raise ValueError(
                f'model.{name}.loss_weights gives {_named(silent)} no weight at all: nothing would '
                'learn from it. Take it out of the training, or give a task a weight.'
            )


def _named(names: Collection[str]) -> str:
    return ' and '.join(repr(name) for name in names)


@contextmanager
def reached_parameters(model: nn.Module) -> Iterator[set[str]]:
    """Watch which parameters get a gradient.

    Args:
        model (nn.Module): The model.

    Yields:
        set[str]: Names, filled in the block.
    """
    reached: set[str] = set()
    handles = [
        parameter.register_post_accumulate_grad_hook(lambda _, name=name: reached.add(name))
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    ]
    try:
        yield reached
    finally:
        for handle in handles:
            handle.remove()


def unreached_parts(model: nn.Module, reached: Collection[str]) -> list[str]:
    """Find the parts of a model that no loss reached.

    No trainable parameter of such a part had a gradient.

    Args:
        model (nn.Module): The model.
        reached (Collection[str]): Names of the parameters that had a gradient.

    Returns:
        list[str]: Names of the largest modules without any, or of single parameters.
    """
    trainable = {n for n, p in model.named_parameters() if p.requires_grad}
    missing = trainable - set(reached)
    parts: list[str] = []
    for name, _ in model.named_modules():
        inside = {n for n in trainable if not name or n.startswith(f'{name}.')}
        covered = any(not part or name.startswith(f'{part}.') for part in parts)
        if inside and inside <= missing and not covered:
            parts.append(name)
    rest = {n for n in missing if not any(not p or n.startswith(f'{p}.') for p in parts)}
    return parts + sorted(rest)


def report_unreached(model: nn.Module, reached: Collection[str]) -> str | None:
    """Tell the user which parts the losses of an iteration did not reach.

    Args:
        model (nn.Module): The model.
        reached (Collection[str]): Names of the parameters that had a gradient.

    Returns:
        str, optional: One sentence, or None where all were reached.
    """
    parts = unreached_parts(model, reached)
    if not parts:
        return None
    return (
        f'No loss of the first iteration reached {", ".join(parts)}: '
        f'{"they stay" if len(parts) > 1 else "it stays"} as initialized unless a later one does. '
        'Look whether a branch, a label or a depth map is missing.'
    )


__all__ = [
    'check_branches',
    'reached_parameters',
    'report_unreached',
    'unreached_parts',
]
