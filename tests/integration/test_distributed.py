# Licensed under the Apache License 2.0, see LICENSE.
"""Two processes under gloo against one process without any wrapper."""

import copy
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmseg.registry import MODEL_WRAPPERS
from torch import distributed, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from tests.models.tiny_segmentor import (
    IGNORE,
    head_config,
    make_branch,
    make_mixed,
    tiny_segmentor,
)

RANKS, STEPS = 2, 2
LEARNING_RATE, MOMENTUM = 0.1, 0.9
REPOSITORY = Path(__file__).parents[2]

# What is trained: the head, and the options of source and mixed branch.
CASES = {
    'corda': (head_config(), {}, {}),
    # The source's depth decoder gets a gradient in the first branch alone, and is not used in the
    # branch that synchronises.
    'corda without target depth': (head_config(), {}, dict(depth=False)),
    'corda accumulating': (head_config(), {}, {}),
    'deeplab': (head_config('DeepLabV2Head', num_summed=2), {}, {}),
}


def accumulative_counts(case):
    return 2 if case == 'corda accumulating' else 1


def make_model(case):
    model = tiny_segmentor(CASES[case][0])
    if case == 'deeplab':
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
    if case == 'deeplab':
        for branch in batch.values():
            for sample in branch['data_samples']:
                label = sample.gt_sem_seg.data
                label[label == IGNORE] = 0
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


def make_optimizer(model):
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(parameters, lr=LEARNING_RATE, momentum=MOMENTUM)


# -- in each of the processes ----------------------------------------------------------------------


def train_on_rank(case, rank):
    """Parameters after every step, and which branch was forwarded when a bucket was exchanged."""
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
        lambda module, args, kwargs: forwarded.append(kwargs['data_samples'][0].metainfo['domain']),
        with_kwargs=True,
    )

    def exchange(state, bucket):
        exchanged.append((step, forwarded[-1], bucket.index()))
        return allreduce_hook(state, bucket)

    wrapped.register_comm_hook(None, exchange)
    optim_wrapper = OptimWrapper(
        make_optimizer(model), accumulative_counts=accumulative_counts(case)
    )
    history = []
    for step in range(STEPS):
        wrapped.train_step(make_batch(case, step, rank), optim_wrapper)
        history.append({name: p.detach().clone() for name, p in model.named_parameters()})
    return dict(history=history, exchanged=exchanged, forwarded=forwarded)


def run_rank(folder):
    init_default_scope('mmseg')
    rank = int(os.environ['RANK'])
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(seconds=60),
    )
    results = {case: train_on_rank(case, rank) for case in CASES}
    torch.save(results, f'{folder}/rank{rank}.pt')
    distributed.barrier()
    distributed.destroy_process_group()


# -- in the test -----------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp('gloo')
    path = os.pathsep.join([str(REPOSITORY), os.environ.get('PYTHONPATH', '')])
    processes = [
        subprocess.Popen(
            [sys.executable, '-W', 'ignore', __file__, str(folder)],
            env=dict(os.environ, RANK=str(rank), PYTHONPATH=path, OMP_NUM_THREADS='1'),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(RANKS)
    ]
    try:
        outputs = [process.communicate(timeout=180)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]
    return [torch.load(folder / f'rank{rank}.pt') for rank in range(RANKS)]


def gradients(model, batch):
    """Gradients of all losses of a batch in one graph of a model without a wrapper, by name."""
    model = copy.deepcopy(model)
    model.zero_grad()
    batch = model.data_preprocessor(batch, training=True)
    for branch in batch.values():
        losses = model.loss(**branch)
        sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def mean_gradients(model, case, step):
    """Mean over the ranks; a parameter that no rank uses has none."""
    per_rank = [gradients(model, make_batch(case, step, rank)) for rank in range(RANKS)]
    assert len({frozenset(g) for g in per_rank}) == 1
    return {name: sum(g[name] for g in per_rank) / RANKS for name in per_rank[0]}


def assert_close(actual, expected):
    for name, parameter in expected.items():
        torch.testing.assert_close(actual[name], parameter, rtol=1e-6, atol=1e-9, msg=name)


@pytest.mark.parametrize('case', CASES)
def test_both_ranks_hold_the_same_parameters(ranks, case):
    for a, b in zip(*(rank[case]['history'] for rank in ranks), strict=True):
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize('case', ['corda', 'corda without target depth'])
def test_steps_along_the_mean_of_the_ranks_gradients(ranks, case):
    model = make_model(case)
    optimizer = make_optimizer(model)
    for step in range(STEPS):
        mean = mean_gradients(model, case, step)
        assert ('decode_head.final_depth.target.conv2d_list.0.weight' in mean) == (case == 'corda')
        assert mean['decode_head.final_depth.source.conv2d_list.0.weight'].any()
        for name, parameter in model.named_parameters():
            parameter.grad = mean.get(name)
        optimizer.step()
        assert_close(ranks[0][case]['history'][step], dict(model.named_parameters()))


def test_gradient_accumulation(ranks):
    case = 'corda accumulating'
    model = make_model(case)
    before, after = ranks[0][case]['history']
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    means = [mean_gradients(model, case, step) for step in range(STEPS)]
    for name, parameter in model.named_parameters():
        parameter.grad = (means[0][name] + means[1][name]) / 2 if name in means[0] else None
    make_optimizer(model).step()
    assert_close(after, dict(model.named_parameters()))


@pytest.mark.parametrize('case', CASES)
def test_gradients_are_exchanged_once_per_step_and_behind_the_last_branch(ranks, case):
    for rank in ranks:
        assert rank[case]['forwarded'] == ['source', 'mixed'] * STEPS
        exchanged = rank[case]['exchanged']
        assert exchanged
        assert {domain for _, domain, _ in exchanged} == {'mixed'}
        assert len(set(exchanged)) == len(exchanged)  # no bucket twice in a step
        steps = {STEPS - 1} if accumulative_counts(case) > 1 else set(range(STEPS))
        assert {step for step, _, _ in exchanged} == steps


def test_two_ranks_are_one_process_with_twice_the_batch(ranks):
    """Where samples do not meet in BatchNorm, and all pixels are labelled."""
    case = 'deeplab'
    model = make_model(case)
    optim_wrapper = OptimWrapper(make_optimizer(model))
    for step in range(STEPS):
        batch = merged([make_batch(case, step, rank) for rank in range(RANKS)])
        model.train_step(batch, optim_wrapper)
        assert_close(ranks[0][case]['history'][step], dict(model.named_parameters()))


if __name__ == '__main__':
    run_rank(sys.argv[1])
