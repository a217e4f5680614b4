# Licensed under the Apache License 2.0, see LICENSE.
"""Adversarial training by two processes under gloo against one, with the images of both."""

import sys
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmseg.registry import MODEL_WRAPPERS
from torch import distributed, nn

from mmseg_depthuda.engine.hooks import StrictLoadHook, TrainingCheckHook
from tests.gloo import RANKS, gloo_rank, run_ranks
from tests.models.adversarial_training import (
    ADVENT,
    AUXILIARY,
    DADA,
    RATE,
    SIZE,
    adversarial_segmentor,
    alignment,
    depth_distribution,
    make_batch,
    optimizers,
)
from tests.models.pair_training import Pairs, make_runner
from tests.models.tiny_segmentor import IGNORE, tiny_segmentor

STEPS = 2
BALANCED = dict(
    type='CrossEntropyLoss',
    loss_name='loss_seg',
    class_weight=[0.3, 5.8, 15.6, 0.9, 1.0],
    avg_non_ignore=True,
)
AUXILIARY_ALIGNMENT = alignment(head='auxiliary_head', adversarial_weight=0.1)

# Arguments of the segmentor. The ranks differ in the number of labeled pixels and of pixels with
# depth. BatchNorm layers use stored statistics: the samples of a batch do not affect each other.
CASES = {
    'advent': dict(),
    'advent, multi-level': dict(
        auxiliary_head=AUXILIARY,
        alignments=dict(main=alignment(discriminator_weight=0.5), aux=AUXILIARY_ALIGNMENT),
    ),
    # The target does not pass through the auxiliary head.
    'advent, auxiliary head on the source alone': dict(auxiliary_head=AUXILIARY),
    'advent, accumulating': dict(),
    'auxiliary head on the source alone, accumulating': dict(auxiliary_head=AUXILIARY),
    'dada': dict(decode_head=DADA, alignments=dict(main=alignment('depth_aware'))),
    # The classifier has a gradient of the source alone, and is not used in the exchange.
    'S4': dict(
        decode_head=DADA | dict(feature_fusion=False), alignments=dict(depth=alignment('depth'))
    ),
    'S6': dict(decode_head=DADA, alignments=dict(main=alignment(), depth=alignment('depth'))),
    'minent': dict(auxiliary_head=AUXILIARY),
    'depth distribution': dict(
        decode_head=depth_distribution(loss_decode=BALANCED),
        alignments=dict(main=alignment('density_aware')),
    ),
}


def accumulative_counts(case):
    return 2 if 'accumulating' in case else 1


def make_model(case):
    if case == 'minent':
        options = dict(entropy_weight=0.5, auxiliary_entropy_weight=0.25)
        model = tiny_segmentor(ADVENT, type='MinEntSegmentor', **CASES[case], **options)
    else:
        model = adversarial_segmentor(**CASES[case])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def make_rank_batch(step, rank):
    batch = make_batch(100 * step + 10 * rank)
    for index, sample in enumerate(batch['source']['data_samples']):
        rows = 3 + 6 * rank + index
        sample.gt_sem_seg.data[:, :rows] = IGNORE
        sample.gt_depth_map.data[:, rows:] *= 1 + rank  # the largest error differs, too
        sample.gt_depth_map.data[:, -rows:] = 0
        if (step, rank) == (1, 0):
            sample.gt_sem_seg.data[:] = IGNORE
    return batch


def merged(batches):
    """One batch of the samples of all ranks."""
    return {
        domain: {key: sum((b[domain][key] for b in batches), []) for key in batches[0][domain]}
        for domain in ('source', 'target')
    }


def plain(name):
    """Name of a parameter without those of the wrappers."""
    return name.removeprefix('module.').replace('.module.', '.')


def make_optim_wrapper(case, model):
    """The wrapper, and the gradients of every step that an optimizer is going to take."""
    if case == 'minent':
        trained = [p for p in model.parameters() if p.requires_grad]
        optim_wrapper = OptimWrapper(torch.optim.SGD(trained, lr=RATE))
        wrappers = dict(segmentor=optim_wrapper)
    else:
        optim_wrapper = optimizers(model, accumulative_counts=accumulative_counts(case))
        wrappers = dict(optim_wrapper.items())
    steps = []

    def remember(optimizer, *_):
        own = {p for group in optimizer.param_groups for p in group['params']}
        steps.append(
            {
                plain(name): p.grad.clone()
                for name, p in model.named_parameters()
                if p in own and p.grad is not None
            }
        )

    for wrapper in wrappers.values():
        wrapper.optimizer.register_step_pre_hook(remember)
    return optim_wrapper, steps


# -- in each of the processes ----------------------------------------------------------------------


def wrap(model):
    """Wrap as MMEngine's runner does, which names a CUDA device even without CUDA."""
    return MODEL_WRAPPERS.build(
        dict(
            type='UDADistributedDataParallel',
            module=model,
            device_ids=[0],
            find_unused_parameters=True,
            broadcast_buffers=False,
        )
    )


def train_on_rank(case, rank):
    model = make_model(case)
    wrapped = wrap(model)
    optim_wrapper, gradients = make_optim_wrapper(case, model)
    logs = [wrapped.train_step(make_rank_batch(step, rank), optim_wrapper) for step in range(STEPS)]
    return dict(
        gradients=gradients,
        parameters={plain(name): p.detach() for name, p in model.named_parameters()},
        logs=logs,
    )


def wrapped_dada(seed):
    return wrap(adversarial_segmentor(**CASES['dada'], seed=seed))


def run_on_rank(folder):
    """A run of MMEngine's, its checkpoint in a second run, and predictions of both."""
    data = Pairs(source=dict(size=SIZE), target=dict(size=SIZE, depth=False))
    options = dict(
        dataset=data,
        optim_wrapper=dict(
            constructor='PartsOptimWrapperConstructor',
            segmentor=dict(optimizer=dict(type='SGD', lr=RATE)),
            discriminator=dict(optimizer=dict(type='Adam', lr=1e-3)),
        ),
    )
    hooks = [StrictLoadHook(), TrainingCheckHook()]
    trained = make_runner(folder, 'run', hooks, STEPS, model=wrapped_dada(0), **options)
    trained.train()
    distributed.barrier()
    path = str(folder / 'run' / f'iter_{STEPS}.pth')
    loaded = make_runner(
        folder,
        'loaded',
        [StrictLoadHook()],
        STEPS,
        model=wrapped_dada(1),
        load_from=path,
        **options,
    )
    loaded.load_or_resume()
    results = {}
    for name, runner in (('trained', trained), ('loaded', loaded)):
        runner.model.eval()
        with torch.no_grad():
            samples = runner.model.val_step(make_batch(50)['target'])
        results[name] = dict(
            predictions=[(s.seg_logits.data, s.pred_depth_map.data) for s in samples],
            weights={plain(k): v for k, v in runner.model.state_dict().items()},
        )
    return results


def run_rank(folder):
    init_default_scope('mmseg')
    with gloo_rank(folder) as rank:
        results = {case: train_on_rank(case, rank) for case in CASES}
        results['run'] = run_on_rank(folder)
        torch.save(results, folder / f'rank{rank}.pt')


# -- in the test -----------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Where both processes have written their results."""
    folder = tmp_path_factory.mktemp('adversarial_gloo')
    run_ranks(__file__, folder)
    return folder


@pytest.fixture(scope='module')
def ranks(folder):
    return [torch.load(folder / f'rank{rank}.pt') for rank in range(RANKS)]


@pytest.mark.parametrize('case', CASES)
def test_both_ranks_hold_the_same_parameters(ranks, case):
    a, b = (rank[case]['parameters'] for rank in ranks)
    assert a.keys() == b.keys() and len(a) > 40
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize('case', CASES)
def test_two_ranks_are_one_process_with_twice_the_batch(ranks, case):
    model = make_model(case)
    optim_wrapper, steps = make_optim_wrapper(case, model)
    logs = [
        model.train_step(
            merged([make_rank_batch(step, rank) for rank in range(RANKS)]), optim_wrapper
        )
        for step in range(STEPS)
    ]
    optimizers_per_step = 1 if case == 'minent' else 2
    taken = optimizers_per_step * STEPS // accumulative_counts(case)
    assert len(ranks[0][case]['gradients']) == len(steps) == taken
    for actual, expected in zip(ranks[0][case]['gradients'], steps, strict=True):
        assert actual.keys() == expected.keys()
        for name, gradient in expected.items():
            error = (actual[name] - gradient).abs().max()
            assert error <= 1e-6 * gradient.abs().max(), name
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(
            ranks[0][case]['parameters'][name], parameter.data, rtol=1e-7, atol=1e-7
        )
    # Losses of the ranks are parts of one: their mean is that of all images.
    for step, log in enumerate(logs):
        for name in (name for name in log if 'loss' in name):
            mean = sum(float(rank[case]['logs'][step][name]) for rank in ranks) / RANKS
            assert mean == pytest.approx(float(log[name]), rel=1e-6), name


def test_the_checkpoint_knows_nothing_of_the_wrappers(folder, ranks):
    checkpoint = torch.load(folder / 'run' / f'iter_{STEPS}.pth', weights_only=False)
    model = adversarial_segmentor(**CASES['dada'], seed=1)
    assert checkpoint['state_dict'].keys() == model.state_dict().keys()
    assert set(checkpoint['optimizer']) == {'segmentor', 'discriminator'}
    for rank in ranks:
        for name, value in checkpoint['state_dict'].items():
            # Each rank has BatchNorm statistics of its own; those of the first one are stored.
            if 'running' not in name or rank is ranks[0]:
                assert torch.equal(rank['run']['trained']['weights'][name], value), name
            assert torch.equal(rank['run']['loaded']['weights'][name], value), name
    # Predictions of the wrapped model are those of the bare one.
    model.load_state_dict(checkpoint['state_dict'])
    model.eval()
    with torch.no_grad():
        samples = model.val_step(make_batch(50)['target'])
    for name in ('trained', 'loaded'):
        for sample, (seg, depth) in zip(samples, ranks[0]['run'][name]['predictions'], strict=True):
            torch.testing.assert_close(seg, sample.seg_logits.data)
            torch.testing.assert_close(depth, sample.pred_depth_map.data)


if __name__ == '__main__':
    run_rank(Path(sys.argv[1]))
