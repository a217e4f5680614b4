# Licensed under the Apache License 2.0, see LICENSE.
from itertools import islice

import numpy as np
import pytest

from mmseg_depthuda.datasets import (
    CityscapesDepthDataset,
    DomainsDataset,
    DomainsSampler,
    FolderDepthDataset,
    GTA5DepthDataset,
    SourceTargetDataset,
    SourceTargetSampler,
    write_class_statistics,
)


@pytest.fixture
def pairs(gta_root, cityscapes_root) -> SourceTargetDataset:
    """Five source and three target images."""
    return SourceTargetDataset(
        GTA5DepthDataset(data_root=str(gta_root)),
        CityscapesDepthDataset(data_root=str(cityscapes_root)),
    )


def draws(sampler: SourceTargetSampler, count: int) -> list:
    return list(islice(sampler, count))


def test_every_epoch_shuffles_each_domain(pairs):
    drawn = draws(SourceTargetSampler(pairs, seed=0), 30)
    for position, size in ((0, 5), (1, 3)):
        epochs = np.array([index.images[position] for index in drawn]).reshape(-1, size)
        np.testing.assert_array_equal(np.sort(epochs), np.tile(np.arange(size), (30 // size, 1)))
        assert len({tuple(epoch) for epoch in epochs}) > 1
    assert len({index.seed for index in drawn}) == 30
    assert all(0 <= index.seed < 2**32 for index in drawn)


def test_domains_are_independent(pairs):
    """All combinations of source and target appear, also where both have the same size."""
    drawn = draws(SourceTargetSampler(pairs, seed=0), 300)
    assert len({index.images for index in drawn}) == 15
    same_size = SourceTargetDataset(pairs.source, pairs.source)
    drawn = draws(SourceTargetSampler(same_size, seed=0), 300)
    assert len({index.images for index in drawn}) == 25


def test_seed_decides(pairs):
    first = draws(SourceTargetSampler(pairs, seed=1), 20)
    assert first == draws(SourceTargetSampler(pairs, seed=1), 20)
    other = draws(SourceTargetSampler(pairs, seed=2), 20)
    assert [index.images for index in first] != [index.images for index in other]
    assert {index.seed for index in first}.isdisjoint(index.seed for index in other)


def test_without_a_seed_runs_differ(pairs):
    assert SourceTargetSampler(pairs).seed != SourceTargetSampler(pairs).seed


def test_two_ranks_share_the_draws_of_one(pairs, monkeypatch):
    alone = draws(SourceTargetSampler(pairs, seed=3), 40)
    for rank in (0, 1):
        monkeypatch.setattr(
            'mmseg_depthuda.datasets.samplers.get_dist_info', lambda rank=rank: (rank, 2)
        )
        assert draws(SourceTargetSampler(pairs, seed=3), 20) == alone[rank::2]


@pytest.mark.parametrize('world_size', [1, 2])
@pytest.mark.parametrize('skipped', [0, 1, 7, 16])
def test_skip_is_absolute_and_per_rank(pairs, monkeypatch, world_size, skipped):
    monkeypatch.setattr(
        'mmseg_depthuda.datasets.samplers.get_dist_info', lambda: (world_size - 1, world_size)
    )
    sampler = SourceTargetSampler(pairs, seed=4)
    expected = draws(sampler, skipped + 10)[skipped:]
    sampler.skip(99)
    sampler.skip(skipped)
    assert draws(sampler, 10) == expected


def test_skip_far_ahead_costs_nothing(pairs):
    sampler = SourceTargetSampler(pairs, seed=4)
    sampler.skip(10**12)
    assert len(draws(sampler, 2)) == 2
    with pytest.raises(ValueError, match='num_samples=-1'):
        sampler.skip(-1)


def test_length_is_the_datasets(pairs):
    sampler = SourceTargetSampler(pairs, seed=4)
    sampler.set_epoch(3)
    assert len(sampler) == len(pairs) == 5


def test_rare_class_sampling_replaces_the_shuffled_source_only(pairs, files):
    path = files.root / 'statistics.json'
    write_class_statistics(pairs.source, path)
    plain = SourceTargetSampler(pairs, seed=6)
    rare = SourceTargetSampler(
        pairs, seed=6, rare_class_sampling=dict(class_statistics=str(path), min_pixels=1)
    )
    first, second = draws(plain, 50), draws(rare, 50)
    assert [(index.images[1], index.seed) for index in first] == [
        (index.images[1], index.seed) for index in second
    ]
    assert [index.images[0] for index in first] != [index.images[0] for index in second]
    rare.skip(20)
    assert draws(rare, 30) == second[20:]


CROP = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomCrop', crop_size=(6, 8)),
    dict(type='PackSegInputs'),
]


@pytest.fixture
def parts(gta_root, cityscapes_root) -> dict:
    return dict(
        source=GTA5DepthDataset(data_root=str(gta_root), pipeline=CROP),
        target=CityscapesDepthDataset(data_root=str(cityscapes_root), pipeline=CROP),
        night=FolderDepthDataset(data_root=str(gta_root / 'images'), pipeline=CROP),
    )


def test_a_third_domain_leaves_the_others_as_they_were(parts):
    """Their indices, the seed, and what is cut out of the images."""
    night = parts.pop('night')
    two, three = DomainsDataset(**parts), DomainsDataset(**parts, night=night)
    first, second = (draws(DomainsSampler(d, seed=2), 40) for d in (two, three))
    assert first == [(index.images[:2], index.seed) for index in second]
    for few, many in zip(first[:4], second[:4], strict=True):
        loaded, more = two[few], three[many]
        for name in parts:
            assert loaded[name]['inputs'].equal(more[name]['inputs'])
    nights = np.array([index.images[2] for index in second]).reshape(-1, 5)
    np.testing.assert_array_equal(np.sort(nights), np.tile(np.arange(5), (8, 1)))
    # Another stream than that of the source, which has five images as well.
    assert [index.images[2] for index in second] != [index.images[0] for index in second]


def test_several_images_per_draw_are_consecutive(parts):
    def stream(per_draw, count):
        domains = DomainsDataset(source=parts['source'], target=parts['target'])
        domains.per_draw['target'] = per_draw
        drawn = draws(DomainsSampler(domains, seed=9), count)
        assert all(len(index.images) == 1 + per_draw for index in drawn)
        return [image for index in drawn for image in index.images[1:]]

    assert stream(2, 15) == stream(1, 30) == stream(3, 10)


def test_rare_classes_of_another_domain(parts, files):
    path = files.root / 'statistics.json'
    write_class_statistics(parts['target'], path)
    domains = DomainsDataset(**parts)
    options = dict(class_statistics=str(path), min_pixels=1)
    plain, rare = (
        draws(DomainsSampler(domains, seed=6, rare_class_sampling=own), 50)
        for own in (None, options | dict(domain='target'))
    )
    assert [i.images[::2] for i in plain] == [i.images[::2] for i in rare]
    targets = [i.images[1] for i in rare]
    assert targets != [i.images[1] for i in plain] and set(targets) <= {0, 1, 2}
    with pytest.raises(ValueError, match=r"domain='rain' is none of .*'source', 'target', 'night'"):
        DomainsSampler(domains, rare_class_sampling=options | dict(domain='rain'))
