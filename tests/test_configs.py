# Licensed under the Apache License 2.0, see LICENSE.
"""Every experiment: it parses, its model is built, and its parts agree."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS
from mmseg.registry import MODELS, VISUALIZERS

from mmseg_depthuda.datasets.label_protocols import PROTOCOLS

CONFIGS = Path(__file__).parents[1] / 'configs'
EXPERIMENTS = sorted(
    str(path.relative_to(CONFIGS)) for path in CONFIGS.glob('*/*.py') if path.parts[-2] != '_base_'
)


@pytest.fixture(params=EXPERIMENTS)
def cfg(request):
    return Config.fromfile(CONFIGS / request.param)


@pytest.fixture
def model(cfg):
    with torch.device('meta'):  # no memory, no weights
        return MODELS.build(cfg.model)


def number_of_classes(dataset):
    if 'metainfo' in dataset:
        return len(dataset.metainfo.classes)
    default = 'camvid11' if dataset.type == 'CamVidDataset' else 'cityscapes19'
    return len(PROTOCOLS[dataset.get('protocol', default)].classes)


def test_experiments_are_found():
    assert 'corda/corda_r101_gta2cs.py' in EXPERIMENTS


def test_head_and_datasets_have_the_same_classes(cfg, model):
    training = cfg.train_dataloader.dataset
    labelled = [training.get('source', training), cfg.val_dataloader.dataset]
    assert {number_of_classes(dataset) for dataset in labelled} == {model.decode_head.num_classes}


def test_model_gives_logits(cfg, model):
    with torch.device('meta'):
        logits = model(torch.empty(2, 3, 128, 256), mode='tensor')
    assert logits.shape == (2, model.decode_head.num_classes, 17, 33)  # output stride 8


def test_optimiser_and_schedule(cfg, model):
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    assert cfg.param_scheduler[-1]['end'] == cfg.train_cfg.max_iters
    trained = {id(p) for group in optimizer.param_groups for p in group['params']}
    assert {id(p) for p in model.parameters() if p.requires_grad} <= trained
    if cfg.optim_wrapper.optimizer.type == 'RepeatedSGD':
        assert sorted({group['repeats'] for group in optimizer.param_groups}) == [1, 3, 4]
        assert len(optimizer.param_groups) == 4


def test_hooks_are_built(cfg, tmp_path):
    VISUALIZERS.build(dict(cfg.visualizer, save_dir=str(tmp_path)))  # SegVisualizationHook wants it
    hooks = [HOOKS.build(hook) for hook in cfg.get('custom_hooks', [])]
    hooks += [HOOKS.build(hook) for hook in cfg.default_hooks.values()]
    assert type(hooks[0]).__name__ == ('DACSHook' if 'custom_hooks' in cfg else 'IterTimerHook')


def test_methods_without_depth_load_none(cfg):
    if getattr(MODELS.get(cfg.model.decode_head.type), 'predicts_depth', False):
        return
    training = cfg.train_dataloader.dataset
    for dataset in (training.get('source', training), training.get('target', training)):
        assert dataset.get('depth') is None
        assert dataset.get('data_prefix', {}).get('depth_map_path') is None
