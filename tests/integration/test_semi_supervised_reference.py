# Licensed under the Apache License 2.0, see LICENSE.
"""Training with some labels against a second, plain implementation, and in two processes.

Started as a script it is one of the two processes: ``test_semi_supervised_reference.py FOLDER``.
"""

import copy
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.dist import is_distributed
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.utils.data import DataLoader

import mmseg_depthuda  # noqa: F401
from mmseg_depthuda.engine.self_training import branch_makers, class_samplers
from mmseg_depthuda.models.wrappers import UDADistributedDataParallel
from tests.gloo import RANKS, gloo_rank, run_ranks

BASE = Path(__file__).parents[2] / 'configs/_base_'
SCHEDULE = Config.fromfile(BASE / 'schedules/semi_supervised_40k.py')
HOOKS = Config.fromfile(BASE / 'semi_supervised_hooks.py')
ITERATIONS = 4  # the learning rate falls before the last one
NUM_CLASSES, IGNORE, SIZE = 5, 255, (32, 64)

# Branches that are made; whether labels of the mixed stream are used; whether there is a source.
SETTINGS = {
    'ema': (dict(mixed=HOOKS.whole_images), False, False),
    'classmix': (dict(mixed=HOOKS.classmix_within), False, False),
    'classmix, true labels': (dict(mixed=HOOKS.classmix_within), True, False),
    'depthmix, true labels': (dict(mixed=HOOKS.depthmix_within), True, False),
    'depthmix across': (dict(mixed=HOOKS.depthmix_across), True, True),
    'classmix across': (dict(mixed=HOOKS.classmix_across), True, True),
    'depthmix across and within': (
        dict(mixed=HOOKS.depthmix_across, within=HOOKS.depthmix_within),
        True,
        True,
    ),
}
MARGINS = (0.03, -0.03)  # the signs that are drawn across domains


# -- what is random, fixed -------------------------------------------------------------------------


class FixedDropout(nn.Dropout):
    """Drops every other channel, and so is seen wherever it is left out."""

    def forward(self, x):
        kept = torch.arange(x.shape[1], device=x.device) % 2 == 0
        return x * (2 * kept.to(x).view(-1, 1, 1)) if self.training else x


def lower_half(label, round_up):
    """Of each image the half of the classes with the lower numbers."""
    found = [one.unique() for one in label]  # sorted
    return [one[: (len(one) + round_up) // 2] for one in found]


def fixed_augmentation(images, *args, **kwargs):
    return 0.7 * images + 0.3 * images.flip(1)


def fixed_margins(images, margin, flip):
    margins = torch.tensor(MARGINS if flip else (margin, margin), dtype=torch.float64)
    return margins.repeat_interleave(images // 2).view(-1, 1, 1, 1)


def fix_draws(monkeypatch):
    monkeypatch.setattr(branch_makers, 'strong_augmentation', fixed_augmentation)
    monkeypatch.setattr(branch_makers, 'draw_margins', fixed_margins)
    monkeypatch.setattr(class_samplers, 'draw_half_of_classes', lower_half)


def draw_batches(images=2):
    """Labels in blobs, some ignored, and depth in 0..1. Of each two mixed images one is labeled."""
    generator = torch.Generator().manual_seed(3)
    batches = []
    for _ in range(ITERATIONS):
        batch = {}
        for domain in ('labelled', 'source', 'target'):
            coarse = torch.randint(0, NUM_CLASSES + 1, (images, 1, 4, 8), generator=generator)
            label = F.interpolate(coarse.double(), SIZE)[:, 0].long()
            label[label == NUM_CLASSES] = IGNORE
            depth = torch.rand((images, 1, 4, 8), dtype=torch.float64, generator=generator)
            image = torch.rand((images, 3, *SIZE), dtype=torch.float64, generator=generator)
            depth = F.interpolate(depth.clamp(min=0.01), SIZE, mode='bilinear')
            batch[domain] = dict(
                image=4 * (image - 0.5) + F.interpolate(coarse.double(), SIZE) - 2,
                label=label,
                depth=depth,
                is_labeled=torch.arange(images) < images // 2,
            )
        batches.append(batch)
    return batches


def build_model(unlabelled=('target',)):
    torch.manual_seed(5)
    model = MODELS.build(
        dict(
            type='UDASegmentor',
            data_preprocessor=dict(type='UDADataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3),
            unlabelled=list(unlabelled),
            backbone=dict(
                type='ResNetWithStem',
                depth=18,
                base_channels=8,
                stem_channels=8,
                strides=(1, 2, 2, 1),
                dilations=(1, 1, 1, 2),
                contract_dilation=True,
                zero_init_residual=False,
            ),
            decode_head=dict(
                type='UNetSegHead',
                in_channels=[8, 8, 16, 32, 64],
                channels=[8, 8, 8, 16, 16],
                aspp_dilations=[1, 2],
                num_classes=NUM_CLASSES,
            ),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
    )
    model.init_weights()
    aspp = model.decode_head.decoder.before[0]
    aspp.project[-1] = FixedDropout(0.5)
    model.decode_head.classifier[0].weight.data *= 60  # else no pixel would be confident
    return model.double()


# -- the plain implementation ----------------------------------------------------------------------


def cross_entropy(network, image, label):
    """Of every pixel, 0 where it is ignored."""
    logits = network.decode_head(network.backbone(image))
    return F.cross_entropy(logits, label, ignore_index=IGNORE, reduction='none')


def plain_iteration(student, teacher, batch, branches, true_labels, has_source):
    """The loss of one iteration, and the shares of confident pixels."""
    loss, shares = 0, []
    for domain in ('labelled', 'source') if has_source else ('labelled',):
        image, label = batch[domain]['image'], batch[domain]['label']
        loss = loss + cross_entropy(student, image, label).sum() / (label != IGNORE).sum()
    target = batch['target']
    image, depth = target['image'], target['depth']
    with torch.no_grad():
        probability = teacher.decode_head(teacher.backbone(image)).softmax(1)
    if true_labels:
        one_hot = F.one_hot(target['label'].clamp(max=NUM_CLASSES), NUM_CLASSES + 1)
        one_hot = one_hot[..., :NUM_CLASSES].movedim(-1, 1).double()  # all 0 where ignored
        probability[target['is_labeled']] = one_hot[target['is_labeled']]
    for name in branches:
        maker = branches[name]
        if maker['type'] == 'MaskImage':  # a mask of ones
            mixed, mixed_probability = image, probability
        elif maker['paste'] == 'target':
            pairs = []
            for i, j in ((0, 1), (1, 0)):
                if maker['type'] == 'DepthMix':
                    mask = (depth[i] >= depth[j] - 0.03) & (depth[i] >= 0)
                else:
                    classes = probability[i].argmax(0)
                    (half,) = lower_half(classes[None], round_up=False)
                    mask = torch.isin(classes, half)[None]
                pairs.append([mask * x[i] + ~mask * x[j] for x in (image, probability)])
            mixed, mixed_probability = (torch.stack(x) for x in zip(*pairs, strict=True))
        else:
            source = batch['source']
            label = probability.argmax(1)
            label[probability.amax(1) == 0] = IGNORE
            if maker['type'] == 'DepthMix':
                margin = torch.tensor(MARGINS).double().view(2, 1, 1, 1)
                mask = source['depth'] >= depth - margin
            else:
                halves = lower_half(source['label'], round_up=True)
                pairs = zip(source['label'], halves, strict=True)
                mask = torch.stack([torch.isin(one, half)[None] for one, half in pairs])
            share = (probability.amax(1) >= 0.968).double().mean()
            shares.append(share.item())
            mixed = torch.where(mask, source['image'], image)
            label = torch.where(mask[:, 0], source['label'], label)
            weight = torch.where(mask[:, 0], 1.0, share.float().double())
            losses = cross_entropy(student, fixed_augmentation(mixed), label)
            loss = loss + (weight * losses).mean()
            continue
        label = mixed_probability.argmax(1)
        label[mixed_probability.amax(1) == 0] = IGNORE
        share = (mixed_probability.amax(1) >= 0.968).double().mean()
        shares.append(share.item())
        # MMSeg rounds weights to float32.
        losses = cross_entropy(student, fixed_augmentation(mixed), label)
        loss = loss + share.float().double() * losses.mean()
    return loss, shares


def train_plainly(model, batches, *setting):
    student, teacher = model.train(), copy.deepcopy(model).train()
    encoder = {id(p) for p in student.backbone.parameters()}
    trained = [p for p in student.parameters() if p.requires_grad]
    momenta = [torch.zeros_like(p) for p in trained]
    details = []
    for t, batch in enumerate(batches, start=1):
        loss, shares = plain_iteration(student, teacher, batch, *setting)
        gradients = torch.autograd.grad(loss, trained)
        norm = sum((g**2).sum() for g in gradients).sqrt()
        details.append(dict(loss=loss.item(), shares=shares, norm=norm.item()))
        falls = 0.1 if t > 0.75 * ITERATIONS else 1
        with torch.no_grad():
            for p, gradient, momentum in zip(trained, gradients, momenta, strict=True):
                gradient = gradient * min(1, 10 / (norm + 1e-6))
                momentum.mul_(0.9).add_(gradient + 5e-4 * p)
                p -= falls * (1e-3 if id(p) in encoder else 1e-2) * momentum
            alpha = min(1 - 1 / (t + 1), 0.99)
            for mean, p in zip(teacher.parameters(), student.parameters(), strict=True):
                mean.mul_(alpha).add_((1 - alpha) * p)
    return student, teacher, details


# -- the package -----------------------------------------------------------------------------------


def runner_batch(batch, has_source, true_labels):
    found = {}
    for domain, maps in batch.items():
        if domain == 'source' and not has_source:
            continue
        samples = []
        for index in range(len(maps['image'])):
            metainfo = dict(branch=domain, domain=domain, img_shape=SIZE, img_path=f'{index}.png')
            sample = SegDataSample(metainfo=metainfo)
            if domain != 'target' or (true_labels and maps['is_labeled'][index]):
                sample.gt_sem_seg = PixelData(data=maps['label'][index][None])
            if domain != 'labelled':
                sample.gt_depth_map = PixelData(data=maps['depth'][index])
            samples.append(sample)
        found[domain] = dict(inputs=maps['image'].clone(), data_samples=samples)
    return found


class Recorder(Hook):
    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(float(outputs['loss']))


def train_package(model, batches, setting, work_dir):
    branches, true_labels, has_source = setting
    trained = ['labelled', *branches] + ['source'] * has_source
    model.decode_head.loss_weights = {branch: dict(seg=1.0) for branch in trained}
    hook = dict(HOOKS.self_training, branches=branches)
    if true_labels:
        hook |= HOOKS.true_labels
    if is_distributed():
        model = UDADistributedDataParallel(model, find_unused_parameters=True)
    recorder = Recorder()
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=DataLoader(
            [runner_batch(batch, has_source, true_labels) for batch in batches],
            batch_size=None,
            collate_fn=lambda x: x,
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=ITERATIONS),
        optim_wrapper=SCHEDULE.optim_wrapper,
        param_scheduler=SCHEDULE.param_scheduler,
        default_hooks=dict(checkpoint=None, logger=None, timer=None, sampler_seed=None),
        custom_hooks=[dict(type='ScheduleHook'), hook, recorder],
        default_scope='mmseg',
        experiment_name=work_dir.name,
        log_level='ERROR',
    )
    (training,) = (h for h in runner.hooks if hasattr(h, 'makers'))
    runner.train()
    return recorder.losses, training.ema_model.module


def assert_same_changes(actual, expected, start, tolerance=1e-8):
    """The *change* of every parameter agrees, which is stricter than its value."""
    moved = 0
    for (name, a), b, s in zip(
        actual.named_parameters(), expected.parameters(), start.parameters(), strict=True
    ):
        change = (b - s).norm()
        assert (a - b).norm() <= tolerance * change + 1e-13, name
        moved += bool(change > 0)
    assert moved > 60


@pytest.mark.parametrize('name', SETTINGS)
def test_iterations(name, tmp_path, monkeypatch):
    fix_draws(monkeypatch)
    setting = SETTINGS[name]
    batches, model = draw_batches(), build_model()
    start = copy.deepcopy(model)
    student, teacher, details = train_plainly(copy.deepcopy(model), batches, *setting)
    losses, package_teacher = train_package(model, batches, setting, tmp_path)
    assert losses == pytest.approx([one['loss'] for one in details], rel=1e-9)
    assert_same_changes(model, student, start)
    assert_same_changes(package_teacher, teacher, start)
    # The comparison means something only if each mechanism has an effect.
    assert all(0 < share < 1 for one in details for share in one['shares'])
    assert any(one['norm'] > 10 for one in details)


# -- two processes ---------------------------------------------------------------------------------

IN_TWO_PROCESSES = 'depthmix across and within'


def train_without_batch_statistics(batches, work_dir):
    """BatchNorm takes stored statistics, as the processes have other batches."""
    with pytest.MonkeyPatch.context() as patch:
        fix_draws(patch)
        patch.setattr(nn.BatchNorm2d, 'train', lambda self, mode=True: self)
        model = build_model()
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.training = False
        start = copy.deepcopy(model)
        losses, teacher = train_package(model, batches, SETTINGS[IN_TWO_PROCESSES], work_dir)
    return start, model, teacher, losses


def train_on_rank(folder):
    init_default_scope('mmseg')
    with gloo_rank(folder) as rank:
        batches = [
            {n: {k: v[rank::RANKS] for k, v in maps.items()} for n, maps in batch.items()}
            for batch in draw_batches(2 * RANKS)
        ]
        _, model, teacher, losses = train_without_batch_statistics(batches, folder / f'run_{rank}')
        states = [network.state_dict() for network in (model, teacher)]
        torch.save(dict(states=states, losses=losses), folder / f'rank_{rank}.pth')


@pytest.mark.slow  # starts two processes
def test_two_processes_are_one(tmp_path):
    start, model, teacher, losses = train_without_batch_statistics(
        draw_batches(2 * RANKS), tmp_path / 'one'
    )
    run_ranks(__file__, tmp_path)
    ranks = [torch.load(tmp_path / f'rank_{rank}.pth') for rank in range(RANKS)]
    for found in ranks:
        for network, state in zip((model, teacher), found['states'], strict=True):
            loaded = copy.deepcopy(start)
            loaded.load_state_dict(state)
            assert_same_changes(loaded, network, start)
    mean = [sum(pair) / RANKS for pair in zip(*(found['losses'] for found in ranks), strict=True)]
    assert losses == pytest.approx(mean, rel=1e-9)


if __name__ == '__main__':
    train_on_rank(Path(sys.argv[1]))
