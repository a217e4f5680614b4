# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from tests.models.plain_layers import aspp, aspp_shapes, pointwise
from tests.models.tiny_segmentor import (
    IGNORE,
    SIZE,
    berhu,
    cross_entropy_map,
    head_config,
    make_branch,
    make_mixed,
    source_depth,
    stacked,
    tiny_segmentor,
    upsample,
)

IN, CLASSES = 32, 5
BLOCK = 'auxiliary_block'


def build(**options):
    """Head in float64 whose weights are large enough to do something."""
    torch.manual_seed(0)
    head = MODELS.build(head_config('DADAHead', in_channels=IN, in_index=0) | options)
    head.init_weights()
    for name, parameter in head.named_parameters():
        parameter.data *= 10
        if name.endswith('bias'):
            parameter.data += 0.1 * torch.randn_like(parameter)
    return head.double().train()


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(1)
    return (torch.randn(2, IN, 6, 9, dtype=torch.float64, generator=generator),)


def plain_forward(head, features, fusion=True, num_summed=4):
    """Segmentation logits and inverse depth, computed by functions from parameters by name."""
    p, x = dict(head.named_parameters()), features[0]
    e = F.relu(pointwise(x, p, f'{BLOCK}.encoder.0'))
    weight, bias = (p[f'{BLOCK}.encoder.2.{part}'] for part in ('weight', 'bias'))
    e = F.relu(F.conv2d(e, weight, bias, padding=1))
    e = pointwise(e, p, f'{BLOCK}.encoder.4')
    depth = e.sum(dim=1, keepdim=True) / e.shape[1]
    if fusion:
        x = x * F.relu(pointwise(e, p, f'{BLOCK}.decoder'))
    return aspp(x, p, 'classifier', num_summed), depth


def block_shapes(in_channels, channels, fusion=True):
    code = channels // 4
    shapes = {
        'encoder.0.weight': (channels, in_channels, 1, 1),
        'encoder.0.bias': (channels,),
        'encoder.2.weight': (channels, channels, 3, 3),
        'encoder.2.bias': (channels,),
        'encoder.4.weight': (code, channels, 1, 1),
        'encoder.4.bias': (code,),
    }
    if fusion:
        shapes |= {'decoder.weight': (in_channels, code, 1, 1), 'decoder.bias': (in_channels,)}
    return {f'{BLOCK}.{name}': shape for name, shape in shapes.items()}


def as_branch(domain='source', **options):
    branch = make_branch(**options)
    for sample in branch['data_samples']:
        sample.set_metainfo(dict(branch=domain, domain=domain))
    return branch


def losses_of(head, features, branch):
    losses = head.loss(features, branch['data_samples'], None)
    return {name: value.item() for name, value in losses.items() if 'loss' in name}


def numpy_predictions(head, features):
    return [upsample(values.detach(), SIZE) for values in plain_forward(head, features)]


@pytest.mark.parametrize('fusion', [True, False])
def test_published_widths(fusion):
    """The encoder has 2048, 512, 512 and 128 channels."""
    with torch.device('meta'):
        head = MODELS.build(
            head_config('DADAHead', in_channels=2048, num_classes=16, feature_fusion=fusion)
        )
    shapes = {name: tuple(p.shape) for name, p in head.named_parameters()}
    assert shapes == block_shapes(2048, 512, fusion) | aspp_shapes('classifier', 2048, 16)


def test_initial_weights_are_drawn_from_a_narrow_normal_distribution():
    torch.manual_seed(0)
    head = MODELS.build(head_config('DADAHead', in_channels=256))
    head.init_weights()
    weights = {n: p for n, p in head.named_parameters() if n.endswith('weight')}
    assert len(weights) == 4 + 4
    for name, weight in weights.items():
        # The standard error of the standard deviation of n draws is std / sqrt(2 n).
        tolerance = 5 * 0.01 / (2 * weight.numel()) ** 0.5
        assert weight.std().item() == pytest.approx(0.01, abs=tolerance), name
        assert weight.mean().item() == pytest.approx(0, abs=5 * 0.01 / weight.numel() ** 0.5), name


@pytest.mark.parametrize('fusion', [True, False])
@pytest.mark.parametrize('num_summed', [2, 4])
def test_predictions(features, fusion, num_summed):
    head = build(feature_fusion=fusion, num_summed=num_summed)
    seg, depth = plain_forward(head, features, fusion, num_summed)
    torch.testing.assert_close(head(features), seg)
    assert seg.std() > 1e-2 and depth.std() > 1e-2
    for tasks in (('seg',), ('depth',), {'seg', 'depth'}):
        expected = {k: v for k, v in dict(seg=seg, depth=depth).items() if k in tasks}
        predictions = head(features, tasks=tasks)
        assert predictions.keys() == expected.keys()
        for task, value in expected.items():
            torch.testing.assert_close(predictions[task], value)


@pytest.mark.parametrize('fusion', [True, False])
def test_depth_and_classes_meet_in_the_encoder_if_features_are_fused(features, fusion):
    head = build(feature_fusion=fusion)
    head(features, tasks=('depth',))['depth'].sum().backward()
    reached = {name for name, p in head.named_parameters() if p.grad is not None}
    assert {name.split('.')[0] for name in reached} == {BLOCK}
    assert not any('decoder' in name for name in reached)
    head.zero_grad()
    head(features).square().sum().backward()
    reached = {name.split('.')[0] for name, p in head.named_parameters() if p.grad is not None}
    assert reached == ({BLOCK, 'classifier'} if fusion else {'classifier'})


def test_prediction_has_depth_after_the_logits(features):
    head = build()
    with torch.no_grad():
        metas = [dict(img_shape=SIZE)] * 2
        prediction = head.predict(features, metas, ConfigDict(mode='whole')).numpy()
    expected = np.concatenate(numpy_predictions(head, features), axis=1)
    assert expected.shape == (2, CLASSES + 1, *SIZE)
    np.testing.assert_allclose(prediction, expected, atol=1e-12)


@pytest.mark.parametrize(
    ('options', 'weight'), [({}, 0.001), (dict(loss_weights=source_depth(0.5)), 0.5)]
)
def test_source_losses(features, options, weight):
    head, branch = build(**options), as_branch()
    seg, depth = numpy_predictions(head, features)
    label = stacked(branch, 'gt_sem_seg')[:, 0]
    assert losses_of(head, features, branch) == pytest.approx(
        dict(
            loss_seg=cross_entropy_map(seg, label).sum() / (label != IGNORE).sum(),
            loss_depth=weight * berhu(depth, stacked(branch, 'gt_depth_map')),
        ),
        rel=1e-6,
    )


def test_a_source_without_depth_names_the_image_and_the_remedy(features):
    head = build()
    with pytest.raises(ValueError, match=r'image_0\.png came without gt_depth_map') as caught:
        losses_of(head, features, as_branch(depth=False))
    assert 'data_prefix.depth_map_path' in str(caught.value)
    assert 'LoadInverseDepth' in str(caught.value)


def test_branches_that_do_not_name_depth_need_none(features):
    head = build(loss_weights=dict(source=dict(depth=1), target=dict(seg=1), mixed=dict(seg=1)))
    for branch in (as_branch('target', depth=False), make_mixed(depth=False)):
        assert set(losses_of(head, features, branch)) == {'loss_seg'}


@pytest.mark.parametrize(
    'options', [dict(in_channels=24), dict(channels=6), dict(in_channels=64, channels=2)]
)
def test_refuses_widths_that_cannot_be_quartered(options):
    with pytest.raises(ValueError, match='channels must be a multiple of 4, got'):
        build(**options)


def test_the_segmentor_predicts_depth_and_classes():
    model = tiny_segmentor(head_config('DADAHead')).eval()
    assert model.predicts_depth and model.out_channels == 6
    inputs = make_mixed()['inputs']
    with torch.no_grad():
        results = model.predict(inputs)
        seg, depth = plain_forward(model.decode_head, model.backbone(inputs)[3:])
    for index, result in enumerate(results):
        np.testing.assert_allclose(
            result.pred_depth_map.data, upsample(depth[index], SIZE), atol=1e-12
        )
        classes = upsample(seg[index], SIZE).argmax(axis=0)
        assert np.array_equal(result.pred_sem_seg.data[0], classes)
