# Licensed under the Apache License 2.0, see LICENSE.
"""The choice of images, step by step: each step sees what the student learned from those before."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmseg.models import BaseSegmentor
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_depthuda.adaptation.selection import (
    farthest_points,
    greatest_errors,
    seeded_order,
    standardized_descriptors,
)
from mmseg_depthuda.apps.checked_model import load_checked_model
from mmseg_depthuda.apps.depth_prediction.prediction import predict_files
from mmseg_depthuda.apps.folder_settings import checkpoint_digest, claim_folder, text_digest
from mmseg_depthuda.datasets.image_files import read_list
from mmseg_depthuda.engine.launch import existing_checkpoint, find_config
from mmseg_depthuda.fileio import atomic_write
from mmseg_depthuda.models import SupervisedDepth

from .contact_sheet import contact_sheet
from .image_pool import ImagePool
from .pool_passes import depth_errors, entropies, pool_features
from .student import train_student

RECORD = 'selection.json'
FEATURES = 'features.npy'
DEPTH_FOLDER = 'depth'
LAYER = 'decode_head.after.1'
"""Stage 3 of the decoder of our depth networks, the default of ``selection_network.layer``."""


@dataclass(frozen=True)
class Strategy:
    """How the images of a step are chosen.

    Attributes:
        distance: Whether images are to differ from those chosen before.
        student: What a student that was trained on the steps before is asked: how wrong it is about
            ``'depth'``, how unsure about the ``'classes'``; None: nothing.
        says: For people.
    """

    distance: bool
    student: str | None
    says: str


STRATEGIES = {
    'combined': Strategy(True, 'depth', 'images that differ, and on which the student is wrong'),
    'diversity': Strategy(True, None, 'images that differ'),
    'uncertainty': Strategy(False, 'depth', 'images on which the depth of the student is wrong'),
    'entropy': Strategy(False, 'classes', 'images on which the student is unsure of the classes'),
    'random': Strategy(False, None, 'any images'),
}


@dataclass(frozen=True)
class ChosenImages:
    """A step.

    Attributes:
        count: Number of images.
        names: Files below the folder of the images, in the order of their choice.
        listed: Text file of the names, one a line.
        sheet: Picture of the images.
        is_new: Whether this call has chosen them.
    """

    count: int
    names: tuple[str, ...]
    listed: Path
    sheet: Path
    is_new: bool


def select_annotations(
    cfg: Config,
    out: str | Path,
    steps: Sequence[int],
    *,
    strategy: str = 'combined',
    seed: int = 42,
    device: str = 'cpu',
    workers: int = 0,
) -> list[ChosenImages]:
    """Choose the images of each step; those of a step include those of the steps before.

    Each step writes ``OUT/images_K.txt`` and ``OUT/images_K.jpg``. Steps whose list exists are
    kept, so that a stopped call goes on, and larger steps can be added.

    Args:
        cfg: Config of the student's training. ``train_dataloader.dataset`` is the pool of images.
            ``train_cfg.max_iters`` is the length of the first student's training; each later one is
            longer by as much. ``selection_network`` is ``dict(config, checkpoint, layer)``: the
            network whose features are compared.
        out: Folder to write to.
        steps: Numbers of images, increasing.
        strategy: Key of :data:`STRATEGIES`.
        seed: Of the first image, and of the random ones.
        device: ``'cpu'``, ``'cuda'``...
        workers: Processes that read images.

    Returns:
        The steps.

    Raises:
        FileNotFoundError: A folder, a config or a checkpoint is missing, images have no depth, or
            chosen images have no labels yet (``'entropy'``).
        ValueError: Steps do not increase or exceed the pool, ``out`` holds another selection, a
            checkpoint is another network's, or the config does not fit the strategy.
    """
    if strategy not in STRATEGIES:
        raise ValueError(f'--strategy must be one of {list(STRATEGIES)}, got {strategy!r}')
    pool = ImagePool(cfg)
    _check_steps(steps, len(pool))
    selection = _Selection(cfg, pool, Path(out), STRATEGIES[strategy], seed, device, workers)
    selection.check_student()
    claim_folder(selection.out / RECORD, selection.settings(strategy), 'a selection', 'images_*')
    _check_lists(selection.out, steps)
    if len(steps) == 1 and selection.strategy.student:
        way = 'diversity' if selection.strategy.distance else 'random'
        print_log(
            f'With one step the student is never asked, and --strategy {strategy} is {way}. Give '
            f'smaller steps before, such as --steps {max(1, steps[0] // 4)} {steps[0]}.',
            'current',
            logging.WARNING,
        )
    chosen: list[int] = []
    found = []
    for number, count in enumerate(steps):
        listed = selection.listed(count)
        is_new = not listed.exists()
        if is_new:
            chosen = chosen + selection.next(chosen, count - len(chosen), number)
            with atomic_write(listed) as file:
                file.write(''.join(f'{pool.names[i]}\n' for i in chosen).encode())
        else:
            chosen = _read_chosen(listed, pool, chosen, count)
        names = tuple(pool.names[i] for i in chosen)
        sheet = listed.with_suffix('.jpg')
        if not sheet.exists():
            picture = contact_sheet([Path(pool.folder) / name for name in names], workers)
            with atomic_write(sheet) as file:
                file.write(cv2.imencode('.jpg', picture)[1].tobytes())
        found.append(ChosenImages(count, names, listed, sheet, is_new))
    return found


@dataclass
class _Selection:
    """What the steps have in common."""

    cfg: Config
    pool: ImagePool
    out: Path
    strategy: Strategy
    seed: int
    device: str
    workers: int

    def listed(self, count: int) -> Path:
        """The list of a step."""
        return self.out / f'images_{count}.txt'

    def settings(self, strategy: str) -> dict[str, Any]:
        """What must be equal for all steps of a folder."""
        settings: dict[str, Any] = dict(
            strategy=strategy, seed=self.seed, images=text_digest('\n'.join(self.pool.names))
        )
        if self._needs_network:
            network = self._network_config
            settings |= dict(
                network=checkpoint_digest(network['checkpoint']),
                layer=network.get('layer', LAYER) if self.strategy.distance else None,
            )
        if self.strategy.student:
            keys = ('model', 'optim_wrapper', 'param_scheduler', 'train_cfg', 'test_pipeline')
            loader = self.cfg.train_dataloader
            parts = [*map(self.cfg.get, keys), loader.get('batch_size'), loader.dataset.pipeline]
            settings['student'] = text_digest(repr(parts))
        return settings

    def check_student(self) -> None:
        """Refuse, before anything takes long, what the student could not learn from."""
        if self.strategy.student is None:
            return
        kind = MODELS.get(self.cfg.model.type)
        wanted = SupervisedDepth if self.strategy.student == 'depth' else BaseSegmentor
        if kind is None or not issubclass(kind, wanted):
            raise ValueError(
                f'model.type={self.cfg.model.type!r} does not fit --strategy: the student that is '
                f'asked about {self.strategy.student} must be a {wanted.__name__}.'
            )
        if self.strategy.student == 'depth' and self.pool.has_depth:
            self._check_depth()

    def _check_depth(self) -> None:
        sample = self.pool.images(_test_pipeline(self.cfg), with_depth=True)[0]
        depth = sample['data_samples'].get('gt_depth_map')
        if (
            depth is None
            or depth.data.max() > 1 + 1e-4
            or depth.shape != sample['inputs'].shape[1:]
        ):
            raise ValueError(
                'test_pipeline must give depth in 0..1 of the size of the image, to compare with '
                "that of the student: [dict(type='LoadImageFromFile'), dict(type="
                "'LoadInverseDepth', encoding='corda'), dict(type='ResizeWithDepth', scale=...), "
                "dict(type='NormalizeDepth'), dict(type='PackSegInputs')]."
            )

    def next(self, chosen: list[int], count: int, number: int) -> list[int]:
        """The images of step ``number``, after those that are ``chosen``."""
        if self.strategy.student == 'depth' and not self.pool.has_depth:
            self._predict_depth()
        errors = None
        if chosen and self.strategy.student:
            errors = self._errors(chosen, number * self.cfg.train_cfg.max_iters)
        if self.strategy.distance:
            first = [] if chosen else [int(self._order[0])]
            rest = count - len(first)
            return first + farthest_points(self._descriptors, chosen or first, rest, errors)
        if errors is None:
            return self._order[len(chosen) : len(chosen) + count].tolist()
        return greatest_errors(errors, chosen, count)

    @cached_property
    def _order(self) -> np.ndarray:
        return seeded_order(len(self.pool), self.seed)

    # -- the network that is there -----------------------------------------------------------------

    @property
    def _needs_network(self) -> bool:
        return self.strategy.distance or (
            self.strategy.student == 'depth' and not self.pool.has_depth
        )

    @property
    def _network_config(self) -> dict[str, str]:
        network = dict(self.cfg.get('selection_network') or {})
        missing = [key for key in ('config', 'checkpoint') if not network.get(key)]
        if missing:
            raise ValueError(
                f'the config has no selection_network.{missing[0]}. Name a depth network, such as '
                "selection_network=dict(config='monodepth2/monodepth2_r101_cs_unfrozen.py', "
                "checkpoint='iter_50000.pth')."
            )
        existing_checkpoint(network['checkpoint'])
        return network

    @cached_property
    def _network(self) -> BaseSegmentor:
        network = self._network_config
        return load_checked_model(
            find_config(network['config']), network['checkpoint'], self.device
        )

    @cached_property
    def _descriptors(self) -> Tensor:
        images = self.pool.images(_test_pipeline(self._network.cfg))
        layer = self._network_config.get('layer', LAYER)
        pooled = pool_features(self._network, layer, images, self.out / FEATURES, self.workers)
        return standardized_descriptors(pooled)

    def _predict_depth(self) -> None:
        """Let the network give the images depth, which the student will learn."""
        if not getattr(self._network, 'predicts_depth', False):
            raise ValueError(
                'the images have no depth, and selection_network predicts none. Set '
                'data_prefix.depth_map_path of the dataset, or name a network of '
                'configs/monodepth2.'
            )
        folder = self.out / DEPTH_FOLDER
        files = {
            Path(self.pool.folder) / name: folder / f'{stem}.png'
            for name, stem in zip(self.pool.names, self.pool.stems, strict=True)
        }
        predict_files(self._network, files, 'normalized')
        self.pool.use_depth(folder)
        self._check_depth()

    # -- the student -------------------------------------------------------------------------------

    def _errors(self, chosen: list[int], iterations: int) -> Tensor:
        """How wrong a student is on each image that was trained on those chosen."""
        file = self.out / f'errors_{len(chosen)}.csv'
        if not file.exists():
            self._write_errors(file, self._train_and_ask(chosen, iterations))
        with open(file, encoding='utf-8', newline='') as lines:
            rows = list(csv.reader(lines))[1:]
        if [row[0] for row in rows] != list(self.pool.names):
            raise ValueError(f'{file} is damaged. Delete it, and run again.')
        return torch.tensor([float(row[1]) for row in rows], dtype=torch.float64)

    def _train_and_ask(self, chosen: list[int], iterations: int) -> list[float]:
        classes = self.strategy.student == 'classes'
        listed = self.listed(len(chosen))
        unlabeled = self.pool.unlabeled(chosen) if classes else []
        if unlabeled:
            raise FileNotFoundError(
                f'{len(unlabeled)} of the {len(chosen)} images in {listed} have no labels yet, '
                f'such as {unlabeled[0]}. Label them, set data_prefix.seg_map_path of the dataset, '
                'and run the same command again: the student of the next step learns from them.'
            )
        pipeline = _test_pipeline(self.cfg)
        images = self.pool.images(pipeline, with_depth=not classes)
        cfg, checkpoint = train_student(
            self.cfg,
            self.pool.training_config(listed, with_labels=classes),
            iterations,
            self.out / f'student_{len(chosen)}',
        )
        student = load_checked_model(cfg, checkpoint, self.device)
        return (entropies if classes else depth_errors)(student, images, self.workers)

    def _write_errors(self, file: Path, errors: Sequence[float]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        writer.writerow(['image', 'error'])
        writer.writerows(
            [name, repr(error)] for name, error in zip(self.pool.names, errors, strict=True)
        )
        with atomic_write(file) as stream:
            stream.write(text.getvalue().encode())


def _test_pipeline(cfg: Config) -> list[dict]:
    if not cfg.get('test_pipeline'):
        raise ValueError(f'{cfg.filename} has no test_pipeline, which the images go through.')
    return list(cfg.test_pipeline)


def _check_steps(steps: Sequence[int], images: int) -> None:
    if not steps or steps[0] < 1 or any(b <= a for a, b in zip(steps, steps[1:], strict=False)):
        raise ValueError(
            f'--steps {" ".join(map(str, steps))}: they must be positive and increase, as 25 50 100'
        )
    if steps[-1] > images:
        raise ValueError(
            f'--steps {steps[-1]}: the pool has only {images} images. Ask for fewer, or check '
            'train_dataloader.dataset of the config.'
        )


def _check_lists(out: Path, steps: Sequence[int]) -> None:
    """Refuse steps that are not those of a selection that is there, or more of them."""
    names = [re.fullmatch(r'images_(\d+)\.txt', path.name) for path in out.glob('images_*.txt')]
    there = sorted(int(match[1]) for match in names if match)
    common = min(len(there), len(steps))
    if list(steps[:common]) != there[:common]:
        raise ValueError(
            f'{out} holds a selection with the steps {" ".join(map(str, there))}. Give the same '
            '--steps, with larger ones added if you like, or name another folder.'
        )


def _read_chosen(listed: Path, pool: ImagePool, before: Sequence[int], count: int) -> list[int]:
    place = {name: i for i, name in enumerate(pool.names)}
    chosen = [place.get(name, -1) for name in read_list(listed)]
    if len(set(chosen)) != count or -1 in chosen or chosen[: len(before)] != list(before):
        raise ValueError(
            f'{listed} was changed: it does not name {count} images of the pool, those of the step '
            'before first. Restore it, or name another folder.'
        )
    return chosen
