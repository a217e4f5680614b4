# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead, SegformerHead
from mmseg.structures import SegDataSample

from mmseg_depthuda.models.decode_heads import DeepLabV2Head
from mmseg_depthuda.models.decode_heads.seg_weight_mixin import SegWeightMixin
from tests.models.tiny_segmentor import IGNORE, cross_entropy_map, upsample

CLASSES = 4
LABEL_SIZE = (10, 14)


class WeightedFCNHead(SegWeightMixin, FCNHead):
    pass


class WeightedSegformerHead(SegWeightMixin, SegformerHead):
    pass


HEADS = {
    'deeplab': (DeepLabV2Head, dict(in_channels=6, num_classes=CLASSES)),
    'fcn': (
        WeightedFCNHead,
        dict(in_channels=6, channels=4, num_classes=CLASSES, num_convs=1, align_corners=False),
    ),
    'segformer': (
        WeightedSegformerHead,
        dict(in_channels=[6], in_index=[0], channels=4, num_classes=CLASSES, align_corners=False),
    ),
}


def samples_of(label, weight=None):
    samples = []
    for index in range(len(label)):
        sample = SegDataSample(metainfo=dict(img_path=f'{index}.png'))
        sample.gt_sem_seg = PixelData(data=torch.from_numpy(label[index : index + 1]))
        if weight is not None:
            sample.seg_weight = PixelData(data=torch.from_numpy(weight[index : index + 1]))
        samples.append(sample)
    return samples


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    label = rng.integers(0, CLASSES, (2, *LABEL_SIZE))
    label[:, :3] = IGNORE
    weight = rng.integers(0, 65, label.shape) / 64
    return rng.normal(size=(2, CLASSES, 5, 7)), label, weight


@pytest.mark.parametrize('name', HEADS)
def test_weighted_loss_is_the_mean_over_all_pixels(name, batch):
    head_class, options = HEADS[name]
    logits, label, weight = batch
    losses = head_class(**options).loss_by_feat(torch.from_numpy(logits), samples_of(label, weight))
    upsampled = upsample(logits, LABEL_SIZE, align_corners=name == 'deeplab')
    # Ignored pixels have no loss, but they count in the denominator.
    expected = (weight * cross_entropy_map(upsampled, label)).sum() / label.size
    loss = losses['loss_seg' if name == 'deeplab' else 'loss_ce']
    assert loss.item() == pytest.approx(expected, rel=1e-7)
    correct = (upsampled.argmax(axis=1) == label)[label != IGNORE].mean()
    assert losses['acc_seg'].item() == pytest.approx(100 * correct, rel=1e-5)


@pytest.mark.parametrize('name', HEADS)
def test_without_weights_the_head_is_the_one_of_mmseg(name, batch):
    head_class, options = HEADS[name]
    logits, label, _ = batch
    losses = head_class(**options).loss_by_feat(torch.from_numpy(logits), samples_of(label))
    upsampled = upsample(logits, LABEL_SIZE, align_corners=name == 'deeplab')
    # MMSeg's own default counts ignored pixels; DeepLabV2Head asks for labeled pixels only.
    pixels = (label != IGNORE).sum() if name == 'deeplab' else label.size
    expected = cross_entropy_map(upsampled, label).sum() / pixels
    loss = losses['loss_seg' if name == 'deeplab' else 'loss_ce']
    assert loss.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('ignored', [False, True])
def test_weights_by_class_are_those_of_pytorch(batch, ignored):
    logits, label, _ = batch
    label[:] = IGNORE if ignored else label
    loss = dict(type='CrossEntropyLoss', class_weight=[0.3, 155.6, 1.0, 0.25], avg_non_ignore=True)
    head = DeepLabV2Head(**HEADS['deeplab'][1], loss_decode=loss | dict(loss_name='loss_seg'))
    losses = head.loss_by_feat(torch.from_numpy(logits), samples_of(label))
    weights = np.array(loss['class_weight'])[np.where(label == IGNORE, 0, label)]
    weights[label == IGNORE] = 0
    entropies = cross_entropy_map(upsample(logits, LABEL_SIZE), label)
    expected = 0 if ignored else (weights * entropies).sum() / weights.sum()
    assert losses['loss_seg'].item() == pytest.approx(expected, rel=1e-6)


def test_losses_of_several_kinds_are_kept_apart_and_of_one_name_added(batch):
    logits, label, weight = batch
    entropy = dict(type='CrossEntropyLoss')
    head = DeepLabV2Head(
        in_channels=6,
        num_classes=CLASSES,
        loss_decode=[
            entropy | dict(loss_name='loss_a'),
            entropy | dict(loss_name='loss_b', loss_weight=0.5),
            entropy | dict(loss_name='loss_a', loss_weight=2.0),
        ],
    )
    losses = head.loss_by_feat(torch.from_numpy(logits), samples_of(label, weight))
    plain = (weight * cross_entropy_map(upsample(logits, LABEL_SIZE), label)).sum() / label.size
    assert losses['loss_a'].item() == pytest.approx(3 * plain, rel=1e-7)
    assert losses['loss_b'].item() == pytest.approx(0.5 * plain, rel=1e-7)


def test_a_whole_head_trains_with_weights():
    torch.manual_seed(0)
    head = WeightedFCNHead(in_channels=6, channels=4, num_classes=CLASSES, num_convs=1)
    rng = np.random.default_rng(1)
    label = rng.integers(0, CLASSES, (2, *LABEL_SIZE))
    features = [torch.randn(2, 6, 5, 7)]
    zero = head.loss(features, samples_of(label, np.zeros(label.shape)), None)
    assert zero['loss_ce'].item() == 0
    half = head.loss(features, samples_of(label, np.full(label.shape, 0.5)), None)
    half['loss_ce'].backward()
    assert half['loss_ce'].item() > 0
    assert all(p.grad is not None for p in head.parameters())


@pytest.mark.parametrize(
    ('branch', 'factor'), [('source', 1.0), ('mixed', 0.25), ('masked', 0.0), ('depth_only', 0.0)]
)
@pytest.mark.parametrize('weighted', [False, True])
def test_losses_are_weighted_by_branch(batch, branch, factor, weighted):
    logits, label, weight = batch
    weights = dict(source=dict(seg=1), mixed=dict(seg=0.25), masked=dict(seg=0), depth_only={})
    samples = samples_of(label, weight if weighted else None)
    for sample in samples:
        sample.set_metainfo(dict(branch=branch))
    options = HEADS['deeplab'][1]
    plain, own = (
        DeepLabV2Head(**options, loss_weights=w).loss_by_feat(torch.from_numpy(logits), samples)
        for w in (None, weights)
    )
    assert plain['loss_seg'] > 0
    assert own['loss_seg'].item() == pytest.approx(factor * plain['loss_seg'].item())
    assert own['acc_seg'] == plain['acc_seg'] > 0  # no loss, so not weighted


def test_a_branch_that_the_weights_do_not_name():
    head = DeepLabV2Head(**HEADS['deeplab'][1], loss_weights=dict(source=dict(seg=1)))
    assert head.teaches('source', 'seg') and not head.teaches('source', 'depth')
    with pytest.raises(
        ValueError, match=r"'night' is trained, but .*\['source'\].*Add night=dict\(seg=1.0\)"
    ):
        head.loss_weight('night', 'seg')


@pytest.mark.parametrize('weights', [1.0, dict(depth=1), dict(seg=-1), dict(seg='1')])
def test_weights_of_another_form(weights):
    with pytest.raises(ValueError, match=r'loss_weights.mixed must map tasks of the head \(seg\)'):
        DeepLabV2Head(**HEADS['deeplab'][1], loss_weights=dict(mixed=weights))
