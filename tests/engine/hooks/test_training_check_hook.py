# Licensed under the Apache License 2.0, see LICENSE.
"""Every error comes before a single image is read."""

import pytest
from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset
from torch.utils.data import Dataset

from mmseg_depthuda.engine.hooks import TrainingCheckHook
from tests.models.adversarial_training import depth_distribution
from tests.models.pair_training import Pairs, loader, make_runner
from tests.models.tiny_segmentor import NUM_CLASSES, head_config, segmentor_config

CLASSES = tuple(f'class {i}' for i in range(NUM_CLASSES))


class Read(Exception):
    """An image was read: the check has passed."""


class Unreadable(Dataset):
    def __init__(self, classes=CLASSES, **domains):
        self.metainfo = dict(classes=classes)
        vars(self).update(domains)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        raise Read


def source_of(*, pipeline=(), **record):
    """A source dataset of one image."""
    dataset = BaseDataset(lazy_init=True, pipeline=list(pipeline))
    dataset.load_data_list = lambda: [dict(img_path='image.png', **record)]
    dataset.full_init()
    return dataset


def model_config(decode_head=None, **options):
    return ConfigDict(segmentor_config(decode_head or head_config('DeepLabV2Head'), **options))


ADVERSARIAL = dict(
    type='AdversarialSegmentor', alignments=dict(main=dict(space='self_information'))
)


def train(tmp_path, dataset, model=None, **options):
    runner = make_runner(
        tmp_path,
        'run',
        [TrainingCheckHook()],
        dataset=dataset,
        model=model or model_config(),
        **options,
    )
    runner.train()


def validated_on(classes):
    return dict(
        val_dataloader=loader(Unreadable(classes)),
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='IoUMetric'),
    )


def auxiliary(num_classes, index):
    return dict(
        type='FCNHead',
        in_channels=[8, 16, 32][index],
        in_index=index,
        channels=4,
        num_convs=1,
        num_classes=num_classes,
    )


def test_what_fits_is_trained(tmp_path):
    with pytest.raises(Read):
        train(tmp_path, Unreadable(), **validated_on(CLASSES))


def test_data_that_name_no_classes_are_not_judged(tmp_path):
    with pytest.raises(Read):
        train(tmp_path, Unreadable(classes=None))


def test_a_run_that_fits_goes_on(tmp_path):
    runner = make_runner(tmp_path, 'run', [TrainingCheckHook()], 1, Pairs())
    runner.train()
    assert runner.iter == 1


def test_number_of_classes(tmp_path):
    with pytest.raises(ValueError, match=r'decode_head\.num_classes is 5, .* have 2 classes') as e:
        train(tmp_path, Unreadable(('road', 'sky')))
    assert "['road', 'sky']" in str(e.value) and '`protocol`' in str(e.value)


@pytest.mark.parametrize('several', [False, True])
def test_number_of_classes_of_auxiliary_heads(tmp_path, several):
    wrong = auxiliary(7, 2)
    heads = [auxiliary(NUM_CLASSES, 1), wrong] if several else wrong
    name = 'auxiliary_head.1' if several else 'auxiliary_head'
    with pytest.raises(ValueError, match=rf'{name}\.num_classes is 7, .* have 5 classes'):
        train(tmp_path, Unreadable(), model_config(auxiliary_head=heads))


@pytest.mark.parametrize('classes', [CLASSES[:4], CLASSES[::-1]])
def test_validation_of_other_classes(tmp_path, classes):
    with pytest.raises(ValueError, match='training and validation have different classes') as e:
        train(tmp_path, Unreadable(), **validated_on(classes))
    assert str(list(classes)) in str(e.value)


def test_source_depth(tmp_path):
    model = model_config(head_config('DADAHead'))
    without = Unreadable(source=source_of(seg_map_path='label.png'))
    with pytest.raises(
        ValueError, match='DADAHead learns depth on the source, but BaseDataset'
    ) as e:
        train(tmp_path, without, model)
    assert 'data_prefix.depth_map_path' in str(e.value) and 'LoadInverseDepth' in str(e.value)
    with pytest.raises(Read):
        train(
            tmp_path,
            Unreadable(source=source_of(seg_map_path='l.png', depth_map_path='d.png')),
            model,
        )


def test_source_depth_that_no_transform_loads(tmp_path):
    model = model_config(head_config('DADAHead'))
    load = [dict(type='LoadImageFromFile'), dict(type='LoadLabels')]
    depth = dict(type='LoadInverseDepth', encoding='dada')
    files = dict(seg_map_path='label.png', depth_map_path='depth.png')
    unloaded = source_of(**files, pipeline=load)
    with pytest.raises(ValueError, match='BaseDataset loads none.*put LoadInverseDepth'):
        train(tmp_path, Unreadable(source=unloaded), model)
    with pytest.raises(Read):
        loaded = source_of(**files, pipeline=[*load, depth])
        train(tmp_path, Unreadable(source=loaded), model)


def test_mixtures_that_are_not_there(tmp_path):
    steps = [dict(type='LoadLabels'), dict(type='LoadInverseDepth', encoding='dada')]
    source = source_of(seg_map_path='l.png', depth_map_path='d.png', pipeline=steps)
    head = depth_distribution(mixtures='absent.json')
    with pytest.raises(FileNotFoundError, match='absent.json. Fit it anew: .*fit_depth_mixtures'):
        train(tmp_path, Unreadable(source=source), model_config(head))


def test_adaptation_without_target_images(tmp_path):
    model = model_config(type='MinEntSegmentor')
    match = "MinEntSegmentor learns from 'target' images, but the data have"
    with pytest.raises(ValueError, match=match):
        train(tmp_path, source_of(seg_map_path='label.png'), model)
    with pytest.raises(Read):  # of pairs, or of a kind that is not known here
        train(tmp_path, Unreadable(), model)


def test_heads_that_can_do_without_source_depth(tmp_path):
    without = Unreadable(source=source_of(seg_map_path='label.png'))
    with pytest.raises(Read):
        train(tmp_path, without, model_config(head_config('SimpleAuxHead', channels=16)))


def test_discriminators_without_an_optimizer(tmp_path):
    model = model_config(**ADVERSARIAL)
    with pytest.raises(
        ValueError, match='AdversarialSegmentor has the parts segmentor and discriminator'
    ) as e:
        train(tmp_path, Unreadable(), model)
    assert 'PartsOptimWrapperConstructor' in str(e.value)
    both = dict(
        constructor='PartsOptimWrapperConstructor',
        segmentor=dict(optimizer=dict(type='SGD', lr=0.01)),
        discriminator=dict(optimizer=dict(type='Adam', lr=0.01)),
    )
    with pytest.raises(Read):
        train(tmp_path, Unreadable(), model, optim_wrapper=both)
