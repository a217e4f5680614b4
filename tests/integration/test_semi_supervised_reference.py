# Licensed under the Apache License 2.0, see LICENSE.
"""Semi-supervised training, two iterations against a second, plain implementation in float64.

The second one shares the network alone. It writes the mixes, their weights, the losses, the clipped
step and the teacher out, as the release of Hoyer et al. (CVPR 2021, IJCV 2023) does.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmseg_depthuda.engine.hooks import SelfTrainingHook
from tests.integration.test_combinations import Domains, Seed, normalized, stack
from tests.models.pair_training import make_runner
from tests.models.tiny_segmentor import IGNORE, head_config, segmentor_config

SIZE, ITERATIONS, RATE, ALPHA, NORM = (32, 64), 2, 0.01, 0.6, 0.5
THRESHOLD, MARGIN = 0.55, 0.03
WITHIN = dict(paste='target', onto='target', confidence_threshold=THRESHOLD, augment=False)
ACROSS = dict(paste='source', onto='target', augment=False)


class Streams(Domains):
    """Of the two images to mix, one has labels."""

    def __getitem__(self, index):
        draw = super().__getitem__(index)
        if index % 2:
            del draw['target']['data_samples'].gt_sem_seg
        return draw


def disparity(branch):
    depth = stack(branch, 'gt_depth_map').clone()
    for one in depth:
        valid = one > 0
        one[valid] = (one[valid] - one[valid].min()) / (one[valid].max() - one[valid].min())
        one[~valid] = -1  # behind everything
    return depth


class Plain:
    def __init__(self, model, settings):
        self.student, self.teacher = model, copy.deepcopy(model)
        self.settings, self.steps = settings, 0
        options = dict(lr=RATE, momentum=0.9, weight_decay=5e-4)
        self.optimizer = torch.optim.SGD(model.parameters(), **options)

    def logits(self, network, images):
        low = network.decode_head(network.backbone(images))
        return F.interpolate(low, SIZE, mode='bilinear', align_corners=True)

    def pseudo_labels(self, branch):
        with torch.no_grad():
            probability = self.logits(self.teacher, normalized(branch)).softmax(1)
        for own, sample in zip(probability, branch['data_samples'], strict=True):
            if self.settings['true_labels'] and 'gt_sem_seg' in sample:
                label = sample.gt_sem_seg.data[0]
                known = label != IGNORE
                own[:] = 0  # the one-hot label; ignored pixels stay zero
                own.scatter_(0, torch.where(known, label, 0)[None], known[None].double())
        return probability

    def loss(self, images, label, weight):
        cross_entropy = F.cross_entropy(
            self.logits(self.student, images), label, ignore_index=IGNORE, reduction='none'
        )
        return (cross_entropy * weight.float()).mean()  # MMSeg casts weights to float32

    def within(self, branch, probability):
        """Probabilities are mixed, in both directions; q counts all pixels of the mix."""
        images, depth = normalized(branch), disparity(branch)
        other = [1, 0]
        mask = (depth >= depth[other] - MARGIN) & (depth >= 0)
        mixed = torch.where(mask, probability, probability[other])
        confidence, label = mixed.max(1)
        label[confidence == 0] = IGNORE
        q = (confidence >= THRESHOLD).double().mean()
        assert 0 < q < 1
        return torch.where(mask, images, images[other]), label, q.expand(label.shape)

    def across(self, source, target, probability):
        """Labels are mixed; q is of the unmixed target; source pixels weigh 1."""
        sign = 1 - 2 * (torch.rand(2, 1, 1, 1) < 0.5).double()
        depth = disparity(source)
        mask = (depth >= disparity(target) - MARGIN * sign) & (depth >= 0)
        confidence, label = probability.max(1)
        label[confidence == 0] = IGNORE
        q = (confidence >= THRESHOLD).double().mean()
        label = torch.where(mask, stack(source, 'gt_sem_seg'), label[:, None])[:, 0]
        weight = torch.where(mask[:, 0], 1.0, q)
        return torch.where(mask, normalized(source), normalized(target)), label, weight

    def step(self, batch, seed):
        torch.manual_seed(seed)
        probability = self.pseudo_labels(batch['target'])
        made = {}
        if 'source' in batch:
            made['across'] = self.across(batch['source'], batch['target'], probability)
        made['within'] = self.within(batch['target'], probability)
        losses = {}
        for name in ('source', 'labelled'):
            if name in batch:
                logits = self.logits(self.student, normalized(batch[name]))
                label = stack(batch[name], 'gt_sem_seg')[:, 0]
                losses[f'{name}.loss_seg'] = F.cross_entropy(logits, label, ignore_index=IGNORE)
        losses |= {f'{name}.loss_seg': self.loss(*mix) for name, mix in made.items()}
        self.optimizer.zero_grad()
        sum(losses.values()).backward()
        gradients = [p.grad for p in self.student.parameters() if p.grad is not None]
        norm = torch.stack([g.norm() for g in gradients]).norm()
        assert norm > NORM
        for gradient in gradients:
            gradient *= NORM / (norm + 1e-6)
        self.optimizer.step()
        alpha = min(1 - 1 / (self.steps + 1), ALPHA)
        for averaged, own in zip(self.teacher.parameters(), self.student.parameters(), strict=True):
            averaged.data = alpha * averaged.data + (1 - alpha) * own.data
        self.steps += 1
        return {k: v.item() for k, v in losses.items()} | {'loss': sum(losses.values()).item()}


def depthmix(**options):
    return dict(type='DepthMix', margin=MARGIN, **options)


SETTINGS = {
    'unlabelled images are mixed': dict(source=False, true_labels=False),
    'true labels in the mix': dict(source=False, true_labels=True),
    'semi-supervised domain adaptation': dict(source=True, true_labels=True),
}


@pytest.mark.parametrize('name', SETTINGS)
def test_two_iterations(name, tmp_path):
    settings = SETTINGS[name]
    branches = dict(across=depthmix(**ACROSS)) if settings['source'] else {}
    branches['within'] = depthmix(**WITHIN)
    torch.manual_seed(5)
    weights = {k: dict(seg=1.0) for k in ('labelled', 'source', *branches)}
    head = head_config('DeepLabV2Head', loss_weights=weights)
    model = MODELS.build(segmentor_config(decode_head=head))
    model.init_weights()
    for parameter in model.decode_head.parameters():
        parameter.data *= 60  # confident about some pixels
    model = model.double().train()
    plain, seed = Plain(copy.deepcopy(model), settings), Seed()
    dataset = Streams(dict(labelled={}))
    if not settings['source']:
        del dataset.options['source']
    hook = dict(
        type='SelfTrainingHook',
        teacher=dict(type='TeacherEMA', alpha=ALPHA, dropout=True),
        pseudo_labels=dict(
            type='ConfidentShare', threshold=THRESHOLD, true_labels=settings['true_labels']
        ),
        branches=branches,
    )
    runner = make_runner(
        tmp_path,
        'run',
        [seed, hook],
        ITERATIONS,
        dataset,
        model,
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=RATE, momentum=0.9, weight_decay=5e-4),
            clip_grad=dict(max_norm=NORM),
        ),
    )
    start = copy.deepcopy(dict(model.named_parameters()))
    runner.train()
    for iteration in range(ITERATIONS):
        expected = plain.step(seed.batches[iteration], iteration)
        found = {k: v for k, v in seed.logs[iteration].items() if k in expected}
        assert found == pytest.approx(expected, rel=1e-7)
    (hook,) = (h for h in runner.hooks if isinstance(h, SelfTrainingHook))
    pairs = [
        (dict(runner.model.named_parameters()), dict(plain.student.named_parameters())),
        (dict(hook.teacher.named_parameters()), dict(plain.teacher.named_parameters())),
    ]
    for found, wanted in pairs:
        for key, value in wanted.items():
            torch.testing.assert_close(found[key].data, value.data, rtol=1e-6, atol=1e-9)
    assert any((found[k] - start[k]).abs().max() > 1e-6 for k in start)
