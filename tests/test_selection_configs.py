# Licensed under the Apache License 2.0, see LICENSE.
"""Every config of a selection: the student as published, and a whole selection of small size."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from mmseg_depthuda.apps.annotation_selection.selection_steps import select_annotations
from mmseg_depthuda.apps.street_world import WorldConfig, generate
from tests.commands import exit_status_of

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
IMAGES = 8


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """The street world, which serves as Cityscapes and as own images, too."""
    root = tmp_path_factory.mktemp('world')
    parts = ('image', 'label', 'depth', 'disparity')
    generate(root, WorldConfig(0, IMAGES, 1, size=(96, 48), layouts=('cityscapes',), parts=parts))
    (root / 'own').mkdir()
    (root / 'own/images').symlink_to(root / 'cityscapes/leftImg8bit/train')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('STREET_WORLD_ROOT', str(root))
        patch.setenv('CITYSCAPES_ROOT', str(root / 'cityscapes'))
        patch.setenv('OWN_TARGET_ROOT', str(root / 'own'))
        yield root


def load(name):
    return Config.fromfile(CONFIGS / 'annotation_selection' / f'annotation_selection_{name}.py')


def untrained(config, folder):
    """A checkpoint of the network of a config, as a run writes it."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    state = MODELS.build(Config.fromfile(CONFIGS / config).model).state_dict()
    path = folder / 'network.pth'
    torch.save(dict(state_dict=state, meta=dict(dataset_meta={})), path)
    return path


def narrow(cfg):
    """The same student with narrow layers, small images and one iteration after the first step."""
    cfg.model.backbone.update(depth=18, base_channels=8, stem_channels=8, init_cfg=None)
    cfg.model.decode_head.update(in_channels=[8, 8, 16, 32, 64], channels=[4, 4, 8, 8, 8])
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.merge_from_dict({'train_cfg.max_iters': 1, 'log_level': 'ERROR'})
    for step in [*cfg.train_dataloader.dataset.pipeline, *cfg.test_pipeline]:
        if 'scale' in step:
            step.scale = (128, 64)
        if 'crop_size' in step:
            step.crop_size = (64, 64)
    return cfg


def check_lists(out, steps):
    lists = [(out / f'images_{step}.txt').read_text().splitlines() for step in steps]
    assert [len(set(names)) for names in lists] == list(steps)
    for before, after in zip(lists, lists[1:], strict=False):
        assert after[: len(before)] == before


def test_the_student_is_the_published_one(world):
    cfg = load('r50_cs')
    with torch.device('meta'):
        cfg.model.backbone.init_cfg = None
        model = MODELS.build(cfg.model)
        features = model.backbone(torch.empty(2, 3, 512, 512))
        assert [f.shape[2] for f in features] == [256, 128, 64, 32, 32]
        assert model(torch.empty(2, 3, 512, 512)).shape == (2, 1, 512, 512)
        cfg = load('r50_cs_entropy')
        cfg.model.backbone.init_cfg = None
        assert MODELS.build(cfg.model)(torch.empty(2, 3, 512, 512)).shape == (2, 19, 512, 512)
    shapes = {n: tuple(p.shape) for n, p in model.decode_head.named_parameters()}
    out_channels = [shapes[f'after.{i}.0.weight'][0] for i in range(5)]
    assert out_channels == [256, 128, 128, 64, 64]  # stages 4..0
    normalized = {n for n, s in shapes.items() if n.startswith('after') and '.1.' in n}
    assert {f'after.{i}.1.weight' for i in range(5)} <= normalized
    trained = [n for n, p in model.named_parameters() if p.requires_grad and 'disparity' in n]
    assert trained == ['decode_head.disparity.3.weight', 'decode_head.disparity.3.bias']
    cfg = load('r50_cs')
    assert cfg.train_cfg.max_iters == 4000 and cfg.train_dataloader.batch_size == 2
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=1e-4)
    assert cfg.model.data_preprocessor.mean[0] / 255 == pytest.approx(0.45)
    assert cfg.model.data_preprocessor.std[0] / 255 == pytest.approx(0.225)


def test_a_whole_selection_on_the_street_world(world, tmp_path, capsys):
    network = untrained('monodepth2/monodepth2_r18_street_world.py', tmp_path)
    arguments = ['annotation_selection/annotation_selection_r18_street_world.py', tmp_path / 'out']
    options = [f'selection_network.checkpoint={network}', 'train_cfg.max_iters=1']
    options += ['train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=False']
    tool = ROOT / 'tools/select_annotations.py'
    status = exit_status_of(
        tool, *arguments, '--steps', 2, 4, '--workers', 0, '--cfg-options', *options
    )
    assert status == 0, capsys.readouterr().err
    check_lists(tmp_path / 'out', (2, 4))
    assert '4 images chosen' in capsys.readouterr().out


def test_own_images_get_the_depth_of_their_network(world, tmp_path):
    cfg = narrow(load('r18_own_images'))
    cfg.selection_network.checkpoint = untrained(
        'monodepth2/monodepth2_r18_own_video.py', tmp_path
    ).as_posix()
    select_annotations(cfg, tmp_path / 'out', [2, 4])
    check_lists(tmp_path / 'out', (2, 4))
    assert len(list((tmp_path / 'out/depth').rglob('*.png'))) == IMAGES


def test_uncertainty_on_cityscapes(world, tmp_path):
    cfg = narrow(load('r50_cs'))
    cfg.train_dataloader.dataset.depth = 'stereo'  # the street world has no `mono`
    select_annotations(cfg, tmp_path / 'out', [2, 4], strategy='uncertainty')
    check_lists(tmp_path / 'out', (2, 4))


@pytest.mark.parametrize('name', ['r50_cs_entropy', 'oracle'])
def test_entropy(world, tmp_path, name):
    """Any training of a segmentor on one dataset can be the student."""
    if name == 'oracle':
        cfg = Config.fromfile(CONFIGS / 'source_only/oracle_r18_sim2real.py')
        cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
        cfg.val_dataloader.update(num_workers=0, persistent_workers=False)
        cfg.merge_from_dict({'train_cfg.max_iters': 1, 'log_level': 'ERROR'})
    else:
        cfg = narrow(load(name))
    select_annotations(cfg, tmp_path / 'out', [2, 4], strategy='entropy')
    check_lists(tmp_path / 'out', (2, 4))
