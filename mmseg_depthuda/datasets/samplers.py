# Licensed under the Apache License 2.0, see LICENSE.
from collections.abc import Iterator
from itertools import count

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from .class_statistics import RareClassSampling
from .pair import SourceTargetDataset, SourceTargetIndex

# Names of the independent random streams of one seed.
_SOURCE, _TARGET, _TRANSFORMS, _RARE_CLASSES = range(4)


@DATA_SAMPLERS.register_module()
class SourceTargetSampler(Sampler):
    """Infinite, independently shuffled streams of both domains.

    Draw ``n`` of the run is a pure function of ``(seed, n)``, and rank ``r`` of ``R`` takes the
    draws ``r, r + R, ...``. So a run does not depend on the number of workers, two ranks draw what
    one would, and a resumed run can start at any draw at no cost.

    Args:
        dataset: The pairs to draw from.
        seed: Same on all ranks. By default random, agreed upon by all ranks.
        rare_class_sampling: Arguments of :class:`~.class_statistics.RareClassSampling`, to draw
            source images by the rarity of their classes instead of shuffling them.
    """

    def __init__(
        self,
        dataset: SourceTargetDataset,
        seed: int | None = None,
        rare_class_sampling: dict | None = None,
    ) -> None:
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0
        self.rare_class_sampling = (
            None
            if rare_class_sampling is None
            else RareClassSampling(dataset.source, **rare_class_sampling)
        )

    def __len__(self) -> int:
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: the streams have no epochs (MMEngine calls this on every sampler)."""

    def skip(self, num_samples: int) -> None:
        """Start the next iteration behind the first ``num_samples`` draws of this rank.

        Absolute, whatever was drawn before. The maintained MMEngine calls it on resuming; MMEngine
        0.10.7 draws and loads what it skips.
        """
        if num_samples < 0:
            raise ValueError(f'num_samples={num_samples} must not be negative.')
        self.start = num_samples

    def __iter__(self) -> Iterator[SourceTargetIndex]:
        source, target = self._shuffled(_SOURCE), self._shuffled(_TARGET)
        for draw in count(self.start * self.world_size + self.rank, self.world_size):
            if self.rare_class_sampling is None:
                source_index = source(draw)
            else:
                source_index = self.rare_class_sampling.draw(self._generator(_RARE_CLASSES, draw))
            transform_seed = int(self._generator(_TRANSFORMS, draw).integers(2**32))
            yield SourceTargetIndex(source_index, target(draw), transform_seed)

    def _shuffled(self, stream: int):
        """Function from draw number to index of the domain. Every epoch is another permutation."""
        size = len(self.dataset.source if stream == _SOURCE else self.dataset.target)
        epoch, order = -1, None

        def index(draw: int) -> int:
            nonlocal epoch, order
            if draw // size != epoch:
                epoch = draw // size
                order = self._generator(stream, epoch).permutation(size)
            return int(order[draw % size])

        return index

    def _generator(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, number))
