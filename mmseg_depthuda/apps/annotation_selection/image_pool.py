# Licensed under the Apache License 2.0, see LICENSE.
"""The images to choose from, in the order of their paths."""

from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS
from torch.utils.data import Subset

from mmseg_depthuda.datasets.depth_dataset import DepthSegDataset

LABELS, DEPTH = 'seg_map_path', 'depth_map_path'


class ImagePool:
    """The training images of a config, whose labels are not looked at.

    Args:
        cfg: Its ``train_dataloader.dataset`` is a dataset of this package.

    Attributes:
        folder: Folder of the images.
        names: Files below it, with ``/``, sorted. An image is known by its place in this list.
        stems: The same without the suffix.

    Raises:
        FileNotFoundError: There is no image.
        ValueError: The dataset is none of this package.
    """

    def __init__(self, cfg: Config) -> None:
        self._config = dict(cfg.train_dataloader.dataset)
        kind = DATASETS.get(self._config['type'])
        if kind is None or not issubclass(kind, DepthSegDataset):
            raise ValueError(
                f'train_dataloader.dataset is a {self._config["type"]}: take a dataset of this '
                'package, such as FolderDepthDataset(data_prefix=dict(img_path=...)), whose '
                "files' names are known."
            )
        images = self._built(without=(LABELS, DEPTH))
        self.folder = images.data_prefix['img_path']
        self.names = tuple(sorted(_names(images)))
        stem_of = {name: stem for stem, name in images.list_images().items()}
        self.stems = tuple(stem_of[name] for name in self.names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def has_depth(self) -> bool:
        """Whether the config names depth files."""
        return DEPTH in self._built(without=(LABELS,), lazy_init=True).data_prefix

    def use_depth(self, folder: Path) -> None:
        """Take depth from normalized PNGs, ``FOLDER/STEM.png``."""
        self._config.pop('depth', None)
        prefix = dict(self._config.get('data_prefix') or {}) | {DEPTH: str(folder.resolve())}
        self._config |= dict(
            data_prefix=prefix, depth_map_suffix='.png', depth_file='png_disparity'
        )

    def images(self, pipeline: Sequence[Mapping], with_depth: bool = False) -> Subset:
        """The images in the order of :attr:`names`.

        Args:
            pipeline: Transforms of a test.
            with_depth: Whether samples have their depth files.

        Raises:
            FileNotFoundError: Depth files are missing; the message names them.
        """
        without = (LABELS,) if with_depth else (LABELS, DEPTH)
        dataset = self._built(without, pipeline=list(pipeline))
        place = {name: i for i, name in enumerate(_names(dataset))}
        return Subset(dataset, [place[name] for name in self.names])

    def training_config(self, listed: Path, with_labels: bool) -> dict[str, Any]:
        """Config of the dataset of a student.

        Args:
            listed: Text file of the images to train on.
            with_labels: Whether the student learns labels; otherwise it learns depth.
        """
        config = self._without((DEPTH,) if with_labels else (LABELS,))
        for part in ('indices', 'subset'):  # the listed images are within it
            config.pop(part, None)
        return config | dict(ann_file=str(listed.resolve()))

    def unlabeled(self, chosen: Sequence[int]) -> list[str]:
        """Which of some images have no label file: all of them if the config names no labels."""
        dataset = self._built(without=(DEPTH,), lazy_init=True)
        has_labels = LABELS in dataset.data_prefix
        return [
            self.names[i]
            for i in chosen
            if not (has_labels and Path(dataset.companion_path(LABELS, self.stems[i])).is_file())
        ]

    def _built(self, without: Sequence[str], **options: Any) -> DepthSegDataset:
        return DATASETS.build(self._without(without) | dict(pipeline=[]) | options)

    def _without(self, kinds: Sequence[str]) -> dict[str, Any]:
        """The config without some kinds of files."""
        prefix = dict(self._config.get('data_prefix') or {})
        return self._config | dict(data_prefix=prefix | dict.fromkeys(kinds))


def _names(dataset: DepthSegDataset) -> list[str]:
    """Paths of the images below their folder."""
    root = dataset.data_prefix['img_path']
    paths = (dataset.get_data_info(i)['img_path'] for i in range(len(dataset)))
    return [Path(osp.relpath(path, root)).as_posix() for path in paths]
