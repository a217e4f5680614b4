# Licensed under the Apache License 2.0, see LICENSE.
"""Every experiment with depth from video as a task: its rates, one iteration, and exact resume."""

import copy
from itertools import count
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.registry import MODELS

from mmseg_depthuda.apps.street_world import WorldConfig, generate
from mmseg_depthuda.engine.launch import resume_from
from tests.integration.test_exact_resume import Killed, assert_equal
from tests.test_configs import CONFIGS, Recorder

EXPERIMENTS = sorted(path.name for path in CONFIGS.glob('semi_supervised/pad_*.py'))
SCHEDULE = CONFIGS / '_base_/schedules/semi_supervised_40k_multi_task.py'
SIZE, LABELLED, ITERATIONS = (128, 64), 2, 4
PARTS = ('image', 'label', 'depth', 'sequence', 'camera')
serial = count()


@pytest.fixture(scope='module', autouse=True)  # the configs read where data are
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'street_world'
    generate(root, WorldConfig(0, 6, 1, size=SIZE, layouts=('cityscapes',), parts=PARTS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('STREET_WORLD_ROOT', str(root))
        patch.setenv('CITYSCAPES_ROOT', str(root / 'cityscapes'))
        patch.setenv('LABELLED', str(LABELLED))
        patch.delenv('SUBSET_SEED', raising=False)
        yield root


def small(name, work_dir, iterations=1, **options):
    """The same experiment with narrow networks and small images, and without validation."""
    cfg = Config.fromfile(CONFIGS / 'semi_supervised' / name)
    narrow = dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None)
    narrow['zero_init_residual'] = False  # as in a pretrained network
    cfg.model.backbone.update(narrow)
    cfg.model.decode_head.update(in_channels=[8, 8, 16, 32, 64], channels=[4, 4, 8, 8, 8])
    cfg.model.pose_net.backbone.update(narrow)
    cfg.model.pose_net.update(in_channels=64, channels=8)
    for dataset in (cfg.train_dataloader.dataset[domain] for domain in ('labelled', 'target')):
        for step in dataset.pipeline:
            if 'scale' in step:
                step.scale = SIZE
            if 'crop_size' in step:
                step.crop_size = (64, 64)
    experiment = f'{Path(name).stem}_{next(serial)}'
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': experiment,
            'visualizer.name': experiment,
            'log_level': 'ERROR',
            'train_cfg.max_iters': iterations,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            **{
                f'{loop}_{part}': None
                for loop in ('val', 'test')
                for part in ('cfg', 'dataloader', 'evaluator')
            },
            **options,
        }
    )
    if 'transfer' in cfg.model:
        cfg.model.transfer.checkpoint = depth_network(cfg.model, work_dir)
    return cfg


def depth_network(model, folder):
    """A checkpoint of a depth network of the same layers."""
    head = copy.deepcopy(model.decode_head.to_dict())
    head = {k: head[k] for k in ('in_channels', 'channels', 'aspp_dilations')}
    torch.manual_seed(7)
    parts = dict(
        backbone=model.backbone,
        decode_head=dict(head, type='UNetDepthHead'),
        pose_net=model.pose_net,
    )
    weights = {
        f'{part}.{name}': value
        for part, config in parts.items()
        for name, value in MODELS.build(config).state_dict().items()
    }
    torch.save(dict(state_dict=weights), f'{folder}/depth.pth')
    return f'{folder}/depth.pth'


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_trains_one_iteration(name, tmp_path):
    runner = Runner.from_cfg(small(name, tmp_path, **{'default_hooks.checkpoint': None}))
    recorder = Recorder()
    runner.register_hook(recorder)
    runner.train()
    losses = recorder.losses
    video = ('loss_photometric', 'loss_smoothness', 'explained')
    terms = {f'{branch}.{term}' for branch in ('labelled', 'target') for term in video}
    terms |= {f'labelled.{term}' for term in ('loss_seg', 'acc_seg', 'loss_side_seg')}
    assert set(losses) == {'loss', 'mixed.loss_seg', 'mixed.acc_seg'} | terms
    summed = sum(value for term, value in losses.items() if '.loss_' in term)
    assert losses['loss'] == pytest.approx(summed, rel=1e-5)
    assert all(losses[f'{b}.{t}'] > 0 for b in ('labelled', 'target') for t in video)
    assert recorder.moved == recorder.trainable


@pytest.mark.parametrize(
    'wrapper', [SCHEDULE, CONFIGS / 'semi_supervised/pad_r18_real_transfer.py']
)
def test_rates_of_encoder_decoders_and_pose_network(wrapper, tmp_path):
    model = MODELS.build(small('pad_r18_real.py', tmp_path).model)
    wrapper = build_optim_wrapper(model, Config.fromfile(wrapper).optim_wrapper)
    base = wrapper.optimizer.defaults['lr']
    rates = {id(p): g['lr'] / base for g in wrapper.optimizer.param_groups for p in g['params']}
    for part, expected in (('backbone', 0.1), ('decode_head', 1), ('pose_net', 1e-4)):
        for parameter in getattr(model, part).parameters():
            if parameter.requires_grad:
                assert rates[id(parameter)] == pytest.approx(expected), part


def final_state(work_dir):
    state = torch.load(work_dir / f'iter_{ITERATIONS}.pth', weights_only=True)
    return {key: state[key] for key in ('state_dict', 'ema_state_dict', 'optimizer')}


def test_resumed_with_online_depth(tmp_path):
    """Killed between two checkpoints, it ends as an unbroken run, bit by bit."""
    options = {'iterations': ITERATIONS, 'default_hooks.checkpoint.interval': 2}
    for folder, kill in (('unbroken', None), ('killed', dict(iteration=3))):
        (tmp_path / folder).mkdir()
        cfg = small('pad_r18_real.py', tmp_path / folder, **options)
        if kill is None:
            Runner.from_cfg(cfg).train()
            continue
        cfg.custom_hooks = [*cfg.custom_hooks, dict(type='mmengine.KillHook', **kill)]
        with pytest.raises(Killed):
            Runner.from_cfg(cfg).train()
    cfg = small('pad_r18_real.py', tmp_path / 'killed', **options)
    resume_from(cfg, 'auto')
    Runner.from_cfg(cfg).train()
    assert_equal(final_state(tmp_path / 'killed'), final_state(tmp_path / 'unbroken'))
