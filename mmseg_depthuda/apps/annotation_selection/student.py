# Licensed under the Apache License 2.0, see LICENSE.
"""The student: trained from scratch on the images that are chosen so far."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmseg_depthuda.apps.stopped_training import StopHook
from mmseg_depthuda.engine.launch import resume_from, stop_idle_workers
from mmseg_depthuda.fileio import latest_checkpoint


def train_student(
    cfg: Config, dataset: Mapping[str, Any], iterations: int, work_dir: Path
) -> tuple[Config, str]:
    """Train a student, or go on training it from its last checkpoint.

    Args:
        cfg: Config of a training.
        dataset: Config of its dataset instead of the one in ``cfg``.
        iterations: Length of the training.
        work_dir: Folder for its log and checkpoints.

    Returns:
        The config that was trained, and the last checkpoint.

    Raises:
        FileNotFoundError, ValueError: What :class:`mmengine.runner.Runner` and the hooks of the
            config refuse.
    """
    cfg = copy.deepcopy(cfg)
    cfg.train_dataloader.dataset = dict(dataset)
    cfg.train_cfg.max_iters = iterations
    cfg.work_dir = str(work_dir)
    cfg.launcher = 'none'
    # MMEngine keeps loggers and visualizers of one process by their names.
    name = f'{work_dir.name}_{hashlib.sha256(str(work_dir.resolve()).encode()).hexdigest()[:8]}'
    cfg.experiment_name = name
    if cfg.get('visualizer'):
        cfg.visualizer.name = name
    stop_idle_workers(cfg)
    resume_from(cfg, 'auto')
    runner = Runner.from_cfg(cfg)
    runner.register_hook(StopHook())
    runner.train()
    checkpoint = latest_checkpoint(work_dir)
    if checkpoint is None:
        raise FileNotFoundError(
            f'{work_dir} holds no checkpoint after the training. The config needs a '
            'default_hooks.checkpoint that saves the last iteration.'
        )
    return cfg, checkpoint
