# Licensed under the Apache License 2.0, see LICENSE.
"""Three iterations of AdvEnt, DADA, depth distribution and ablations against a second, plain
implementation.

The second one shares the backbone alone. It restates heads and discriminators by functions, writes
the losses out, takes all gradients at once, and updates with the optimizers of PyTorch.
"""

import copy
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.device import get_device
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from scipy.stats import norm

from tests.models.adversarial_training import (
    depth_distribution,
    enlarge_branches,
    random_mixtures,
)
from tests.models.plain_layers import aspp, pointwise
from tests.models.tiny_segmentor import (
    IGNORE,
    MEAN,
    NUM_CLASSES,
    STD,
    enlarge_classifiers,
    head_config,
    make_branch,
    segmentor_config,
    source_depth,
)

ITERATIONS = 3
PARTS = ('weights', 'means', 'variances')
SIZE = (40, 64)
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 5e-4
DISCRIMINATOR_RATE, BETAS = 1e-3, (0.9, 0.99)

ADVENT = head_config('DeepLabV2Head')
AUXILIARY = dict(
    type='DeepLabV2Head',
    in_channels=32,
    in_index=2,
    num_classes=NUM_CLASSES,
    loss_decode=dict(
        type='CrossEntropyLoss', loss_name='loss_seg', loss_weight=0.1, avg_non_ignore=True
    ),
)
DADA = head_config('DADAHead', loss_weights=source_depth(0.01))
GRID = (6, 9)
DENSITY = depth_distribution(GRID)
CLASS_WEIGHT = [0.3, 5.8, 155.6, 0.9, 1.0]
BALANCED = DENSITY | dict(
    loss_decode=dict(
        type='CrossEntropyLoss',
        loss_name='loss_seg',
        class_weight=CLASS_WEIGHT,
        avg_non_ignore=True,
    )
)


def alignment(space, weight=0.5, discriminator_weight=1.0, head='decode_head'):
    """The published weight of 0.001 would make the adversarial gradient too small to be tested."""
    return dict(
        space=space,
        head=head,
        adversarial_weight=weight,
        discriminator_weight=discriminator_weight,
        discriminator=dict(type='FCNDiscriminator', base_channels=8),
    )


CASES = {
    'advent': (ADVENT, None, dict(main=alignment('self_information', 0.5, 0.5))),
    'advent, multi-level': (
        ADVENT,
        AUXILIARY,
        dict(
            main=alignment('self_information', 0.5, 0.5),
            aux=alignment('self_information', 0.1, 0.5, head='auxiliary_head'),
        ),
    ),
    'dada': (DADA, None, dict(main=alignment('depth_aware', 0.05))),
    'S3': (DADA, None, dict(main=alignment('self_information'))),
    'S4': (DADA | dict(feature_fusion=False), None, dict(depth=alignment('depth', 0.2))),
    'S5': (DADA, None, dict(depth=alignment('depth', 0.2))),
    'S6': (
        DADA,
        None,
        dict(main=alignment('self_information'), depth=alignment('depth', 0.2)),
    ),
    'depth distribution': (DENSITY, None, dict(main=alignment('density_aware', 0.05))),
    'depth distribution, balanced': (BALANCED, None, dict(main=alignment('density_aware', 0.05))),
    'depth distribution as in the paper': (
        DENSITY | dict(reading='paper'),
        None,
        dict(main=alignment('density', 0.05)),
    ),
}


def build(head, auxiliary, alignments):
    torch.manual_seed(3)
    config = segmentor_config(
        head,
        type='AdversarialSegmentor',
        alignments=alignments,
        data_preprocessor=dict(type='UDADataPreProcessor', mean=MEAN, std=STD, size=SIZE),
    )
    if auxiliary:
        config['auxiliary_head'] = auxiliary
    model = MODELS.build(ConfigDict(config))
    model.init_weights()
    enlarge_classifiers(model)
    enlarge_branches(model)
    return model.double().to(get_device()).train()


def draw_batch(step):
    return dict(
        source=make_branch(10 * step, size=SIZE, name='source'),
        target=make_branch(10 * step + 5, size=SIZE, name='target', depth=False),
    )


# -- the second implementation ---------------------------------------------------------------------


def normalized(branch):
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (MEAN, STD))
    return ((torch.stack(branch['inputs']).double() - mean) / std).to(get_device())


def stack(branch, name):
    maps = [sample.get(name).data for sample in branch['data_samples']]
    return torch.stack(maps).to(get_device())


def enlarge(prediction):
    return F.interpolate(prediction, SIZE, mode='bilinear', align_corners=True)


def plain_encoding(x, p, block):
    e = F.relu(pointwise(x, p, f'{block}.encoder.0'))
    e = F.conv2d(e, p[f'{block}.encoder.2.weight'], p[f'{block}.encoder.2.bias'], padding=1)
    return pointwise(F.relu(e), p, f'{block}.encoder.4')


def plain_head(features, p, prefix, head):
    """Logits at feature resolution, and the other tasks that the head predicts."""
    x, low = features[head['in_index']], {}
    if head['type'] == 'DADAHead':
        e = plain_encoding(x, p, f'{prefix}.auxiliary_block')
        low['depth'] = e.sum(1, keepdim=True) / e.shape[1]
        if head.get('feature_fusion', True):
            x = x * F.relu(pointwise(e, p, f'{prefix}.auxiliary_block.decoder'))
    elif head['type'] == 'DepthDistributionHead':
        for task in ('depth', 'density'):
            e = plain_encoding(x, p, f'{prefix}.{task}_branch')
            low[task] = e.sum(1, keepdim=True) / e.shape[1]
    return dict(seg=aspp(x, p, f'{prefix}.classifier', 4), **low)


def plain_discriminator(x, p, name):
    for index in (0, 2, 4, 6, 8):
        if index:
            x = F.leaky_relu(x, 0.2)
        weight, bias = (p[f'{name}.layers.{index}.{part}'] for part in ('weight', 'bias'))
        x = F.conv2d(x, weight, bias, stride=2, padding=1)
    return x


def aligned(space, low):
    if space in low:
        return enlarge(low[space])
    p = enlarge(low['seg']).softmax(1)
    information = -p * torch.log2(p + 1e-30) / torch.log2(torch.tensor(float(NUM_CLASSES)).double())
    task = space.removesuffix('_aware')
    return information * enlarge(low[task]) if task in low else information


def binary_cross_entropy(logits, label):
    probability = torch.sigmoid(logits)
    return -torch.log(probability if label else 1 - probability).mean()


def plain_berhu(prediction, target):
    error = (prediction - target).abs()
    c = 0.2 * error.detach().max()
    return torch.where(error <= c, error, (error**2 + c**2) / (2 * c)).mean()


def plain_density(classes, depth):
    """(N, h, w) in 0..255, pixel by pixel and component by component."""
    mixtures, found = random_mixtures(), torch.zeros(depth.shape, dtype=torch.float64)
    for n, y, x in np.ndindex(*depth.shape):
        at, c = (x, y, float(depth[n, y, x])), int(classes[n, y, x])
        p = sum(
            w
            * math.prod(
                norm.pdf(a, m, v**0.5) for a, m, v in zip(at, means, variances, strict=True)
            )
            for w, means, variances in zip(
                *(getattr(mixtures, part)[c].tolist() for part in PARTS), strict=True
            )
        )
        found[n, y, x] = (1 - math.exp(-1e6 * p)) * 255
    return found.to(depth.device)


def on_grid(maps):
    """Nearest at the centers of the grid."""
    rows, columns = (
        [math.floor((i + 0.5) * full / low) for i in range(low)]
        for low, full in zip(GRID, SIZE, strict=True)
    )
    return maps[:, 0][:, rows][:, :, columns]


def density_loss(head, low, branch, samples=None):
    """Weighted; of the source with the true depth, of the target with the predicted one."""
    classes, depth = low['seg'].argmax(1), low['depth'].detach()[:, 0]
    if branch == 'source':
        depth = on_grid(stack(samples, 'gt_depth_map'))
        if head.get('reading') != 'paper':
            depth = depth * (on_grid(stack(samples, 'gt_sem_seg')) == classes)
    density = plain_density(classes, depth)
    if branch == 'target':
        density[depth <= 0] = 0
    weight = head['loss_weights'][branch]['density']
    return weight * plain_berhu(low['density'], density[:, None])


class Plain:
    """Backbone module, parameters of everything else by name, and the two optimizers."""

    def __init__(self, model, head, auxiliary, alignments):
        self.heads = dict(decode_head=head) | (dict(auxiliary_head=auxiliary) if auxiliary else {})
        self.alignments = alignments
        self.backbone = copy.deepcopy(model.backbone)
        self.p = {
            name.removeprefix('discriminators.'): value.detach().clone().requires_grad_()
            for name, value in model.named_parameters()
            if not name.startswith('backbone.')
        }
        self.in_discriminators = {n for n in self.p if n.split('.')[0] in alignments}
        segmentor = [v for n, v in self.p.items() if n not in self.in_discriminators]
        segmentor += [v for v in self.backbone.parameters() if v.requires_grad]
        self.segmentor = torch.optim.SGD(
            segmentor, LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY
        )
        self.discriminator = torch.optim.Adam(
            [self.p[n] for n in self.in_discriminators], DISCRIMINATOR_RATE, BETAS
        )

    def predict(self, images):
        features = self.backbone(images)
        return {
            prefix: plain_head(features, self.p, prefix, head)
            for prefix, head in self.heads.items()
        }

    def maps(self, predictions):
        return {
            name: aligned(one['space'], predictions[one['head']])
            for name, one in self.alignments.items()
        }

    def step(self, batch):
        log = {}
        label = stack(batch['source'], 'gt_sem_seg')[:, 0]
        on_source = self.predict(normalized(batch['source']))
        for prefix, name, weight in (('decode_head', '', 1.0), ('auxiliary_head', 'aux.', 0.1)):
            if prefix in on_source:
                own = self.heads[prefix].get('loss_decode', {}).get('class_weight')
                log[f'source.{name}loss_seg'] = weight * F.cross_entropy(
                    enlarge(on_source[prefix]['seg']),
                    label,
                    own and label.new_tensor(own, dtype=torch.float64),
                    ignore_index=IGNORE,
                )
        head, low = self.heads['decode_head'], on_source['decode_head']
        if 'depth' in low:
            truth = stack(batch['source'], 'gt_depth_map')
            valid = truth > 0
            log['source.loss_depth'] = 0.01 * plain_berhu(
                enlarge(low['depth'])[valid], truth[valid]
            )
        if 'density' in low:
            log['source.loss_density'] = density_loss(head, low, 'source', batch['source'])
        on_target = self.predict(normalized(batch['target']))
        if 'density' in low:
            log['target.loss_density'] = density_loss(head, on_target['decode_head'], 'target')
        target_maps, source_maps = self.maps(on_target), self.maps(on_source)
        for name, one in target_maps.items():
            log[f'target.loss_adversarial_{name}'] = self.alignments[name][
                'adversarial_weight'
            ] * binary_cross_entropy(plain_discriminator(one, self.p, name), label=0)
        total = sum(log.values())
        parameters = self.segmentor.param_groups[0]['params']
        gradients = torch.autograd.grad(total, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient

        losses = {}
        for name, one in self.alignments.items():
            for domain, maps, truth in (('source', source_maps, 0), ('target', target_maps, 1)):
                logits = plain_discriminator(maps[name].detach(), self.p, name)
                losses[f'discriminator.loss_{name}_{domain}'] = one[
                    'discriminator_weight'
                ] * binary_cross_entropy(logits, truth)
                right = (logits > 0) == bool(truth)
                log[f'discriminator.acc_{name}_{domain}'] = 100 * right.double().mean()
        parameters = self.discriminator.param_groups[0]['params']
        gradients = torch.autograd.grad(sum(losses.values()), parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.segmentor.step()
        self.discriminator.step()
        return log | losses | dict(loss=total)

    def named_parameters(self):
        for name, value in self.p.items():
            yield ('discriminators.' if name in self.in_discriminators else '') + name, value
        for name, value in self.backbone.named_parameters():
            yield f'backbone.{name}', value


# -- the comparison --------------------------------------------------------------------------------


def gradients_at_step(model, optim_wrapper):
    """Filled with all gradients by name whenever an optimizer is about to step."""
    seen = {}

    def remember(*_):
        for name, parameter in model.named_parameters():
            if parameter.grad is not None:
                seen[name] = parameter.grad.clone()

    for wrapper in optim_wrapper.values():
        wrapper.optimizer.register_step_pre_hook(remember)
    return seen


@pytest.mark.parametrize('case', CASES)
def test_three_iterations_equal_a_second_implementation(case):
    init_default_scope('mmseg')
    model = build(*CASES[case])
    plain = Plain(model, *CASES[case])
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    optim_wrapper = build_optim_wrapper(
        model,
        dict(
            constructor='PartsOptimWrapperConstructor',
            segmentor=dict(
                optimizer=dict(
                    type='SGD', lr=LEARNING_RATE, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
                )
            ),
            discriminator=dict(optimizer=dict(type='Adam', lr=DISCRIMINATOR_RATE, betas=BETAS)),
        ),
    )
    gradients = gradients_at_step(model, optim_wrapper)
    for step in range(ITERATIONS):
        gradients.clear()
        expected_log = plain.step(draw_batch(step))
        log = model.train_step(draw_batch(step), optim_wrapper)

        comparable = {name: value for name, value in log.items() if 'acc_seg' not in name}
        assert comparable.keys() == expected_log.keys()
        for name, value in comparable.items():
            assert float(value) == pytest.approx(float(expected_log[name]), rel=1e-9), name
        for name, parameter in plain.named_parameters():
            if parameter.grad is not None:
                scale = parameter.grad.abs().max()
                assert scale > 0, name
                difference = (gradients[name] - parameter.grad).abs().max()
                assert difference <= 1e-8 * scale, name
        state = dict(plain.named_parameters())
        assert state.keys() == start.keys()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter, state[name], rtol=1e-8, atol=1e-10)
    unmoved = {
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and torch.equal(parameter, start[name])
    }
    assert not unmoved
