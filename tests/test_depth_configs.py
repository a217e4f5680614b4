# Licensed under the Apache License 2.0, see LICENSE.
"""Every experiment of self-supervised depth: what it publishes, one iteration, and a test."""

import copy
import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.apis import inference_model, init_model
from mmseg.registry import MODELS
from torch import nn

from mmseg_depthuda.apps.street_world import StreetScene, WorldConfig, generate
from mmseg_depthuda.engine.launch import resume_from

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
# A user's own video has no true depth: tests/docs/test_own_depth.py trains on one.
EXPERIMENTS = sorted(
    path.name for path in CONFIGS.glob('monodepth2/*.py') if 'own_video' not in path.name
)
PARTS = ('image', 'depth', 'disparity', 'right', 'sequence', 'camera')


@functools.cache
def load(name):
    return Config.fromfile(CONFIGS / 'monodepth2' / name)


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """A street world, which serves as Cityscapes as well."""
    root = tmp_path_factory.mktemp('world')
    generate(root, WorldConfig(0, 4, 2, size=(128, 64), layouts=('cityscapes',), parts=PARTS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('STREET_WORLD_ROOT', str(root))
        patch.setenv('CITYSCAPES_ROOT', str(root / 'cityscapes'))
        load.cache_clear()
        yield root
    load.cache_clear()


def small(cfg, work_dir):
    """The same experiment with narrow networks, small images and two iterations."""
    cfg = copy.deepcopy(cfg)
    narrow = dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None)
    cfg.model.backbone.update(narrow)
    cfg.model.decode_head.update(in_channels=[8, 8, 16, 32, 64], channels=[4, 4, 8, 8, 8])
    cfg.model.pose_net.backbone.update(narrow)
    cfg.model.pose_net.update(in_channels=64, channels=8)
    cfg.model.feature_distance_weight = 0.0  # of weights that tests do not download
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
        for step in loader.dataset.pipeline:
            if 'scale' in step:
                step.scale = (128, 64)
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': f'depth_{work_dir.name}',
            'log_level': 'ERROR',
            'train_cfg.max_iters': 2,
            'train_cfg.val_interval': 2,
            'default_hooks.checkpoint.interval': 2,
            'default_hooks.logger.interval': 1,
        }
    )
    cfg.load_from = None
    return cfg


class Recorder(Hook):
    """Keeps the parameters that training starts from."""

    def before_train(self, runner):
        self.before = {n: p.detach().clone() for n, p in runner.model.named_parameters()}


def test_the_published_recipe():
    first, second = (load(f'monodepth2_r101_cs{stage}.py') for stage in ('', '_unfrozen'))
    for cfg in (first, second):
        assert cfg.model.backbone.depth == 101 and cfg.model.pose_net.backbone.depth == 18
        assert cfg.model.decode_head.channels == [64, 128, 128, 256, 256]
        assert cfg.model.decode_head.aspp_dilations == [6, 12, 18]
        assert cfg.model.data_preprocessor.flip_prob == 0.5
        assert cfg.scale == (1024, 512) and cfg.train_dataloader.batch_size == 2
        assert cfg.optim_wrapper.optimizer.type == 'Adam'
        assert cfg.train_dataloader.dataset.frame_offsets == [-1, 1]
        evaluator = cfg.test_evaluator
        limits = (evaluator.min_depth_eval, evaluator.max_depth_eval, evaluator.scale)
        assert limits == (1e-3, 80.0, 'median')
    assert first.optim_wrapper.optimizer.lr == 1e-4 and first.train_cfg.max_iters == 300000
    (step,) = first.param_scheduler
    assert (step.type, step.gamma) == ('RunMultiStepLR', 0.1)
    assert round(step.milestones[0] * first.train_cfg.max_iters) == 160000
    assert second.optim_wrapper.optimizer.lr == 1e-5 and second.param_scheduler == []
    assert 50000 <= second.train_cfg.max_iters <= 100000
    assert second.model.feature_distance_weight == 0.01
    assert first.model.get('feature_distance_weight', 0) == 0
    assert second.load_from.endswith(f'monodepth2_r101_cs/iter_{first.train_cfg.max_iters}.pth')


def test_the_encoder_is_frozen_in_the_first_stage_alone():
    for name, frozen in (
        ('monodepth2_r101_cs.py', True),
        ('monodepth2_r101_cs_unfrozen.py', False),
    ):
        with torch.device('meta'):
            model = MODELS.build(copy.deepcopy(load(name).model))
        model.train()
        assert any(p.requires_grad for p in model.backbone.parameters()) != frozen
        norms = [m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d)]
        assert norms and all(norm.training != frozen for norm in norms)
        assert all(p.requires_grad for p in model.decode_head.parameters())
        assert (model.pretrained_encoder is None) == frozen
        with torch.device('meta'):
            strides = [256 // f.shape[3] for f in model.backbone(torch.empty(2, 3, 128, 256))]
        assert strides == [2, 4, 8, 16, 16]
        with torch.device('meta'):
            assert model(torch.empty(2, 3, 128, 256)).shape == (2, 1, 128, 256)
        wrapper = build_optim_wrapper(model, load(name).optim_wrapper)
        assert len(wrapper.optimizer.param_groups) == 1


@pytest.mark.parametrize('name', EXPERIMENTS)
def test_trains_and_evaluates(name, world, tmp_path):
    runner, recorder = Runner.from_cfg(small(load(name), tmp_path / Path(name).stem)), Recorder()
    runner.register_hook(recorder)
    runner.train()
    before = recorder.before
    moved = {n for n, p in runner.model.named_parameters() if not torch.equal(p, before[n])}
    trainable = {n for n, p in runner.model.named_parameters() if p.requires_grad}
    assert moved and moved <= trainable
    for part in ('decode_head', 'pose_net'):
        assert any(n.startswith(part) for n in moved)
    logged = runner.message_hub.log_scalars
    losses = [logged[f'train/{n}'].current() for n in ('loss_photometric', 'loss_smoothness')]
    assert min(losses) > 0
    assert sum(losses) == pytest.approx(logged['train/loss'].current(), rel=1e-5)
    assert 0 < logged['train/explained'].current() <= 1
    assert 0 < logged['val/abs_rel'].current() < 10
    assert ('stereo' in name) == (runner.val_evaluator.metrics[0].scale == 'metric')


def test_stereo_has_a_third_source_view(world, tmp_path):
    cfg = small(load('monodepth2_r18_street_world_stereo.py'), tmp_path / 'stereo')
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader)))
    assert batch['inputs'][0].shape == (4, 3, 64, 128)
    baseline = StreetScene(0, 'real', 0, (128, 64)).camera().baseline
    assert [abs(float(pose[0, 3])) for pose in batch['stereo_pose']] == pytest.approx(
        [baseline] * 4
    )


class Stopped(BaseException):
    """Is not caught by ``except Exception``, just as a signal."""


class StopHook(Hook):
    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == 3:
            raise Stopped


def test_a_stopped_run_ends_as_an_unbroken_one(world, tmp_path):
    """Bit by bit: order of the frames, flips, jitter, tie-breaking noise, Adam; workers or none."""

    def train(name, workers=0, hooks=(), resume=None):
        cfg = small(load('monodepth2_r18_street_world_stereo.py'), tmp_path / name)
        cfg.experiment_name = f'{tmp_path.name}_{name}_{resume}'
        cfg.train_dataloader.num_workers = workers
        cfg.train_cfg.max_iters = 4
        resume_from(cfg, resume)
        runner = Runner.from_cfg(cfg)
        for hook in hooks:
            runner.register_hook(hook)
        runner.train()
        return torch.load(tmp_path / name / 'iter_4.pth', weights_only=True)

    expected = train('unbroken')
    with pytest.raises(Stopped):
        train('stopped', workers=2, hooks=[StopHook()])
    actual = train('stopped', resume='auto')
    for name, value in expected['state_dict'].items():
        assert torch.equal(actual['state_dict'][name], value), name
    states = [checkpoint['optimizer']['state'] for checkpoint in (expected, actual)]
    assert states[0].keys() == states[1].keys()
    for index, state in states[0].items():
        assert state['step'] == states[1][index]['step'] == 4
        assert torch.equal(state['exp_avg_sq'], states[1][index]['exp_avg_sq'])
    logs = [checkpoint['message_hub']['log_scalars'] for checkpoint in (expected, actual)]
    losses = [log['train/loss_photometric']['values'].tolist() for log in logs]
    assert losses[0] == losses[1] and len(set(losses[0])) == 4
    scores = [log['val/abs_rel']['values'].tolist() for log in logs]  # saved before the last one
    assert scores[0] == scores[1] and len(scores[0]) == 1


# -- as a user does --------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def trained(world, tmp_path_factory):
    """Config file and checkpoint of a short run."""
    folder = tmp_path_factory.mktemp('trained') / 'run'
    cfg = small(load('monodepth2_r18_street_world.py'), folder)
    cfg.experiment_name = 'depth_as_a_user'
    Runner.from_cfg(cfg).train()
    cfg.dump(folder / 'small.py')
    return folder / 'small.py', folder / 'iter_2.pth'


def test_tools_test(trained, world, tmp_path):
    """Without the pose network, which a test does not need, and with a picture."""
    config, checkpoint = trained
    content = torch.load(checkpoint, weights_only=True, map_location='cpu')
    state = content['state_dict']
    assert any(name.startswith('pose_net') for name in state)
    content['state_dict'] = {n: v for n, v in state.items() if not n.startswith('pose_net')}
    torch.save(content, tmp_path / 'depth_only.pth')
    command = [sys.executable, ROOT / 'tools/test.py', config, tmp_path / 'depth_only.pth']
    command += ['--work-dir', tmp_path / 'test', '--show-dir', tmp_path / 'show']
    command += ['--cfg-options', 'log_level=INFO']
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    assert 'depth of 2 of 2 images compared at 128x64' in output and 'abs_rel' in output
    assert list(tmp_path.rglob('show/**/*.png'))


def test_mmsegs_inference(trained, world):
    config, checkpoint = trained
    model = init_model(str(config), str(checkpoint), device='cpu')
    assert model.predicts_depth
    image = sorted((world / 'cityscapes/leftImg8bit/val').rglob('*.png'))[0]
    depth = inference_model(model, str(image)).pred_depth_map.data
    assert depth.shape == (1, 64, 128)
    values = depth.numpy()
    assert (values >= 0.01 - 1e-6).all() and (values <= 10).all() and np.ptp(values) > 0


def test_the_second_stage_goes_on_from_the_first(trained, world, tmp_path):
    """Its pretrained encoder is no part of the checkpoint, and comes from init_cfg."""
    _, checkpoint = trained
    state = torch.load(checkpoint, weights_only=True, map_location='cpu')['state_dict']
    encoder = {
        n.removeprefix('backbone.'): v
        for n, v in state.items()
        if n.startswith('backbone.') and v.is_floating_point()
    }
    torch.save({n: v / 2 for n, v in encoder.items()}, tmp_path / 'imagenet.pth')
    cfg = small(load('monodepth2_r101_cs_unfrozen.py'), tmp_path / 'second')
    cfg.model.decode_head.aspp_dilations = None
    cfg.model.feature_distance_weight = 0.01
    cfg.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'imagenet.pth'))
    cfg.load_from = str(checkpoint)
    cfg.train_cfg.max_iters = 1
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.message_hub.log_scalars['train/loss_feature_distance'].current() > 0
    after = runner.model.state_dict()
    assert all(torch.equal(after[f'pretrained_encoder.{n}'], v / 2) for n, v in encoder.items())
    # One step of 1e-5 away from the first stage.
    name = 'backbone.layer1.0.conv1.weight'
    assert 0 < (after[name] - state[name]).abs().max() < 1e-4


@pytest.mark.slow
def test_the_street_world_run_learns(tmp_path):
    """Half of the size and an eighth of the iterations, far below the constant depth that it starts
    with. With right images, because video alone gets worse before it gets better; the whole runs
    are in docs/self_supervised_depth.md."""
    world = WorldConfig(0, 120, 16, size=(128, 64), layouts=('cityscapes',), parts=PARTS)
    generate(tmp_path, world, workers=2)
    cfg = copy.deepcopy(load('monodepth2_r18_street_world_stereo.py'))
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        loader.dataset.data_root = str(tmp_path / 'cityscapes')
        loader.dataset.pipeline[1].scale = (128, 64)
    cfg.work_dir = str(tmp_path / 'run')
    cfg.train_cfg.update(max_iters=150, val_interval=150)
    runner = Runner.from_cfg(cfg)
    start = runner.val_loop.run()['abs_rel']
    runner.train()
    assert runner.message_hub.log_scalars['val/abs_rel'].current() < 0.75 * start
