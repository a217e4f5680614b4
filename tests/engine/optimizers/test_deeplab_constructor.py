# Licensed under the Apache License 2.0, see LICENSE.
"""Parameter groups of the published schedule, counted on MMSeg's ResNet."""

import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import PolyLR, build_optim_wrapper
from mmseg.models.backbones import ResNet
from torch import nn

from mmseg_depthuda.engine.optimizers import DeepLabOptimWrapperConstructor, RepeatedSGD

LR = 2.5e-4


class Segmentor(nn.Module):
    """A backbone of every depth of nesting, and a head."""

    def __init__(self, depth=50):
        super().__init__()
        self.backbone = ResNet(depth, base_channels=8)
        self.decode_head = nn.Sequential(nn.Conv2d(8, 4, 1), nn.ModuleList([nn.Conv2d(4, 2, 1)]))


def build(model, optimizer='RepeatedSGD', **paramwise):
    config = dict(
        type='OptimWrapper',
        optimizer=dict(type=optimizer, lr=LR, weight_decay=5e-4),
        constructor='DeepLabOptimWrapperConstructor',
        paramwise_cfg=paramwise or dict(head_lr_mult=10.0),
    )
    return build_optim_wrapper(model, config)


def containing_modules(backbone):
    """How often the release lists each weight: once per module that yields it."""
    counts = {}
    for stage in backbone.children():
        for module in stage.modules():
            for param in module.parameters():
                counts[param] = counts.get(param, 0) + 1
    return counts


def test_repeats_count_the_modules_that_contain_a_weight():
    model = Segmentor()
    groups = build(model).optimizer.param_groups
    repeats = {param: group['repeats'] for group in groups for param in group['params']}
    assert {p: repeats[p] for p in model.backbone.parameters()} == containing_modules(
        model.backbone
    )
    assert {repeats[param] for param in model.decode_head.parameters()} == {1}
    block = model.backbone.layer1[0]
    assert repeats[model.backbone.conv1.weight] == 1
    assert repeats[block.conv1.weight] == repeats[block.bn2.weight] == 3
    assert repeats[block.downsample[0].weight] == 4


def test_four_groups_hold_every_parameter_once():
    model = Segmentor()
    optimizer = build(model).optimizer
    assert isinstance(optimizer, RepeatedSGD)
    assert sorted((group['lr'], group['repeats']) for group in optimizer.param_groups) == [
        (LR, 1),
        (LR, 3),
        (LR, 4),
        (pytest.approx(10 * LR), 1),
    ]
    held = [param for group in optimizer.param_groups for param in group['params']]
    assert len(held) == len({id(param) for param in held}) == len(list(model.parameters()))
    assert all(group['weight_decay'] == 5e-4 for group in optimizer.param_groups)


def test_frozen_parameters_are_left_out():
    model = Segmentor()
    model.backbone.conv1.requires_grad_(False)
    held = {param for group in build(model).optimizer.param_groups for param in group['params']}
    assert held == {param for param in model.parameters() if param.requires_grad}


@pytest.mark.parametrize('optimizer', ['SGD', 'AdamW', 'RepeatedSGD'])
def test_without_repeats_any_optimizer_gets_two_groups(optimizer):
    wrapper = build(Segmentor(18), optimizer, repeat_backbone=False, head_lr_mult=4.0)
    assert [group['lr'] for group in wrapper.optimizer.param_groups] == [LR, 4 * LR]
    assert [group.get('repeats', 1) for group in wrapper.optimizer.param_groups] == [1, 1]


def test_distributed_wrapper_is_looked_through(tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/rendezvous', rank=0, world_size=1
    )
    try:
        wrapped = MMDistributedDataParallel(Segmentor(18))
        groups = build(wrapped).optimizer.param_groups
    finally:
        torch.distributed.destroy_process_group()
    assert {group['lr'] for group in groups} == {LR, 10 * LR}


def test_poly_schedule_scales_every_group():
    """MMEngine's PolyLR reaches 0 at iteration end - 1: after 4 of 10 it is (1 - 4/10)^0.9."""
    wrapper = build(Segmentor(18))
    start = [group['lr'] for group in wrapper.optimizer.param_groups]
    schedule = PolyLR(wrapper, eta_min=0, power=0.9, begin=0, end=11, by_epoch=False)
    for _ in range(4):
        wrapper.step()
        schedule.step()
    expected = [lr * 0.6**0.9 for lr in start]
    assert [group['lr'] for group in wrapper.optimizer.param_groups] == pytest.approx(expected)


def test_optimizer_without_repeats_is_refused():
    with pytest.raises(ValueError, match=r"repeats.*not SGD; use type='RepeatedSGD'"):
        build(Segmentor(18), 'SGD')


def test_unknown_option_is_refused():
    with pytest.raises(ValueError, match='custom_keys'):
        build(Segmentor(18), custom_keys={})


def test_missing_lr_is_refused():
    with pytest.raises(ValueError, match='must set lr'):
        DeepLabOptimWrapperConstructor(dict(optimizer=dict(type='RepeatedSGD')))


def test_model_without_backbone_is_refused():
    with pytest.raises(AttributeError, match='no `backbone`'):
        build(nn.Linear(1, 1))


def test_model_without_trainable_parameter_is_refused():
    with pytest.raises(ValueError, match='trainable'):
        build(Segmentor(18).requires_grad_(False))
