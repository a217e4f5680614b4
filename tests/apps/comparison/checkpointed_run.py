# Licensed under the Apache License 2.0, see LICENSE.
"""A work dir with checkpoints of a small network, of random weights, and scenes to test it on."""

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS

from mmseg_depthuda.apps.street_world import WorldConfig, generate
from mmseg_depthuda.engine.launch import config_folder


def make_run(folder, iterations):
    """Config file and work dir."""
    generate(folder / 'world', WorldConfig(0, 1, 2, size=(64, 32), layouts=('cityscapes',)))
    cfg = Config.fromfile(config_folder() / 'source_only/source_only_r18_sim2real.py')
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.data_root = str(folder / 'world' / 'cityscapes')
    cfg.model.backbone.update(base_channels=8, stem_channels=8, init_cfg=None)
    cfg.model.decode_head.in_channels = 64
    cfg.visualizer.name = str(folder)
    cfg.dump(folder / 'config.py')
    (folder / 'run').mkdir()
    for iteration in iterations:
        write_checkpoint(folder / f'run/iter_{iteration}.pth', cfg, seed=iteration)
    return folder / 'config.py', folder / 'run'


def write_checkpoint(path, cfg, seed):
    """The classifier's weights decide, which a seed gives."""
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmseg'):
        model = MODELS.build(cfg.model)
    for parameter in model.decode_head.parameters():
        torch.nn.init.normal_(parameter)
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=None)), path)
