# Licensed under the Apache License 2.0, see LICENSE.
"""An averaged teacher: its start, update, checkpoint, resume and evaluation."""

from __future__ import annotations

from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from mmseg.registry import HOOKS, MODELS

from mmseg_depthuda.models.wrappers import bare_model


@HOOKS.register_module()
class MeanTeacherHook(EMAHook):
    """Averages the student's parameters in a teacher.

    The checkpoint's ``state_dict`` is the student, its ``ema_state_dict`` the teacher. A resumed
    run loads both. (MMEngine's ``EMAHook`` stores them the other way round, and copies the model
    before its weights are initialized.) This hook does not change the training of the student: it
    serves to evaluate the average.

    Args:
        teacher (dict): Config of the average. Defaults to ``dict(type='TeacherEMA')``.
        evaluate (str): Validate and test the ``'student'`` or the ``'teacher'``. Defaults to
            'teacher'.

    Raises:
        ValueError: ``evaluate`` is neither.
    """

    def __init__(self, teacher: dict = dict(type='TeacherEMA'), evaluate: str = 'teacher'):
        teacher = dict(teacher)
        super().__init__(ema_type=teacher.pop('type', 'TeacherEMA'), strict_load=True, **teacher)
        if evaluate not in ('student', 'teacher'):
            raise ValueError(f"evaluate must be 'student' or 'teacher', got {evaluate!r}")
        self.evaluate = evaluate
        self._has_teacher = False

    @property
    def student(self):
        """nn.Module: The model in training, without distributed wrapper."""
        return self.src_model

    @property
    def teacher(self):
        """nn.Module: The averaged model."""
        return self.ema_model.module

    # -- start -----------------------------------------------------------------------------------

    def before_run(self, runner: Runner) -> None:
        """Build the teacher, unless a training of the same run has built it already.

        Raises:
            ValueError: Another hook has another teacher, or both hooks evaluate the teacher.
        """
        for hook in runner.hooks:
            if hook is not self and isinstance(hook, EMAHook):
                self._check_other(hook)
        if not self._has_teacher:
            self.src_model = bare_model(runner.model)
            self.ema_model = MODELS.build(self.ema_cfg, default_args=dict(model=self.src_model))

    def _check_other(self, hook: EMAHook) -> None:
        """Refuse a hook that would store another teacher, or exchange the weights once more."""
        is_same = isinstance(hook, MeanTeacherHook) and hook.ema_cfg == self.ema_cfg
        if not is_same or self.evaluate == hook.evaluate == 'teacher':
            raise ValueError(
                f'{type(self).__name__} and {type(hook).__name__} both keep a teacher, but a '
                'checkpoint holds one. Take one SelfTrainingHook with the branches of both '
                "(branches=dict(mixed=dict(type='ClassMix'), masked=dict(type='MaskImage'))); or "
                "give both the same `teacher`, and set evaluate='teacher' in one of them at most."
            )

    def before_train(self, runner: Runner) -> None:
        """Start the teacher as a copy of the student, unless it was resumed."""
        super().before_train(runner)
        if not (runner._resume and self._has_teacher):
            self._copy_student()

    def _copy_student(self) -> None:
        """Start the teacher anew.

        MMEngine builds the averaged model in ``before_run``, which is before ``init_weights`` and
        before a checkpoint is loaded: what it copies there is not what training starts from.
        """
        self.ema_model.module.load_state_dict(self.src_model.state_dict())
        self.ema_model.steps.zero_()
        self._has_teacher = True

    # -- evaluation ------------------------------------------------------------------------------

    def before_val_epoch(self, runner: Runner) -> None:
        """Exchange student and teacher if the teacher is to be evaluated."""
        self._swap_for_evaluation()

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Undo the exchange."""
        self._swap_for_evaluation()

    def before_test_epoch(self, runner: Runner) -> None:
        """Exchange student and teacher if the teacher is to be evaluated."""
        self._swap_for_evaluation()

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Undo the exchange."""
        self._swap_for_evaluation()

    def _swap_for_evaluation(self) -> None:
        if self.evaluate == 'student':
            return
        if not self._has_teacher:
            self._copy_student()
        teacher = self.ema_model.module
        tensors = [
            zip(teacher.parameters(), self.src_model.parameters(), strict=True),
            zip(teacher.buffers(), self.src_model.buffers(), strict=True),
        ]
        for pairs in tensors:
            for averaged, own in pairs:
                averaged.data, own.data = own.data, averaged.data

    # -- checkpoints -----------------------------------------------------------------------------

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Put the teacher beside the student."""
        checkpoint['ema_state_dict'] = self.ema_model.state_dict()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Take the teacher out of a checkpoint.

        Training that starts from a checkpoint without resuming starts with a fresh teacher, a copy
        of the student; so does a checkpoint without a teacher.
        """
        state = checkpoint.get('ema_state_dict')
        if state is not None:
            self.ema_model.load_state_dict(state, strict=self.strict_load)
            self._has_teacher = True
        elif runner._resume or self.evaluate == 'teacher':
            runner.logger.warning(
                'The checkpoint holds no ema_state_dict (it is of a method without a teacher): '
                'the teacher is a copy of the student.'
            )
