# Licensed under the Apache License 2.0, see LICENSE.
"""Records which images a training has seen, where it does not see all."""

from __future__ import annotations

import os.path as osp
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from mmseg_depthuda.datasets import datasets_by_domain
from mmseg_depthuda.datasets.data_check import simple_datasets
from mmseg_depthuda.fileio import AtomicBackend


@HOOKS.register_module()
class SubsetRecordHook(Hook):
    """Write the images of each training dataset with a ``subset`` to ``subset_DOMAIN.txt``.

    The file is in the work dir, one name below ``img_path`` per line. ``subset=dict(file=...)``
    reads it. With ``labels_only`` these are the images that have labels. A resumed training writes
    the same file.
    """

    def before_train(self, runner: Runner) -> None:
        """Write the files.

        Args:
            runner (Runner): Of the training.
        """
        if not is_main_process():
            return
        for domain, dataset in datasets_by_domain(runner.train_dataloader.dataset).items():
            names = [name for part in simple_datasets(dataset) for name in _names(part)]
            if names:
                path = Path(runner.work_dir) / f'subset_{domain}.txt'
                AtomicBackend().put_text(''.join(f'{name}\n' for name in names), path)
                runner.logger.info(f'{domain}: {len(names)} images, listed in {path}')


def _names(dataset: Any) -> list[str]:
    """The images of a dataset with a subset, below their folder; none of others."""
    if getattr(dataset, 'subset', None) is None:
        return []
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    if dataset.subset.get('labels_only'):
        infos = [info for info in infos if 'seg_map_path' in info]
    return [osp.relpath(info['img_path'], dataset.data_prefix['img_path']) for info in infos]
