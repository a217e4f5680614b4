# Licensed under the Apache License 2.0, see LICENSE.
import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from tests.models.plain_layers import aspp, aspp_shapes, pointwise, trunk, trunk_shapes
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
FEATURE_SIZE = (6, 9)


def build(seed=0, **options):
    """Head in float64. Its normalizations and classifiers have random weights that matter."""
    torch.manual_seed(seed)
    config = head_config(in_channels=IN, in_index=0, channels=CHANNELS)
    head = MODELS.build(config | options)
    head.init_weights()
    head = head.double().train()
    for name, parameter in head.named_parameters():
        if 'conv2d_list' in name:
            parameter.data *= 10
        elif '.bn' in name or 'downsample.1' in name:
            parameter.data += 0.3 * torch.randn_like(parameter)
    return head


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(2, IN, *FEATURE_SIZE, dtype=torch.float64, generator=generator),)


def as_branch(seed=0, domain='source', **options):
    branch = make_branch(seed, **options)
    for sample in branch['data_samples']:
        sample.set_metainfo(dict(branch=domain, domain=domain))
    return branch


# -- the network, stated again -----------------------------------------------------------------


def expected_shapes(initial_seg, distillation=True):
    """Shapes of the parameters of the released network, with tiny widths."""
    shapes = trunk_shapes('seg_trunk', IN, CHANNELS) | trunk_shapes('depth_trunk', IN, CHANNELS)

    def pointwise_shapes(prefix, out):
        return {f'{prefix}.weight': (out, CHANNELS, 1, 1), f'{prefix}.bias': (out,)}

    if distillation:
        for exchange in ('seg_from_depth', 'depth_from_seg'):
            for conv in ('conv', 'attention'):
                shapes[f'{exchange}.{conv}.weight'] = (CHANNELS, CHANNELS, 3, 3)
    if initial_seg == 'aspp':
        shapes |= aspp_shapes('initial_seg', IN, CLASSES)
    else:
        shapes |= pointwise_shapes('initial_seg', CLASSES)
    shapes |= aspp_shapes('final_seg', CHANNELS, CLASSES)
    for domain in ('source', 'target'):
        shapes |= pointwise_shapes(f'initial_depth.{domain}', 1)
        shapes |= aspp_shapes(f'final_depth.{domain}', CHANNELS, 1)
    return shapes


def plain_forward(features, head, initial_seg, num_summed, distillation=True):
    """The network of the paper, computed by functions from the head's parameters."""
    p = dict(head.named_parameters())

    def distilled(own, other, prefix):
        if not distillation:
            return own
        attention = torch.sigmoid(F.conv2d(other, p[f'{prefix}.attention.weight'], padding=1))
        return own + F.conv2d(other, p[f'{prefix}.conv.weight'], padding=1) * attention

    seg, depth = trunk(features, p, 'seg_trunk'), trunk(features, p, 'depth_trunk')
    final_seg = distilled(seg, depth, 'seg_from_depth')
    final_depth = distilled(depth, seg, 'depth_from_seg')
    if initial_seg == 'aspp':
        initial = aspp(features, p, 'initial_seg', num_summed)
    else:
        initial = pointwise(seg, p, 'initial_seg')
    domains = ('source', 'target')
    return dict(
        seg=aspp(final_seg, p, 'final_seg', num_summed),
        initial_seg=initial,
        depth={d: aspp(final_depth, p, f'final_depth.{d}', num_summed) for d in domains},
        initial_depth={d: pointwise(depth, p, f'initial_depth.{d}') for d in domains},
    )


@pytest.mark.parametrize(
    ('initial_seg', 'distillation'), [('aspp', True), ('conv', True), ('aspp', False)]
)
def test_parameters(initial_seg, distillation):
    head = build(initial_seg=initial_seg, distillation=distillation)
    shapes = {name: tuple(p.shape) for name, p in head.named_parameters()}
    assert shapes == expected_shapes(initial_seg, distillation)


@pytest.mark.parametrize(
    ('initial_seg', 'num_summed', 'distillation'),
    [('aspp', 2, True), ('conv', 2, True), ('conv', 4, True), ('aspp', 2, False)],
)
def test_predictions(features, initial_seg, num_summed, distillation):
    head = build(initial_seg=initial_seg, num_summed=num_summed, distillation=distillation)
    expected = plain_forward(features[0], head, initial_seg, num_summed, distillation)
    tasks = head.forward_tasks(features, ('source', 'target'))
    torch.testing.assert_close(tasks._asdict(), expected)
    torch.testing.assert_close(head(features), expected['seg'])
    torch.testing.assert_close(head.forward_initial_seg(features), expected['initial_seg'])
    torch.testing.assert_close(head.forward_depths(features), expected['depth'])
    only = head.forward_tasks(features, ('target',))
    torch.testing.assert_close(only.depth, {'target': expected['depth']['target']})
    assert head.forward_tasks(features, ()).depth == {}
    assert expected['seg'].std() > 1e-2 and expected['depth']['source'].std() > 1e-3


@pytest.mark.parametrize('predicted_depth', ['source', 'target'])
def test_prediction_has_depth_after_the_logits(features, predicted_depth):
    head = build(predicted_depth=predicted_depth)
    expected = plain_forward(features[0], head, 'aspp', 2)
    metas = [dict(img_shape=SIZE)] * 2
    with torch.no_grad():
        prediction = head.predict(features, metas, ConfigDict(mode='whole')).numpy()
    assert prediction.shape == (2, CLASSES + 1, *SIZE)
    logits, depth = expected['seg'].detach(), expected['depth'][predicted_depth].detach()
    np.testing.assert_allclose(prediction[:, :CLASSES], upsample(logits, SIZE), atol=1e-12)
    np.testing.assert_allclose(prediction[:, CLASSES:], upsample(depth, SIZE), atol=1e-12)


@pytest.mark.parametrize(
    ('option', 'value'),
    [
        ('initial_seg', 'psp'),
        ('difficulty', 'eq9'),
        ('predicted_depth', 'mixed'),
        ('num_summed', 5),
    ],
)
def test_options_are_checked(option, value):
    with pytest.raises(ValueError, match=f'{option} must be .*{value}'):
        build(**{option: value})


# -- losses ----------------------------------------------------------------------------------------


def numpy_predictions(head, features):
    tasks = plain_forward(features[0], head, 'aspp', 2)
    return {
        name: (
            {d: upsample(v.detach(), SIZE) for d, v in value.items()}
            if isinstance(value, dict)
            else upsample(value.detach(), SIZE)
        )
        for name, value in tasks.items()
    }


def values(losses):
    return {name: value.item() for name, value in losses.items() if 'loss' in name}


def test_losses_of_the_source_branch(features):
    head, branch = build(), as_branch()
    losses = values(head.loss(features, branch['data_samples'], None))
    plain = numpy_predictions(head, features)
    label, depth = stacked(branch, 'gt_sem_seg')[:, 0], stacked(branch, 'gt_depth_map')
    labeled = (label != IGNORE).sum()
    assert losses == pytest.approx(
        dict(
            loss_seg=cross_entropy_map(plain['seg'], label).sum() / labeled,
            loss_initial_seg=cross_entropy_map(plain['initial_seg'], label).sum() / labeled,
            loss_depth=0.01 * berhu(plain['depth']['source'], depth),
            loss_initial_depth=0.01 * berhu(plain['initial_depth']['source'], depth),
        ),
        rel=1e-6,
    )


def numpy_agreement(plain, depth, offset):
    difference = np.abs(plain['depth']['source'] - plain['depth']['target'])
    with np.errstate(divide='ignore'):
        agreement = np.maximum(1 - difference / depth, 0) + offset
    return np.where(depth > 0, np.clip(agreement, 0, 1), 1.0)


def expected_mixed_losses(head, features, branch, agreement):
    plain = numpy_predictions(head, features)
    label, depth = stacked(branch, 'gt_sem_seg')[:, 0], stacked(branch, 'gt_depth_map')
    weight = (stacked(branch, 'seg_weight') * agreement)[:, 0]
    mask = stacked(branch, 'mix_mask')

    def mixed_depth(task):
        return np.where(mask, plain[task]['source'], plain[task]['target'])

    return dict(
        loss_seg=(weight * cross_entropy_map(plain['seg'], label)).mean(),
        loss_initial_seg=(weight * cross_entropy_map(plain['initial_seg'], label)).mean(),
        loss_depth=0.001 * berhu(mixed_depth('depth'), depth),
        loss_initial_depth=0.001 * berhu(mixed_depth('initial_depth'), depth),
    )


def larger_depths(head):
    """Predictions as large as the true depth: in some pixels the decoders agree, in others not."""
    head.final_depth['source'].conv2d_list[0].weight.data *= 30
    head.final_depth['target'].conv2d_list[0].weight.data *= 30
    return head


@pytest.mark.parametrize('per_image', [None, False, True])
def test_losses_of_the_mixed_branch_as_released(features, per_image):
    head = larger_depths(build(difficulty_per_image=per_image))
    branch = make_mixed()
    losses = values(head.loss(features, branch['data_samples'], None))
    agreement = numpy_agreement(
        numpy_predictions(head, features), stacked(branch, 'gt_depth_map'), 0.001
    )
    assert (agreement < 1).mean() > 0.02 and (agreement > 0.001).mean() > 0.02
    if not per_image:  # every image is weighted by the mean of all maps, as the release does
        agreement = np.broadcast_to(agreement.mean(axis=0, keepdims=True), agreement.shape)
    agreement = agreement / agreement.mean()
    expected = expected_mixed_losses(head, features, branch, agreement)
    assert losses == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(stacked(branch, 'adaptation_weight'), agreement, rtol=1e-9)


@pytest.mark.parametrize('difficulty', ['paper', None])
def test_mixed_losses_without_a_difficulty_of_the_mixed_image(features, difficulty):
    head = larger_depths(build(difficulty=difficulty))
    branch = make_mixed()
    losses = values(head.loss(features, branch['data_samples'], None))
    assert losses == pytest.approx(expected_mixed_losses(head, features, branch, 1.0), rel=1e-6)
    assert 'adaptation_weight' not in branch['data_samples'][0]


@pytest.mark.parametrize('per_image', [None, False, True])
def test_agreement_is_equation_9(features, per_image):
    head = larger_depths(build(difficulty='paper', difficulty_per_image=per_image))
    branch = as_branch(3, domain='target')
    agreement = head.agreement(features, branch['data_samples'])
    expected = numpy_agreement(
        numpy_predictions(head, features), stacked(branch, 'gt_depth_map'), 0.0
    )
    if per_image is False:
        expected = np.broadcast_to(expected.mean(axis=0, keepdims=True), expected.shape)
    assert not agreement.requires_grad
    np.testing.assert_allclose(agreement.numpy(), expected, atol=1e-12)


def depth_weights(source, mixed):
    return dict(source=dict(seg=1.0, depth=source), mixed=dict(seg=1.0, depth=mixed))


def test_depth_weights_are_options(features):
    branch, mixed = as_branch(), make_mixed()
    default, other = build(), build(loss_weights=depth_weights(0.5, 0.25))
    for samples, factor in ((branch['data_samples'], 50), (mixed['data_samples'], 250)):
        a, b = (values(head.loss(features, samples, None)) for head in (default, other))
        assert b['loss_depth'] == pytest.approx(factor * a['loss_depth'])
        assert b['loss_initial_depth'] == pytest.approx(factor * a['loss_initial_depth'])
        assert b['loss_seg'] == pytest.approx(a['loss_seg'])


# -- gradients -------------------------------------------------------------------------------------


def trained_parameters(head, features, samples):
    head.zero_grad()
    losses = head.loss(features, samples, None)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {name for name, p in head.named_parameters() if p.grad is not None}


def parameters_outside(head, *prefixes):
    never = ('conv2d_list.2', 'conv2d_list.3')
    return {
        name
        for name, _ in head.named_parameters()
        if not name.startswith(prefixes) and not any(part in name for part in never)
    }


def test_which_parameters_a_branch_trains(features):
    head, depthless = build(), as_branch(depth=False)['data_samples']
    depth_decoders = ('initial_depth', 'final_depth', 'depth_from_seg')
    trained = trained_parameters(head, features, as_branch()['data_samples'])
    assert trained == parameters_outside(head, 'initial_depth.target', 'final_depth.target')
    assert trained_parameters(head, features, make_mixed()['data_samples']) == parameters_outside(
        head, 'none'
    )
    assert trained_parameters(head, features, depthless) == parameters_outside(
        head, *depth_decoders
    )
    mixed = make_mixed(depth=False)['data_samples']
    assert trained_parameters(head, features, mixed) == parameters_outside(head, *depth_decoders)


def test_without_distillation_the_tasks_meet_in_the_backbone_alone(features):
    """The segmentation losses give the depth trunk no gradient."""
    head = build(distillation=False)
    trained = trained_parameters(head, features, as_branch(depth=False)['data_samples'])
    depth = ('depth_trunk', 'initial_depth', 'final_depth')
    assert trained == parameters_outside(head, *depth)


def test_no_gradient_through_the_difficulty(features):
    """With depth losses of weight 0, the depth decoders learn nothing from weighting."""
    head = larger_depths(build(loss_weights=depth_weights(0.01, 0.0)))
    trained_parameters(head, features, make_mixed()['data_samples'])
    for decoder in (head.final_depth, head.initial_depth):
        assert all(not p.grad.any() for p in decoder.parameters() if p.grad is not None)
    assert head.final_seg.conv2d_list[0].weight.grad.any()


# -- missing and unusual input ---------------------------------------------------------------------


def test_without_depth_its_terms_drop_out(features):
    head = build()
    with_depth = values(head.loss(features, as_branch()['data_samples'], None))
    without = values(head.loss(features, as_branch(depth=False)['data_samples'], None))
    assert set(without) == {'loss_seg', 'loss_initial_seg'}
    assert without == pytest.approx({name: with_depth[name] for name in without})

    branch = make_mixed(depth=False)
    losses = values(head.loss(features, branch['data_samples'], None))
    plain = numpy_predictions(head, features)
    label = stacked(branch, 'gt_sem_seg')[:, 0]
    weighted = stacked(branch, 'seg_weight')[:, 0] * cross_entropy_map(plain['seg'], label)
    assert set(losses) == {'loss_seg', 'loss_initial_seg'}
    assert losses['loss_seg'] == pytest.approx(weighted.mean(), rel=1e-6)
    assert head.agreement(features, as_branch(depth=False)['data_samples']) is None


def test_a_single_sample_without_depth_is_named(features):
    samples = as_branch(name='frankfurt')['data_samples']
    del samples[1].gt_depth_map
    with pytest.raises(ValueError, match=r"gt_depth_map.*\['frankfurt_1.png'\]"):
        build().loss(features, samples, None)


def test_mixed_images_without_the_mask_of_their_domains(features):
    samples = make_mixed()['data_samples']
    for sample in samples:
        del sample.mix_mask
    with pytest.raises(ValueError, match=r"decoders \['source', 'target'\], have no mix_mask"):
        build().loss(features, samples, None)


@pytest.mark.parametrize('make', [as_branch, make_mixed])
def test_neither_a_valid_label_nor_a_valid_depth(features, make):
    head, samples = build(), make()['data_samples']
    for sample in samples:
        sample.gt_sem_seg.data.fill_(IGNORE)
        sample.gt_depth_map.data.zero_()
    losses = head.loss(features, samples, None)
    assert values(losses) == dict.fromkeys(
        ('loss_seg', 'loss_initial_seg', 'loss_depth', 'loss_initial_depth'), 0
    )
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    gradients = [p.grad for p in head.parameters() if p.grad is not None]
    assert gradients and not any(gradient.any() for gradient in gradients)


def test_any_backbone():
    model = tiny_segmentor(
        head_config(in_channels=16),
        backbone=dict(
            type='MixVisionTransformer',
            embed_dims=8,
            num_layers=[1, 1, 1, 1],
            num_heads=[1, 1, 2, 2],
            sr_ratios=[4, 2, 1, 1],
            drop_path_rate=0.0,
        ),
    )
    inputs = make_mixed()['inputs']
    losses = model.loss(inputs, make_mixed()['data_samples'])
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(value > 0 for value in values(losses).values())
    unused = {n for n, p in model.backbone.named_parameters() if p.grad is None}
    assert not unused
    assert model(inputs, mode='tensor').shape == (2, CLASSES, 1, 2)


@pytest.mark.parametrize('make', [as_branch, make_mixed])
def test_mixed_precision_is_close_to_float32(features, make):
    head = larger_depths(build()).float()
    features = (features[0].float(),)
    samples = make()['data_samples']
    for sample in samples:
        sample.gt_depth_map.data = sample.gt_depth_map.data.float()
        if 'seg_weight' in sample:
            sample.seg_weight.data = sample.seg_weight.data.float()
    exact = values(copy.deepcopy(head).loss(features, samples, None))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = head.loss(features, samples, None)
    assert values(losses) == pytest.approx(exact, rel=0.05)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    assert all(p.grad.isfinite().all() for p in head.parameters() if p.grad is not None)


def test_refuses_a_pixel_sampler():
    with pytest.raises(ValueError, match='no pixel sampler'):
        build(sampler=dict(type='OHEMPixelSampler'))
