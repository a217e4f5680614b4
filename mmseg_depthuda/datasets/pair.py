# Licensed under the Apache License 2.0, see LICENSE.
"""Source-target pairs, the training samples of unsupervised domain adaptation."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS
from torch.utils.data import Dataset


class SourceTargetIndex(NamedTuple):
    """One sample per domain, and the seed of their random transforms."""

    source: int
    target: int
    seed: int


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed ``random``, ``np.random`` and ``torch`` for a block, and restore their states behind it.

    MMCV's and MMSeg's transforms draw from these global generators. Without the restoring, a run
    whose data is loaded in the main process would draw other numbers in model and hooks than one
    with workers.

    Args:
        seed: 0 .. 2**32 - 1.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


@DATASETS.register_module()
class SourceTargetDataset(Dataset):
    """Independently drawn samples of a labelled source and a target domain.

    Indexed by a :class:`SourceTargetIndex`; equal indices give equal samples, whatever happened
    before. An ``int`` ``i`` stands for the ``i``-th sample of both (the smaller dataset starts
    over) with seed ``i``.

    A sample that the pipeline skips (``None``) is replaced by another one of its domain, drawn with
    the same seed.

    Args:
        source: MMEngine dataset or its config.
        target: MMEngine dataset or its config. Needs neither labels nor depth.

    Raises:
        ValueError: If a dataset is empty, the source has no labels, or the target declares other
            classes, be its labels loaded or not.
    """

    def __init__(self, source: dict | BaseDataset, target: dict | BaseDataset) -> None:
        self.source = DATASETS.build(source) if isinstance(source, dict) else source
        self.target = DATASETS.build(target) if isinstance(target, dict) else target
        self.full_init()

    def full_init(self) -> None:
        """Read the file lists of both datasets, and check that they go together."""
        for domain, dataset in (('source', self.source), ('target', self.target)):
            dataset.full_init()
            if len(dataset) == 0:
                raise ValueError(
                    f'The {domain} dataset {type(dataset).__name__} is empty. Check its folders '
                    'and `indices`.'
                )
        if 'seg_map_path' not in self.source.get_data_info(0):
            raise ValueError(
                'The source dataset has no labels. Set data_prefix.seg_map_path of `source`.'
            )
        # Also where its labels are not loaded: in its classes the target will be evaluated.
        source_classes, target_classes = (
            list(dataset.metainfo.get('classes') or ()) for dataset in (self.source, self.target)
        )
        is_labelled = 'seg_map_path' in self.target.get_data_info(0)
        if (target_classes or is_labelled) and source_classes != target_classes:
            raise ValueError(
                f'Source and target have different classes: {type(self.source).__name__} has '
                f'{source_classes} and {type(self.target).__name__} has {target_classes}. Give '
                'both the same `protocol` (or `metainfo`), also if the labels of the target are '
                'not loaded.'
            )

    @property
    def metainfo(self) -> dict:
        """Classes and palette, the source's."""
        return self.source.metainfo

    @property
    def METAINFO(self) -> dict:
        """The same, under the name that MMSeg's ``browse_dataset.py`` reads."""
        return self.source.METAINFO

    def __len__(self) -> int:
        return max(len(self.source), len(self.target))

    def __iter__(self) -> Iterator[dict]:
        """All pairs as single samples, source and target in turn, as MMSeg's ``browse_dataset.py``
        shows them. The metainfo ``domain`` tells them apart."""
        for index in range(len(self)):
            for domain, sample in self[index].items():
                sample['data_samples'].set_metainfo(dict(domain=domain))
                yield sample

    def get_data_info(self, index: SourceTargetIndex | int) -> dict:
        """Paths of both samples: ``{'source': {...}, 'target': {...}}``."""
        index = self._pair_index(index)
        return dict(
            source=self.source.get_data_info(index.source),
            target=self.target.get_data_info(index.target),
        )

    def __getitem__(self, index: SourceTargetIndex | int) -> dict:
        """Load a pair.

        Returns:
            ``{'source': sample, 'target': sample}``, each as the dataset's pipeline packs it:
            ``inputs`` (uint8, (3, H, W)) and ``data_samples``.
        """
        index = self._pair_index(index)
        with seeded(index.seed):
            return dict(source=self.source[index.source], target=self.target[index.target])

    def _pair_index(self, index: SourceTargetIndex | int) -> SourceTargetIndex:
        if isinstance(index, SourceTargetIndex):
            return index
        if not 0 <= index < len(self):
            raise IndexError(f'{index} is not in 0..{len(self) - 1}.')
        return SourceTargetIndex(index % len(self.source), index % len(self.target), index)
