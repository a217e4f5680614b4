# Licensed under the Apache License 2.0, see LICENSE.
"""Self-training as a hook: a teacher labels images, and branches are made of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_depthuda.datasets import datasets_by_domain
from mmseg_depthuda.engine.self_training import Networks
from mmseg_depthuda.models.decode_heads.seg_weight_mixin import SegWeightMixin
from mmseg_depthuda.models.segmentors import UDASegmentor
from mmseg_depthuda.registry import BRANCH_MAKERS, PSEUDO_LABELERS
from mmseg_depthuda.structures import is_batch_of_branches, pack_pixel_data

from .loop_arguments import DataBatch, batch_dict
from .mean_teacher_hook import MeanTeacherHook


@HOOKS.register_module()
class SelfTrainingHook(MeanTeacherHook):
    """Adds branches to every training batch, labeled by an averaged teacher.

    Per iteration: the batch is preprocessed; the pseudo-labeler labels the images of a branch; each
    maker makes a branch, which the model trains like any other. After the optimizer's step the
    teacher follows the student.

    Args:
        branches (Mapping[str, dict]): By name of the branch that it makes, the config of a branch
            maker, in the registry ``BRANCH_MAKERS``.
        pseudo_labels (dict): Config of the pseudo-labeler, in the registry ``PSEUDO_LABELERS``.
            Defaults to ``dict(type='ConfidentShare')``.
        teacher (dict): Config of the average. Defaults to ``dict(type='TeacherEMA')``.
        evaluate (str): Validate and test the ``'student'`` or the ``'teacher'``. Defaults to
            'student'.

    Raises:
        ValueError: ``branches`` is empty, a maker reads a branch that is made after its own, or an
            argument is wrong.
    """

    def __init__(
        self,
        branches: Mapping[str, dict],
        pseudo_labels: dict = dict(type='ConfidentShare'),
        teacher: dict = dict(type='TeacherEMA'),
        evaluate: str = 'student',
    ):
        super().__init__(teacher=teacher, evaluate=evaluate)
        if not branches:
            raise ValueError(
                'branches is empty: nothing would learn from the pseudo-labels. Name a maker, as '
                "in branches=dict(mixed=dict(type='ClassMix'))."
            )
        self.pseudo_labeler = PSEUDO_LABELERS.build(pseudo_labels)
        self.makers = {name: BRANCH_MAKERS.build(maker) for name, maker in branches.items()}
        names = list(self.makers)
        for position, (name, maker) in enumerate(self.makers.items()):
            later = [read for read in maker.reads if read in names[position:]]
            if later:
                raise ValueError(
                    f'branches.{name} is made of {later[0]!r}, which is not made before it: '
                    f'branches are made in the order {names}. Name {later[0]!r} first.'
                )

    @property
    def reads(self) -> set[str]:
        """set[str]: Branches that it needs in a batch."""
        made_of = {name for maker in self.makers.values() for name in maker.reads}
        return {self.pseudo_labeler.of, *made_of} - set(self.makers)

    def before_train(self, runner: Runner) -> None:
        """Check that the model can be trained this way, and start the teacher as its copy.

        Raises:
            TypeError: If the model is no UDASegmentor or a head ignores ``seg_weight``.
            ValueError: If the head cannot give the pseudo-labels asked for, a maker would look at
                the labels of an unlabeled branch, needs depth that the data do not have or the
                student does not predict, or names a class that the data do not have.
        """
        super().before_train(runner)
        model = self.student
        if not isinstance(model, UDASegmentor):
            raise TypeError(
                f'{type(self).__name__} trains a UDASegmentor, the model is '
                f"{type(model).__name__}: set model.type='UDASegmentor' (it takes the same "
                'arguments as EncoderDecoder).'
            )
        for _, _, head in model.named_heads():
            if not isinstance(head, SegWeightMixin):
                name = type(head).__name__
                raise TypeError(
                    f'{name} ignores the weights of pseudo-labels: register `class My{name}('
                    f'SegWeightMixin, {name})` and name it in the config.'
                )
        if hasattr(self.pseudo_labeler, 'check'):
            self.pseudo_labeler.check(model)
        self._check_labels(model)
        dataset = runner.train_dataloader.dataset
        for field, branches in self._online().items():
            model.check_online(field, branches)
        for name, maker in self.makers.items():
            maker.check_data(name, datasets_by_domain(dataset))
        metainfo = getattr(dataset, 'metainfo', None) or {}
        if metainfo.get('classes'):
            for maker in self.makers.values():
                maker.know_classes(metainfo['classes'])

    def _online(self) -> dict[str, list[str]]:
        """Maps that the student writes itself before branches are made -> the branches."""
        found: dict[str, list[str]] = {}
        for maker in self.makers.values():
            if maker.online_field is not None:
                own = found.setdefault(maker.online_field, [])
                own += [name for name in dict.fromkeys(maker.reads) if name not in own]
        return found

    def _check_labels(self, model: UDASegmentor) -> None:
        labelled = {self.pseudo_labeler.of, *self.makers}
        for name, maker in self.makers.items():
            unlabelled = sorted((set(maker.reads) & set(model.unlabelled)) - labelled)
            if unlabelled:
                raise ValueError(
                    f'branches.{name} is made of {", ".join(unlabelled)}, which model.unlabelled '
                    f'names and no pseudo-labeler labels: pseudo_labels.of is '
                    f'{self.pseudo_labeler.of!r}.'
                )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None
    ) -> None:
        """Preprocess the batch and add the made branches in place.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Index of the batch.
            data_batch (dict): Branches by name.

        Raises:
            KeyError: If a branch is missing.
        """
        batch = batch_dict(data_batch)
        missing = sorted(self.reads - set(batch))
        if not is_batch_of_branches(batch) or missing:
            raise KeyError(
                f'{type(self).__name__} needs the branches {", ".join(sorted(self.reads))}, the '
                f'batch has {sorted(batch)}: set train_dataloader.dataset.type to '
                'SourceTargetDataset or DomainsDataset.'
            )
        optim_wrapper = runner.optim_wrapper
        if isinstance(optim_wrapper, OptimWrapperDict):  # has no context of its own
            optim_wrapper = optim_wrapper['segmentor']
        with torch.no_grad():
            preprocessed = self.student.data_preprocessor(batch, training=True)
        online = {name for branches in self._online().values() for name in branches}
        if online:
            # A context of its own: autocast would go on with weights that it has cast without
            # gradient.
            with optim_wrapper.optim_context(self.student):
                self.student.run_ahead({name: preprocessed[name] for name in sorted(online)})
        with torch.no_grad(), optim_wrapper.optim_context(self.ema_model):
            log = self.add_branches(preprocessed, runner.iter / runner.max_iters)
        batch.update(preprocessed)
        for name, value in log.items():
            runner.message_hub.update_scalar(f'train/pseudo_label.{name}', float(value))

    def add_branches(self, batch: dict, progress: float = 1.0) -> dict[str, torch.Tensor]:
        """Label a preprocessed batch, and add the made branches to it in place.

        Args:
            batch (dict): Branches by name. The samples of the labeled branch get ``pseudo_label``,
                ``pseudo_trust`` and ``pseudo_confidence``.
            progress (float): Share of the training that is done, in 0..1.

        Returns:
            dict[str, Tensor]: Numbers to log by name.
        """
        labelled = batch[self.pseudo_labeler.of]
        found = self.pseudo_labeler(Networks(self.student, self.teacher, progress), labelled)
        pack_pixel_data(
            labelled['data_samples'],
            dict(
                pseudo_label=found.label,
                pseudo_trust=found.trust,
                pseudo_confidence=found.confidence,
            ),
        )
        preprocessor = self.student.data_preprocessor
        for name, maker in self.makers.items():
            batch[name] = maker(name, batch, preprocessor)
        return found.log
