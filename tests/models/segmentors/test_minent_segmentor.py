# Licensed under the Apache License 2.0, see LICENSE.
import copy
import math

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper

from tests.models.tiny_segmentor import (
    NUM_CLASSES,
    SIZE,
    head_config,
    make_branch,
    tiny_segmentor,
    upsample,
)

MAIN, AUXILIARY = 0.5, 0.25


def auxiliary_config(index=2, **options):
    return (
        dict(
            type='FCNHead',
            in_channels=[8, 16, 32][index],
            in_index=index,
            channels=4,
            num_convs=1,
            num_classes=NUM_CLASSES,
            dropout_ratio=0,
            norm_cfg=dict(type='BN'),
            align_corners=True,
        )
        | options
    )


def build(**options):
    options = dict(entropy_weight=MAIN, auxiliary_entropy_weight=AUXILIARY) | options
    return tiny_segmentor(head_config('DeepLabV2Head'), type='MinEntSegmentor', **options)


def make_batch():
    return dict(source=make_branch(0, name='source'), target=make_branch(1, name='target'))


def entropy(logits):
    """Mean normalized entropy of upsampled logits (N, C, h, w) in NumPy."""
    logits = upsample(logits.detach(), SIZE)
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exponential / exponential.sum(axis=1, keepdims=True)
    return (-p * np.log2(p + 1e-30) / math.log2(NUM_CLASSES)).sum(axis=1).mean()


@pytest.mark.parametrize('auxiliary', [None, auxiliary_config(), [0, 2]])
def test_target_losses_are_the_weighted_entropies(auxiliary):
    if isinstance(auxiliary, list):
        auxiliary = [auxiliary_config(index) for index in auxiliary]
    model = build(auxiliary_head=auxiliary) if auxiliary else build()
    branch = model.data_preprocessor(make_batch(), training=True)['target']
    losses = model.loss(**branch)
    features = model.backbone(branch['inputs'])
    expected = dict(loss_entropy=MAIN * entropy(model.decode_head(features)))
    if auxiliary:
        heads = model.auxiliary_head if isinstance(auxiliary, list) else [model.auxiliary_head]
        expected['aux.loss_entropy'] = AUXILIARY * sum(entropy(head(features)) for head in heads)
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(expected)
    assert 0.01 < expected['loss_entropy'] < MAIN


def test_published_weights():
    model = tiny_segmentor(head_config('DeepLabV2Head'), type='MinEntSegmentor')
    assert (model.entropy_weight, model.auxiliary_entropy_weight) == (1e-3, 2e-4)


def test_other_branches_are_supervised():
    model, plain = build(), tiny_segmentor(head_config('DeepLabV2Head'))
    branch = model.data_preprocessor(make_batch(), training=True)['source']
    losses, expected = model.loss(**branch), plain.loss(**branch)
    assert losses.keys() == expected.keys() == {'loss_seg', 'acc_seg'}
    assert torch.equal(losses['loss_seg'], expected['loss_seg'])


def test_a_step_follows_the_gradient_of_both_branches():
    model = build(auxiliary_head=auxiliary_config())
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    other = copy.deepcopy(model)
    branches = other.data_preprocessor(make_batch(), training=True)
    supervised = other.loss(**branches['source'])
    uncertain = other.loss(**branches['target'])
    losses = [
        value for part in (supervised, uncertain) for name, value in part.items() if 'loss' in name
    ]
    assert len(losses) == 4
    sum(losses).backward()

    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.125)
    log = model.train_step(make_batch(), OptimWrapper(optimizer))
    for name, parameter in other.named_parameters():
        step = 0 if parameter.grad is None else 0.125 * parameter.grad
        torch.testing.assert_close(model.get_parameter(name).data, before[name] - step)
    assert {name for name in log if 'loss' in name} == {
        'loss',
        'source.loss_seg',
        'source.aux.loss_ce',
        'target.loss_entropy',
        'target.aux.loss_entropy',
    }
    assert log['loss'].item() == pytest.approx(sum(losses).item())


def test_entropy_falls_where_it_is_all_that_counts():
    model = build(entropy_weight=1.0)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.05)
    wrapper, target = OptimWrapper(optimizer), dict(target=make_branch(1))
    log = [float(model.train_step(target, wrapper)['target.loss_entropy']) for _ in range(8)]
    assert log[-1] < 0.9 * log[0]
