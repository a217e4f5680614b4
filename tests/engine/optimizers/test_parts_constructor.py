# Licensed under the Apache License 2.0, see LICENSE.
"""Which optimizer holds which weight, and which settings reach both."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import AmpOptimWrapper, OptimWrapper, build_optim_wrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmseg.models.backbones import ResNet
from torch import nn

from mmseg_depthuda.engine.launch import use_mixed_precision
from mmseg_depthuda.engine.optimizers import (
    DeepLabOptimWrapperConstructor,
    PartsOptimWrapperConstructor,
    RepeatedSGD,
)
from mmseg_depthuda.engine.optimizers.parts_constructor import CountedOptimWrapperDict
from tests.models.adversarial_training import ADVENT, PREPROCESSOR, SIZE, alignment
from tests.models.pair_training import Pairs, make_runner
from tests.models.tiny_segmentor import segmentor_config

LR, DISCRIMINATOR_LR = 2.5e-4, 1e-4
PUBLISHED = dict(
    constructor='PartsOptimWrapperConstructor',
    segmentor=dict(
        optimizer=dict(type='RepeatedSGD', lr=LR, momentum=0.9, weight_decay=5e-4),
        constructor='DeepLabOptimWrapperConstructor',
        paramwise_cfg=dict(head_lr_mult=10.0, repeat_backbone=True),
    ),
    discriminator=dict(optimizer=dict(type='Adam', lr=DISCRIMINATOR_LR, betas=(0.9, 0.99))),
)


class Model(nn.Module):
    """A backbone of every depth of nesting, two heads, two discriminators."""

    parts = dict(discriminator=('discriminators',))

    def __init__(self):
        super().__init__()
        self.backbone = ResNet(50, base_channels=4, stem_channels=4)
        self.decode_head = nn.Conv2d(4, 2, 1)
        self.auxiliary_head = nn.Conv2d(4, 2, 1)
        self.discriminators = nn.ModuleDict(dict(main=nn.Conv2d(2, 1, 4), aux=nn.Conv2d(2, 1, 4)))


def build(model=None, **options):
    return build_optim_wrapper(model or Model(), PUBLISHED | options)


def held_by(wrapper):
    return [p for group in wrapper.optimizer.param_groups for p in group['params']]


def test_every_weight_is_in_exactly_one_optimizer():
    model = Model()
    wrappers = build(model)
    assert isinstance(wrappers, CountedOptimWrapperDict)
    assert list(wrappers.keys()) == ['segmentor', 'discriminator']
    segmentor, discriminator = map(held_by, wrappers.values())
    assert {id(p) for p in discriminator} == {id(p) for p in model.discriminators.parameters()}
    both = segmentor + discriminator
    assert len(both) == len({id(p) for p in both})
    assert {id(p) for p in both} == {id(p) for p in model.parameters()}


def test_the_segmentor_keeps_its_repeats_and_rates():
    """The groups are those without discriminators; the repeats are counted from the names."""
    model = Model()
    plain = Model()
    del plain.discriminators
    config = {k: v for k, v in PUBLISHED['segmentor'].items() if k != 'constructor'}
    alone = DeepLabOptimWrapperConstructor(
        dict(optimizer=config['optimizer']), config['paramwise_cfg']
    )(plain)
    segmentor = build(model)['segmentor'].optimizer
    assert isinstance(segmentor, RepeatedSGD)

    def groups(optimizer):
        return [
            (g['lr'], g['repeats'], g['weight_decay'], [tuple(p.shape) for p in g['params']])
            for g in optimizer.param_groups
        ]

    assert groups(segmentor) == groups(alone.optimizer)
    # By hand: a weight of a bottleneck lies in its stage, block and layer.
    repeats = {id(p): g['repeats'] for g in segmentor.param_groups for p in g['params']}
    rates = {id(p): g['lr'] for g in segmentor.param_groups for p in g['params']}
    block = model.backbone.layer2[0]
    assert repeats[id(block.conv2.weight)] == 3 and repeats[id(block.downsample[0].weight)] == 4
    assert repeats[id(model.backbone.conv1.weight)] == 1
    assert rates[id(model.backbone.conv1.weight)] == LR
    assert rates[id(model.auxiliary_head.weight)] == pytest.approx(10 * LR)


def test_the_discriminators_have_the_published_adam():
    adam = build()['discriminator'].optimizer
    assert isinstance(adam, torch.optim.Adam) and len(adam.param_groups) == 1
    (group,) = adam.param_groups
    assert (group['lr'], group['betas'], group['weight_decay']) == (1e-4, (0.9, 0.99), 0)


def test_shared_settings_reach_both_and_own_ones_win():
    clip = dict(type='value', clip_value=0.5)
    discriminator = PUBLISHED['discriminator'] | dict(accumulative_counts=3)
    wrappers = build(accumulative_counts=2, clip_grad=clip, discriminator=discriminator)
    counts = {name: wrapper._accumulative_counts for name, wrapper in wrappers.items()}
    assert counts == dict(segmentor=2, discriminator=3)
    for wrapper in wrappers.values():  # MMEngine takes `type` out of the config it is given
        assert type(wrapper) is OptimWrapper
        assert wrapper.clip_func is torch.nn.utils.clip_grad_value_
        assert wrapper.clip_grad_kwargs == dict(clip_value=0.5)
    assert clip == dict(type='value', clip_value=0.5)


@pytest.mark.parametrize('by', ['MMSegmentation', 'tools/train.py'])
def test_mixed_precision_by_the_command_line(monkeypatch, by):
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    cfg = Config.fromfile('configs/_base_/schedules/adversarial_90k.py')
    if by == 'MMSegmentation':  # the lines of its tools/train.py
        assert cfg.optim_wrapper.type == 'OptimWrapper'
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.loss_scale = 'dynamic'
    else:
        use_mixed_precision(cfg)
    wrappers = build_optim_wrapper(Model(), cfg.optim_wrapper)
    scalers = [wrapper.loss_scaler for wrapper in wrappers.values()]
    assert all(type(wrapper) is AmpOptimWrapper for wrapper in wrappers.values())
    assert len({id(scaler) for scaler in scalers}) == 2
    assert isinstance(wrappers['segmentor'].optimizer, RepeatedSGD)


def test_the_count_of_iterations_reaches_both():
    wrappers = build(accumulative_counts=2)
    wrappers.initialize_count_status(Model(), 4, 7)
    for wrapper in wrappers.values():
        assert (wrapper._inner_count, wrapper._max_counts) == (4, 7)
        steps = []
        for _ in range(3):
            weight = torch.zeros((), requires_grad=True)
            steps.append((wrapper.should_sync(), float(wrapper.scale_loss(weight + 1).detach())))
            wrapper._inner_count += 1
        # Iterations 5 and 6 share a step; 7, the last, takes one alone.
        assert steps == [(False, 0.5), (True, 0.5), (True, 1.0)]


class WithGenerator(Model):
    """A third part, of two modules."""

    parts = dict(Model.parts, generator=('encoder', 'decoder'))

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)


def test_a_third_part():
    model = WithGenerator()
    generator = dict(optimizer=dict(type='SGD', lr=0.3, weight_decay=0.1))
    generator['paramwise_cfg'] = dict(custom_keys={'decoder': dict(lr_mult=2)})
    wrappers = build(model, generator=generator)
    assert list(wrappers.keys()) == ['segmentor', 'discriminator', 'generator']
    held = [{id(p) for p in held_by(wrapper)} for wrapper in wrappers.values()]
    assert sum(map(len, held)) == len(set.union(*held)) == len(list(model.parameters()))
    own = [*model.encoder.parameters(), *model.decoder.parameters()]
    assert held[2] == {id(p) for p in own}
    rates = {id(g['params'][0]): g['lr'] for g in wrappers['generator'].optimizer.param_groups}
    assert [rates[id(p)] for p in own] == pytest.approx([0.3, 0.3, 0.6, 0.6])
    with pytest.raises(
        ValueError, match=r'no optimizer for the generator.*optim_wrapper.generator'
    ):
        build(model)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(discriminator=None), 'no optimizer for the discriminator. .* set optim_wrapper.disc'),
        (dict(segmentor=dict(accumulative_counts=2)), 'no optimizer for the segmentor. .* betas'),
        (
            dict(segmentor=None, discriminator={}),
            r'segmentor and the discriminator\. .*: set optim_wrapper\.segmentor\.optimizer and',
        ),
        (dict(paramwise_cfg=dict(head_lr_mult=5)), 'optim_wrapper.paramwise_cfg is ambiguous'),
    ],
)
def test_configs_that_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        build(**change)


def test_a_config_of_one_optimizer_is_refused():
    single = dict(constructor='PartsOptimWrapperConstructor', optimizer=dict(type='SGD', lr=0.1))
    with pytest.raises(ValueError, match='no optimizer for the segmentor and the discriminator'):
        build_optim_wrapper(Model(), single)


def test_a_model_without_discriminators_is_refused():
    model = SimpleNamespace()
    with pytest.raises(ValueError, match='SimpleNamespace has one part alone'):
        PartsOptimWrapperConstructor(PUBLISHED)(model)


def test_both_learning_rates_decay_by_one_schedule_and_are_logged_apart(tmp_path):
    iterations, end = 4, 6
    model = segmentor_config(
        ADVENT,
        type='AdversarialSegmentor',
        alignments=dict(main=alignment()),
        data_preprocessor=PREPROCESSOR,
    )
    runner = make_runner(
        tmp_path,
        'run',
        [],
        iterations,
        Pairs(source=dict(size=SIZE), target=dict(size=SIZE)),
        ConfigDict(model),
        optim_wrapper=PUBLISHED,
        param_scheduler=[
            dict(type='PolyLR', eta_min=0.0, power=0.9, begin=0, end=end, by_epoch=False)
        ],
    )
    runner.train()
    assert set(runner.param_schedulers) == {'segmentor', 'discriminator'}
    # MMEngine's PolyLR reaches 0 at iteration end - 1.
    factors = [(1 - i / (end - 1)) ** 0.9 for i in range(iterations)]
    for name, start in (
        ('segmentor.base_lr', LR),
        ('segmentor.lr', LR),
        ('discriminator.lr', DISCRIMINATOR_LR),
    ):
        logged, _ = runner.message_hub.get_scalar(f'train/{name}').data
        assert logged == pytest.approx([start * factor for factor in factors]), name
    heads = [group['lr'] for group in runner.optim_wrapper['segmentor'].optimizer.param_groups]
    assert max(heads) == pytest.approx(10 * LR * (1 - iterations / (end - 1)) ** 0.9)
    for name in (
        'source.loss_seg',
        'target.loss_adversarial_main',
        'discriminator.acc_main_source',
    ):
        assert len(runner.message_hub.get_scalar(f'train/{name}').data[0]) == iterations
