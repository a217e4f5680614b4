# Licensed under the Apache License 2.0, see LICENSE.
import math

import pytest
import torch
from torch import nn

from mmseg_depthuda.engine.hooks import DACSHook, TaskGradientsHook
from mmseg_depthuda.engine.hooks.task_gradients_hook import (
    gradient_scalars,
    layer_of,
    task_gradients,
)
from mmseg_depthuda.models.segmentors import UDASegmentor
from tests.models.pair_training import logged, make_runner
from tests.models.tiny_segmentor import make_branch, tiny_segmentor


@pytest.mark.parametrize(
    ('name', 'layer'),
    [
        ('backbone.conv1.weight', 'backbone.conv1'),
        ('backbone.layer1.0.conv1.weight', 'backbone.layer1'),
        ('backbone.stages.2.0.expand.conv.weight', 'backbone.stages.2'),
        ('backbone.stem.conv.weight', 'backbone.stem'),
    ],
)
def test_layers(name, layer):
    assert layer_of(name) == layer


class Toy(UDASegmentor):
    """seg = (a + 2 b) x, depth = (a - 3 b) x; weights of the losses 1 and 0.1."""

    def __init__(self):
        nn.Module.__init__(self)
        self.backbone = nn.ParameterDict(dict(a=torch.ones(1), b=torch.ones(1)))
        self.backbone.register_buffer('seen', torch.zeros(()))
        self.unlabelled = ('target',)

    unsupervised = ()

    def data_preprocessor(self, batch, training):
        return batch

    def loss(self, inputs, data_samples):
        a, b = self.backbone['a'], self.backbone['b']
        self.backbone.seen += 1
        torch.rand(1)
        losses = dict(loss_seg=(a + 2 * b) * inputs, acc_seg=a * 100)
        if data_samples:
            losses['loss_initial_depth'] = 0.1 * (a - 3 * b) * inputs
        return losses


def test_a_network_by_hand():
    """Gradients: seg (1, 2) * (2 + 5), depth 0.1 * (1, -3) * 2."""
    model = Toy()
    branch = dict(inputs=torch.tensor(2.0), data_samples=[1])
    batch = dict(
        source=branch, mixed=dict(inputs=torch.tensor(5.0), data_samples=[]), target=branch
    )
    torch.manual_seed(3)
    layers = task_gradients(model, batch, ('seg', 'depth', 'density'))
    assert {k: v['seg'].tolist() for k, v in layers.items()} == {
        'backbone.a': [7.0],
        'backbone.b': [14.0],
    }
    assert layers['backbone.b']['depth'].item() == pytest.approx(-0.6)
    assert layers['backbone.a']['density'].item() == 0
    assert model.backbone.seen == 0 and model.backbone['a'].grad is None
    whole = {'backbone': {k: torch.cat([v[k] for v in layers.values()]) for k in ('seg', 'depth')}}
    scalars = gradient_scalars(whole)
    assert scalars['gradient.backbone.seg'] == pytest.approx(7 * math.sqrt(5))
    assert scalars['gradient.backbone.depth'] == pytest.approx(0.2 * math.sqrt(10))
    cosine = (1 - 6) / math.sqrt(5) / math.sqrt(10)
    assert scalars['gradient.backbone.seg_depth.cosine'] == pytest.approx(cosine)
    silent = gradient_scalars(dict(a=dict(seg=torch.ones(2), depth=torch.zeros(2))))
    assert silent == {'gradient.a.seg': pytest.approx(math.sqrt(2)), 'gradient.a.depth': 0}


def test_random_numbers_are_put_back():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    task_gradients(Toy(), dict(source=dict(inputs=torch.ones(()), data_samples=[1])), ('seg',))
    assert torch.equal(torch.rand(1), expected)


def test_against_the_gradient_of_the_step():
    """The gradients of all tasks add up to that of the training."""
    model = tiny_segmentor()
    batch = dict(source=make_branch())
    layers = task_gradients(model, batch, ('seg', 'depth'))
    branch = model.data_preprocessor(dict(source=make_branch()), training=True)['source']
    losses = model.loss(**branch)
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    for layer, gradients in layers.items():
        expected = torch.cat(
            [
                p.grad.flatten()
                for n, p in model.named_parameters()
                if p.requires_grad and n.startswith(f'{layer}.')
            ]
        )
        torch.testing.assert_close(gradients['seg'] + gradients['depth'], expected)
        assert gradients['depth'].norm() > 0


def test_training_stays_as_it_is(tmp_path):
    weights = {}
    for name, hooks in dict(plain=[], watched=[TaskGradientsHook(interval=2)]).items():
        runner = make_runner(tmp_path, name, [DACSHook(alpha=0.6), *hooks], 3, log_level='INFO')
        runner.train()
        weights[name] = runner.model.state_dict()
    for key, value in weights['plain'].items():
        assert torch.equal(weights['watched'][key], value), key
    text = logged(tmp_path / 'watched')
    assert text.count('gradient.backbone.layer4.seg_depth.cosine') == 2
    assert 'Iter(train) [3/3]  gradient.backbone' in text


def test_wrong_arguments(tmp_path):
    for wrong in (dict(interval=0), dict(tasks=('seg',))):
        with pytest.raises(ValueError, match='at least two'):
            TaskGradientsHook(**wrong)
