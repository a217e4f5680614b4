# Licensed under the Apache License 2.0, see LICENSE.
"""Random source-target pairs, for measuring without a dataset on the disk."""

import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.utils.data import Dataset

IGNORE_INDEX = 255
LABEL_BLOCK = 16
"""Side of the one-colored blocks of the label, so that masks have areas and borders."""


class SyntheticPairs(Dataset):
    """Samples of the form that :class:`SourceTargetDataset` returns, of random content.

    Args:
        size: Height and width of the images.
        num_classes: Number of classes in the labels, which also hold the ignore value.
        with_depth: Whether both domains have inverse depth (1 .. 257, a tenth of it missing).
    """

    metainfo = dict(classes=None)

    def __init__(self, size: tuple[int, int], num_classes: int, with_depth: bool) -> None:
        self.size = size
        self.num_classes = num_classes
        self.with_depth = with_depth

    def __len__(self) -> int:
        return 1 << 20

    def __getitem__(self, index: int) -> dict:
        """The ``index``-th pair: ``inputs`` uint8 (3, H, W) and ``data_samples`` per domain."""
        generator = torch.Generator().manual_seed(index)
        return {domain: self._sample(generator) for domain in ('source', 'target')}

    def _sample(self, generator: torch.Generator) -> dict:
        inputs = torch.randint(256, (3, *self.size), dtype=torch.uint8, generator=generator)
        sample = SegDataSample(metainfo=dict(img_shape=self.size, ori_shape=self.size))
        sample.gt_sem_seg = PixelData(data=self._label(generator))
        if self.with_depth:
            depth = 1 + 256 * torch.rand(1, *self.size, generator=generator)
            missing = torch.rand(1, *self.size, generator=generator) < 0.1
            sample.gt_depth_map = PixelData(data=depth.masked_fill(missing, 0.0))
        return dict(inputs=inputs, data_samples=sample)

    def _label(self, generator: torch.Generator) -> Tensor:
        height, width = self.size
        blocks = (-(-height // LABEL_BLOCK), -(-width // LABEL_BLOCK))
        label = torch.randint(self.num_classes + 1, blocks, generator=generator)
        label[label == self.num_classes] = IGNORE_INDEX
        label = label.repeat_interleave(LABEL_BLOCK, 0).repeat_interleave(LABEL_BLOCK, 1)
        return label[None, :height, :width].contiguous()
