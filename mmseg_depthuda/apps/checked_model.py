# Licensed under the Apache License 2.0, see LICENSE.
"""A trained model for commands that predict: its weights are all there, its device exists."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader
from mmseg.apis import init_model
from mmseg.models import BaseSegmentor

from mmseg_depthuda.engine.hooks.strict_load_hook import check_weights_of_test


def load_checked_model(
    config: str | Path | Config, checkpoint: str | Path, device: str
) -> BaseSegmentor:
    """MMSeg's ``init_model``, which would take what fits of any checkpoint and warn.

    Args:
        config: Config of the model, or its file.
        checkpoint: Its checkpoint.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``...

    Returns:
        The model in evaluation mode, with the config as ``cfg``.

    Raises:
        ValueError: If the checkpoint is damaged, of another model, or holds NaN.
    """
    config = config if isinstance(config, Config) else str(config)
    model = init_model(config, str(checkpoint), device=device)
    loaded = CheckpointLoader.load_checkpoint(str(checkpoint), 'cpu')
    check_weights_of_test(model, loaded, checkpoint)
    return model


def usable_device(name: str | None = None) -> str:
    """Check a device that the user has named, or choose one.

    Args:
        name: ``'cpu'``, ``'cuda'``, ``'cuda:1'``...; None for a GPU where there is one.

    Returns:
        The name.

    Raises:
        ValueError: If PyTorch cannot use it.
    """
    if name is None:
        return 'cuda' if torch.cuda.is_available() else 'cpu'
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch without CUDA
        reason = str(error).partition('\n')[0]
        raise ValueError(f'--device {name} cannot be used here: {reason}') from error
    return name
