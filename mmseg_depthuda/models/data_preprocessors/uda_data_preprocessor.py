# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's preprocessing for batches of several branches."""

from collections.abc import Sequence
from typing import Any

from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_depthuda.structures import SAMPLE_FIELDS, is_batch_of_branches, is_preprocessed


@MODELS.register_module()
class UDADataPreProcessor(SegDataPreProcessor):
    """Normalize, pad and stack every branch of a batch.

    A batch of branches is ``{'source': {'inputs': ..., 'data_samples': ...}, 'target': ...}``. Each
    branch is treated as ``SegDataPreProcessor`` treats a batch. Its name is written into the
    metainfo ``branch`` and ``domain`` of its samples. If a domain has several images per draw, all
    of them go into its branch. An ordinary batch of MMSeg (testing, source-only training) is
    treated as in MMSeg.

    A branch is preprocessed only once. If it is stacked and its samples name their branch, it
    passes unchanged. So a hook can preprocess a batch and add branches before the model gets it.

    The padding of each map is the value in :data:`~mmseg_depthuda.structures.SAMPLE_FIELDS`. MMSeg
    would pad depth with the ignore value of the labels, which is a valid depth. In testing, the
    padding by ``test_cfg`` (``dict(size_divisor=32)``) is cut off the prediction, together with
    that of :class:`ResizeAndPad`.

    Args:
        mean (Sequence[float]): Mean of each channel, in 0..255.
        std (Sequence[float]): Standard deviation of each channel.
        bgr_to_rgb (bool): Swap the first and the last channel.
        rgb_to_bgr (bool): Does the same; MMSeg has both names.
        **kwargs: The other arguments of ``SegDataPreProcessor``.

    Attributes:
        is_rgb (bool): Whether preprocessed images are in RGB order. Loaders give BGR.
    """

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        **kwargs: Any,
    ):
        super().__init__(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, rgb_to_bgr=rgb_to_bgr, **kwargs)
        # Both published lines of MMSeg have this attribute, too, but under different names.
        self.is_rgb = bgr_to_rgb or rgb_to_bgr

    def forward(self, data: dict, training: bool = False) -> dict:
        """Preprocess a batch.

        Args:
            data (dict): From the data loader: one branch, or branches by name.
            training (bool): Pad and stack the ground truth as well.

        Returns:
            dict: Same structure. ``inputs`` is float (N, 3, H, W) on the model's device.

        Raises:
            ValueError: In training: an image with ``source_views`` would have to be padded.
        """
        if not is_batch_of_branches(data):
            return self._forward_branch(data, training)
        return {name: self._forward_domain(name, branch, training) for name, branch in data.items()}

    def _forward_domain(self, domain: str, branch: dict, training: bool) -> dict:
        if is_preprocessed(branch):
            return branch
        branch = self._forward_branch({k: _flat(v) for k, v in branch.items()}, training)
        for sample in branch['data_samples']:
            sample.set_metainfo(dict(branch=domain, domain=domain))
        return branch

    def _forward_branch(self, branch: dict, training: bool) -> dict:
        # MMSeg overwrites the padding that a transform has noted.
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
                _fill_padding(sample)
        return branch


def _flat(values: Sequence) -> Sequence:
    """The images or samples of a domain in one list, draw by draw.

    If a domain has several per draw, the loader gives a list for each position in the draw.
    """
    if isinstance(values, list | tuple) and isinstance(values[0], list | tuple):
        return [value for draw in zip(*values, strict=True) for value in draw]
    return values


def _fill_padding(sample: SegDataSample) -> None:
    """Fill the padding of every map with the value of its field."""
    _, right, _, bottom = sample.metainfo['padding_size']
    if not (right or bottom):
        return
    if 'source_views' in sample:
        raise ValueError(
            f'{sample.metainfo.get("img_path")} has neighboring frames and would be padded by '
            f'{right}x{bottom} pixels, where there is no depth to learn. Resize and crop all '
            'images of a domain to one size (ResizeSequence, RandomCropSequence), and set '
            'model.data_preprocessor.size or size_divisor so that this size needs no padding.'
        )
    for name in SAMPLE_FIELDS.keys() & sample.keys():
        padding, values = SAMPLE_FIELDS[name].padding, sample.get(name).data
        if padding is not None:
            height, width = values.shape[-2:]
            values[..., height - bottom :, :] = padding
            values[..., width - right :] = padding
