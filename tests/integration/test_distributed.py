# Licensed under the Apache License 2.0, see LICENSE.
"""Two processes under gloo against one process without any wrapper, with the images of both."""

import logging
import sys
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmseg.registry import MODEL_WRAPPERS
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from mmseg_depthuda.adaptation.pseudo_labels import confident_share
from mmseg_depthuda.engine.hooks import InvalidLossError, InvalidLossHook
from tests.gloo import RANKS, gloo_rank, run_ranks
from tests.models.tiny_segmentor import (
    IGNORE,
    head_config,
    make_branch,
    make_mixed,
    tiny_segmentor,
)

STEPS = 2
LEARNING_RATE, MOMENTUM = 0.1, 0.9

# What is trained: the head, and the options of source and mixed branch. The ranks differ in the
# number of labeled pixels and of pixels with depth; BatchNorm layers use stored
# statistics: the samples of a batch do not affect each other.
CASES = {
    'corda': (head_config(), {}, {}),
    'corda, difficulty per image': (head_config(difficulty_per_image=True), {}, {}),
    'corda of the paper': (head_config(difficulty='paper', num_summed=4), {}, {}),
    'corda, initial convolution': (head_config(initial_seg='conv', difficulty=None), {}, {}),
    # The source's depth decoder gets a gradient in the first branch alone, and is not used in the
    # branch that synchronizes.
    'corda without target depth': (head_config(), {}, dict(depth=False)),
    'corda accumulating': (head_config(), {}, {}),
    'simple aux': (head_config('SimpleAuxHead', channels=16), {}, {}),
    'dacs': (head_config('DeepLabV2Head', num_summed=2), {}, {}),
}
# By step: the rank without a pixel with depth, and the rank without a labeled pixel.
WITHOUT_DEPTH, WITHOUT_LABEL = {0: 1, 1: None}, {0: None, 1: 0}


def accumulative_counts(case):
    return 2 if case == 'corda accumulating' else 1


def make_model(case):
    model = tiny_segmentor(CASES[case][0])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def make_batch(case, step, rank):
    _, source_options, mixed_options = CASES[case]
    seed = 100 * step + 10 * rank
    batch = dict(
        source=make_branch(seed, **source_options), mixed=make_mixed(seed + 1, **mixed_options)
    )
    for branch in batch.values():
        for index, sample in enumerate(branch['data_samples']):
            rows = 3 + 6 * rank + index
            sample.gt_sem_seg.data[:, :rows] = IGNORE
            if rank == WITHOUT_LABEL[step]:
                sample.gt_sem_seg.data[:] = IGNORE
            if 'gt_depth_map' in sample:
                sample.gt_depth_map.data[:, rows:] *= 1 + rank  # the largest error differs, too
                sample.gt_depth_map.data[:, -rows:] = 0
                if rank == WITHOUT_DEPTH[step]:
                    sample.gt_depth_map.data[:] = 0
    return batch


def merged(batches):
    """One batch of the samples of all ranks."""
    source = [batch['source'] for batch in batches]
    mixed = [batch['mixed'] for batch in batches]
    return dict(
        source=dict(
            inputs=sum((branch['inputs'] for branch in source), []),
            data_samples=sum((branch['data_samples'] for branch in source), []),
        ),
        mixed=dict(
            inputs=torch.cat([branch['inputs'] for branch in mixed]),
            data_samples=sum((branch['data_samples'] for branch in mixed), []),
        ),
    )


def make_optim_wrapper(case, model):
    """The wrapper, and the gradients of every step it is going to take."""
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=LEARNING_RATE, momentum=MOMENTUM
    )
    steps = []
    optimizer.register_step_pre_hook(
        lambda *_: steps.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
    )
    return OptimWrapper(optimizer, accumulative_counts=accumulative_counts(case)), steps


# -- in each of the processes ----------------------------------------------------------------------


def train_on_rank(case, rank):
    """Gradients of every step, and which branch was forwarded when a bucket was exchanged."""
    model = make_model(case)
    wrapped = MODEL_WRAPPERS.build(
        dict(
            type='UDADistributedDataParallel',
            module=model,
            find_unused_parameters=True,
            broadcast_buffers=False,
        )
    )
    forwarded, exchanged = [], []
    model.register_forward_pre_hook(
        lambda module, args, kwargs: forwarded.append(kwargs['data_samples'][0].metainfo['branch']),
        with_kwargs=True,
    )

    def exchange(state, bucket):
        exchanged.append((step, forwarded[-1], bucket.index()))
        return allreduce_hook(state, bucket)

    wrapped.register_comm_hook(None, exchange)
    optim_wrapper, gradients = make_optim_wrapper(case, model)
    for step in range(STEPS):
        wrapped.train_step(make_batch(case, step, rank), optim_wrapper)
    return dict(
        gradients=gradients,
        parameters=dict(model.named_parameters()),
        exchanged=exchanged,
        forwarded=forwarded,
    )


def confidence_on_rank(rank):
    """Of rank 0 eight pixels count and two are confident, of rank 1 two count and one is."""
    confidence = torch.tensor([[[0.99, 0.98, *[0.5] * 6], [0.99, 0.5, *[0.99] * 6]][rank]])
    valid = torch.arange(8).view(1, 8) < [8, 2][rank]
    return confident_share(confidence[None], valid=valid[None]).item()


def stop_on_rank(folder, rank):
    """Message of the error; only the loss of rank 1 is bad."""
    batch = dict(source=make_branch(rank, name=f'rank{rank}'))
    runner = SimpleNamespace(
        iter=6,
        work_dir=folder,
        message_hub=MessageHub.get_instance('stop'),
        optim_wrapper=SimpleNamespace(get_lr=lambda: dict(lr=[0.5])),
        logger=logging.getLogger('stop'),
    )
    loss = torch.tensor([1.0, float('nan')][rank])
    hook = InvalidLossHook()
    hook.after_train_iter(runner, 5, batch, dict(loss=torch.tensor(1.0)))
    with pytest.raises(InvalidLossError) as error:
        hook.after_train_iter(runner, 6, batch, {'loss': loss, 'source.loss_seg': loss})
    return str(error.value)


def run_rank(folder):
    init_default_scope('mmseg')
    with gloo_rank(folder) as rank:
        results = {case: train_on_rank(case, rank) for case in CASES}
        results.update(share=confidence_on_rank(rank), message=stop_on_rank(folder, rank))
        torch.save(results, f'{folder}/rank{rank}.pt')


# -- in the test -----------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('gloo')
    run_ranks(__file__, folder)
    return [torch.load(folder / f'rank{rank}.pt') for rank in range(RANKS)]


@pytest.mark.parametrize('case', CASES)
def test_both_ranks_hold_the_same_parameters(ranks, case):
    a, b = (rank[case]['parameters'] for rank in ranks)
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize('case', CASES)
def test_two_ranks_are_one_process_with_twice_the_batch(ranks, case):
    model = make_model(case)
    optim_wrapper, steps = make_optim_wrapper(case, model)
    for step in range(STEPS):
        batches = [make_batch(case, step, rank) for rank in range(RANKS)]
        model.train_step(merged(batches), optim_wrapper)
    assert len(ranks[0][case]['gradients']) == len(steps) == STEPS // accumulative_counts(case)
    for actual, expected in zip(ranks[0][case]['gradients'], steps, strict=True):
        assert actual.keys() == expected.keys()
        for name, gradient in expected.items():
            error = (actual[name] - gradient).abs().max()
            assert error <= 1e-5 * gradient.abs().max(), name
    uses_target_depth = 'decode_head.final_depth.target.conv2d_list.0.weight' in steps[0]
    assert uses_target_depth == (case.startswith('corda') and 'without' not in case)


@pytest.mark.parametrize('case', CASES)
def test_gradients_are_exchanged_once_per_step_and_after_the_last_branch(ranks, case):
    for rank in ranks:
        assert rank[case]['forwarded'] == ['source', 'mixed'] * STEPS
        exchanged = rank[case]['exchanged']
        assert exchanged
        assert {domain for _, domain, _ in exchanged} == {'mixed'}
        assert len(set(exchanged)) == len(exchanged)  # no bucket twice in a step
        steps = {STEPS - 1} if accumulative_counts(case) > 1 else set(range(STEPS))
        assert {step for step, _, _ in exchanged} == steps


def test_share_of_confident_pixels_is_that_of_both_ranks(ranks):
    assert [rank['share'] for rank in ranks] == [pytest.approx((2 + 1) / (8 + 2))] * RANKS


def test_a_bad_loss_on_one_rank_stops_both(ranks):
    for rank in ranks:
        assert 'The loss of iteration 7 is not finite: source.loss_seg = nan' in rank['message']
        assert "(rank 1, images ['rank1_0.png', 'rank1_1.png'])" in rank['message']
        assert 'rank0' not in rank['message']


if __name__ == '__main__':
    run_rank(sys.argv[1])
