# Licensed under the Apache License 2.0, see LICENSE.
"""Depth from video as a task, with online depth: two processes under gloo against one.

Started as a script it is one of the two processes: ``test_multi_task_distributed.py FOLDER``.
"""

import sys

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope, init_default_scope
from mmseg.registry import MODEL_WRAPPERS
from torch import nn

from mmseg_depthuda.engine.self_training import DepthMix
from mmseg_depthuda.structures import pack_pixel_data
from tests.gloo import RANKS, gloo_rank, run_ranks
from tests.models.tiny_multi_task import CLASSES, SIZE, build_multi_task, make_multi_task_batch

STEPS = 2


def make_model():
    model = build_multi_task()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # the samples of a batch do not affect each other
            module.eval()
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def make_batch(step, rank):
    batch = make_multi_task_batch(10 * step + rank)
    generator = torch.Generator().manual_seed(10 * step + rank)
    for sample in batch['labelled']['data_samples']:
        sample.gt_sem_seg.data[:, : 3 + 8 * rank] = 255
    for sample in batch['target']['data_samples']:  # as a teacher would
        confidence = torch.rand((1, 1, *SIZE), dtype=torch.float64, generator=generator)
        label = torch.randint(CLASSES, (1, 1, *SIZE), generator=generator)
        trust = torch.ones_like(confidence)
        pack_pixel_data(
            [sample],
            dict(
                pseudo_label=label, pseudo_trust=trust, pseudo_confidence=confidence ** (1 + rank)
            ),
        )
    return batch


def merged(batches):
    """Images of the processes in turn: so image k and its partner k + N / 2 are of one process."""
    return {
        branch: {
            key: [x for one in zip(*(b[branch][key] for b in batches), strict=True) for x in one]
            for key in ('inputs', 'data_samples')
        }
        for branch in batches[0]
    }


def train(model, step_of, wrapped=None):
    """Losses and gradients of every step."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    gradients, shares, logs = [], [], []
    optimizer.register_step_pre_hook(
        lambda *_: gradients.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
    )
    mix = DepthMix(
        paste='target',
        onto='target',
        depth='online_disparity',
        augment=False,
        confidence_threshold=0.5,
    )
    for step in range(STEPS):
        data = model.data_preprocessor(step_of(step), training=True)
        model.run_ahead(dict(target=data['target']))
        data['mixed'] = mix('mixed', data, model.data_preprocessor)
        masks = torch.stack([s.mix_mask.data for s in data['mixed']['data_samples']])
        shares.append(masks.double().mean().item())
        logs.append((wrapped or model).train_step(data, OptimWrapper(optimizer)))
    return dict(
        gradients=gradients,
        shares=shares,
        losses=[log['loss'] for log in logs],
        parameters={n: p.detach() for n, p in model.named_parameters()},
    )


def run_rank(folder):
    init_default_scope('mmseg')
    torch.randn_like = torch.zeros_like  # the noise that breaks ties
    with gloo_rank(folder) as rank:
        model = make_model()
        config = dict(type='UDADistributedDataParallel', find_unused_parameters=True)
        wrapped = MODEL_WRAPPERS.build(dict(config, module=model, broadcast_buffers=False))
        result = train(model, lambda step: make_batch(step, rank), wrapped)
        torch.save(result, f'{folder}/{rank}.pt')


def test_two_ranks_are_one_process_with_twice_the_batch(tmp_path, monkeypatch):
    run_ranks(__file__, tmp_path)
    ranks = [torch.load(tmp_path / f'{rank}.pt') for rank in range(RANKS)]
    monkeypatch.setattr(torch, 'randn_like', torch.zeros_like)
    with DefaultScope.overwrite_default_scope('mmseg'):
        one = train(make_model(), lambda step: merged([make_batch(step, r) for r in range(RANKS)]))
    a, b = (rank['parameters'] for rank in ranks)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert len(ranks[0]['gradients']) == len(one['gradients']) == STEPS
    for actual, expected in zip(ranks[0]['gradients'], one['gradients'], strict=True):
        assert actual.keys() == expected.keys()
        for name, gradient in expected.items():
            error = (actual[name] - gradient).abs().max()
            assert error <= 1e-6 * gradient.abs().max() + 1e-15, name
    parts = {name.split('.')[0] for name in one['gradients'][0]}
    assert parts == {'backbone', 'decode_head', 'pose_net'}
    assert all(0.1 < share < 0.9 for share in one['shares'])


if __name__ == '__main__':
    run_rank(sys.argv[1])
