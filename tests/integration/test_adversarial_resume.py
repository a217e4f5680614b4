# Licensed under the Apache License 2.0, see LICENSE.
"""An adversarial run, or the self-training after it, that is stopped and resumed ends, bit by bit,
as an unbroken one."""

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook

from mmseg_depthuda.engine.hooks import (
    IterationSeedHook,
    PlainCheckpointHook,
    ResumeHook,
    ScheduleHook,
    StrictLoadHook,
    TrainingCheckHook,
)
from tests.models.adversarial_training import (
    ADVENT,
    AUXILIARY,
    DADA,
    PREPROCESSOR,
    SIZE,
    alignment,
    depth_distribution,
)
from tests.models.pair_training import Pairs, loader, make_runner
from tests.models.tiny_segmentor import segmentor_config

# Two iterations share a step; the seventh, being the last, takes one alone.
ITERATIONS, ACCUMULATED, SAVED_EVERY, STOPPED_AT = 7, 2, 2, 5
METHODS = {
    'advent, multi-level': dict(
        decode_head=ADVENT,
        auxiliary_head=AUXILIARY,
        alignments=dict(
            main=alignment(discriminator_weight=0.5), aux=alignment(head='auxiliary_head')
        ),
    ),
    'dada': dict(decode_head=DADA, alignments=dict(main=alignment('depth_aware'))),
    'depth distribution': dict(
        decode_head=depth_distribution(), alignments=dict(main=alignment('density_aware'))
    ),
    'self-training on the target alone': dict(
        type='UDASegmentor',
        unlabelled=[],
        decode_head=depth_distribution(mixtures=None, loss_weights=dict(target=dict(seg=1.0))),
    ),
}
OPTIMIZERS = dict(
    constructor='PartsOptimWrapperConstructor',
    accumulative_counts=ACCUMULATED,
    segmentor=dict(
        optimizer=dict(type='RepeatedSGD', lr=0.01, momentum=0.9, weight_decay=5e-4),
        constructor='DeepLabOptimWrapperConstructor',
    ),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.99))),
)


class Stopped(BaseException):
    """Is not caught by ``except Exception``, just as a signal."""


class StopHook(Hook):
    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == STOPPED_AT:
            raise Stopped


def train(work_dir, name, method, hooks=(), resume=False):
    pairs = Pairs(source=dict(size=SIZE), target=dict(size=SIZE, depth=False))
    optimizers = OPTIMIZERS
    if 'alignments' not in METHODS[method]:
        del pairs.options['source']
        optimizers = OPTIMIZERS['segmentor'] | dict(accumulative_counts=ACCUMULATED)
    data = loader(pairs)
    hooks = [
        IterationSeedHook(),
        ResumeHook(),
        ScheduleHook(),
        PlainCheckpointHook(),
        StrictLoadHook(),
        TrainingCheckHook(),
        *hooks,
    ]
    model = segmentor_config(
        **dict(type='AdversarialSegmentor', data_preprocessor=PREPROCESSOR) | METHODS[method]
    )
    runner = make_runner(
        work_dir,
        name,
        hooks,
        ITERATIONS,
        model=ConfigDict(model),
        train_dataloader=data | dict(sampler=dict(type='InfiniteSampler', shuffle=True)),
        optim_wrapper=optimizers,
        # One scheduler ends, the other begins, between two checkpoints.
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, begin=0, end=3, by_epoch=False),
            dict(type='PolyLR', power=0.9, begin=3, end=ITERATIONS, by_epoch=False),
        ],
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=SAVED_EVERY)
        ),
        resume=resume,
        experiment_name=f'{work_dir.name}_{name}_{resume}',
    )
    runner.train()
    return runner


def state_of(work_dir, name):
    checkpoint = torch.load(work_dir / name / f'iter_{ITERATIONS}.pth', weights_only=True)
    log = checkpoint['message_hub']['log_scalars']
    state = {key: checkpoint[key] for key in ('state_dict', 'optimizer', 'param_schedulers')}
    return state | dict(log={k: v for k, v in log.items() if not k.endswith('time')})


def assert_equal(actual, expected, path=''):
    assert type(actual) is type(expected), path
    if isinstance(expected, dict):
        assert actual.keys() == expected.keys(), path
        for key, value in expected.items():
            assert_equal(actual[key], value, f'{path}.{key}')
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), path
        for index, values in enumerate(zip(actual, expected, strict=True)):
            assert_equal(*values, f'{path}.{index}')
    elif isinstance(expected, torch.Tensor):
        assert torch.equal(actual, expected), path
    else:
        assert actual == expected, path


@pytest.mark.parametrize('method', METHODS)
def test_a_stopped_run_ends_as_an_unbroken_one(tmp_path, method):
    train(tmp_path, 'unbroken', method)
    with pytest.raises(Stopped):
        train(tmp_path, 'stopped', method, [StopHook()])
    written = {path.name for path in (tmp_path / 'stopped').glob('*.pth')}
    assert written == {'iter_2.pth', 'iter_4.pth'}
    train(tmp_path, 'stopped', method, resume=True)
    expected = state_of(tmp_path, 'unbroken')
    assert_equal(state_of(tmp_path, 'stopped'), expected)

    # The optimizers' states are in the checkpoint.
    optimizers = expected['optimizer']
    if 'alignments' not in METHODS[method]:
        logged = expected['log']['train/target.loss_seg']['values']
        assert any(state['momentum_buffer'].any() for state in optimizers['state'].values())
        assert len(logged) == ITERATIONS and len(set(logged.tolist())) == ITERATIONS
        return
    adam = optimizers['discriminator']['state']
    assert len(adam) == 10 * len(METHODS[method]['alignments'])
    steps = -(-ITERATIONS // ACCUMULATED)
    assert {int(state['step']) for state in adam.values()} == {steps}
    momenta = optimizers['segmentor']['state'].values()
    assert any(state['momentum_buffer'].any() for state in momenta)
    assert set(expected['param_schedulers']) == {'segmentor', 'discriminator'}
    assert any(name.startswith('discriminators.') for name in expected['state_dict'])
    logged = expected['log']['train/discriminator.loss_main_target']['values']
    assert len(logged) == ITERATIONS and len(set(logged.tolist())) == ITERATIONS
