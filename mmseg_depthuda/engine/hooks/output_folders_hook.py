# Licensed under the Apache License 2.0, see LICENSE.
"""Writes the files of a test into the folders that their images have."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from pathlib import Path

from mmengine import fileio
from mmengine.runner import Runner, TestLoop, ValLoop
from mmengine.visualization import LocalVisBackend
from mmseg.engine.hooks import SegVisualizationHook
from mmseg.evaluation import IoUMetric
from mmseg.registry import HOOKS
from mmseg.structures import SegDataSample
from torch.utils.data import Dataset

from mmseg_depthuda.datasets.transforms.pictures import decode_picture
from mmseg_depthuda.fileio import path_below


@HOOKS.register_module()
class OutputFoldersHook(SegVisualizationHook):
    """MMSeg's hook that draws predictions. Two images of one name in two folders get two files.

    * Pictures (``--show-dir``) keep the folders that their images have below
      ``data_prefix.img_path``. The image is decoded in the same way as for the network.
    * Label PNGs (``--out``) have the names of the images, as MMSeg's ``confusion_matrix.py``
      expects. If two images have one name, all PNGs keep their folders: ``image_root`` of
      :class:`~mmseg_depthuda.evaluation.PerClassIoUMetric` is set.

    Args:
        **kwargs: As in MMSeg's ``SegVisualizationHook``: ``draw``, ``interval``, ``show``,
            ``wait_time``, ``backend_args``.
    """

    def before_val(self, runner: Runner) -> None:
        """As :meth:`before_test`, for the validation."""
        _separate_files(runner.val_loop)

    def before_test(self, runner: Runner) -> None:
        """Choose where label PNGs go.

        Raises:
            ValueError: Images have one name, and the metric cannot write folders.
        """
        _separate_files(runner.test_loop)

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[SegDataSample],
    ) -> None:
        """Draw the first image of the batch every ``interval`` iterations."""
        step = runner.iter + batch_idx
        if self.draw and step % self.interval == 0:
            self._draw(runner.val_dataloader.dataset, outputs[0], 'val', step)

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: dict,
        outputs: Sequence[SegDataSample],
    ) -> None:
        """Draw every image."""
        if not self.draw:
            return
        for sample in outputs:
            self._test_index += 1
            self._draw(runner.test_dataloader.dataset, sample, 'test', self._test_index)

    def _draw(self, dataset: Dataset, sample: SegDataSample, prefix: str, step: int) -> None:
        path = sample.img_path
        data = fileio.get(path, backend_args=self.backend_args)
        below = path_below(path, _image_root(dataset))
        folder = '' if below is None else str(below.parent)
        for backend in self._visualizer._vis_backends.values():
            if isinstance(backend, LocalVisBackend):  # it would write nothing without the folder
                (Path(backend.experiment._img_save_dir) / folder).mkdir(parents=True, exist_ok=True)
        self._visualizer.add_datasample(
            osp.join(folder, f'{prefix}_{osp.basename(path)}'),
            decode_picture(data, path, 'img_path')[:, :, ::-1],
            data_sample=sample,
            show=self.show,
            wait_time=self.wait_time,
            step=step,
        )


def _image_root(dataset: Dataset) -> str | None:
    return (getattr(dataset, 'data_prefix', None) or {}).get('img_path')


def _separate_files(loop: ValLoop | TestLoop) -> None:
    metrics = [
        metric
        for metric in loop.evaluator.metrics
        if isinstance(metric, IoUMetric)
        and metric.output_dir is not None
        and getattr(metric, 'image_root', None) is None
    ]
    if not metrics:
        return
    dataset = loop.dataloader.dataset
    first: dict[str, str] = {}
    for index in range(len(dataset)):
        path = dataset.get_data_info(index)['img_path']
        other = first.setdefault(osp.splitext(osp.basename(path))[0], path)
        if other != path:
            break
    else:
        return
    for metric in metrics:
        if not hasattr(metric, 'image_root') or _image_root(dataset) is None:
            raise ValueError(
                f'{other} and {path} have the same name, and {type(metric).__name__} would write '
                f'the prediction of one over the other in {metric.output_dir}. Set '
                "test_evaluator.type='PerClassIoUMetric' and image_root to the folder of all "
                'images.'
            )
        metric.image_root = _image_root(dataset)
