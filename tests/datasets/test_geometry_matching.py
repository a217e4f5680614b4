# Licensed under the Apache License 2.0, see LICENSE.
import shutil
from itertools import islice

import numpy as np
import pytest
import torch

from mmseg_depthuda.datasets import DomainsDataset, DomainsSampler
from mmseg_depthuda.datasets.geometry_matching import GeometryMatching
from mmseg_depthuda.datasets.seeding import seeded

WHOLE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels', on_size_mismatch='skip'),
    dict(type='LoadInverseDepth', expected_metres=None),
    dict(type='PackSegInputs'),
]
CROPS = [
    *WHOLE[:-1],
    dict(type='RandomCrop', crop_size=(6, 8), cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5),
    WHOLE[-1],
]
MATCH = dict(to='target', candidates=3, ignore_top=1, ignore_bottom=2)


@pytest.fixture
def configs(gta_root, cityscapes_root):
    """Five source and three target images."""
    folders = dict(img_path='images', seg_map_path='labels', depth_map_path='disparity')
    return dict(
        source=dict(type='GTA5DepthDataset', data_root=str(gta_root), data_prefix=folders),
        target=dict(type='CityscapesDepthDataset', data_root=str(cityscapes_root), depth='mono'),
    )


def domains(configs, pipeline=CROPS, match=MATCH, **more):
    parts = {name: dict(config, pipeline=pipeline) for name, config in configs.items()}
    if match is not None:
        parts['source']['match'] = match
    return DomainsDataset(**parts, **more)


def draws(dataset, count, seed=3):
    return list(islice(DomainsSampler(dataset, seed=seed), count))


def same(one, other):
    fields = ('gt_sem_seg', 'gt_depth_map')
    samples = one['data_samples'], other['data_samples']
    return torch.equal(one['inputs'], other['inputs']) and all(
        torch.equal(*(sample.get(field).data for sample in samples)) for field in fields
    )


def cost(target, sample):
    depths = (s['data_samples'].gt_depth_map.data.numpy() for s in (target, sample))
    difference = np.abs(np.subtract(*(np.log(1 + depth) for depth in depths)))
    difference[:, :1] = difference[:, -2:] = 0
    return difference.mean()


def test_the_winner_is_the_candidate_with_the_least_cost(configs, monkeypatch):
    """Each candidate has its own crop and flip, and the winner keeps them, image and labels too."""
    dataset, chosen = domains(configs), []
    choose = GeometryMatching.choose

    def recorded(self, own, images, seeds, target):
        chosen.append((images, seeds))
        return choose(self, own, images, seeds, target)

    monkeypatch.setattr(GeometryMatching, 'choose', recorded)
    winners, all_seeds = set(), set()
    for index in draws(dataset, 12):
        loaded = dataset[index]
        images, seeds = chosen.pop()
        assert images == index.images[:3]
        samples = []
        for image, seed in zip(images, seeds, strict=True):
            with seeded(seed):
                samples.append(dataset.domains['source'][image])
        best = int(np.argmin([cost(loaded['target'], sample) for sample in samples]))
        assert same(loaded['source'], samples[best])
        winners.add(best)
        all_seeds.update(seeds)
    assert winners == {0, 1, 2} and len(all_seeds) == 36


def test_first_of_equals_and_one_image_decoded(configs, gta_root):
    for kind in ('images', 'labels', 'disparity'):
        shutil.copy(gta_root / kind / '00004.png', gta_root / kind / '00006.png')
    dataset = domains(configs, WHOLE)
    source, matching = dataset.domains['source'], dataset.matching['source']
    target = source[3]['data_samples']
    seen = []
    source.pipeline.transforms.append(lambda sample: seen.append(sample) or sample)
    for images, winner in (((0, 3, 5), '00004.png'), ((0, 5, 3), '00006.png')):
        found = matching.choose(source, images, (1, 2, 3), target)
        assert found['data_samples'].img_path.endswith(winner)
        assert [bool(s['inputs'].any()) for s in seen] == [False, False, False, True]
        seen.clear()


def test_skipped_candidates_do_not_win(files, configs, label_ids):
    files.palette_png('gta/labels/00001.png', label_ids[:6])
    dataset = domains(configs, WHOLE)
    source, matching = dataset.domains['source'], dataset.matching['source']
    target = source[1]['data_samples']
    found = matching.choose(source, (0, 1, 0), (1, 2, 3), target)
    assert found['data_samples'].img_path.endswith('00002.png')
    found = matching.choose(source, (0, 0, 0), (1, 2, 3), target)  # another one, as without match
    assert not found['data_samples'].img_path.endswith('00001.png')


def test_draws_are_functions_of_seed_and_number(configs):
    """Candidates are drawn with replacement; the draws of the target are those without `match`."""
    plain, dataset = domains(configs, match=None), domains(configs)
    first, second = draws(plain, 40), draws(dataset, 40)
    assert [(i.images[1], i.seed) for i in first] == [(i.images[3], i.seed) for i in second]
    drawn = [i.images[:3] for i in second]
    assert {image for images in drawn for image in images} == set(range(5))
    assert any(len(set(images)) < 3 for images in drawn)
    sampler = DomainsSampler(dataset, seed=3)
    sampler.skip(30)
    assert list(islice(sampler, 10)) == second[30:]
    for index in second[:3]:
        loaded = dataset[index]
        torch.manual_seed(index.seed % 7)  # whatever happened before
        assert all(same(loaded[name], own) for name, own in dataset[index].items())
    assert len(plain) == len(dataset) == 5 and dataset[4].keys() == plain[4].keys()


def test_several_images_per_draw_are_matched_one_by_one(configs):
    for config in configs.values():
        config['per_draw'] = 2
    dataset = domains(configs, WHOLE)
    (index,) = draws(dataset, 1)
    assert len(index.images) == 2 * 3 + 2
    loaded = dataset[index]
    source, target = dataset.domains['source'], loaded['target']['data_samples']
    for k in range(2):
        costs = [
            cost(dict(data_samples=target[k]), source[i]) for i in index.images[3 * k : 3 * k + 3]
        ]
        best = index.images[3 * k + int(np.argmin(costs))]
        found = loaded['source']['data_samples'][k].img_path
        assert found == source.get_data_info(best)['img_path']


@pytest.mark.parametrize(
    ('match', 'message'),
    [
        (dict(candidates=0), 'candidates must be a positive integer, got 0'),
        (dict(ignore_top=-1), 'must not be negative, got -1 and 2'),
        (dict(to='rain'), r"source.match.to='rain' is none of the other domains \['target'\]"),
        (dict(to='source'), "source.match.to='source' is none of the other"),
    ],
)
def test_wrong_arguments(configs, match, message):
    with pytest.raises(ValueError, match=message):
        domains(configs, match=MATCH | match)


def test_data_that_do_not_fit(configs, gta_root):
    with pytest.raises(ValueError, match='ignore_bottom=100 leave none of the 6 rows.*Crop both'):
        domains(configs, match=dict(to='target'))[0]
    small = [*CROPS[:3], dict(type='RandomCrop', crop_size=(5, 8)), CROPS[-1]]
    dataset = domains(configs)
    dataset.domains['target'].pipeline = type(dataset.domains['target'].pipeline)(small)
    with pytest.raises(ValueError, match=r'_000019_leftImg8bit.png: .*size of the target, \(1, 5'):
        dataset[0]
    configs['source']['per_draw'] = 2
    with pytest.raises(ValueError, match='without `match` and with per_draw=2'):
        domains(configs)
    configs['target']['depth'] = None
    with pytest.raises(ValueError, match=r'3 of 3 of target load none, such as .*_leftImg8bit.png'):
        domains(configs)
