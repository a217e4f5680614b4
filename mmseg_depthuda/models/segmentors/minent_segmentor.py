# Licensed under the Apache License 2.0, see LICENSE.
"""Adaptation by confident predictions on the target."""

from mmseg.registry import MODELS
from mmseg.utils import SampleList
from torch import Tensor, nn

from mmseg_depthuda.adaptation.self_information import mean_entropy
from mmseg_depthuda.structures import upsample

from .uda_segmentor import UDASegmentor


@MODELS.register_module()
class MinEntSegmentor(UDASegmentor):
    """Encoder-decoder that also learns to be certain on unlabelled target images.

    The target branch adds the mean entropy of the predictions of the decode head and, if there is
    one, of every auxiliary head.

    Args:
        entropy_weight (float): Weight of the decode head's entropy. Defaults to 0.001.
        auxiliary_entropy_weight (float): Weight of each auxiliary head's entropy. Defaults to
            0.0002.
        **kwargs: Arguments of MMSeg's ``EncoderDecoder``.

    Source: "MinEnt" of Vu et al., "ADVENT: Adversarial Entropy Minimization for Domain Adaptation
        in Semantic Segmentation", CVPR 2019, and its release.
    """

    trained_branches = ('source', 'target')

    def __init__(
        self, entropy_weight: float = 0.001, auxiliary_entropy_weight: float = 0.0002, **kwargs
    ):
        super().__init__(**kwargs)
        self.entropy_weight = entropy_weight
        self.auxiliary_entropy_weight = auxiliary_entropy_weight

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Tensor): Normalised images, (N, 3, H, W).
            data_samples (list[SegDataSample]): Their samples; the branch is their ``domain``.

        Returns:
            dict[str, Tensor]: On the target ``loss_entropy`` and ``aux.loss_entropy``, the latter
            summed over the auxiliary heads; elsewhere as :meth:`UDASegmentor.loss`.
        """
        if data_samples[0].metainfo.get('domain') != 'target':
            return super().loss(inputs, data_samples)
        features = self.extract_feat(inputs)
        size = inputs.shape[2:]
        losses = {'loss_entropy': self.entropy_weight * _entropy(self.decode_head, features, size)}
        if self.with_auxiliary_head:
            heads = self.auxiliary_head
            heads = heads if isinstance(heads, nn.ModuleList) else [heads]
            losses['aux.loss_entropy'] = self.auxiliary_entropy_weight * sum(
                _entropy(head, features, size) for head in heads
            )
        return losses


def _entropy(head: nn.Module, features: tuple[Tensor, ...], size: tuple[int, int]) -> Tensor:
    return mean_entropy(upsample(head(features), size, head.align_corners))
