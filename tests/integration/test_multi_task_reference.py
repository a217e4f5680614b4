# Licensed under the Apache License 2.0, see LICENSE.
"""Semi-supervised iterations with depth from video against a second, plain implementation.

The second one shares the layers of the network, and the plain view synthesis of
test_depth_reference.py. It computes everything in one graph and makes the step by hand.
"""

import copy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmseg_depthuda.engine.self_training import branch_makers
from tests.integration.test_depth_reference import (
    difference,
    motion_of,
    roughness,
    warped,
)
from tests.models.tiny_multi_task import (
    IGNORE,
    MEAN,
    SIZE,
    STD,
    build_multi_task,
    make_multi_task_batch,
)

BASE = Path(__file__).parents[2] / 'configs/_base_'
HOOKS = Config.fromfile(BASE / 'semi_supervised_hooks.py')
SCHEDULE = Config.fromfile(BASE / 'schedules/semi_supervised_40k_multi_task.py')
ITERATIONS = 2
FIRST = HOOKS.self_training.teacher.get('first_iteration', 0)  # number of the first one
THRESHOLD = 0.968
NOISE = 3000.0


def noise_like(maps):
    """The same numbers at every call; a tenth or so after the factor of the tie-breaking noise."""
    generator = torch.Generator().manual_seed(maps.numel())
    return NOISE * torch.randn(maps.shape, dtype=torch.float64, generator=generator)


class FixedDropout(nn.Dropout):
    """Drops every other channel, and so is seen wherever it is left out."""

    def forward(self, x):
        kept = torch.arange(x.shape[1], device=x.device) % 2 == 0
        return x * (2 * kept.to(x).view(-1, 1, 1)) if self.training else x


def fixed_augmentation(images, *args, **kwargs):
    return 0.7 * images + 0.3 * images.flip(1)


def make_model():
    model = build_multi_task()
    for decoder in (model.decode_head.seg_decoder, model.decode_head.depth_decoder):
        decoder.before[0].project[-1] = FixedDropout(0.5)
    model.decode_head.classifier.weight.data *= 60  # else no pixel would be confident
    return model


# -- the plain implementation ----------------------------------------------------------------------


def network(model, images):
    """Final and side logits, and disparities from fine to coarse, of RGB images in 0..1."""
    head = model.decode_head
    features = model.backbone((255 * images - MEAN) / STD)
    seg = head.seg_decoder.decode(features, (4, 3, 2))
    depth = head.depth_decoder.decode(features, (4, 3, 2))
    s, d = seg[2], depth[2]

    def gated(module, x):
        return module.conv(x) * torch.sigmoid(module.attention(x))

    late_seg = head.seg_decoder.decode(features, (1, 0), s + gated(head.seg_from_depth, d))
    late_depth = head.depth_decoder.decode(features, (1, 0), d + gated(head.depth_from_seg, s))
    disparities = head.depth_decoder.disparities(depth | late_depth)
    return head.classifier(late_seg[0]), head.side_classifier(s), disparities


def photometric(model, disparities, domain):
    """With the smoothness; of frames in RGB, 0..1."""
    frame, before, after, cameras = (domain[key] for key in ('frame', 'before', 'after', 'camera'))
    views = [(255 * view - MEAN) / STD for view in (frame, before, after)]
    # One batch of pairs: BatchNorm sees both.
    earlier, later = torch.cat([views[1], views[0]]), torch.cat([views[0], views[2]])
    to_frame, to_after = motion_of(model.pose_net, earlier, later).chunk(2)
    motions = torch.linalg.inv(to_frame), to_after
    total = 0
    noise = noise_like(torch.empty(2, len(frame), 1, *SIZE))
    for scale, disparity in enumerate(disparities):
        full = F.interpolate(disparity, SIZE, mode='bilinear', align_corners=False)[:, 0]
        depths = 1 / (1 / 100 + (1 / 0.1 - 1 / 100) * full)
        for n in range(len(frame)):
            sources = before[n], after[n]
            maps = [
                difference(warped(source, depths[n], motion[n], cameras[n]), frame[n])
                for source, motion in zip(sources, motions, strict=True)
            ]
            maps += [
                difference(source, frame[n]) + 1e-5 * noise[i, n, 0]
                for i, source in enumerate(sources)
            ]
            small = F.avg_pool2d(frame[n], 2**scale) if scale else frame[n]
            smooth = 1e-3 / 2**scale * roughness(disparity[n, 0], small)
            total = total + torch.stack(maps).amin(0).mean() + smooth
    return total / (len(disparities) * len(frame))


def cross_entropy(logits, label):
    logits = F.interpolate(logits, SIZE, mode='bilinear', align_corners=True)
    return F.cross_entropy(logits, label, ignore_index=IGNORE, reduction='none')


def plain_loss(student, teacher, batch):
    labelled, target = batch['labelled'], batch['target']
    final, side, disparities = network(student, labelled['frame'])
    known = (labelled['label'] != IGNORE).sum()
    loss = sum(cross_entropy(x, labelled['label']).sum() / known for x in (final, side)) / 2
    parts = dict(labelled=photometric(student, disparities, labelled))
    _, _, disparities = network(student, target['frame'])
    parts['target'] = photometric(student, disparities, target)
    with torch.no_grad():
        probability = network(teacher, target['frame'])[0].softmax(1)
    depth = disparities[0].detach()
    low, high = (f(depth, (1, 2, 3), keepdim=True) for f in (torch.amin, torch.amax))
    depth = (depth - low) / (high - low)
    image = (255 * target['frame'] - MEAN) / STD
    pairs = []
    for i, j in ((0, 1), (1, 0)):
        mask = depth[i] >= depth[j] - 0.03
        pairs.append([mask * x[i] + ~mask * x[j] for x in (image, probability)])
    mixed, probability = (torch.stack(x) for x in zip(*pairs, strict=True))
    confidence, label = probability.max(1)
    share = (confidence >= THRESHOLD).double().mean()
    mixed = fixed_augmentation(mixed)
    logits = network(student, (mixed * STD + MEAN) / 255)[0]
    # MMSeg rounds weights to float32.
    parts['mixed'] = share.float().double() * cross_entropy(logits, label).mean()
    return loss + sum(parts.values()), share.item(), mask.double().mean().item()


def plain_batch(batch):
    """RGB in 0..1."""
    found = {}
    for domain, branch in batch.items():
        samples = branch['data_samples']
        views = torch.stack([s.source_views.data for s in samples]).double().flip(1) / 255
        found[domain] = dict(
            frame=torch.stack(branch['inputs']).double().flip(1) / 255,
            after=views[:, :3],
            before=views[:, 3:],
            camera=torch.stack([torch.tensor(s.camera_matrix) for s in samples]),
        )
        if domain == 'labelled':
            found[domain]['label'] = torch.stack([s.gt_sem_seg.data[0] for s in samples])
    return found


def train_plainly(model, batches):
    student, teacher = model.train(), copy.deepcopy(model).train()
    rates = {
        name: 1e-6 if name.startswith('pose_net') else 1e-3 if name.startswith('backbone') else 1e-2
        for name, p in student.named_parameters()
        if p.requires_grad
    }
    trained = {n: p for n, p in student.named_parameters() if n in rates}
    momenta = {name: torch.zeros_like(p) for name, p in trained.items()}
    details = []
    for t, batch in enumerate(batches, start=1):
        loss, *shares = plain_loss(student, teacher, plain_batch(batch))
        gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
        assert not [n for n, g in zip(trained, gradients, strict=True) if g is None]
        norm = sum((g**2).sum() for g in gradients).sqrt()
        details.append((loss.item(), *shares, norm.item()))
        with torch.no_grad():
            for (name, p), gradient in zip(trained.items(), gradients, strict=True):
                gradient = gradient * min(1, 10 / (norm + 1e-6))
                momenta[name].mul_(0.9).add_(gradient + 5e-4 * p)
                p -= rates[name] * momenta[name]
            alpha = min(1 - 1 / (t + FIRST), 0.99)
            for (name, mean), p in zip(
                teacher.named_parameters(), student.parameters(), strict=True
            ):
                if not name.startswith('pose_net'):
                    mean.mul_(alpha).add_((1 - alpha) * p)
    return student, teacher, details


# -- the package -----------------------------------------------------------------------------------


class Recorder(Hook):
    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append(float(outputs['loss']))


def train_package(model, batches, work_dir, **optim_wrapper):
    maker = dict(HOOKS.depthmix_within, depth='online_disparity', normalize=True)
    recorder = Recorder()
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=DataLoader(batches, batch_size=None, collate_fn=lambda x: x),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=len(batches)),
        optim_wrapper=dict(SCHEDULE.optim_wrapper, **optim_wrapper),
        default_hooks=dict(checkpoint=None, logger=None, timer=None, sampler_seed=None),
        custom_hooks=[dict(HOOKS.self_training, branches=dict(mixed=maker)), recorder],
        default_scope='mmseg',
        experiment_name=work_dir.name,
        log_level='ERROR',
    )
    (training,) = (h for h in runner.hooks if hasattr(h, 'makers'))
    runner.train()
    return recorder.losses, training.ema_model.module


def assert_same_changes(actual, expected, start, tolerance=1e-6):
    """The *change* of every parameter agrees, which is stricter than its value."""
    for (name, a), b, s in zip(
        actual.named_parameters(), expected.parameters(), start.parameters(), strict=True
    ):
        assert (a - b).norm() <= tolerance * (b - s).norm() + 1e-13, name


def test_two_iterations(tmp_path, monkeypatch):
    monkeypatch.setattr(branch_makers, 'strong_augmentation', fixed_augmentation)
    monkeypatch.setattr(torch, 'randn_like', noise_like)
    batches, model = [make_multi_task_batch(seed) for seed in range(ITERATIONS)], make_model()
    # The preprocessor of the package normalizes in float32.
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    start = copy.deepcopy(model)
    student, teacher, details = train_plainly(copy.deepcopy(model), batches)
    losses, package_teacher = train_package(model, copy.deepcopy(batches), tmp_path)
    expected, shares, pasted, norms = zip(*details, strict=True)
    assert losses == pytest.approx(expected, rel=1e-9)
    assert_same_changes(model, student, start)
    assert_same_changes(package_teacher, teacher, start)
    # The comparison means something only if each mechanism has an effect.
    assert all(0 < share < 1 for share in (*shares, *pasted))
    assert any(norm > 10 for norm in norms)
    for (name, a), b in zip(
        package_teacher.pose_net.named_parameters(), start.pose_net.parameters(), strict=True
    ):
        assert torch.equal(a, b), name
    assert not torch.equal(model.pose_net.pose[-1].bias, start.pose_net.pose[-1].bias)
