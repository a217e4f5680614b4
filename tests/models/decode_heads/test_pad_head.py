# Licensed under the Apache License 2.0, see LICENSE.
"""Losses and what the head refuses; predictions and gradients are compared in
tests/apps/released_weights/test_sde_conversion.py."""

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample

from mmseg_depthuda.models.decode_heads import head_contract
from tests.models.tiny_segmentor import cross_entropy_map, stacked, upsample
from tests.models.tiny_unet import (
    CLASSES,
    SIZE,
    build_head,
    build_segmentor,
    make_features,
    make_samples,
)


def plain_losses(head, features, samples):
    """Cross entropy per pixel of final and side segmentation, (N, H, W)."""
    with torch.no_grad():
        maps = head(features, tasks=('seg', 'side_seg'))
    label = stacked(dict(data_samples=samples), 'gt_sem_seg')[:, 0]
    side = upsample(maps['side_seg'].numpy(), SIZE, align_corners=True)
    return cross_entropy_map(maps['seg'].numpy(), label), cross_entropy_map(side, label)


def test_labeled_images_learn_from_both_outputs():
    head, features, samples = build_head('PADHead'), make_features(), make_samples('source')
    final, side = plain_losses(head, features, samples)
    labeled = (stacked(dict(data_samples=samples), 'gt_sem_seg') != 255).sum()
    losses = head.loss(features, samples, {})
    assert losses.keys() == {'loss_seg', 'loss_side_seg', 'acc_seg'}
    np.testing.assert_allclose(losses['loss_seg'].item(), final.sum() / labeled / 2)
    np.testing.assert_allclose(losses['loss_side_seg'].item(), side.sum() / labeled / 2)


def test_mixed_images_learn_from_the_final_output_over_all_pixels():
    head, features = build_head('PADHead'), make_features()
    samples = make_samples('mixed', weighted=True)
    final, _ = plain_losses(head, features, samples)
    weight = stacked(dict(data_samples=samples), 'seg_weight')[:, 0]
    losses, predictions = head.loss_and_predict(features, samples, {}, ('side_seg',))
    assert losses.keys() == {'loss_seg', 'acc_seg'}
    np.testing.assert_allclose(losses['loss_seg'].item(), (weight * final).mean())
    assert predictions['side_seg'].shape == (2, CLASSES, *SIZE)


def test_losses_and_all_disparities_come_from_one_pass():
    head, features, samples = build_head('PADHead'), make_features(), make_samples('labelled')
    passes = []
    for decoder in (head.seg_decoder, head.depth_decoder):
        decoder.before[0].register_forward_hook(lambda *_: passes.append(1))
    losses, disparities = head_contract.loss_and_disparities(head, features, samples)
    assert len(passes) == 2
    final, side = plain_losses(head, features, samples)
    labeled = (stacked(dict(data_samples=samples), 'gt_sem_seg') != 255).sum()
    wanted = (final.sum() + side.sum()) / labeled / 2
    np.testing.assert_allclose((losses['loss_seg'] + losses['loss_side_seg']).item(), wanted)
    height, width = SIZE
    assert [one.shape for one in disparities] == [(2, 1, height >> s, width >> s) for s in range(4)]
    maps = head(features, tasks=('disparity', 'depth'))
    torch.testing.assert_close(maps['disparity'], disparities[0])
    torch.testing.assert_close(maps['depth'], 0.01 + 9.99 * disparities[0])


def test_images_without_labels_give_disparities():
    head = build_head('PADHead')
    samples = make_samples('unlabelled', labels=False)
    losses, disparities = head_contract.loss_and_disparities(head, make_features(), samples)
    assert losses == {} and len(disparities) == 4
    assert head_contract.learns_unlabelled(head, 'unlabelled')
    assert not head_contract.learns_unlabelled(head, 'mixed')


def test_every_gate_starts_half_open():
    head, features = build_head('PADHead'), make_features()
    with torch.no_grad():
        depth = head.depth_decoder.decode(features, (4, 3, 2))[2]
        seg = head.seg_decoder.decode(features, (4, 3, 2))[2]
        mixed = seg + 0.5 * head.seg_from_depth.conv(depth)
        wanted = head.classifier(head.seg_decoder.decode(features, (1, 0), mixed)[0])
        torch.testing.assert_close(head(features), wanted)


def trained_names(head, branches):
    """Names of the parameters with a gradient from some branches."""
    for branch in branches:
        samples = make_samples(branch)
        if head_contract.has_disparities(head):
            losses, disparities = head.loss_and_disparities(make_features(), samples)
            losses['loss_disparity'] = sum(one.mean() for one in disparities)
        else:
            losses = head.loss(make_features(), samples, {})
        sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {name for name, parameter in head.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize('learn_depth', [True, False])
def test_everything_trainable_has_a_gradient(learn_depth):
    head = build_head('PADHead', learn_depth=learn_depth)
    trainable = {name for name, p in head.named_parameters() if p.requires_grad}
    assert trained_names(head, ['labelled']) == trainable
    frozen = {'.'.join(n.split('.')[:3]) for n, p in head.named_parameters() if n not in trainable}
    wanted = {f'seg_decoder.disparity.{scale}' for scale in range(4)}
    if not learn_depth:
        wanted |= {f'depth_decoder.disparity.{scale}' for scale in range(4)}
        wanted |= {f'depth_decoder.{part}.{i}' for part in ('before', 'after') for i in (3, 4)}
        wanted |= {f'depth_from_seg.{part}.weight' for part in ('conv', 'attention')}
    assert frozen == wanted


def test_a_control_offers_no_depth():
    method, control = (build_head('PADHead', learn_depth=learn) for learn in (True, False))
    assert method.state_dict().keys() == control.state_dict().keys()
    features = make_features()
    torch.testing.assert_close(method(features), control(features))
    assert head_contract.head_tasks(control) == ('seg', 'side_seg')
    assert not head_contract.predicted_tasks(control)
    assert not head_contract.learns_unlabelled(control, 'unlabelled')
    assert control.loss_weights['labelled'] == dict(seg=0.5, side_seg=0.5)
    with pytest.raises(ValueError, match='does not predict disparity'):
        head_contract.loss_and_disparities(control, features, make_samples('labelled'))
    with pytest.raises(ValueError, match='learn_depth=False'):
        control.loss_and_disparities(features, make_samples('labelled'))


def test_disparity_needs_a_segmentor_that_learns_it():
    model = build_segmentor('PADHead')
    with pytest.raises(ValueError, match="disparity for the branch 'labelled', but the segmentor"):
        model.loss(torch.randn(2, 3, *SIZE).double(), make_samples('labelled'))
    unlabelled = build_segmentor('PADHead', unlabelled=['unlabelled'])
    with pytest.raises(ValueError, match="disparity for the branch 'unlabelled'"):
        unlabelled.loss(torch.randn(2, 3, *SIZE).double(), make_samples('unlabelled'))


def test_depth_is_predicted_beside_the_classes():
    model = build_segmentor('PADHead').eval()
    images = torch.randn(1, 3, *SIZE).double()
    meta = dict(ori_shape=SIZE, img_shape=SIZE, pad_shape=SIZE)
    with torch.no_grad():
        (result,) = model.predict(images, [SegDataSample(metainfo=meta)])
        wanted = model.decode_head(model.backbone(images), tasks=('seg', 'disparity'))
    torch.testing.assert_close(result.seg_logits.data, wanted['seg'][0])
    torch.testing.assert_close(result.pred_depth_map.data, 0.01 + 9.99 * wanted['disparity'][0])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(loss_weights=None), 'needs loss_weights'),
        (dict(loss_weights=dict(source=dict(depth=1.0))), 'seg, side_seg and disparity'),
        (dict(loss_weights=dict(source=dict(sides=1.0))), 'must map tasks of the head'),
        (dict(sampler=dict(type='OHEMPixelSampler')), 'takes no pixel sampler'),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        build_head('PADHead', **options)
