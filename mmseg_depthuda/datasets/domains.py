# Licensed under the Apache License 2.0, see LICENSE.
"""Samples of several domains, the training data of domain adaptation."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from zlib import crc32

import numpy as np
from mmengine.dataset import BaseDataset
from mmseg.registry import DATASETS
from torch.utils.data import Dataset

from .geometry_matching import GeometryMatching
from .seeding import seeded

DOMAIN_OPTIONS = ('per_draw', 'match')
"""What the config of a domain has besides that of its dataset."""


class DomainsIndex(NamedTuple):
    """Images of one draw, and the seed of their random transforms.

    Attributes:
        images: Indices into the datasets of the domains, in their order; a domain with
            ``per_draw=2`` takes two of them, one with ``match`` as many as it has candidates.
        seed: 0 .. 2**32 - 1.
    """

    images: tuple[int, ...]
    seed: int


@DATASETS.register_module()
class DomainsDataset(Dataset):
    """Independently drawn samples of any number of named domains.

    The name of a domain is the name of its branch in the batch. All domains have the same classes;
    a domain may lack labels or depth. Which branch is trained on is the model's business, see
    :class:`UDASegmentor`.

    Indexed by a :class:`DomainsIndex`; equal indices give equal samples, whatever happened before.
    An ``int`` ``i`` stands for the ``i``-th draw without shuffling (a smaller dataset starts over)
    with seed ``i``. The domains share the random numbers of a draw one after the other: adding a
    domain at the end leaves the samples of the others as they were.

    A sample that the pipeline skips (``None``) is replaced by another one of its domain, drawn with
    the same seed.

    With ``match`` the images of a domain are chosen by the depth of those of another one: for each
    of these several are drawn, with replacement, and the most similar one is taken
    (:class:`~.geometry_matching.GeometryMatching`). Image ``k`` of the domain is then matched to
    image ``k`` of the other. The random transforms of its candidates have seeds of their own.

    Args:
        **domains: By name, an MMEngine dataset or its config. A config may have ``per_draw``, the
            number of images of the domain in one draw (default 1); and ``match``, as in
            ``match=dict(to='target', candidates=5, ignore_top=80, ignore_bottom=100)``.

    Raises:
        ValueError: If there is no domain, a dataset is empty, ``per_draw`` is not positive, no
            domain has labels, classes differ, whether labels are loaded or not, or ``match`` does
            not fit: see :class:`~.geometry_matching.GeometryMatching`.
    """

    def __init__(self, **domains: dict | BaseDataset) -> None:
        if not domains:
            raise ValueError(
                f'{type(self).__name__} has no domain: give each a name, as in '
                "dict(type='DomainsDataset', source=..., target=...)."
            )
        self.domains: dict[str, BaseDataset] = {}
        self.per_draw: dict[str, int] = {}
        self.matching: dict[str, GeometryMatching] = {}
        for name, dataset in domains.items():
            count = 1
            if isinstance(dataset, Mapping):
                dataset = dict(dataset)
                count = dataset.pop('per_draw', 1)
                match = dataset.pop('match', None)
                if match is not None:
                    self.matching[name] = GeometryMatching(**match)
                dataset = DATASETS.build(dataset)
            if not isinstance(count, int) or count < 1:
                raise ValueError(f'{name}.per_draw must be a positive integer, got {count!r}')
            self.domains[name], self.per_draw[name] = dataset, count
        self.full_init()

    def full_init(self) -> None:
        """Read the file lists of all datasets, and check that they go together."""
        for name, dataset in self.domains.items():
            dataset.full_init()
            if len(dataset) == 0:
                raise ValueError(
                    f'The {name} dataset {type(dataset).__name__} is empty. Check its folders and '
                    '`indices`.'
                )
        self._check_classes(self._labeled_domain())
        for name, matching in self.matching.items():
            matching.check(name, self.domains)
            if matching.to in self.matching or self.per_draw[name] != self.per_draw[matching.to]:
                raise ValueError(
                    f'{name}.match.to={matching.to!r} must be a domain without `match` and with '
                    f'per_draw={self.per_draw[name]}.'
                )

    def _labeled_domain(self) -> str:
        """The first domain with labels, whose classes are those of all."""
        labeled = [name for name in self.domains if self._is_labeled(name)]
        if not labeled:
            raise ValueError(
                f'None of the domains {list(self.domains)} has labels. Set '
                'data_prefix.seg_map_path of at least one.'
            )
        return labeled[0]

    def _is_labeled(self, name: str) -> bool:
        info = self.domains[name].get_data_info(0)
        return 'seg_map_path' in info or 'pseudo_label_path' in info

    def _check_classes(self, reference: str) -> None:
        """Compare classes, also of domains whose labels are not loaded: they will be evaluated."""
        expected = _classes(self.domains[reference])
        for name, dataset in self.domains.items():
            classes = _classes(dataset)
            if (classes or self._is_labeled(name)) and classes != expected:
                raise ValueError(
                    f'The domains {reference} and {name} have different classes: '
                    f'{type(self.domains[reference]).__name__} has {expected} and '
                    f'{type(dataset).__name__} has {classes}. Give all the same `protocol` (or '
                    '`metainfo`), also if the labels are not loaded.'
                )

    @property
    def _with_classes(self) -> BaseDataset:
        return next((d for d in self.domains.values() if _classes(d)), self._first)

    @property
    def _first(self) -> BaseDataset:
        return next(iter(self.domains.values()))

    @property
    def metainfo(self) -> dict:
        """Classes and palette of the first domain that has them."""
        return self._with_classes.metainfo

    @property
    def METAINFO(self) -> dict:
        """The same, under the name that MMSeg's ``browse_dataset.py`` reads."""
        return self._with_classes.METAINFO

    @property
    def indices_per_draw(self) -> dict[str, int]:
        """Indices of each domain in one draw: ``per_draw``, or the candidates of as many."""
        return {
            name: count * (self.matching[name].candidates if name in self.matching else 1)
            for name, count in self.per_draw.items()
        }

    def __len__(self) -> int:
        return max(-(-len(d) // self.per_draw[name]) for name, d in self.domains.items())

    def __iter__(self) -> Iterator[dict]:
        """All draws as single samples, domain by domain, as MMSeg's ``browse_dataset.py`` shows
        them. The metainfo ``domain`` tells them apart."""
        for index in range(len(self)):
            for domain, drawn in self[index].items():
                several = isinstance(drawn['data_samples'], list)
                values = drawn.values()
                for parts in zip(*values, strict=True) if several else [tuple(values)]:
                    sample = dict(zip(drawn, parts, strict=True))
                    sample['data_samples'].set_metainfo(dict(domain=domain))
                    yield sample

    def get_data_info(self, index: DomainsIndex | int) -> dict:
        """Paths by domain; a list of them where a domain has several images, or candidates."""
        return {
            name: _one_or_all([self.domains[name].get_data_info(i) for i in images])
            for name, images in self._split(index).items()
        }

    def __getitem__(self, index: DomainsIndex | int) -> dict:
        """Load a draw.

        Returns:
            dict: By domain what its pipeline packs: ``inputs`` (uint8, (3, H, W)) and
            ``data_samples``; with ``per_draw`` above 1 lists of them.
        """
        seed = index.seed if isinstance(index, DomainsIndex) else index
        images = self._split(index)
        with seeded(seed):
            drawn = {
                name: [self.domains[name][i] for i in own]
                for name, own in images.items()
                if name not in self.matching
            }
        for name in self.matching:
            drawn[name] = self._matched(name, images[name], seed, drawn)
        return {name: _transposed(drawn[name]) for name in self.domains}

    def _matched(
        self, name: str, images: tuple[int, ...], seed: int, drawn: Mapping[str, list[dict]]
    ) -> list[dict]:
        """One image of a domain for each of those that it is matched to."""
        matching = self.matching[name]
        numbers = np.random.default_rng((seed, crc32(name.encode())))
        seeds = numbers.integers(2**32, size=len(images)).tolist()
        count = matching.candidates
        return [
            matching.choose(
                self.domains[name],
                images[k * count : (k + 1) * count],
                seeds[k * count : (k + 1) * count],
                target['data_samples'],
            )
            for k, target in enumerate(drawn[matching.to])
        ]

    def _split(self, index: DomainsIndex | int) -> dict[str, tuple[int, ...]]:
        """Indices of a draw by domain."""
        counts = self.indices_per_draw
        if not isinstance(index, DomainsIndex):
            if not 0 <= index < len(self):
                raise IndexError(f'{index} is not in 0..{len(self) - 1}.')
            return {
                name: tuple((index * counts[name] + i) % len(d) for i in range(counts[name]))
                for name, d in self.domains.items()
            }
        rest, split = index.images, {}
        for name, count in counts.items():
            split[name], rest = rest[:count], rest[count:]
        return split


@DATASETS.register_module()
class SourceTargetDataset(DomainsDataset):
    """The two domains of unsupervised domain adaptation: a labeled source and a target.

    Args:
        source: MMEngine dataset or its config, with labels.
        target: MMEngine dataset or its config. Needs neither labels nor depth.

    Raises:
        ValueError: The source has no labels, or as :class:`DomainsDataset`.
    """

    def __init__(self, source: dict | BaseDataset, target: dict | BaseDataset) -> None:
        super().__init__(source=source, target=target)

    def _labeled_domain(self) -> str:
        if not self._is_labeled('source'):
            raise ValueError(
                'The source dataset has no labels. Set data_prefix.seg_map_path of `source`.'
            )
        return 'source'

    @property
    def source(self) -> BaseDataset:
        """BaseDataset: The labeled domain."""
        return self.domains['source']

    @property
    def target(self) -> BaseDataset:
        """BaseDataset: The other one."""
        return self.domains['target']


def datasets_by_domain(dataset: Dataset) -> dict[str, Dataset]:
    """The datasets of a training by their domains.

    Args:
        dataset: A :class:`DomainsDataset`, or an ordinary dataset, which is the source.

    Returns:
        dict[str, Dataset]: Domain -> dataset.
    """
    return getattr(dataset, 'domains', None) or dict(source=getattr(dataset, 'source', dataset))


def _classes(dataset: BaseDataset) -> list[str]:
    return list(dataset.metainfo.get('classes') or ())


def _one_or_all(items: list):
    return items[0] if len(items) == 1 else items


def _transposed(samples: list[dict]) -> dict:
    """A single sample as it is; of several, a list per key."""
    if len(samples) == 1:
        return samples[0]
    return {key: [sample[key] for sample in samples] for key in samples[0]}
