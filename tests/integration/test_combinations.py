# Licensed under the Apache License 2.0, see LICENSE.
"""Combinations of pieces, three iterations each, against a second, plain implementation in float64.

The second one shares the backbone alone. It writes heads, discriminators, teacher, mixes and losses
out by functions, takes the gradient of all losses of the segmentor at once, and updates with the
optimizers of PyTorch. Each combination is a config, no edit of the package.
"""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import nn

from mmseg_depthuda.engine.hooks import SelfTrainingHook
from mmseg_depthuda.models.decode_heads import SegWeightMixin
from mmseg_depthuda.models.decode_heads.head_contract import Predictions
from mmseg_depthuda.models.discriminators import Space
from mmseg_depthuda.registry import SPACES, TASKS
from mmseg_depthuda.structures import DenseTask
from tests.models.pair_training import Pairs, make_runner
from tests.models.plain_layers import aspp, pointwise, trunk
from tests.models.tiny_segmentor import (
    IGNORE,
    MEAN,
    NUM_CLASSES,
    STD,
    enlarge_classifiers,
    head_config,
    segmentor_config,
)

ITERATIONS, SIZE, RATE, MOMENTUM = 3, (32, 64), 0.01, 0.9
ALPHA, THRESHOLD, CLASSES, BLOCK = 0.6, 0.6, (1, 3), 16
ADVERSARIAL = 0.1


# -- what a user would write -----------------------------------------------------------------------


def mix(**options):
    return dict(type='ClassMix', classes=list(CLASSES), augment=False) | options


def mask(**options):
    return dict(type='MaskImage', block_size=BLOCK, ratio=0.5, augment=False) | options


def self_training(**branches):
    return dict(
        type='SelfTrainingHook',
        teacher=dict(type='TeacherEMA', alpha=ALPHA),
        pseudo_labels=dict(type='ConfidentShare', threshold=THRESHOLD),
        branches=branches,
    )


def alignments(space):
    discriminator = dict(type='FCNDiscriminator', base_channels=4)
    return dict(main=dict(space=space, adversarial_weight=ADVERSARIAL, discriminator=discriminator))


@TASKS.register_module(name='brightness')
class BrightnessTask(DenseTask):
    """A toy task: one map beside the classes."""

    prediction_field = 'pred_brightness'


@SPACES.register_module(name='brightness')
class BrightnessSpace(Space):
    """A toy space: the toy task's prediction, squared."""

    tasks = ('brightness',)

    def channels(self, head):
        return 1

    def __call__(self, predictions):
        return predictions['brightness'] ** 2


@MODELS.register_module()
class BrightnessHead(SegWeightMixin, BaseDecodeHead):
    """A toy head of two tasks: 1x1 convolutions."""

    tasks, predicted_tasks = ('seg', 'brightness'), ('brightness',)

    def __init__(self, **kwargs):
        super().__init__(channels=kwargs['in_channels'], dropout_ratio=0, **kwargs)
        self.conv_seg = nn.Conv2d(self.in_channels, self.num_classes, 1)
        self.brightness = nn.Conv2d(self.in_channels, 1, 1)

    def forward(self, inputs, tasks=None, domain=None):
        features = self._transform_inputs(inputs)
        if tasks is None:
            return self.conv_seg(features)
        all_tasks: Predictions = dict(
            seg=self.conv_seg(features), brightness=self.brightness(features)
        )
        return {task: all_tasks[task] for task in tasks}

    def loss_and_predict(self, inputs, data_samples, train_cfg, tasks=()):
        size = data_samples[0].gt_sem_seg.shape
        found = self(inputs, tasks=('seg', 'brightness'))
        found = {k: F.interpolate(v, size, mode='bilinear') for k, v in found.items()}
        losses = self.loss_by_feat(found['seg'], data_samples)
        losses['loss_brightness'] = ((found['brightness'] - 1) ** 2).mean()
        return losses, {task: found[task] for task in tasks}


DEEPLAB = head_config('DeepLabV2Head')
CORDA = head_config('CorDAHead')
BRIGHT = dict(
    type='BrightnessHead',
    in_channels=64,
    in_index=3,
    num_classes=NUM_CLASSES,
    align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss', loss_name='loss_seg', avg_non_ignore=True),
)
ADVERSARIAL_MODEL, INFORMATION = 'AdversarialSegmentor', 'self_information'
# name -> model, hooks, further domains
COMBINATIONS = {
    'labelled target images': (
        dict(decode_head=DEEPLAB),
        [self_training(mixed=mix())],
        dict(target_labelled={}),
    ),
    'DACS and MinEnt': (
        dict(decode_head=DEEPLAB, type='MinEntSegmentor', entropy_weight=0.1),
        [self_training(mixed=mix())],
        {},
    ),
    'self-training and discriminators': (
        dict(
            decode_head=DEEPLAB, type=ADVERSARIAL_MODEL, alignments=alignments('self_information')
        ),
        [self_training(mixed=mix())],
        {},
    ),
    'CorDA and discriminators': (
        dict(decode_head=CORDA, type=ADVERSARIAL_MODEL, alignments=alignments('depth_aware')),
        [],
        {},
    ),
    'two branches of one target': (
        dict(decode_head=DEEPLAB),
        [self_training(mixed=mix(), masked=mask())],
        {},
    ),
    'a task and a space of a user': (
        dict(decode_head=BRIGHT, type=ADVERSARIAL_MODEL, alignments=alignments('brightness')),
        [],
        {},
    ),
}


# -- the package -----------------------------------------------------------------------------------


class Domains(Pairs):
    """Pairs with further domains, all held in memory."""

    def __init__(self, further):
        options = dict(size=SIZE)
        super().__init__(source=options, target=options)
        self.options |= {name: options | own for name, own in further.items()}


class Seed(Hook):
    """Seeds each iteration, and keeps its batch before any other hook changes it."""

    priority = 'VERY_HIGH'

    def __init__(self):
        self.batches, self.logs, self.teacher = [], [], None

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        torch.manual_seed(runner.iter)
        self.batches.append(copy.deepcopy(data_batch))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.logs.append({name: float(value) for name, value in outputs.items()})


def optim_wrapper(model):
    segmentor = dict(optimizer=dict(type='SGD', lr=RATE, momentum=MOMENTUM))
    if model.get('type') != ADVERSARIAL_MODEL:
        return segmentor
    return dict(
        constructor='PartsOptimWrapperConstructor',
        segmentor=segmentor,
        discriminator=dict(optimizer=dict(type='SGD', lr=RATE, momentum=MOMENTUM)),
    )


def build(options):
    torch.manual_seed(5)
    preprocessor = dict(type='UDADataPreProcessor', mean=MEAN, std=STD, size=SIZE)
    model = MODELS.build(
        ConfigDict(segmentor_config(**options) | dict(data_preprocessor=preprocessor))
    )
    model.init_weights()
    enlarge_classifiers(model)
    return model.double().train()


# -- the second implementation ---------------------------------------------------------------------


def normalized(branch):
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (MEAN, STD))
    return (torch.stack(branch['inputs']).double() - mean) / std


def stack(branch, name):
    return torch.stack([sample.get(name).data for sample in branch['data_samples']])


def berhu(prediction, target):
    error = (prediction - target)[target > 0].abs()
    c = 0.2 * error.detach().max()
    return torch.where(error <= c, error, (error**2 + c**2) / (2 * c)).mean()


def information(logits):
    p = logits.softmax(1)
    return -p * torch.log2(p) / math.log2(NUM_CLASSES)


def discriminate(x, p):
    for index in (0, 2, 4, 6, 8):
        if index:
            x = F.leaky_relu(x, 0.2)
        weight, bias = (p[f'discriminators.main.layers.{index}.{k}'] for k in ('weight', 'bias'))
        x = F.conv2d(x, weight, bias, stride=2, padding=1)
    return x


def bce(logits, label):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


class Network:
    """Backbone module and the other parameters by name."""

    def __init__(self, model, head):
        self.kind, self.backbone = head['type'], copy.deepcopy(model.backbone)
        self.p = {
            name: value.detach().clone().requires_grad_()
            for name, value in model.named_parameters()
            if not name.startswith('backbone.')
        }

    def predict(self, images, domain='source'):
        """Upsampled predictions by name."""
        x, p, h = self.backbone(images)[3], self.p, 'decode_head'
        if self.kind == 'DeepLabV2Head':
            low = dict(seg=aspp(x, p, f'{h}.classifier', 4))
        elif self.kind == 'BrightnessHead':
            low = {k: pointwise(x, p, f'{h}.{k}') for k in ('conv_seg', 'brightness')}
            low['seg'] = low.pop('conv_seg')
        else:
            low = self._corda(x, domain)
        align = self.kind != 'BrightnessHead'
        return {
            k: F.interpolate(v, SIZE, mode='bilinear', align_corners=align) for k, v in low.items()
        }

    def _corda(self, x, domain):
        p, h = self.p, 'decode_head'
        seg, depth = trunk(x, p, f'{h}.seg_trunk'), trunk(x, p, f'{h}.depth_trunk')

        def attend(features, name):
            conv, attention = (
                F.conv2d(features, p[f'{h}.{name}.{part}.weight'], padding=1)
                for part in ('conv', 'attention')
            )
            return conv * attention.sigmoid()

        distilled = depth + attend(seg, 'depth_from_seg')
        return dict(
            seg=aspp(seg + attend(depth, 'seg_from_depth'), p, f'{h}.final_seg', 2),
            initial_seg=aspp(x, p, f'{h}.initial_seg', 2),
            depth=aspp(distilled, p, f'{h}.final_depth.{domain}', 2),
            initial_depth=pointwise(depth, p, f'{h}.initial_depth.{domain}'),
        )

    def parameters(self, discriminators=False):
        own = [v for k, v in self.p.items() if k.startswith('discriminators') == discriminators]
        backbone = [v for v in self.backbone.parameters() if v.requires_grad]
        return own if discriminators else own + backbone

    def tensors(self):
        return self.p | {f'backbone.{k}': v for k, v in self.backbone.named_parameters()}


class Plain:
    def __init__(self, model, options, hooks):
        self.options = options
        self.student = Network(model, options['decode_head'])
        self.branches = hooks[0]['branches'] if hooks else {}
        self.teacher = Network(model, options['decode_head']) if hooks else None
        self.steps = 0
        self.adversarial = options.get('type') == ADVERSARIAL_MODEL
        sgd = dict(lr=RATE, momentum=MOMENTUM)
        self.optimizer = torch.optim.SGD(self.student.parameters(), **sgd)
        if self.adversarial:
            self.space = options['alignments']['main']['space']
            self.other = torch.optim.SGD(self.student.parameters(discriminators=True), **sgd)

    def supervised(self, name, branch):
        found = self.student.predict(normalized(branch))
        label = stack(branch, 'gt_sem_seg')[:, 0]
        losses = {
            f'loss_{k}': F.cross_entropy(found[k], label, ignore_index=IGNORE)
            for k in ('seg', 'initial_seg')
            if k in found
        }
        for key in ('depth', 'initial_depth'):
            if key in found:
                losses[f'loss_{key}'] = 0.01 * berhu(found[key], stack(branch, 'gt_depth_map'))
        if 'brightness' in found:
            losses['loss_brightness'] = ((found['brightness'] - 1) ** 2).mean()
        return {f'{name}.{k}': v for k, v in losses.items()}, found

    def weighted(self, name, images, label, weight):
        logits = self.student.predict(images)['seg']
        cross_entropy = F.cross_entropy(logits, label, ignore_index=IGNORE, reduction='none')
        # MMSeg casts weights to float32.
        return {f'{name}.loss_seg': (cross_entropy * weight.float()).mean()}

    def aligned(self, found):
        if self.space == 'brightness':
            return found['brightness'] ** 2
        maps = information(found['seg'])
        return maps * found['depth'] if self.space == 'depth_aware' else maps

    def made(self, batch):
        """Images, labels and weights of the made branches, in their order."""
        images = normalized(batch['target'])
        with torch.no_grad():
            probability = self.teacher.predict(images)['seg'].softmax(1)
        confidence, label = probability.max(1)
        share = (confidence >= THRESHOLD).double().mean()
        assert 0 < share < 1
        made = {}
        for name, maker in self.branches.items():
            if maker['type'] == 'ClassMix':
                own = stack(batch['source'], 'gt_sem_seg')
                pasted = sum(own == c for c in CLASSES).bool()
                made[name] = (
                    torch.where(pasted, normalized(batch['source']), images),
                    torch.where(pasted, own, label[:, None])[:, 0],
                    torch.where(pasted[:, 0], 1.0, share),
                )
            else:
                cells = torch.rand(len(images), 1, SIZE[0] // BLOCK, SIZE[1] // BLOCK) > 0.5
                kept = cells.repeat_interleave(BLOCK, 2).repeat_interleave(BLOCK, 3)
                made[name] = images * kept, label, share.expand(label.shape)
        return made

    def step(self, batch, seed):
        torch.manual_seed(seed)
        made = self.made(batch) if self.branches else {}
        losses, maps = {}, {}
        for name, branch in batch.items():
            if name != 'target':
                own, found = self.supervised(name, branch)
                losses |= own
                if name == 'source':
                    maps['source'] = found
            elif self.options.get('type') == 'MinEntSegmentor':
                logits = self.student.predict(normalized(branch))['seg']
                losses['target.loss_entropy'] = 0.1 * information(logits).sum(1).mean()
            elif self.adversarial:
                maps['target'] = self.student.predict(normalized(branch), 'target')
                decision = discriminate(self.aligned(maps['target']), self.student.p)
                losses['target.loss_adversarial_main'] = ADVERSARIAL * bce(decision, 0.0)
        for name, (images, label, weight) in made.items():
            losses |= self.weighted(name, images, label, weight)
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        self.optimizer.step()
        log = {k: v.item() for k, v in losses.items()} | {'loss': sum(losses.values()).item()}
        if self.adversarial:
            log |= self.discriminators(maps)
        if self.teacher:
            alpha = min(1 - 1 / (self.steps + 1), ALPHA)
            for averaged, own in zip(
                self.teacher.tensors().values(), self.student.tensors().values(), strict=True
            ):
                averaged.data.mul_(alpha).add_((1 - alpha) * own.data)
        self.steps += 1
        return log

    def discriminators(self, maps):
        self.other.zero_grad()
        losses = {}
        for label, domain in enumerate(('source', 'target')):
            decision = discriminate(self.aligned(maps[domain]).detach(), self.student.p)
            losses[f'discriminator.loss_main_{domain}'] = bce(decision, float(label))
        sum(losses.values()).backward()
        self.other.step()
        return {k: v.item() for k, v in losses.items()}


@pytest.mark.parametrize('name', COMBINATIONS)
def test_three_iterations(name, tmp_path):
    options, hooks, further = copy.deepcopy(COMBINATIONS[name])
    model, seed = build(options), Seed()
    plain = Plain(model, options, hooks)
    runner = make_runner(
        tmp_path,
        'run',
        [seed, dict(type='TrainingCheckHook'), *hooks],
        ITERATIONS,
        Domains(further),
        model,
        optim_wrapper=optim_wrapper(options),
    )
    start = {k: v.detach().clone() for k, v in plain.student.tensors().items()}
    runner.train()
    for iteration in range(ITERATIONS):
        expected = plain.step(seed.batches[iteration], iteration)
        found = {k: v for k, v in seed.logs[iteration].items() if 'acc' not in k}
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            assert value > 0
            assert found[key] == pytest.approx(value, rel=1e-7), key
    trained = dict(runner.model.named_parameters())
    for key, value in plain.student.tensors().items():
        torch.testing.assert_close(trained[key].data, value.data, rtol=1e-6, atol=1e-9)
    assert any(
        (value - start[k]).abs().max() > 1e-6 for k, value in plain.student.tensors().items()
    )
    if hooks:
        (hook,) = (h for h in runner.hooks if isinstance(h, SelfTrainingHook))
        averaged = dict(hook.teacher.named_parameters())
        for key, value in plain.teacher.tensors().items():
            torch.testing.assert_close(averaged[key].data, value.data, rtol=1e-6, atol=1e-9)


def test_the_users_task_is_predicted():
    model = build(COMBINATIONS['a task and a space of a user'][0]).eval()
    batch = Domains({})[0]['target']
    batch = dict(inputs=[batch['inputs']], data_samples=[batch['data_samples']])
    with torch.no_grad():
        (result,) = model.val_step(copy.deepcopy(batch))
        low = model.decode_head.brightness(model.backbone(normalized(batch))[3])
    expected = F.interpolate(low, SIZE, mode='bilinear')[0]
    assert model.out_channels == NUM_CLASSES + 1
    torch.testing.assert_close(result.pred_brightness.data, expected)
    assert result.seg_logits.data.shape == (NUM_CLASSES, *SIZE)
