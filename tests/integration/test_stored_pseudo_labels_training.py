# Licensed under the Apache License 2.0, see LICENSE.
"""Stored pseudo-labels in a training: alone, and in place of a teacher's."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmseg_depthuda.engine.hooks import (
    PseudoLabelQualityHook,
    SelfTrainingHook,
    TrainingCheckHook,
)
from tests.models.pair_training import make_runner
from tests.models.tiny_segmentor import NUM_CLASSES, SIZE, head_config, segmentor_config

CLASSES = [f'class {i}' for i in range(NUM_CLASSES)]
NAMES = ('1', '2')


@pytest.fixture
def folder(tmp_path):
    """Two images of each domain; labels of the source, pseudo-labels of the target."""
    rng = np.random.default_rng(0)
    for path in ('source/images', 'source/labels', 'target/images', 'target/pseudo'):
        (tmp_path / path).mkdir(parents=True)
        for name in NAMES:
            blocks = rng.choice([*range(NUM_CLASSES), 255], (6, 10))
            pixels = np.kron(blocks, np.ones((4, 4))).astype(np.uint8)
            if path.endswith('images'):
                pixels = rng.integers(0, 256, (*SIZE, 3), np.uint8)
            cv2.imwrite(str(tmp_path / path / f'{name}.png'), pixels)
    return tmp_path


def domain(root, load, **prefix):
    return dict(
        type='FolderDepthDataset',
        metainfo=dict(classes=CLASSES),
        data_root=str(root),
        data_prefix=dict(img_path='images') | prefix,
        pipeline=[dict(type='LoadImageFromFile'), *load, dict(type='PackSegInputs')],
    )


def target(folder, load=(dict(type='LoadPseudoLabels'),)):
    return domain(folder / 'target', load, pseudo_label_path=str(folder / 'target/pseudo'))


class Batches(Hook):
    priority = 'VERY_LOW'  # after the batch is made

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append(data_batch)


def train(folder, dataset, hooks, **model):
    init_default_scope('mmseg')
    config = ConfigDict(segmentor_config(head_config('DeepLabV2Head'), **model))
    batches = Batches()
    runner = make_runner(
        folder,
        'run',
        [TrainingCheckHook(), *hooks, batches],
        iterations=2,
        dataset=DATASETS.build(dataset),
        model=config,
    )
    before = [parameter.clone() for parameter in runner.model.parameters()]
    runner.train()
    moved = [not torch.equal(a, b) for a, b in zip(before, runner.model.parameters(), strict=True)]
    assert any(moved)
    return batches.seen


def stored(folder, sample):
    name = sample.metainfo['img_path']
    name = name[-1] if isinstance(name, list) else name
    return cv2.imread(name.replace('images', 'pseudo'), cv2.IMREAD_UNCHANGED)


def test_a_target_alone(folder):
    dataset = dict(type='DomainsDataset', target=target(folder))
    for batch in train(folder, dataset, [], unlabelled=[]):
        for sample in batch['target']['data_samples']:
            np.testing.assert_array_equal(sample.gt_sem_seg.data[0], stored(folder, sample))


def test_in_place_of_the_teacher(folder):
    source = domain(folder / 'source', [dict(type='LoadLabels')], seg_map_path='labels')
    hook = SelfTrainingHook(
        branches=dict(mixed=dict(type='ClassMix', augment=False)),
        pseudo_labels=dict(type='StoredLabels'),
    )
    dataset = dict(type='SourceTargetDataset', source=source, target=target(folder))
    for batch in train(folder, dataset, [hook]):
        for sample in batch['mixed']['data_samples']:
            of_target = ~sample.mix_mask.data[0].numpy()
            labels = stored(folder, sample)
            assert 0 < of_target.mean() < 1
            np.testing.assert_array_equal(
                sample.gt_sem_seg.data[0].numpy()[of_target], labels[of_target]
            )
            np.testing.assert_array_equal(
                sample.seg_weight.data[0].numpy()[of_target], (labels != 255)[of_target]
            )


def test_a_target_that_does_not_load_them_is_refused(folder):
    dataset = dict(type='DomainsDataset', target=target(folder, load=()))
    with pytest.raises(ValueError, match="'target' is trained with labels, but its dataset loads"):
        train(folder, dataset, [], unlabelled=[])


def test_their_quality_cannot_be_told(folder):
    source = domain(folder / 'source', [dict(type='LoadLabels')], seg_map_path='labels')
    hook = SelfTrainingHook(
        branches=dict(mixed=dict(type='ClassMix')), pseudo_labels=dict(type='StoredLabels')
    )
    dataset = dict(type='SourceTargetDataset', source=source, target=target(folder))
    with pytest.raises(ValueError, match='StoredLabels has stored ones, in place of the true'):
        train(folder, dataset, [hook, PseudoLabelQualityHook()])
