# Licensed under the Apache License 2.0, see LICENSE.
"""Stops a run whose loss is NaN or infinite."""

import json
from pathlib import Path

import torch
from mmengine.dist import all_gather_object, all_reduce, barrier, get_rank, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_depthuda.fileio import atomic_write, last_finite_checkpoint

from .loop_arguments import DataBatch, batch_dict, given


class InvalidLossError(FloatingPointError):
    """A loss is NaN or infinite."""


@HOOKS.register_module()
class InvalidLossHook(Hook):
    """Stops training at the first loss that is NaN or infinite.

    It checks the losses of every iteration before any other hook runs. So the damaged parameters
    reach neither the teacher nor a checkpoint. Under ``torch.distributed`` all processes stop, even
    if only one of them has such a loss.

    What happened is written to ``invalid_loss_iter_ITERATION.json`` in the work dir: the iteration
    (counted from 1 as in the log), the learning rates, the last checkpoint whose weights are all
    finite, and for every process with such a loss its rank, its losses and the files of its batch.

    Gradients that overflow under loss scaling do not stop the run: the scaler skips them.

    Raises:
        InvalidLossError: Names the terms, the iteration, the images, the file written and the
            checkpoint.
    """

    priority = 'HIGHEST'

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DataBatch = None,
        outputs: dict | None = None,
    ) -> None:
        """Check the losses of an iteration."""
        losses = {
            name: value for name, value in given(outputs, 'outputs').items() if 'loss' in name
        }
        is_finite = torch.isfinite(torch.as_tensor(sum(losses.values()))).float()
        all_reduce(is_finite, 'min')
        if is_finite:
            return
        reports = [
            report
            for report in all_gather_object(_report(losses, batch_dict(data_batch)))
            if report['invalid_losses']
        ]
        message = _describe(runner.iter + 1, reports)
        if is_main_process():
            runner.logger.error(message)
            message += self._write_down(runner, reports)
        barrier()  # else torchrun would kill the main process, which is writing
        raise InvalidLossError(message)

    def _write_down(self, runner: Runner, reports: list[dict]) -> str:
        """Write the file, and return the rest of the message."""
        saved = runner.message_hub.get_info('last_ckpt')
        folder = Path(saved).parent if saved else Path(runner.work_dir)
        checkpoint = last_finite_checkpoint(folder)
        path = Path(runner.work_dir) / f'invalid_loss_iter_{runner.iter + 1}.json'
        content = dict(
            iteration=runner.iter + 1,
            learning_rate=runner.optim_wrapper.get_lr(),
            last_good_checkpoint=checkpoint,
            processes=reports,
        )
        with atomic_write(path) as file:
            file.write(json.dumps(content, indent=2, allow_nan=False).encode())
        return (
            f' Written to {path}. Last checkpoint with finite weights: {checkpoint or "none yet"}. '
            'Look at these files, lower the learning rate or clip gradients, and '
            + (f'go on with --resume {checkpoint}.' if checkpoint else 'train anew.')
        )


def _report(losses: dict, data_batch: dict) -> dict:
    """What this process knows; numbers that JSON cannot write are strings."""
    values = {name: float(torch.as_tensor(value).detach()) for name, value in losses.items()}
    invalid = [name for name, value in values.items() if not abs(value) < float('inf')]
    # Usually the sum is invalid because a term is. Finite terms can also overflow in the sum.
    terms = [name for name in invalid if name != 'loss'] or invalid
    branches = dict(batch=data_batch) if 'inputs' in data_batch else data_batch
    return dict(
        rank=get_rank(),
        invalid_losses=terms,
        losses={k: str(v) if k in invalid else v for k, v in values.items()},
        files={
            name: [_paths(sample) for sample in branch['data_samples']]
            for name, branch in branches.items()
        },
    )


def _paths(data_sample) -> dict:
    """Paths of an image and its labels; of a mixed image, those of the two it is made of."""
    return {key: path for key, path in data_sample.metainfo.items() if key.endswith('_path')}


def _describe(iteration: int, reports: list[dict]) -> str:
    parts = []
    for report in reports:
        terms = ', '.join(f'{name} = {report["losses"][name]}' for name in report['invalid_losses'])
        branches = {name.partition('.')[0] for name in report['invalid_losses']}
        images = [
            sample.get('img_path')
            for name, samples in report['files'].items()
            if name in branches or not branches & report['files'].keys()
            for sample in samples
        ]
        parts.append(f'{terms} (rank {report["rank"]}, images {images})')
    return f'The loss of iteration {iteration} is not finite: {"; ".join(parts)}.'
