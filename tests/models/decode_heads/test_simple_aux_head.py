# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from mmseg_depthuda.models.decode_heads import SegDepthHead, SegWeightMixin
from tests.models.plain_layers import aspp, aspp_shapes, trunk, trunk_shapes
from tests.models.tiny_segmentor import (
    IGNORE,
    SIZE,
    berhu,
    cross_entropy_map,
    head_config,
    make_branch,
    make_mixed,
    stacked,
    tiny_segmentor,
    upsample,
)

IN, CHANNELS, CLASSES = 12, 16, 5


def build(num_summed=2, **options):
    """Head in float64. Its normalizations and classifiers have random weights that matter."""
    torch.manual_seed(0)
    config = head_config('SimpleAuxHead', in_channels=IN, in_index=0, channels=CHANNELS)
    head = MODELS.build(config | options | dict(num_summed=num_summed))
    head.init_weights()
    for name, parameter in head.named_parameters():
        if 'conv2d_list' in name:
            parameter.data *= 10
        elif '.bn' in name or 'downsample.1' in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return head.double().train()


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(2, IN, 6, 9, dtype=torch.float64, generator=generator),)


def plain_forward(head, features, num_summed=2):
    """Segmentation logits and inverse depth, computed by functions."""
    p = dict(head.named_parameters())
    seg, depth = (trunk(features[0], p, f'{task}_trunk') for task in ('seg', 'depth'))
    return aspp(seg, p, 'final_seg', num_summed), aspp(depth, p, 'final_depth', num_summed)


def numpy_predictions(head, features):
    return [upsample(values.detach(), SIZE) for values in plain_forward(head, features)]


def as_branch(domain='source', **options):
    branch = make_branch(**options)
    for sample in branch['data_samples']:
        sample.set_metainfo(dict(branch=domain, domain=domain))
    return branch


def losses_of(head, features, branch):
    losses = head.loss(features, branch['data_samples'], None)
    return {name: value.item() for name, value in losses.items() if 'loss' in name}


def test_parameters_are_two_trunks_and_two_classifiers():
    shapes = {name: tuple(p.shape) for name, p in build().named_parameters()}
    assert shapes == (
        trunk_shapes('seg_trunk', IN, CHANNELS)
        | trunk_shapes('depth_trunk', IN, CHANNELS)
        | aspp_shapes('final_seg', CHANNELS, CLASSES)
        | aspp_shapes('final_depth', CHANNELS, 1)
    )


def test_without_trunks_the_classifiers_sit_on_the_backbone(features):
    head = build(trunks=False)
    parameters = dict(head.named_parameters())
    shapes = {name: tuple(p.shape) for name, p in parameters.items()}
    assert shapes == aspp_shapes('final_seg', IN, CLASSES) | aspp_shapes('final_depth', IN, 1)
    found = head(features, tasks=('seg', 'depth'))
    torch.testing.assert_close(found['seg'], aspp(features[0], parameters, 'final_seg', 2))
    torch.testing.assert_close(found['depth'], aspp(features[0], parameters, 'final_depth', 2))


def test_published_size():
    """Counted by hand: 2048 to 256 channels, 64 within the bottlenecks."""
    with torch.device('meta'):
        head = MODELS.build(head_config('SimpleAuxHead', in_channels=2048, num_classes=19))
    norms = 2 * (64 + 64 + 256)  # weight and bias of the three in a bottleneck
    first = 2048 * 64 + 9 * 64 * 64 + 64 * 256 + norms + 2048 * 256 + 2 * 256
    second = 256 * 64 + 9 * 64 * 64 + 64 * 256 + norms
    classifiers = 4 * (19 + 1) * (9 * 256 + 1)
    assert sum(p.numel() for p in head.parameters()) == 2 * (first + second) + classifiers


@pytest.mark.parametrize('num_summed', [2, 4])
def test_predictions(features, num_summed):
    head = build(num_summed)
    seg, depth = plain_forward(head, features, num_summed)
    found = head(features, tasks=('seg', 'depth'))
    torch.testing.assert_close(found, dict(seg=seg, depth=depth))
    torch.testing.assert_close(head(features), seg)
    assert seg.std() > 1e-2 and depth.std() > 1e-3


def test_prediction_has_depth_after_the_logits(features):
    head = build()
    with torch.no_grad():
        metas = [dict(img_shape=SIZE)] * 2
        prediction = head.predict(features, metas, ConfigDict(mode='whole')).numpy()
    expected = np.concatenate(numpy_predictions(head, features), axis=1)
    assert expected.shape == (2, CLASSES + 1, *SIZE)
    np.testing.assert_allclose(prediction, expected, atol=1e-12)


@pytest.mark.parametrize(('domain', 'weight'), [('source', 0.01), ('target', 0.001)])
def test_losses_of_labeled_images(features, domain, weight):
    head, branch = build(), as_branch(domain)
    seg, depth = numpy_predictions(head, features)
    label = stacked(branch, 'gt_sem_seg')[:, 0]
    assert losses_of(head, features, branch) == pytest.approx(
        dict(
            loss_seg=cross_entropy_map(seg, label).sum() / (label != IGNORE).sum(),
            loss_depth=weight * berhu(depth, stacked(branch, 'gt_depth_map')),
        ),
        rel=1e-6,
    )


def test_losses_of_the_mixed_branch_are_weighted_by_the_pseudo_labels_alone(features):
    head, branch = build(), make_mixed()
    seg, depth = numpy_predictions(head, features)
    cross_entropy = cross_entropy_map(seg, stacked(branch, 'gt_sem_seg')[:, 0])
    assert losses_of(head, features, branch) == pytest.approx(
        dict(
            loss_seg=(stacked(branch, 'seg_weight')[:, 0] * cross_entropy).mean(),
            loss_depth=0.001 * berhu(depth, stacked(branch, 'gt_depth_map')),
        ),
        rel=1e-6,
    )
    assert 'adaptation_weight' not in branch['data_samples'][0]


def trained_parameters(head, features, branch):
    head.zero_grad()
    losses = head.loss(features, branch['data_samples'], None)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {name for name, p in head.named_parameters() if p.grad is not None and p.grad.any()}


def test_one_depth_decoder_learns_from_all_domains(features):
    head = build()
    used = {
        name
        for name, _ in head.named_parameters()
        if 'conv2d_list.2' not in name and 'conv2d_list.3' not in name
    }
    for branch in (as_branch('source'), as_branch('target'), make_mixed()):
        assert trained_parameters(head, features, branch) == used
    without_depth = {name for name in used if 'depth' not in name}
    for branch in (as_branch(depth=False), make_mixed(depth=False)):
        assert set(losses_of(head, features, branch)) == {'loss_seg'}
        assert trained_parameters(head, features, branch) == without_depth


def test_depth_moves_the_segmentation_through_the_backbone_alone(features):
    head = build()
    losses = head.loss(features, as_branch()['data_samples'], None)
    losses['loss_depth'].backward()
    moved = {name.split('.')[0] for name, p in head.named_parameters() if p.grad is not None}
    assert moved == {'depth_trunk', 'final_depth'}


def test_in_the_segmentor_depth_is_predicted_and_weights_are_taken():
    model = tiny_segmentor(head_config('SimpleAuxHead', channels=16))
    assert isinstance(model.decode_head, SegDepthHead)
    assert isinstance(model.decode_head, SegWeightMixin)
    assert model.predicts_depth and model.out_channels == 6
    model.eval()
    with torch.no_grad():
        results = model.predict(make_mixed()['inputs'])
    assert [tuple(r.pred_depth_map.data.shape) for r in results] == [(1, *SIZE)] * 2
    assert [tuple(r.pred_sem_seg.data.shape) for r in results] == [(1, *SIZE)] * 2


def test_refuses_a_pixel_sampler():
    with pytest.raises(ValueError, match='SimpleAuxHead .* no pixel sampler'):
        build(sampler=dict(type='OHEMPixelSampler'))
