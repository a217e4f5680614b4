# Licensed under the Apache License 2.0, see LICENSE.
"""A trained model for commands that predict: its weights are all there, its device exists."""

from __future__ import annotations

from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import CheckpointLoader, load_state_dict
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


def checked_model_of(
    config: Config, checkpoint: dict, name: str | Path, device: str
) -> BaseSegmentor:
    """The model of a checkpoint that has been read; otherwise as :func:`load_checked_model`.

    Args:
        config: Config of the model.
        checkpoint: What the file holds.
        name: The file, for messages.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``...
    """
    model = init_model(config, device=device)
    check_weights_of_test(model, checkpoint, name)
    weights = checkpoint.get('state_dict', checkpoint)
    plain = {key.removeprefix('module.'): value for key, value in weights.items()}
    load_state_dict(model, plain, logger='silent')
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
