# Licensed under the Apache License 2.0, see LICENSE.
"""DACS: self-training with class mixing."""

from __future__ import annotations

from mmseg.registry import HOOKS

from .self_training_hook import SelfTrainingHook


@HOOKS.register_module()
class DACSHook(SelfTrainingHook):
    """Adds a mixed branch to every training batch, labeled by an averaged teacher.

    The preset of :class:`SelfTrainingHook` for DACS and CorDA: the teacher labels the target images
    (:class:`ConfidentShare`); half of the source classes are pasted onto them (:class:`ClassMix`);
    the mixed image is strongly augmented; its target pixels weigh as much as the share of confident
    pseudo-labels. Depth is mixed alike where both domains have it.

    Args:
        alpha (float): Largest decay of the teacher, see :class:`TeacherEMA`. Defaults to 0.999.
        threshold (float): A pseudo-label is confident at this softmax. Defaults to 0.968.
        initial_pseudo_labels (float): Share of the training, in 0..1, during which pseudo-labels
            are the *initial* prediction of a head that has one; CorDA on GTA5 takes 0.1.
            Defaults to 0.
        augment (bool): Strongly augment mixed images. Defaults to True.
        evaluate (str): Validate and test the ``'student'`` or the ``'teacher'``. Defaults to
            'student'.

    Source: Tranheden et al., "DACS", WACV 2021; Wang et al., "CorDA", ICCV 2021; their releases.
    """

    def __init__(
        self,
        alpha: float = 0.999,
        threshold: float = 0.968,
        initial_pseudo_labels: float = 0.0,
        augment: bool = True,
        evaluate: str = 'student',
    ):
        if not 0 <= initial_pseudo_labels <= 1:
            raise ValueError(f'initial_pseudo_labels must be in 0..1, got {initial_pseudo_labels}')
        super().__init__(
            branches=dict(mixed=dict(type='ClassMix', augment=augment)),
            pseudo_labels=dict(
                type='ConfidentShare', threshold=threshold, initial=initial_pseudo_labels
            ),
            teacher=dict(type='TeacherEMA', alpha=alpha),
            evaluate=evaluate,
        )
