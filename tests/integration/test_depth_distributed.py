# Licensed under the Apache License 2.0, see LICENSE.
"""Self-supervised depth by two processes under gloo against one, with the frames of both."""

import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope, init_default_scope
from mmseg.registry import MODEL_WRAPPERS
from torch import nn

from tests.gloo import RANKS, gloo_rank, run_ranks
from tests.models.tiny_depth import ENCODER, build, make_batch

STEPS = 2
REPOSITORY = Path(__file__).parents[2]
FROZEN = dict(type='ResNetWithStem', **ENCODER, frozen_stages=4, norm_eval=True)

# Arguments of the model and of the batches. BatchNorm layers use stored statistics: the
# samples of a batch do not affect each other.
CASES = {
    'video': (dict(), dict()),
    'video, right image': (dict(), dict(stereo=True)),
    'right image alone': (dict(pose_net=None), dict(offsets=(), stereo=True)),
    'frozen encoder': (dict(backbone=FROZEN), dict()),
    'feature distance': (dict(feature_distance_weight=0.01), dict()),
    'accumulating': (dict(), dict()),
}


def make_model(case, folder):
    options = dict(CASES[case][0])
    if case == 'feature distance':
        checkpoint = f'{folder}/encoder.pth'
        options['backbone'] = dict(
            type='ResNetWithStem',
            **ENCODER,
            init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
        )
    model = build(**options)
    if case == 'feature distance':  # where it is 0, it has no gradient
        model.backbone.load_state_dict(build(seed=1).backbone.state_dict())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return model


def make_optim_wrapper(case, model):
    """The wrapper, and the gradients of every step it is going to take."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    steps = []
    optimizer.register_step_pre_hook(
        lambda *_: steps.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
    )
    return OptimWrapper(optimizer, accumulative_counts=1 + (case == 'accumulating')), steps


def rank_batch(case, step, rank):
    return make_batch(**CASES[case][1], seed=10 * step + rank)


# -- in each of the processes ----------------------------------------------------------------------


def train_on_rank(case, rank, folder):
    model = make_model(case, folder)
    cfg = Config.fromfile(REPOSITORY / 'configs/monodepth2/monodepth2_r18_street_world.py')
    wrapped = MODEL_WRAPPERS.build(dict(cfg.model_wrapper_cfg, module=model))
    optim_wrapper, gradients = make_optim_wrapper(case, model)
    for step in range(STEPS):
        wrapped.train_step(rank_batch(case, step, rank), optim_wrapper)
    return dict(
        gradients=gradients, parameters={n: p.detach() for n, p in model.named_parameters()}
    )


def run_rank(folder):
    init_default_scope('mmseg')
    torch.randn_like = torch.zeros_like  # the noise that breaks ties
    with gloo_rank(folder) as rank:
        torch.save(
            {case: train_on_rank(case, rank, folder) for case in CASES}, f'{folder}/{rank}.pt'
        )


# -- in the test -----------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('gloo')
    with DefaultScope.overwrite_default_scope('mmseg'):
        torch.save(build().backbone.state_dict(), folder / 'encoder.pth')
    return folder


@pytest.fixture(scope='module')
def ranks(folder):
    run_ranks(__file__, folder)
    return [torch.load(folder / f'{rank}.pt') for rank in range(RANKS)]


@pytest.mark.parametrize('case', CASES)
def test_two_ranks_are_one_process_with_twice_the_batch(ranks, folder, case, monkeypatch):
    monkeypatch.setattr(torch, 'randn_like', torch.zeros_like)
    a, b = (rank[case]['parameters'] for rank in ranks)
    assert all(torch.equal(a[name], b[name]) for name in a)
    model = make_model(case, folder)
    optim_wrapper, steps = make_optim_wrapper(case, model)
    for step in range(STEPS):
        halves = [rank_batch(case, step, rank) for rank in range(RANKS)]
        model.train_step(
            {key: sum((h[key] for h in halves), []) for key in halves[0]}, optim_wrapper
        )
    assert len(ranks[0][case]['gradients']) == len(steps) == STEPS - (case == 'accumulating')
    for actual, expected in zip(ranks[0][case]['gradients'], steps, strict=True):
        assert actual.keys() == expected.keys()
        for name, gradient in expected.items():
            error = (actual[name] - gradient).abs().max()
            assert error <= 1e-4 * gradient.abs().max(), name
    parts = {name.split('.')[0] for name in steps[0]}
    assert ('backbone' in parts) == (case != 'frozen encoder')
    assert ('pose_net' in parts) == (case != 'right image alone')
    assert 'pretrained_encoder' not in parts


if __name__ == '__main__':
    run_rank(sys.argv[1])
