# Licensed under the Apache License 2.0, see LICENSE.
"""Self-training with class mixing as a hook: everything of DACS that is not the network."""

import torch
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import HOOKS, MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import ModuleList

from mmseg_depthuda.adaptation.augmentation import strong_augmentation
from mmseg_depthuda.adaptation.class_masks import class_mix_mask
from mmseg_depthuda.adaptation.mixing import mix
from mmseg_depthuda.adaptation.pseudo_labels import (
    confident_share,
    pseudo_label_weight,
    pseudo_labels,
)
from mmseg_depthuda.models.decode_heads.seg_weight_mixin import SegWeightMixin
from mmseg_depthuda.models.segmentors import UDASegmentor
from mmseg_depthuda.models.wrappers import bare_model
from mmseg_depthuda.structures import stack_pixel_data


@HOOKS.register_module()
class DACSHook(EMAHook):
    """Adds a mixed branch to every training batch, labelled by an averaged teacher.

    Per iteration: the teacher labels the target images; half of the source classes are pasted onto
    them (ClassMix); the mixed image is strongly augmented; its target pixels weigh as much as the
    share of confident pseudo-labels. Depth is mixed alike where both domains have it. After the
    optimiser's step the teacher follows the student.

    The checkpoint's ``state_dict`` is the student, its ``ema_state_dict`` the teacher, which comes
    back on resume (MMEngine's ``EMAHook`` stores them the other way round).

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
        super().__init__(ema_type='TeacherEMA', strict_load=True, alpha=alpha)
        if evaluate not in ('student', 'teacher'):
            raise ValueError(f"evaluate must be 'student' or 'teacher', got {evaluate!r}")
        shares = dict(threshold=threshold, initial_pseudo_labels=initial_pseudo_labels)
        for name, share in shares.items():
            if not 0 <= share <= 1:
                raise ValueError(f'{name} must be in 0..1, got {share}')
        self.threshold = threshold
        self.initial_pseudo_labels = initial_pseudo_labels
        self.augment = augment
        self.evaluate = evaluate
        self._depth_reported = False
        self._has_teacher = False

    # -- the mixed branch ------------------------------------------------------------------------

    def before_run(self, runner: Runner) -> None:
        """Build the teacher; testing behind a training in one run keeps the one there is."""
        if not self._has_teacher:
            self.src_model = bare_model(runner.model)
            self.ema_model = MODELS.build(self.ema_cfg, default_args=dict(model=self.src_model))

    def before_train(self, runner: Runner) -> None:
        """Check that the model can be trained this way, and start the teacher as its copy.

        Raises:
            TypeError: If the model is no UDASegmentor or a head ignores ``seg_weight``.
            ValueError: If the head cannot give the pseudo-labels asked for.
        """
        super().before_train(runner)
        self._check_model()
        if not (runner._resume and self._has_teacher):
            self._copy_student()

    def _check_model(self) -> None:
        model = self.src_model
        if not isinstance(model, UDASegmentor):
            raise TypeError(
                f'DACSHook trains a UDASegmentor, the model is {type(model).__name__}: set '
                "model.type='UDASegmentor' (it takes the same arguments as EncoderDecoder)."
            )
        heads = [model.decode_head]
        if model.with_auxiliary_head:
            auxiliary = model.auxiliary_head
            heads.extend(auxiliary if isinstance(auxiliary, ModuleList) else [auxiliary])
        for head in heads:
            if not isinstance(head, SegWeightMixin):
                name = type(head).__name__
                raise TypeError(
                    f'{name} ignores the weights of pseudo-labels: register `class My{name}('
                    f'SegWeightMixin, {name})` and name it in the config.'
                )
        if model.decode_head.out_channels == 1:
            raise ValueError(
                'Pseudo-labels need one logit per class, but the head has out_channels=1: leave '
                'model.decode_head.out_channels unset (two classes then have two logits).'
            )
        if self.initial_pseudo_labels and not hasattr(model.decode_head, 'forward_initial_seg'):
            raise ValueError(
                f'initial_pseudo_labels={self.initial_pseudo_labels} needs a head with an initial '
                f'segmentation such as CorDAHead, not {type(model.decode_head).__name__}: set 0.'
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Preprocess the batch and add its ``mixed`` branch in place.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Index of the batch.
            data_batch (dict): With the branches ``source`` and ``target``.

        Raises:
            KeyError: If the batch has not these branches.
        """
        if 'source' not in data_batch or 'target' not in data_batch:
            raise KeyError(
                f'DACSHook needs the branches source and target, the batch has '
                f'{sorted(data_batch)}: set train_dataloader.dataset.type to SourceTargetDataset.'
            )
        with torch.no_grad(), runner.optim_wrapper.optim_context(self.ema_model):
            batch = self.src_model.data_preprocessor(data_batch, training=True)
            use_initial = runner.iter < self.initial_pseudo_labels * runner.max_iters
            batch['mixed'] = self.mix_branches(batch['source'], batch['target'], use_initial)
        self._report_depth(runner, batch['mixed'])
        data_batch.update(batch)

    def mix_branches(self, source: dict, target: dict, use_initial: bool = False) -> dict:
        """The mixed branch of a preprocessed batch.

        Args:
            source (dict): ``inputs`` (N, 3, H, W) and N ``data_samples`` with ``gt_sem_seg``.
            target (dict): Same sizes; its labels, if it has any, are not looked at.
            use_initial (bool): Pseudo-labels from the initial prediction.

        Returns:
            dict: ``inputs`` and ``data_samples`` with ``gt_sem_seg``, ``seg_weight``, ``mix_mask``
                and, where both domains have depth, ``gt_depth_map``; each (1, H, W).
        """
        label, trust = self.label_target(target, use_initial)
        source_label = stack_pixel_data(source['data_samples'], 'gt_sem_seg')
        mask = class_mix_mask(source_label)
        maps = dict(
            gt_sem_seg=mix(source_label, label, mask),
            seg_weight=pseudo_label_weight(mask, trust),
            mix_mask=mask,
        )
        depths = [stack_pixel_data(b['data_samples'], 'gt_depth_map') for b in (source, target)]
        if all(depth is not None for depth in depths):
            maps['gt_depth_map'] = mix(*depths, mask)

        inputs = mix(source['inputs'], target['inputs'], mask)
        if self.augment:
            preprocessor = self.src_model.data_preprocessor
            inputs = strong_augmentation(
                inputs, preprocessor.mean, preprocessor.std, rgb=preprocessor.is_rgb
            )
        return dict(inputs=inputs, data_samples=_pack(maps, source, target))

    def label_target(self, target: dict, use_initial: bool) -> tuple[Tensor, Tensor]:
        """Pseudo-labels of the target images and the trust in them.

        Args:
            target (dict): Preprocessed target branch. Its samples get ``pseudo_label`` and
                ``pseudo_confidence``, each (1, H, W), for hooks that judge them.
            use_initial (bool): Take the initial prediction.

        Returns:
            tuple[Tensor, Tensor]: Labels, int64 (N, 1, H, W), the ignore index on padding; weights,
            float, (N, 1, H, W): the share of confident pixels, in the paper's variant times the
            agreement of the student's depth decoders on the target image (CorDA, eq. 9).
        """
        inputs, data_samples = target['inputs'], target['data_samples']
        logits = self.ema_model.module.pseudo_label_logits(inputs, initial=use_initial)
        label, confidence = pseudo_labels(logits)
        valid = _inside_image(label, data_samples)
        share = confident_share(confidence, self.threshold, valid)
        trust = share.expand_as(confidence).unsqueeze(1)
        head = self.src_model.decode_head
        if getattr(head, 'difficulty', None) == 'paper':
            agreement = self.src_model.target_agreement(inputs, data_samples)
            trust = trust if agreement is None else trust * agreement
        label = label.masked_fill(~valid, head.ignore_index).unsqueeze(1)
        for sample, *maps in zip(data_samples, label, confidence.unsqueeze(1), strict=True):
            sample.pseudo_label, sample.pseudo_confidence = (PixelData(data=m) for m in maps)
        return label, trust

    def _report_depth(self, runner: Runner, mixed: dict) -> None:
        """Say once which terms a missing depth takes out of the loss."""
        if self._depth_reported or not getattr(self.src_model.decode_head, 'predicts_depth', False):
            return
        self._depth_reported = True
        if 'gt_depth_map' not in mixed['data_samples'][0]:
            runner.logger.warning(
                'Source or target has no depth: the depth losses of the mixed branch and the '
                "difficulty weight drop out, and the target's depth decoder is not trained "
                "(set model.decode_head.predicted_depth='source' if the source has depth)."
            )

    # -- the teacher -----------------------------------------------------------------------------

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

    def _copy_student(self) -> None:
        """Start the teacher anew.

        MMEngine builds the averaged model in ``before_run``, which is before ``init_weights`` and
        before a checkpoint is loaded: what it copies there is not what training starts from.
        """
        self.ema_model.module.load_state_dict(self.src_model.state_dict())
        self.ema_model.steps.zero_()
        self._has_teacher = True

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


def _inside_image(label: Tensor, data_samples: list) -> Tensor:
    """Bool map of the shape of ``label`` (N, H, W), false where the preprocessor has padded."""
    valid = torch.ones_like(label, dtype=torch.bool)
    for image_valid, sample in zip(valid, data_samples, strict=True):
        height, width = sample.metainfo['img_shape'][:2]
        image_valid[height:] = False
        image_valid[:, width:] = False
    return valid


def _pack(maps: dict, source: dict, target: dict) -> list:
    """One sample per image of the batch, with its slice of every map."""
    samples = []
    for index, pair in enumerate(zip(source['data_samples'], target['data_samples'], strict=True)):
        paths = [sample.metainfo.get('img_path') for sample in pair]
        sample = SegDataSample(metainfo=dict(domain='mixed', img_path=paths))
        for name, values in maps.items():
            sample.set_data({name: PixelData(data=values[index])})
        samples.append(sample)
    return samples
