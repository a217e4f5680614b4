# Licensed under the Apache License 2.0, see LICENSE.
"""Checkpoints that any process can read."""

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer
from mmengine.runner import Runner
from mmengine.utils import apply_to
from mmseg.registry import HOOKS


@HOOKS.register_module()
class PlainCheckpointHook(Hook):
    """Keeps checkpoints to tensors and plain Python objects.

    MMEngine stores its log as ``HistoryBuffer`` objects and scores as NumPy scalars. From PyTorch
    2.6 on ``torch.load`` refuses both in a process that has not allowed them, such as MMSeg's
    ``publish_model.py``. This hook stores them as tensors and numbers, and restores the log on
    resume. Checkpoints that were written without it can be resumed as well.
    """

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Convert what MMEngine has put into a checkpoint.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): Its ``message_hub`` and ``meta`` are changed.
        """
        hub = checkpoint['message_hub']
        hub['log_scalars'] = {
            name: _to_tensors(buffer) for name, buffer in hub['log_scalars'].items()
        }
        hub['runtime_info'] = _plain(hub['runtime_info'])
        checkpoint['meta'] = _plain(checkpoint['meta'])

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Restore the log before MMEngine resumes it.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): Its ``message_hub`` is changed, if it has one.
        """
        log = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, buffer in log.items():
            if isinstance(buffer, dict):
                log[name] = _to_buffer(**buffer)


def _to_tensors(buffer: HistoryBuffer) -> dict:
    values, counts = (torch.from_numpy(array) for array in buffer.data)
    return dict(values=values, counts=counts, max_length=buffer.max_length)


def _to_buffer(values: torch.Tensor, counts: torch.Tensor, max_length: int) -> HistoryBuffer:
    return HistoryBuffer(values.cpu().numpy(), counts.cpu().numpy(), max_length)


def _plain(content: dict) -> dict:
    return apply_to(content, lambda x: isinstance(x, np.generic), lambda x: x.item())
