# Licensed under the Apache License 2.0, see LICENSE.
"""A report on trained networks: evaluation, summary, and a picture of what they predict."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.runner import Runner
from mmseg.apis import init_model
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from torch import Tensor

from mmseg_depthuda.engine.hooks.uda_visualization_hook import add_depth_agreement
from mmseg_depthuda.fileio import AtomicBackend
from mmseg_depthuda.models.decode_heads.head_contract import has_depth_decoders
from mmseg_depthuda.visualization.depth_local_visualizer import DIFFICULTY_TITLE
from mmseg_depthuda.visualization.panels import DEPTH_COLORS, DIFFICULTY_COLORS


@dataclass(frozen=True)
class TrainedRun:
    """A network to report on.

    Attributes:
        name: How tables and pictures call it.
        config: Its config file.
        checkpoint: Its weights.
    """

    name: str
    config: Path
    checkpoint: Path


def evaluate(run: TrainedRun, work_dir: str | Path) -> dict[str, float]:
    """Test a network as ``tools/test.py`` does.

    Args:
        run (TrainedRun): The network.
        work_dir (str | Path): Folder for MMEngine's logs.

    Returns:
        dict[str, float]: What the config's ``test_evaluator`` measures.

    Raises:
        ValueError: The checkpoint does not fit the config.
    """
    cfg = Config.fromfile(run.config)
    cfg.load_from = str(run.checkpoint)
    cfg.work_dir = str(work_dir)
    return Runner.from_cfg(cfg).test()


def write_summary(
    path: str | Path, metrics: Mapping[str, Mapping[str, float]], minutes: float
) -> None:
    """Write ``{RUN: {"mIoU": percent}, ..., "minutes": minutes}``.

    Args:
        path (str | Path): JSON file.
        metrics (Mapping[str, Mapping[str, float]]): Result of :func:`evaluate` by run name.
        minutes (float): Wall time of all trainings together.
    """
    summary: dict = {
        name: {'mIoU': round(float(values['mIoU']), 2)} for name, values in metrics.items()
    }
    summary['minutes'] = round(minutes, 2)
    AtomicBackend().put_text(json.dumps(summary, indent=2) + '\n', path)


def training_seconds(*work_dirs: str | Path) -> float:
    """Measure how long networks were trained, over all attempts, the killed ones included.

    Time in which two of them were trained at once counts once.

    Args:
        work_dirs (str | Path): Work dirs of the runs. Each has MMEngine's folder
            ``YYYYMMDD_HHMMSS`` for each attempt: its name is the time when it began, the last line
            of its log the time when it ended.

    Returns:
        float: Wall time in seconds.
    """
    attempts = sorted(
        (datetime.strptime(log.stem, '%Y%m%d_%H%M%S').timestamp(), log.stat().st_mtime)
        for work_dir in work_dirs
        for log in Path(work_dir).glob('*/*.log')
        if log.stem == log.parent.name
    )
    seconds, counted = 0.0, 0.0
    for begin, end in attempts:
        seconds += max(0.0, end - max(begin, counted))
        counted = max(counted, end)
    return seconds


def draw_report(
    runs: Sequence[TrainedRun],
    path: str | Path,
    num_images: int = 4,
    photographs: str | Path | None = None,
    num_photographs: int = 4,
) -> None:
    """Draw images, labels, predictions, depth and difficulty of validation images.

    One row per image, taken at equal steps from the validation set of the first run, then from the
    photographs. Columns: image, truth, the segmentation of each run, and, of the last run with a
    depth decoder per domain, its inverse depth and where the two decoders disagree.

    Args:
        runs (Sequence[TrainedRun]): Networks, trained on the same classes.
        path (str | Path): Picture to write.
        num_images (int): Number of validation images.
        photographs (str | Path, optional): Folder with ``images/``, pictures without labels. They
            are resized to the height of the validation images. Defaults to None: none.
        num_photographs (int): Number of them to draw at most.

    Raises:
        FileNotFoundError: ``images/`` of the photographs is missing or holds no picture.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    models = {run.name: init_model(str(run.config), str(run.checkpoint), device) for run in runs}
    dataset = DATASETS.build(models[runs[0].name].cfg.test_dataloader.dataset)
    samples = _spread(dataset, num_images)
    if photographs is not None:
        height = samples[0]['inputs'].shape[1]
        pictures = _photographs(photographs, height, dataset.metainfo)
        for sample in _spread(pictures, num_photographs):
            # Segmented as it is drawn, not at the many pixels of the file.
            sample['data_samples'].set_metainfo(dict(ori_shape=sample['inputs'].shape[1:]))
            samples.append(sample)
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(dataset.metainfo['palette'])] = dataset.metainfo['palette']
    _save_grid([_panels(models, sample, palette) for sample in samples], path)


def _spread(dataset: Any, number: int) -> list[dict]:
    """Items of a dataset at equal steps, at most ``number``."""
    indices = np.linspace(0, len(dataset) - 1, min(number, len(dataset))).round().astype(int)
    return [dataset[int(index)] for index in indices]


def _photographs(root: str | Path, height: int, metainfo: Mapping[str, Any]) -> Any:
    """The pictures in ``images/`` of a folder as a dataset, resized to a height."""
    return DATASETS.build(
        dict(
            type='FolderDepthDataset',
            metainfo=dict(classes=metainfo['classes'], palette=metainfo['palette']),
            data_root=str(root),
            data_prefix=dict(img_path='images'),
            pipeline=[
                dict(type='LoadImageFromFile'),
                # The short side rules, unless a panorama is wider than 4:1.
                dict(type='Resize', scale=(4 * height, height), keep_ratio=True),
                dict(type='PackSegInputs'),
            ],
        )
    )


def _panels(
    models: Mapping[str, Any], sample: dict, palette: np.ndarray
) -> dict[str, np.ndarray | Tensor]:
    """The titled panels of one image."""
    image = sample['inputs'].numpy().transpose(1, 2, 0)[..., ::-1]  # BGR, (3, H, W)
    truth = np.full(image.shape, 255, dtype=np.uint8)  # a blank panel where there are no labels
    if 'gt_sem_seg' in sample['data_samples']:
        truth = palette[sample['data_samples'].gt_sem_seg.data.squeeze(0).numpy()]
    panels: dict[str, np.ndarray | Tensor] = {'image': image, 'truth': truth}
    depth_panels: dict[str, np.ndarray | Tensor] = {}
    for name, model in models.items():
        prediction = predict(model, sample)
        panels[name] = palette[prediction.pred_sem_seg.data.squeeze(0).cpu().numpy()]
        if has_depth_decoders(model.decode_head):
            depth_panels = {
                'predicted depth (bright: near)': prediction.pred_depth_map.data.squeeze(0).cpu(),
                DIFFICULTY_TITLE: difficulty_map(model, sample, prediction).cpu(),
            }
    return panels | depth_panels


@torch.no_grad()
def predict(model: Any, sample: dict) -> SegDataSample:
    """Predict one item of a dataset, which stays as it is.

    Args:
        model (nn.Module): Segmentor in evaluation mode.
        sample (dict): ``inputs`` and ``data_samples`` as ``PackSegInputs`` makes them.

    Returns:
        SegDataSample: With ``pred_sem_seg``, and ``pred_depth_map`` where the model has one.
    """
    return model.test_step(pseudo_collate([copy.deepcopy(sample)]))[0]


@torch.no_grad()
def difficulty_map(model: Any, sample: dict, prediction: SegDataSample) -> Tensor:
    """Compute where the depth decoders of the two domains disagree on an image.

    Args:
        model (nn.Module): Segmentor whose decode head has two depth decoders.
        sample (dict): As for :func:`predict`.
        prediction (SegDataSample): Result of :func:`predict`; gets ``depth_agreement``, see
            :func:`~mmseg_depthuda.engine.hooks.uda_visualization_hook.add_depth_agreement`.

    Returns:
        Tensor: (H, W) in 0..1, 1 where adaptation is hardest.
    """
    data = model.data_preprocessor(pseudo_collate([copy.deepcopy(sample)]), False)
    add_depth_agreement(model, data['inputs'], [prediction])
    return 1 - prediction.depth_agreement.data[0]


def _save_grid(rows: Sequence[Mapping[str, np.ndarray | Tensor]], path: str | Path) -> None:
    """Save rows of titled panels: RGB arrays (H, W, 3), or maps (H, W) to be colored."""
    titles = list(rows[0])
    cell = 3.0
    heights = [cell * row['image'].shape[0] / row['image'].shape[1] for row in rows]
    figure = Figure((cell * len(titles), sum(heights) + 0.4), dpi=100, layout='tight')
    axes = figure.subplots(len(rows), len(titles), squeeze=False, height_ratios=heights)
    for row, row_axes in zip(rows, axes, strict=True):
        for title, axis in zip(titles, row_axes, strict=True):
            options: dict[str, Any] = dict(cmap=DEPTH_COLORS)
            if title == DIFFICULTY_TITLE:
                options = dict(cmap=DIFFICULTY_COLORS, vmin=0, vmax=1)
            axis.imshow(np.asarray(row[title]), interpolation='nearest', **options)
            axis.set_axis_off()
    for title, axis in zip(titles, axes[0], strict=True):
        axis.set_title(title, fontsize=10)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
