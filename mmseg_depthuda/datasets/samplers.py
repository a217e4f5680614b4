# Licensed under the Apache License 2.0, see LICENSE.
"""Draws of the images of each domain, a pure function of the seed and of the draw's number."""

from collections.abc import Callable, Iterator
from itertools import count
from zlib import crc32

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from .class_statistics import RareClassSampling
from .domains import DomainsDataset, DomainsIndex

# Numbers of the independent random streams of one seed; those of other domains follow their names.
_STREAMS = dict(source=0, target=1)
_TRANSFORMS, _RARE_CLASSES, _OTHERS = 2, 3, 4


@DATA_SAMPLERS.register_module(name=['DomainsSampler', 'SourceTargetSampler'])
class DomainsSampler(Sampler):
    """Infinite, independently shuffled streams of all domains.

    Draw ``n`` of the run is a pure function of ``(seed, n)``, and rank ``r`` of ``R`` takes the
    draws ``r, r + R, ...``. So a run does not depend on the number of workers, two ranks draw what
    one would, and a resumed run can start at any draw at no cost. What is drawn of a domain does
    not depend on which other domains there are. The candidates of a domain with ``match`` are drawn
    with replacement.

    Args:
        dataset: The domains to draw from.
        seed: Same on all ranks. By default random, agreed upon by all ranks.
        rare_class_sampling: Arguments of :class:`~.class_statistics.RareClassSampling`, to draw
            images by the rarity of their classes instead of shuffling them; ``domain`` names whose
            (default 'source').

    Raises:
        ValueError: ``rare_class_sampling.domain`` is no domain of the dataset.
    """

    def __init__(
        self,
        dataset: DomainsDataset,
        seed: int | None = None,
        rare_class_sampling: dict | None = None,
    ) -> None:
        self.dataset = dataset
        self.rank, self.world_size = get_dist_info()
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0
        self.rare_class_sampling, self.rare_domain = None, None
        if rare_class_sampling is not None:
            options = dict(rare_class_sampling)
            self.rare_domain = options.pop('domain', 'source')
            if self.rare_domain not in dataset.domains:
                raise ValueError(
                    f'rare_class_sampling.domain={self.rare_domain!r} is none of the domains '
                    f'{list(dataset.domains)}.'
                )
            self.rare_class_sampling = RareClassSampling(
                dataset.domains[self.rare_domain], **options
            )

    def __len__(self) -> int:
        return len(self.dataset)

    def set_epoch(self, epoch: int) -> None:
        """Does nothing: the streams have no epochs (MMEngine calls this on every sampler)."""

    def skip(self, num_samples: int) -> None:
        """Start the next iteration after the first ``num_samples`` draws of this rank.

        Absolute, whatever was drawn before. The maintained MMEngine calls it on resuming; MMEngine
        0.10.7 draws and loads what it skips.
        """
        if num_samples < 0:
            raise ValueError(f'num_samples={num_samples} must not be negative.')
        self.start = num_samples

    def __iter__(self) -> Iterator[DomainsIndex]:
        per_draw = self.dataset.indices_per_draw
        streams = {name: self._stream(name) for name in self.dataset.domains}
        for draw in count(self.start * self.world_size + self.rank, self.world_size):
            images = tuple(
                streams[name](draw * images_per_draw + i)
                for name, images_per_draw in per_draw.items()
                for i in range(images_per_draw)
            )
            transform_seed = int(self._generator(_TRANSFORMS, draw).integers(2**32))
            yield DomainsIndex(images, transform_seed)

    def _stream(self, domain: str) -> Callable[[int], int]:
        """Function from the number of an image in the run to its index in the domain."""
        rare = self.rare_class_sampling
        if rare is not None and domain == self.rare_domain:
            return lambda number: rare.draw(self._generator(_RARE_CLASSES, number))
        if domain in self.dataset.matching:
            return self._with_replacement(domain)
        return self._shuffled(domain)

    def _with_replacement(self, domain: str) -> Callable[[int], int]:
        size = len(self.dataset.domains[domain])
        stream = _OTHERS + crc32(f'candidates of {domain}'.encode())
        return lambda number: int(self._generator(stream, number).integers(size))

    def _shuffled(self, domain: str) -> Callable[[int], int]:
        """Every epoch is another permutation."""
        size = len(self.dataset.domains[domain])
        stream = _STREAMS.get(domain, _OTHERS + crc32(domain.encode()))
        epoch, order = -1, np.arange(0)

        def index(number: int) -> int:
            nonlocal epoch, order
            if number // size != epoch:
                epoch = number // size
                order = self._generator(stream, epoch).permutation(size)
            return int(order[number % size])

        return index

    def _generator(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, stream, number))


SourceTargetSampler = DomainsSampler
