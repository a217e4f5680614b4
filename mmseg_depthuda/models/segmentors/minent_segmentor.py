# Licensed under the Apache License 2.0, see LICENSE.
"""Adaptation by minimal entropy: predictions on the target become confident."""

from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor

from mmseg_depthuda.adaptation.self_information import mean_entropy
from mmseg_depthuda.structures import branch_of

from .uda_segmentor import UDASegmentor


@MODELS.register_module()
class MinEntSegmentor(UDASegmentor):
    """Encoder-decoder that also minimizes the entropy of its predictions on unlabeled images.

    The loss of an unlabeled branch is the mean entropy of the predictions of the decode head and of
    every auxiliary head. All other branches are trained as in :class:`UDASegmentor`, also those
    that a hook makes.

    Args:
        entropy_weight (float): Weight of the decode head's entropy. Defaults to 0.001.
        auxiliary_entropy_weight (float): Weight of each auxiliary head's entropy. Defaults to
            0.0002.
        **kwargs: Arguments of MMSeg's ``EncoderDecoder``.

    Source: "MinEnt" of Vu et al., "ADVENT: Adversarial Entropy Minimization for Domain Adaptation
        in Semantic Segmentation", CVPR 2019, and its release.
    """

    def __init__(
        self, entropy_weight: float = 0.001, auxiliary_entropy_weight: float = 0.0002, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.entropy_weight = entropy_weight
        self.auxiliary_entropy_weight = auxiliary_entropy_weight

    @property
    def unsupervised(self) -> tuple[str, ...]:
        """tuple[str, ...]: All unlabeled branches."""
        return self.unlabelled

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (list[SegDataSample]): Their samples, with branch and domain.

        Returns:
            dict[str, Tensor]: On an unlabeled branch ``loss_entropy`` and ``aux.loss_entropy``, the
            sum over the auxiliary heads, and the losses of heads that learn without labels. On
            other branches those of :meth:`UDASegmentor.loss`.
        """
        if branch_of(data_samples) not in self.unlabelled:
            return super().loss(inputs, data_samples)
        wanted = {name: ('seg',) for name, _, _ in self.named_heads()}
        losses, predictions = self.unsupervised_loss(
            self.extract_feat(inputs), data_samples, inputs.shape[2:], wanted
        )
        main, *auxiliary = (mean_entropy(found['seg']) for found in predictions.values())
        losses['loss_entropy'] = self.entropy_weight * main
        if auxiliary:
            total = torch.stack(auxiliary).sum()
            losses['aux.loss_entropy'] = self.auxiliary_entropy_weight * total
        return losses
