# Licensed under the Apache License 2.0, see LICENSE.
"""Labels for unlabeled images, and the trust in these labels.

A pseudo-labeler is a callable of a :class:`Networks` and a preprocessed branch that gives
:class:`PseudoLabels`. It is registered in :data:`~mmseg_depthuda.registry.PSEUDO_LABELERS`, has the
attribute ``of``, the branch that it labels, and may have ``check(student)``, which refuses models
that it cannot work with before the training begins.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from mmseg_depthuda.adaptation.pseudo_labels import confident_share, pseudo_labels
from mmseg_depthuda.models.decode_heads.head_contract import head_tasks
from mmseg_depthuda.models.segmentors import UDASegmentor
from mmseg_depthuda.registry import PSEUDO_LABELERS
from mmseg_depthuda.structures import stack_pixel_data


class Networks(NamedTuple):
    """What a pseudo-labeler may ask.

    Attributes:
        student: In training mode.
        teacher: Its average, with batch statistics.
        progress: Share of the training that is done, in 0..1.
    """

    student: UDASegmentor
    teacher: UDASegmentor
    progress: float


@dataclass
class PseudoLabels:
    """What a pseudo-labeler says of a branch.

    Attributes:
        label: int64, (N, 1, H, W), the ignore index where there is none.
        trust: Weight of the label in a loss, float, (N, 1, H, W), in 0..1.
        confidence: Largest softmax, float, (N, 1, H, W), for hooks that judge the labels.
        log: Numbers to log by name.
    """

    label: Tensor
    trust: Tensor
    confidence: Tensor
    log: dict[str, Tensor] = field(default_factory=dict)


@PSEUDO_LABELERS.register_module()
class ConfidentShare:
    """The teacher's classes, all trusted as much as the share of confident ones (DACS).

    A head that judges pseudo-labels (``CorDAHead(difficulty='paper')``, eq. 9) weights them on top.

    Args:
        of (str): Branch to label. Defaults to 'target'.
        threshold (float): A pseudo-label is confident at this softmax. Defaults to 0.968.
        initial (float): Share of the training, in 0..1, during which labels are the *initial*
            prediction of a head that has one; CorDA on GTA5 takes 0.1. Defaults to 0.
        ignore_top (int): Rows at the top of the image whose pseudo-labels have the trust 0, because
            rectification distorts them. Defaults to 0; DAFormer takes 15.
        ignore_bottom (int): Rows at the bottom whose pseudo-labels have the trust 0, because they
            show the car itself. Defaults to 0; DAFormer takes 120.
        true_labels (bool): Images of the branch that have labels keep them, with the confidence 1,
            and 0 where they are ignored. This is for a branch of which some images are labeled.
            Defaults to False: labels are not looked at.

    Raises:
        ValueError: A share is outside 0..1, or a margin negative.

    Source: Tranheden et al., "DACS", WACV 2021; margins: Hoyer et al., "DAFormer", CVPR 2022; true
        labels: Hoyer et al., CVPR 2021; and their releases.
    """

    def __init__(
        self,
        of: str = 'target',
        threshold: float = 0.968,
        initial: float = 0.0,
        ignore_top: int = 0,
        ignore_bottom: int = 0,
        true_labels: bool = False,
    ):
        for name, share in dict(threshold=threshold, initial=initial).items():
            if not 0 <= share <= 1:
                raise ValueError(f'{name} must be in 0..1, got {share}')
        if min(ignore_top, ignore_bottom) < 0:
            raise ValueError(
                f'ignore_top and ignore_bottom must not be negative, got {ignore_top} and '
                f'{ignore_bottom}'
            )
        self.of = of
        self.threshold = threshold
        self.initial = initial
        self.ignore_top = ignore_top
        self.ignore_bottom = ignore_bottom
        self.true_labels = true_labels

    def check(self, student: UDASegmentor) -> None:
        """Refuse a head that cannot give the labels.

        Args:
            student (UDASegmentor): The model in training.

        Raises:
            ValueError: The head has a single logit, or no initial segmentation where it is needed.
        """
        head = student.decode_head
        if head.out_channels == 1:
            raise ValueError(
                'Pseudo-labels need one logit per class, but the head has out_channels=1: leave '
                'model.decode_head.out_channels unset (two classes then have two logits).'
            )
        if self.initial and 'initial_seg' not in head_tasks(head):
            raise ValueError(
                f'initial pseudo-labels ({self.initial} of the training) need a head with an '
                f'initial segmentation such as CorDAHead, not {type(head).__name__}: set 0.'
            )

    def __call__(self, networks: Networks, branch: dict) -> PseudoLabels:
        """Label a branch.

        Args:
            networks (Networks): Student and teacher.
            branch (dict): Preprocessed, ``inputs`` (N, 3, H, W) and N ``data_samples``.

        Returns:
            PseudoLabels: ``log`` has ``confident_share``, q of DACS.
        """
        inputs, data_samples = branch['inputs'], branch['data_samples']
        logits = networks.teacher.pseudo_label_logits(
            inputs, initial=networks.progress < self.initial
        )
        label, confidence = pseudo_labels(logits)
        if self.true_labels:
            ignore_index = networks.student.decode_head.ignore_index
            _take_true_labels(label, confidence, data_samples, ignore_index)
        valid = _inside_image(label, data_samples)
        share = confident_share(confidence, self.threshold, valid)
        trust = self._without_margins(share.expand_as(confidence).unsqueeze(1), data_samples)
        agreement = networks.student.pseudo_label_agreement(inputs, data_samples)
        if agreement is not None:
            trust = trust * agreement
        label = label.masked_fill(~valid, networks.student.decode_head.ignore_index)
        return PseudoLabels(
            label.unsqueeze(1), trust, confidence.unsqueeze(1), dict(confident_share=share)
        )

    def _without_margins(self, trust: Tensor, data_samples: list) -> Tensor:
        """Set the trust in the margins to 0. Padding does not count as a part of the image."""
        if not self.ignore_top and not self.ignore_bottom:
            return trust
        trust = trust.clone()
        trust[..., : self.ignore_top, :] = 0
        for image_trust, sample in zip(trust, data_samples, strict=True):
            height = sample.metainfo['img_shape'][0]
            image_trust[..., max(height - self.ignore_bottom, 0) :, :] = 0
        return trust


@PSEUDO_LABELERS.register_module()
class StoredLabels:
    """The pseudo-labels that ``tools/write_pseudo_labels.py`` has written, all fully trusted.

    The dataset of the branch names their folder, ``data_prefix=dict(pseudo_label_path=OUT)``, and
    its pipeline has ``LoadPseudoLabels`` after the resize. The teacher is not asked.

    Args:
        of (str): Branch that they belong to. Defaults to 'target'.
    """

    def __init__(self, of: str = 'target'):
        self.of = of

    def __call__(self, networks: Networks, branch: dict) -> PseudoLabels:
        """Take the labels that were loaded.

        Args:
            networks (Networks): Student and teacher.
            branch (dict): Preprocessed, with N ``data_samples``.

        Returns:
            PseudoLabels: Trust and confidence are 1 where there is a label and 0 elsewhere; ``log``
            has ``stored_share``, the share of the pixels with a label.

        Raises:
            ValueError: The samples have no labels, or true ones.
        """
        data_samples = branch['data_samples']
        label = stack_pixel_data(data_samples, 'gt_sem_seg')
        true_labels = [s.metainfo['seg_map_path'] for s in data_samples if 'seg_map_path' in s]
        if label is None or true_labels:
            found = f'true labels, {true_labels[0]}' if true_labels else 'none'
            raise ValueError(
                f'StoredLabels takes pseudo-labels of {data_samples[0].metainfo.get("img_path")}, '
                f'which has {found}. Set data_prefix=dict(pseudo_label_path=FOLDER, '
                f'seg_map_path=None) of the {self.of} dataset, and put '
                "dict(type='LoadPseudoLabels') after the resize of its pipeline."
            )
        labelled = label != networks.student.decode_head.ignore_index
        trust = labelled.to(branch['inputs'].dtype)
        return PseudoLabels(label, trust, trust, dict(stored_share=trust.mean()))


def _take_true_labels(
    label: Tensor, confidence: Tensor, data_samples: list, ignore_index: int
) -> None:
    """Replace, in place, what the teacher says of labeled images; all maps are (N, H, W)."""
    for own_label, own_confidence, sample in zip(label, confidence, data_samples, strict=True):
        if 'gt_sem_seg' in sample:
            own_label.copy_(sample.gt_sem_seg.data[0])
            own_confidence.copy_(own_label != ignore_index)


def _inside_image(label: Tensor, data_samples: list) -> Tensor:
    """Bool map of the shape of ``label`` (N, H, W), false where the preprocessor has padded."""
    valid = torch.ones_like(label, dtype=torch.bool)
    for image_valid, sample in zip(valid, data_samples, strict=True):
        height, width = sample.metainfo['img_shape'][:2]
        image_valid[height:] = False
        image_valid[:, width:] = False
    return valid
