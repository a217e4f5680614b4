# Licensed under the Apache License 2.0, see LICENSE.
"""Timing of the parts of an iteration without a line about timing in the training code."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mmengine.optim import OptimWrapper

from mmseg_depthuda.engine.hooks import DACSHook
from mmseg_depthuda.engine.self_training import branch_makers
from mmseg_depthuda.structures import branch_of

from .stopwatch import Stopwatch


class Parts:
    """Names of the parts, in the order of an iteration."""

    DATA = 'data'
    TEACHER = 'teacher'
    PSEUDO_LABELS = 'pseudo-labels'
    MIXING = 'mixing'
    AUGMENTATION = 'augmentation'
    SOURCE = 'source pass'
    MIXED = 'mixed pass'
    JOINT_BACKWARD = 'joint backward'
    OPTIMIZER = 'optimizer'
    EMA = 'EMA'
    OTHER = 'other'

    ALL = (
        DATA,
        TEACHER,
        PSEUDO_LABELS,
        MIXING,
        AUGMENTATION,
        SOURCE,
        MIXED,
        JOINT_BACKWARD,
        OPTIMIZER,
        EMA,
        OTHER,
    )
    NETWORK = (TEACHER, SOURCE, MIXED, JOINT_BACKWARD)
    """Passes through the network, head, losses and upsampling included."""


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute of an object or a module for a block, and restore it after it."""
    is_own = name in vars(owner)
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if is_own:
            setattr(owner, name, original)
        else:
            delattr(owner, name)


@contextmanager
def instrumented(hook: DACSHook, optim_wrapper: OptimWrapper, watch: Stopwatch) -> Iterator[None]:
    """Make the functions of an iteration parts of ``watch`` for a block.

    Args:
        hook: With student and teacher.
        optim_wrapper: Wrapper of the optimizer.
        watch: Gets the parts.
    """
    student, teacher = hook.src_model, hook.ema_model
    gone_forward = []  # the branch whose backward is due; none in the naive iteration

    def forward_part(*args, data_samples: list, **kwargs) -> str:
        part = {'source': Parts.SOURCE, 'mixed': Parts.MIXED}[branch_of(data_samples)]
        gone_forward.append(part)
        return gone_forward[-1]

    def backward_part(*args, **kwargs) -> str:
        return gone_forward.pop() if gone_forward else Parts.JOINT_BACKWARD

    parts: list[tuple[Any, str, Any]] = [
        (student.data_preprocessor, 'forward', Parts.DATA),
        (teacher.module, 'pseudo_label_logits', Parts.TEACHER),
        (student, 'pseudo_label_agreement', Parts.TEACHER),
        (hook, 'pseudo_labeler', Parts.PSEUDO_LABELS),
        (hook, 'add_branches', Parts.MIXING),
        (branch_makers, 'strong_augmentation', Parts.AUGMENTATION),
        (student, 'forward', forward_part),
        (optim_wrapper, 'backward', backward_part),
        (optim_wrapper, 'step', Parts.OPTIMIZER),
        (optim_wrapper, 'zero_grad', Parts.OPTIMIZER),
        (teacher, 'update_parameters', Parts.EMA),
    ]
    with ExitStack() as stack:
        for owner, name, part in parts:
            stack.enter_context(replaced(owner, name, watch.timed(part, getattr(owner, name))))
        yield
