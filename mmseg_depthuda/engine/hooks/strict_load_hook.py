# Licensed under the Apache License 2.0, see LICENSE.
"""Refuses checkpoints that would load only in part, or hold NaN."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.hooks import EMAHook, Hook
from mmengine.runner import BaseLoop, Runner
from mmengine.runner.checkpoint import get_state_dict
from mmseg.registry import HOOKS
from torch import Tensor, nn

from mmseg_depthuda.fileio import compare_shapes, tensor_shapes
from mmseg_depthuda.models.wrappers import bare_model


@HOOKS.register_module()
class StrictLoadHook(Hook):
    """Compare a checkpoint with the model before MMEngine loads it.

    MMEngine's runner loads with ``strict=False``. With the checkpoint of another method, or of
    another number of classes, part of the model keeps its initial values, and the run goes on after
    a warning. This hook ends such a run. It checks every checkpoint that the runner loads
    (``load_from``, ``resume``, the argument of ``tools/test.py``), but not the pretrained weights
    of ``init_cfg``.

    Tensors that a model names in ``training_only`` (regular expressions, such as the discriminators
    of :class:`AdversarialSegmentor`) may be missing in a test.

    NaN and infinite weights are refused, too. A training that diverged leaves such weights. A
    network with NaN predicts the first class everywhere, so that its scores look valid.

    To load only a part of the model on purpose, say so in the config:
    ``default_hooks.strict_load.allow_missing=['^decode_head']``.

    Args:
        allow_missing (Sequence[str]): Regular expressions, searched in the names of the model's
            tensors; those that match need not be in the checkpoint.
        allow_unexpected (Sequence[str]): Likewise for tensors of the checkpoint that the model has
            no place for. A tensor of another shape must be allowed by both.
    """

    priority = 'VERY_HIGH'  # before hooks that copy the checkpoint, as the EMA hooks do

    def __init__(
        self, allow_missing: Sequence[str] = (), allow_unexpected: Sequence[str] = ()
    ) -> None:
        self.allow_missing = [re.compile(pattern) for pattern in allow_missing]
        self.allow_unexpected = [re.compile(pattern) for pattern in allow_unexpected]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check the weights of a checkpoint that was read but not yet copied to the model.

        Args:
            runner (Runner): Holds the model.
            checkpoint (dict): MMEngine checkpoint, or a plain dictionary of tensors.

        Raises:
            ValueError: A tensor is missing, unexpected or of another shape, and not allowed to be,
                the checkpoint shares no tensor with the model, or holds a weight that is not
                finite.
        """
        model = bare_model(runner.model)
        allow_missing = list(self.allow_missing)
        if not isinstance(runner._train_loop, BaseLoop):  # a config, until a training builds it
            allow_missing += _training_only(model)
        _check(model, checkpoint, allow_missing, self.allow_unexpected)
        teacher = any(isinstance(hook, EMAHook) for hook in runner.hooks)
        _check_finite(model, checkpoint, runner._load_from, teacher)


def check_weights_of_test(
    model: nn.Module, checkpoint: Mapping, path: str | Path | None = None
) -> None:
    """Make the same comparison without a runner, for a model that will only predict.

    Args:
        model (nn.Module): The model that the checkpoint is loaded into.
        checkpoint (Mapping): MMEngine checkpoint, or a plain dictionary of tensors.
        path (str | Path, optional): Where it was read from, for the error message.

    Raises:
        ValueError: As :meth:`StrictLoadHook.after_load_checkpoint`.
    """
    _check(model, checkpoint, _training_only(model), ())
    _check_finite(model, checkpoint, path)


def _training_only(model: nn.Module) -> list[re.Pattern]:
    return [re.compile(pattern) for pattern in getattr(model, 'training_only', ())]


def _check(
    model: nn.Module,
    checkpoint: Mapping,
    allow_missing: Sequence[re.Pattern],
    allow_unexpected: Sequence[re.Pattern],
) -> None:
    # MMEngine's own, because the parts of a model may be wrapped one by one.
    wanted = tensor_shapes(get_state_dict(model))
    found = tensor_shapes(_weights(checkpoint))
    difference = compare_shapes(found, wanted)
    reshaped = difference.reshaped
    # BatchNorm's counter came with PyTorch 0.4.1. It may be missing, for MMEngine as well.
    missing = [name for name in difference.missing if 'num_batches_tracked' not in name]
    problems = {
        'missing in the checkpoint': _unmatched(missing, allow_missing),
        'without a place in the model': _unmatched(difference.unexpected, allow_unexpected),
        'of another shape': [
            f'{name} (checkpoint {found[name]}, model {wanted[name]})'
            for name in sorted(
                {
                    *_unmatched(reshaped, allow_missing),
                    *_unmatched(reshaped, allow_unexpected),
                }
            )
        ],
    }
    if not wanted.keys() & found.keys() - set(reshaped):
        raise ValueError(_message(problems, 'shares no tensor with'))
    if any(problems.values()):
        raise ValueError(_message(problems, 'does not fit'))


def _check_finite(
    model: nn.Module, checkpoint: Mapping, path: str | Path | None, teacher: bool = False
) -> None:
    own = get_state_dict(model, keep_vars=True)
    bad = _not_finite(own, _weights(checkpoint))
    if teacher and 'ema_state_dict' in checkpoint:
        averaged = _not_finite(own, _without_prefix(checkpoint['ema_state_dict']))
        bad += [f'{name} of ema_state_dict' for name in averaged]
    if bad:
        file = 'the checkpoint' if path is None else f'the checkpoint {path}'
        raise ValueError(
            f'{file} holds NaN or infinite values in {len(bad)} of its tensors: '
            f'{", ".join(bad[:5])}{", ..." if len(bad) > 5 else ""}. The training had diverged '
            'when it was written. Take an earlier checkpoint of the run, and see docs/training.md '
            'on losses that are not finite.'
        )


def _not_finite(own: Mapping[str, Tensor], weights: Mapping[str, Any]) -> list[str]:
    """Names of the tensors that would be loaded and hold NaN or infinity."""
    bad = []
    for name, value in weights.items():
        if not isinstance(value, Tensor) or name not in own or own[name].shape != value.shape:
            continue
        finite = value.isfinite()
        if finite.all():
            continue
        # A constant of the model may be infinite, as in the mask of an attention.
        if not isinstance(own[name], nn.Parameter):
            finite |= ~own[name].isfinite().to(finite.device)
        if not finite.all():
            bad.append(name)
    return bad


def _weights(checkpoint: Mapping) -> dict[str, Any]:
    return _without_prefix(checkpoint.get('state_dict', checkpoint))


def _without_prefix(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a state dict by their names in a model that is not wrapped."""
    return {re.sub(r'^module\.', '', name): value for name, value in entries.items()}


def _message(problems: Mapping[str, Sequence[str]], verdict: str) -> str:
    parts = [
        f'{len(names)} {kind}: {", ".join(names[:5])}{", ..." if len(names) > 5 else ""}'
        for kind, names in problems.items()
        if names
    ]
    return (
        f'the checkpoint {verdict} the model; ' + '; '.join(parts) + '. Use the config it was '
        'trained with (method, backbone, number of classes). To load only the part that '
        'fits, list regular expressions in default_hooks.strict_load.allow_missing and '
        '.allow_unexpected.'
    )


def _unmatched(names: Sequence[str], patterns: Sequence[re.Pattern]) -> list[str]:
    return sorted(name for name in names if not any(pattern.search(name) for pattern in patterns))
