# Licensed under the Apache License 2.0, see LICENSE.
import random
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mmseg_depthuda.datasets import (
    CityscapesDepthDataset,
    DomainsDataset,
    DomainsIndex,
    DomainsSampler,
    FolderDepthDataset,
    GTA5DepthDataset,
    SourceTargetDataset,
    SourceTargetSampler,
)
from mmseg_depthuda.models.data_preprocessors import UDADataPreProcessor

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels', on_size_mismatch='skip'),
    dict(type='LoadInverseDepth'),
    dict(type='RandomCrop', crop_size=(6, 8)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs'),
]


@pytest.fixture
def configs(gta_root, cityscapes_root) -> dict:
    return dict(
        source=dict(type='GTA5DepthDataset', data_root=str(gta_root), pipeline=PIPELINE),
        target=dict(
            type='CityscapesDepthDataset',
            data_root=str(cityscapes_root),
            depth='stereo',
            data_prefix=dict(seg_map_path=None),
            pipeline=PIPELINE,
        ),
    )


@pytest.fixture
def pairs(configs) -> SourceTargetDataset:
    return DATASETS.build(dict(type='SourceTargetDataset', **configs))


def content(pair: dict) -> dict[str, np.ndarray]:
    """Everything that training sees of a pair."""
    arrays = {}
    for domain, sample in pair.items():
        arrays[f'{domain} image'] = sample['inputs'].numpy()
        for key, field in sample['data_samples'].items():
            arrays[f'{domain} {key}'] = field.data.numpy()
    return arrays


def assert_same(first: dict, second: dict) -> None:
    first, second = content(first), content(second)
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key], err_msg=key)


def test_pair_holds_what_each_pipeline_packs(pairs):
    assert content(pairs[DomainsIndex((4, 2), 0)]).keys() == {
        'source image',
        'source gt_sem_seg',
        'source gt_depth_map',
        'target image',
        'target gt_depth_map',
    }
    info = pairs.get_data_info(DomainsIndex((4, 2), 0))
    assert info['source']['img_path'].endswith('00005.png')
    assert info['target']['img_path'].endswith('aachen_000002_000019_leftImg8bit.png')


def test_length_and_integer_index(pairs):
    assert len(pairs) == 5
    assert_same(pairs[4], pairs[DomainsIndex((4, 1), 4)])
    for index in (5, -1):
        with pytest.raises(IndexError):
            pairs[index]


def test_equal_indices_give_equal_pairs_and_other_seeds_others(pairs):
    first = pairs[DomainsIndex((1, 2), 7)]
    np.random.rand(100)  # noqa: NPY002
    random.random()
    assert_same(first, pairs[DomainsIndex((1, 2), 7)])
    others = [content(pairs[DomainsIndex((1, 2), seed)])['source image'] for seed in range(8)]
    assert any((other != content(first)['source image']).any() for other in others)


def test_global_generators_are_left_alone(pairs):
    def draw() -> tuple:
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    random.seed(3), np.random.seed(3), torch.manual_seed(3)  # noqa: NPY002
    expected = draw()
    random.seed(3), np.random.seed(3), torch.manual_seed(3)  # noqa: NPY002
    pairs[DomainsIndex((0, 0), 5)]
    assert draw() == expected


def test_number_of_workers_does_not_matter(pairs):
    def batches(num_workers: int) -> list:
        loader = DataLoader(
            pairs,
            batch_size=2,
            sampler=SourceTargetSampler(pairs, seed=5),
            num_workers=num_workers,
            collate_fn=list,
        )
        iterator = iter(loader)
        return [pair for _ in range(4) for pair in next(iterator)]

    alone, workers = batches(0), batches(2)
    assert len(alone) == 8
    for first, second in zip(alone, workers, strict=True):
        assert_same(first, second)


def test_skipped_file_is_replaced_reproducibly(files, configs, label_ids):
    files.palette_png('gta/labels/00001.png', label_ids[:6])
    pairs = SourceTargetDataset(**configs)
    drawn = pairs[DomainsIndex((0, 1), 9)]
    path = drawn['source']['data_samples'].img_path
    assert not path.endswith('00001.png')
    assert_same(drawn, pairs[DomainsIndex((0, 1), 9)])
    paths = {
        pairs[DomainsIndex((0, 1), seed)]['source']['data_samples'].img_path for seed in range(12)
    }
    assert len(paths) > 1


def test_target_may_be_a_plain_folder(gta_root, files, image):
    files.png('mine/a.jpg', image)
    source = GTA5DepthDataset(data_root=str(gta_root), pipeline=PIPELINE)
    target = FolderDepthDataset(data_root=str(files.root / 'mine'), pipeline=PIPELINE)
    pairs = SourceTargetDataset(source, target)
    assert 'target gt_sem_seg' not in content(pairs[0])
    assert pairs.metainfo == source.metainfo


@pytest.mark.parametrize('labels', ['gtFine/train', None])
def test_different_classes_are_an_error(gta_root, cityscapes_root, labels):
    """Whether the labels of the target are loaded or not."""
    source = GTA5DepthDataset('camvid11', data_root=str(gta_root))
    prefix = dict(seg_map_path=labels)
    target = CityscapesDepthDataset(data_root=str(cityscapes_root), data_prefix=prefix)
    with pytest.raises(
        ValueError,
        match=r"different classes: GTA5DepthDataset has .*'bicyclist'.* and "
        r"CityscapesDepthDataset has .*'motorcycle'.*same `protocol`",
    ):
        SourceTargetDataset(source, target)
    equal = CityscapesDepthDataset('camvid11', data_root=str(cityscapes_root), data_prefix=prefix)
    assert len(SourceTargetDataset(source, equal)) == 5


@pytest.mark.parametrize('domain', ['source', 'target'])
def test_empty_dataset_is_an_error(configs, domain):
    configs[domain]['serialize_data'] = False  # MMEngine cannot serialize an empty list
    configs[domain]['indices'] = []
    with pytest.raises(ValueError, match=f'The {domain} dataset .* is empty'):
        SourceTargetDataset(**configs)


def test_source_without_labels_is_an_error(configs):
    configs['source']['data_prefix'] = dict(img_path='images')
    with pytest.raises(ValueError, match='source dataset has no labels'):
        SourceTargetDataset(**configs)


@pytest.fixture
def three(configs) -> DomainsDataset:
    """Five source images, three of the target two at a time, and five unlabeled of a folder."""
    folder = dict(
        type='FolderDepthDataset',
        data_root=configs['source']['data_root'] + '/images',
        pipeline=PIPELINE,
    )
    target = dict(configs['target'], per_draw=2)
    return DATASETS.build(
        dict(type='DomainsDataset', source=configs['source'], target=target, night=folder)
    )


def test_several_domains_and_images_per_draw(three):
    drawn = three[DomainsIndex((4, 2, 0, 1), 3)]
    assert list(drawn) == ['source', 'target', 'night']
    assert three.per_draw == dict(source=1, target=2, night=1)
    names = {
        name: [s.img_path.rsplit('/', 1)[1][:13] for s in np.ravel(own['data_samples'])]
        for name, own in drawn.items()
    }
    assert names == dict(
        source=['00005.png'], target=['aachen_000002', 'aachen_000000'], night=['00002.png']
    )
    assert [image.shape for image in drawn['target']['inputs']] == [(3, 6, 8)] * 2
    assert drawn['source']['inputs'].shape == (3, 6, 8)
    info = three.get_data_info(DomainsIndex((4, 2, 0, 1), 3))
    assert info['source']['img_path'].endswith('00005.png')
    paths = [s.img_path for s in drawn['target']['data_samples']]
    assert [i['img_path'] for i in info['target']] == paths
    assert three.metainfo == three.domains['source'].metainfo


def test_integer_index_of_several_images_per_draw(three):
    """Draw 2 takes the images 4 and 5 of the target, which has three."""
    assert len(three) == 5  # the others start over
    first, second = three[2], three[DomainsIndex((2, 1, 2, 2), 2)]
    for name in three.domains:
        for one, other in zip(
            *(np.ravel(d[name]['data_samples']) for d in (first, second)), strict=True
        ):
            assert one.img_path == other.img_path
    assert all(map(torch.equal, first['target']['inputs'], second['target']['inputs']))
    with pytest.raises(IndexError, match='5 is not in 0..4'):
        three[5]


def test_length_counts_draws(configs):
    """Five images two at a time are three draws, three images one at a time are three."""
    domains = DomainsDataset(source=dict(configs['source'], per_draw=2), target=configs['target'])
    assert len(domains) == 3


def test_iterates_over_every_image_of_a_draw(three):
    samples = list(three)
    domains = [s['data_samples'].metainfo['domain'] for s in samples]
    assert domains == ['source', 'target', 'target', 'night'] * 5
    assert torch.equal(samples[6]['inputs'], three[1]['target']['inputs'][1])


@pytest.mark.parametrize('count', [0, -1, 1.5])
def test_images_per_draw_are_counted(configs, count):
    with pytest.raises(
        ValueError, match=f'target.per_draw must be a positive integer, got {count}'
    ):
        DomainsDataset(source=configs['source'], target=dict(configs['target'], per_draw=count))


def test_domains_without_any_labels(configs):
    configs['source']['data_prefix'] = dict(img_path='images')
    with pytest.raises(ValueError, match=r"None of .*\['source', 'target'\].*seg_map_path"):
        DomainsDataset(**configs)
    with pytest.raises(ValueError, match='DomainsDataset has no domain'):
        DomainsDataset()


def test_a_third_domain_of_other_classes_is_an_error(configs):
    other = dict(configs['source'], protocol='camvid11')
    with pytest.raises(ValueError, match='domains source and night have different classes'):
        DomainsDataset(**configs, night=other)


def test_the_labels_may_be_in_any_domain(configs):
    """Of two domains with classes, the first that has labels is the one to compare with."""
    other = dict(configs['source'], protocol='camvid11')
    with pytest.raises(ValueError, match='domains source and target have different classes'):
        DomainsDataset(target=configs['target'], source=other)
    domains = DomainsDataset(target=configs['target'], source=configs['source'])
    assert 'gt_sem_seg' in domains[0]['source']['data_samples']


def test_branches_through_a_loader_and_the_preprocessor(three):
    """A branch has batch_size * per_draw images, draw by draw."""
    loader = DataLoader(
        three,
        batch_size=2,
        sampler=DomainsSampler(three, seed=1),
        collate_fn=pseudo_collate,
    )
    first, second = islice(DomainsSampler(three, seed=1), 2)
    mean, std = [10.0, 20.0, 30.0], [2.0, 4.0, 5.0]
    branches = UDADataPreProcessor(mean, std, size=(6, 8))(next(iter(loader)), training=True)
    drawn = dict(
        source=(first.images[0], second.images[0]),
        target=(*first.images[1:3], *second.images[1:3]),
        night=(first.images[3], second.images[3]),
    )
    for name, branch in branches.items():
        samples = branch['data_samples']
        assert branch['inputs'].shape == (len(drawn[name]), 3, 6, 8)
        assert {(s.metainfo['branch'], s.metainfo['domain']) for s in samples} == {(name, name)}
        infos = [three.domains[name].get_data_info(i) for i in drawn[name]]
        assert [s.img_path for s in samples] == [info['img_path'] for info in infos]
    images = torch.stack([three[i]['target']['inputs'][1] for i in (first, second)])
    expected = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(branches['target']['inputs'][1::2], expected)
