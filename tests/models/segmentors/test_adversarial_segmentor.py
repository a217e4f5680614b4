# Licensed under the Apache License 2.0, see LICENSE.
import copy
import math
import weakref
from unittest.mock import Mock

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.optim import OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmseg.registry import MODELS
from torch import nn

from tests.models.adversarial_training import (
    ADVENT,
    AUXILIARY,
    DADA,
    DISCRIMINATOR_RATE,
    PREPROCESSOR,
    RATE,
    SIZE,
    adversarial_segmentor,
    alignment,
    depth_distribution,
    make_batch,
    optimizers,
    watch_steps,
    weights_of,
)
from tests.models.tiny_segmentor import IGNORE, MEAN, NUM_CLASSES, STD, head_config

METHODS = {
    'advent': (ADVENT, dict(main=alignment(discriminator_weight=0.5))),
    'dada': (DADA, dict(main=alignment('depth_aware', adversarial_weight=0.1))),
    'S4': (DADA | dict(feature_fusion=False), dict(depth=alignment('depth'))),
    'depth distribution': (
        depth_distribution(),
        dict(main=alignment('density_aware', adversarial_weight=0.1)),
    ),
}


def in_discriminators(name):
    return name.startswith('discriminators.')


def split(named):
    """Split values by name of their parameter: those of the segmentor, of the discriminators."""
    return [{n: v for n, v in named.items() if in_discriminators(n) == d} for d in (False, True)]


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    assert all(torch.equal(actual[name], value) for name, value in expected.items())


# -- who learns when -------------------------------------------------------------------------------


@pytest.mark.parametrize('method', METHODS)
def test_each_step_moves_its_own_part_alone(method):
    model = adversarial_segmentor(*METHODS[method])
    optim_wrapper = optimizers(model)
    steps, start = watch_steps(model, optim_wrapper), weights_of(model)
    flags = []
    model.discriminators[next(iter(model.alignments))].register_forward_pre_hook(
        lambda module, maps: flags.append(
            ({p.requires_grad for p in module.parameters()}, maps[0].requires_grad)
        )
    )
    for _ in range(2):
        steps.clear()
        model.train_step(make_batch(), optim_wrapper)
        (first, fooling, before), (second, telling, between) = steps
        assert (first, second) == ('segmentor', 'discriminator')
        assert not any(map(in_discriminators, fooling))
        assert all(map(in_discriminators, telling)) and len(telling) == 10
        assert_same(before, start)
        moved, kept = split(between)
        assert_same(kept, split(start)[1])
        expected = {n: start[n] - RATE * fooling[n] if n in fooling else start[n] for n in moved}
        torch.testing.assert_close(moved, expected)
        start = weights_of(model)
        kept, moved = split(start)
        assert_same(kept, split(between)[0])
        expected = {n: between[n] - DISCRIMINATOR_RATE * telling[n] for n in moved}
        torch.testing.assert_close(moved, expected)
        assert all(p.requires_grad and p.grad is None for p in model.discriminators.parameters())
    # The adversarial loss of the segmentor, then the losses on source and on target.
    assert flags == [({False}, True), ({True}, False), ({True}, False)] * 2


def test_discriminators_learn_again_after_a_step_that_failed(monkeypatch):
    model = adversarial_segmentor(DADA, dict(main=alignment('depth_aware')))
    optim_wrapper = optimizers(model)
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(model, 'loss', Mock(side_effect=MemoryError))
        model.train_step(make_batch(), optim_wrapper)
    start = split(weights_of(model))[1]
    model.train_step(make_batch(), optim_wrapper)
    moved = split(weights_of(model))[1]
    assert all((moved[name] != value).any() for name, value in start.items())


def test_only_target_images_fool():
    """Without labeled pixels and depth, only the target has a loss."""
    model, batch = adversarial_segmentor(DADA, dict(main=alignment('depth_aware'))), make_batch()
    for sample in batch['source']['data_samples']:
        sample.gt_sem_seg.data[:] = IGNORE
        sample.gt_depth_map.data[:] = 0
    optim_wrapper = optimizers(model)
    steps = watch_steps(model, optim_wrapper)
    log = model.train_step(batch, optim_wrapper)
    _, gradients, _ = steps[0]
    assert float(log['source.loss_seg']) == float(log['source.loss_depth']) == 0
    assert float(log['loss']) == float(log['target.loss_adversarial_main']) > 0

    # Expected: the gradient of the plain formula.
    branch = model.data_preprocessor(make_batch(), training=True)['target']
    reference = copy.deepcopy(model)
    reference.load_state_dict(model.state_dict())
    for name, value in steps[0][2].items():
        reference.get_parameter(name).data.copy_(value)
    loss = fooling_loss(reference, branch['inputs'])
    names = [n for n in gradients if gradients[n].any()]
    assert len(names) > 30
    expected = torch.autograd.grad(loss, [reference.get_parameter(name) for name in names])
    torch.testing.assert_close([gradients[name] for name in names], list(expected))


def fooling_loss(model, images, weight=0.5):
    predictions = model.decode_head(model.backbone(images), tasks=('seg', 'depth'))
    seg, depth = (
        F.interpolate(predictions[task], SIZE, mode='bilinear', align_corners=True)
        for task in ('seg', 'depth')
    )
    p = seg.softmax(1)
    maps = -p * torch.log2(p + 1e-30) / math.log2(NUM_CLASSES) * depth
    return weight * F.softplus(model.discriminators['main'](maps)).mean()  # -log(1 - sigmoid)


def test_one_graph_at_a_time():
    class Saved:
        """Replaces a saved tensor in the graph, and lives as long as the graph."""

        def __init__(self, tensor):
            self.tensor = tensor

    model, saved, alive = adversarial_segmentor(*METHODS['dada']), [], []

    def pack(tensor):
        entry = Saved(tensor)
        saved.append(weakref.ref(entry))
        return entry

    def count(place):
        alive.append((place, sum(ref() is not None for ref in saved)))

    model.backbone.register_forward_pre_hook(lambda *_: count('images'))
    model.decode_head.register_forward_hook(lambda *_: count('predictions'))
    model.discriminators['main'].register_forward_pre_hook(lambda *_: count('maps'))
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda entry: entry.tensor):
        model.train_step(make_batch(), optimizers(model))
    assert [place for place, _ in alive] == [
        *('images', 'predictions'),  # source
        *('images', 'predictions', 'maps'),  # target, fooling
        *('maps', 'maps'),  # the discriminators' own
    ]
    source, learning, target, fooling, maps, own_source, own_target = (n for _, n in alive)
    assert source == target == own_source == own_target == 0
    # The graph must be alive between forward and backward. Else the count is no proof.
    assert learning > 100 and maps > fooling > 100


@pytest.mark.parametrize('method', METHODS)
def test_gradient_accumulation_takes_the_mean(method):
    model, batches = adversarial_segmentor(*METHODS[method]), [make_batch(0), make_batch(10)]
    single = []
    for batch in batches:
        other = copy.deepcopy(model)
        optim_wrapper = optimizers(other)
        steps = watch_steps(other, optim_wrapper)
        other.train_step(copy.deepcopy(batch), optim_wrapper)
        single.append({n: g for _, gradients, _ in steps for n, g in gradients.items()})
    optim_wrapper = optimizers(model, accumulative_counts=2)
    steps, start = watch_steps(model, optim_wrapper), weights_of(model)
    model.train_step(batches[0], optim_wrapper)
    assert not steps
    assert_same(weights_of(model), start)
    model.train_step(batches[1], optim_wrapper)
    assert [part for part, *_ in steps] == ['segmentor', 'discriminator']
    assert [wrapper.inner_count for wrapper in optim_wrapper.values()] == [2, 2]
    expected = {name: (single[0][name] + single[1][name]) / 2 for name in single[0]}
    fooling, telling = split(expected)
    # The discriminators still have their gradients of the first iteration.
    torch.testing.assert_close(split(steps[0][1])[0], fooling)
    torch.testing.assert_close(steps[1][1], telling)


@pytest.mark.parametrize('method', ['advent', 'dada', 'depth distribution'])
def test_mixed_precision_with_loss_scaling(monkeypatch, method):
    """MMEngine's AMP wrapper on the CPU. Only its check of the device refuses the CPU."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    seen, results = set(), []
    for scale in (1.0, 2.0**14):
        model, batch = adversarial_segmentor(*METHODS[method]).float(), make_batch()
        for sample in batch['source']['data_samples']:
            sample.gt_depth_map.data = sample.gt_depth_map.data.float()
        model.decode_head.classifier.conv2d_list[0].register_forward_hook(
            lambda module, args, output: seen.add(('logits', output.dtype))
        )
        model.discriminators['main'].register_forward_hook(
            lambda module, maps, logits: seen.update(
                [('maps', maps[0].dtype), ('decisions', logits.dtype)]
            )
        )
        optim_wrapper = optimizers(model, type='AmpOptimWrapper', dtype='bfloat16')
        for wrapper in optim_wrapper.values():
            wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=scale)
        log = model.train_step(batch, optim_wrapper)
        results.append((weights_of(model), log))
    assert seen == {
        ('logits', torch.bfloat16),
        ('maps', torch.float32),
        ('decisions', torch.bfloat16),
    }
    (weights, log), (scaled_weights, scaled_log) = results
    # Both optimizers divide by the scale. It is a power of two, so this is exact.
    torch.testing.assert_close(scaled_weights, weights)
    torch.testing.assert_close(scaled_log, log)

    # bfloat16 has 8 bits, so the steps are only roughly those of float64.
    model = adversarial_segmentor(*METHODS[method])
    start, exact = weights_of(model), model.train_step(make_batch(), optimizers(model))
    for part, moved in zip(split(weights_of(model)), split(weights), strict=True):
        steps = torch.cat([(part[name] - start[name]).flatten() for name in part])
        mixed = torch.cat([(moved[name].double() - start[name]).flatten() for name in part])
        assert F.cosine_similarity(mixed, steps, dim=0) > 0.8
    for name, value in exact.items():
        if 'loss' in name:
            assert float(log[name]) == pytest.approx(float(value), rel=0.05), name


# -- what is logged --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('arguments', 'names'),
    [
        (METHODS['advent'], ['main']),
        ((DADA, dict(main=alignment(), depth=alignment('depth'))), ['main', 'depth']),
    ],
)
def test_log_names(arguments, names):
    model = adversarial_segmentor(*arguments)
    log = model.train_step(make_batch(), optimizers(model))
    expected = {'loss', 'source.loss_seg', 'source.acc_seg'}
    if model.predicts_depth:
        expected.add('source.loss_depth')
    for name in names:
        expected.add(f'target.loss_adversarial_{name}')
        for domain in ('source', 'target'):
            expected |= {f'discriminator.{what}_{name}_{domain}' for what in ('loss', 'acc')}
    assert log.keys() == expected
    assert not any(value.requires_grad for value in log.values())
    of_segmentor = [v for n, v in log.items() if n.startswith(('source.loss', 'target.loss'))]
    assert float(log['loss']) == pytest.approx(float(sum(of_segmentor)))


class Answers(nn.Module):
    """A discriminator that always gives the same answer."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = iter(answers)
        self.bias = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, maps):
        logits = torch.tensor(next(self.answers), dtype=torch.float64)
        return logits.view(1, 1, 1, -1) + self.bias + 0 * maps.mean()


def test_losses_and_accuracy_by_hand():
    """log(1 + e^x) is the loss of taking source for target, log(1 + e^-x) the other one.

    A logit of 0 is no decision for the target.
    """
    model = adversarial_segmentor(alignments=dict(main=alignment(discriminator_weight=0.25)))
    model.discriminators['main'] = Answers(
        [2.0, 0.0], [-1.0, 0.0, 3.0, -0.5], [-1.0, 0.0, 1.0, -3.0]
    )
    log = model.train_step(make_batch(), optimizers(model))

    def softplus(*values):
        return sum(math.log1p(math.exp(x)) for x in values) / len(values)

    assert float(log['target.loss_adversarial_main']) == pytest.approx(0.5 * softplus(2, 0))
    assert {n: float(v) for n, v in log.items() if n.startswith('disc')} == pytest.approx(
        {
            'discriminator.loss_main_source': 0.25 * softplus(-1, 0, 3, -0.5),
            'discriminator.loss_main_target': 0.25 * softplus(1, 0, -1, 3),
            'discriminator.acc_main_source': 75.0,
            'discriminator.acc_main_target': 25.0,
        }
    )


def test_discriminators_learn_to_tell_the_domains_apart():
    model = adversarial_segmentor(alignments=dict(main=alignment(adversarial_weight=0.0)))
    optim_wrapper = optimizers(model)
    adam = torch.optim.Adam(model.discriminators.parameters(), lr=1e-2)
    optim_wrapper['discriminator'].optimizer = adam
    optim_wrapper['segmentor'].optimizer.param_groups[0]['lr'] = 0.0
    batch = make_batch()
    batch['target']['inputs'] = [image // 16 for image in batch['target']['inputs']]  # dark
    logs = [model.train_step(batch, optim_wrapper) for _ in range(12)]

    def own_loss(log):
        return float(log['discriminator.loss_main_source'] + log['discriminator.loss_main_target'])

    assert own_loss(logs[-1]) < 0.9 * own_loss(logs[0])
    right = [float(logs[-1][f'discriminator.acc_main_{domain}']) for domain in batch]
    assert right == [100.0, 100.0]


# -- other networks of MMSegmentation --------------------------------------------------------------

SEGFORMER = dict(
    backbone=dict(
        type='MixVisionTransformer',
        embed_dims=8,
        num_layers=[1, 1, 1, 1],
        num_heads=[1, 2, 4, 8],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        mlp_ratio=2,
        drop_path_rate=0.0,
    ),
    decode_head=dict(
        type='SegformerHead',
        in_channels=[8, 16, 32, 64],
        in_index=[0, 1, 2, 3],
        channels=16,
        dropout_ratio=0,
        num_classes=NUM_CLASSES,
        norm_cfg=dict(type='BN'),
    ),
)
FCN = dict(
    backbone=dict(
        type='MobileNetV2',
        widen_factor=0.25,
        strides=(1, 2, 2, 1, 1, 1, 1),
        dilations=(1, 1, 1, 2, 2, 4, 4),
        norm_cfg=dict(type='BN'),
    ),
    decode_head=dict(
        type='FCNHead',
        in_channels=80,
        in_index=3,
        channels=16,
        num_convs=1,
        dropout_ratio=0,
        num_classes=NUM_CLASSES,
    ),
    auxiliary_head=dict(
        type='FCNHead',
        in_channels=24,
        in_index=2,
        channels=8,
        num_convs=1,
        dropout_ratio=0,
        num_classes=NUM_CLASSES,
    ),
)


@pytest.mark.parametrize('network', [SEGFORMER, FCN], ids=['segformer', 'fcn'])
def test_any_backbone_and_head(network):
    moved = []
    for weight in (0.0, 5.0):
        torch.manual_seed(0)
        model = MODELS.build(
            ConfigDict(
                type='AdversarialSegmentor',
                data_preprocessor=PREPROCESSOR,
                alignments=dict(main=alignment(adversarial_weight=weight)),
                train_cfg=dict(),
                test_cfg=dict(mode='whole'),
                **network,
            )
        )
        model.init_weights()
        model.train()
        log = model.train_step(make_batch(), optimizers(model))
        assert all(math.isfinite(value) for value in log.values())
        assert ('source.aux.loss_ce' in log) == ('auxiliary_head' in network)
        moved.append(weights_of(model))
        model.eval()
        (result,) = model.test_step(
            {key: value[:1] for key, value in make_batch()['target'].items()}
        )
        assert result.pred_sem_seg.data.shape == (1, *SIZE)
    assert not all(torch.equal(moved[0][n], moved[1][n]) for n in moved[0] if 'backbone' in n)
    assert not all(torch.equal(moved[0][n], moved[1][n]) for n in moved[0] if 'decode_head' in n)


def test_an_auxiliary_head_without_discriminator_learns_from_the_source():
    model = adversarial_segmentor(auxiliary_head=AUXILIARY)
    calls = []
    model.auxiliary_head.classifier.register_forward_hook(lambda *_: calls.append(1))
    optim_wrapper = optimizers(model)
    steps = watch_steps(model, optim_wrapper)
    log = model.train_step(make_batch(), optim_wrapper)
    assert len(calls) == 1  # not on the target
    assert steps[0][1]['auxiliary_head.classifier.conv2d_list.0.weight'].any()
    assert {'source.aux.loss_seg', 'source.aux.acc_seg'} <= log.keys()


def test_depth_travels_through_prediction():
    model = adversarial_segmentor(*METHODS['dada']).eval()
    branch = make_batch()['target']
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (MEAN, STD))
    with torch.no_grad():
        images = (torch.stack(branch['inputs']).double() - mean) / std
        expected = model.decode_head(model.backbone(images), tasks=('seg', 'depth'))
    for index, result in enumerate(model.val_step(branch)):
        for name, task in (('seg_logits', 'seg'), ('pred_depth_map', 'depth')):
            low = expected[task][index : index + 1]
            high = F.interpolate(low, SIZE, mode='bilinear', align_corners=True)[0]
            torch.testing.assert_close(result.get(name).data, high)


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('alignments', 'options', 'message'),
    [
        ({}, {}, 'alignments is empty'),
        (dict(a=alignment('entropy')), {}, r"alignments\.a\.space must be one of .* got 'entropy'"),
        (dict(a=alignment(head='neck')), {}, r"alignments\.a\.head must be .* got 'neck'"),
        (
            dict(a=alignment(head='auxiliary_head')),
            {},
            r"alignments\.a\.head .* 'decode_head', got 'auxiliary_head'",
        ),
        (
            dict(a=alignment()),
            dict(auxiliary_head=[AUXILIARY, AUXILIARY]),
            'takes one auxiliary_head, not a list',
        ),
        (
            dict(a=alignment('depth')),
            {},
            r"alignments\.a\.space='depth': DeepLabV2Head does not predict depth; it predicts seg",
        ),
        (dict(a=alignment('depth_aware')), {}, "space='depth_aware': .* does not predict depth"),
        (
            dict(a=alignment(discriminator=dict(type='FCNDiscriminator', in_channels=19))),
            {},
            r'alignments\.a\.discriminator has in_channels=19, but SelfInformationSpace of '
            'decode_head has 5 channels, one per class. Leave in_channels out',
        ),
        (
            dict(a=alignment('depth', discriminator=dict(type='FCNDiscriminator', in_channels=5))),
            dict(decode_head=DADA),
            r'has in_channels=5, but DepthSpace of decode_head has 1 channels\. Leave',
        ),
    ],
)
def test_the_constructor_refuses(alignments, options, message):
    config = dict(
        type='AdversarialSegmentor',
        alignments=alignments,
        backbone=dict(type='DeepLabV2ResNet', depth=18, base_channels=8, stem_channels=8),
        decode_head=ADVENT,
    )
    with pytest.raises(ValueError, match=message):
        MODELS.build(ConfigDict(config | options))


def test_an_unknown_setting_of_an_alignment():
    with pytest.raises(TypeError, match='lambda_adv'):
        adversarial_segmentor(alignments=dict(main=alignment(lambda_adv=0.001)))


def test_the_number_of_classes_is_that_of_the_head_by_default():
    discriminators = adversarial_segmentor(
        head_config('DADAHead'),
        dict(main=dict(space='self_information'), depth=dict(space='depth')),
    ).discriminators
    assert [(n, d.in_channels) for n, d in discriminators.items()] == [
        ('main', NUM_CLASSES),
        ('depth', 1),
    ]
    assert discriminators['main'].layers[0].out_channels == 64


@pytest.mark.parametrize(
    'data',
    [make_batch()['source'], dict(source=make_batch()['source'])],
    ids=['ordinary', 'source'],
)
def test_batches_without_both_domains(data):
    model = adversarial_segmentor()
    with pytest.raises(ValueError, match='branches|source and target.* Take SourceTargetDataset'):
        model.train_step(data, optimizers(model))


def test_a_single_optimizer():
    model = adversarial_segmentor()
    single = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(ValueError, match="constructor='PartsOptimWrapperConstructor'"):
        model.train_step(make_batch(), single)


def test_images_smaller_than_a_patch():
    model = adversarial_segmentor()
    model.data_preprocessor.size = (24, 40)
    with pytest.raises(ValueError, match='at least 32x32 pixels'):
        model.train_step(make_batch(size=(24, 40)), optimizers(model))
