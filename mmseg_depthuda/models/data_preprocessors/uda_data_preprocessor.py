# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's preprocessing for batches of several branches."""

from collections.abc import Sequence

from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_depthuda.adaptation.depth import INVALID_DEPTH


@MODELS.register_module()
class UDADataPreProcessor(SegDataPreProcessor):
    """Normalise, pad and stack every branch of a batch.

    A batch of branches is ``{'source': {'inputs': ..., 'data_samples': ...}, 'target': ...}``; each
    branch is treated as ``SegDataPreProcessor`` treats a batch, and its name is written into the
    metainfo ``domain`` of its samples. A branch that is stacked and whose samples name their
    ``domain`` has been here before and passes unchanged: a hook may preprocess a batch to add a
    branch. An ordinary MMSeg batch (testing, source-only training) goes through as ever.

    Padding of depth is ``INVALID_DEPTH``: MMSeg pads it with the label's ignore value, which would
    be a depth. In testing, padding by ``test_cfg`` (``dict(size_divisor=32)``) is cut off the
    prediction, together with that of :class:`ResizeAndPad`.

    Args:
        mean (Sequence[float]): Mean of each channel, in 0..255.
        std (Sequence[float]): Standard deviation of each channel.
        bgr_to_rgb (bool): Swap the first and the last channel.
        rgb_to_bgr (bool): Likewise.
        **kwargs: The other arguments of ``SegDataPreProcessor``.

    Attributes:
        is_rgb (bool): Whether preprocessed images are in RGB order; loaders give BGR.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        **kwargs,
    ):
        super().__init__(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, rgb_to_bgr=rgb_to_bgr, **kwargs)
        # Both lines of MMSeg keep this too, but under different names.
        self.is_rgb = bgr_to_rgb or rgb_to_bgr

    def forward(self, data: dict, training: bool = False) -> dict:
        """Preprocess a batch.

        Args:
            data (dict): From the data loader: one branch, or branches by name.
            training (bool): Pad and stack the ground truth as well.

        Returns:
            dict: Same structure; ``inputs`` float (N, 3, H, W) on the model's device.
        """
        if 'inputs' in data:
            return self._forward_branch(data, training)
        return {name: self._forward_domain(branch, name, training) for name, branch in data.items()}

    def _forward_domain(self, branch: dict, domain: str, training: bool) -> dict:
        if isinstance(branch['inputs'], Tensor) and all(
            'domain' in sample.metainfo for sample in branch['data_samples']
        ):
            return branch
        branch = self._forward_branch(branch, training)
        for sample in branch['data_samples']:
            sample.set_metainfo(dict(domain=domain))
        return branch

    def _forward_branch(self, branch: dict, training: bool) -> dict:
        # MMSeg replaces the padding that a transform has noted by its own.
        noted = [
            sample.metainfo.get('img_padding_size', (0, 0, 0, 0))
            for sample in branch.get('data_samples') or ()
        ]
        branch = super().forward(branch, training)
        if not training and self.test_cfg:
            for sample, padding in zip(branch['data_samples'], noted, strict=True):
                total = tuple(map(sum, zip(padding, sample.img_padding_size, strict=True)))
                sample.set_metainfo(dict(img_padding_size=total))
        if training:
            for sample in branch['data_samples']:
                _, right, _, bottom = sample.metainfo['padding_size']
                if 'gt_depth_map' in sample and (right or bottom):
                    depth = sample.gt_depth_map.data
                    height, width = depth.shape[-2:]
                    depth[..., height - bottom :, :] = INVALID_DEPTH
                    depth[..., width - right :] = INVALID_DEPTH
        return branch
