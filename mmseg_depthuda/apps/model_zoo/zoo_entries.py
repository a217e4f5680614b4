# Licensed under the Apache License 2.0, see LICENSE.
"""What the model zoo says of an experiment, read from its config and from the table of results."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from mmengine.config import Config

RESULTS = 'configs/results.csv'
METHODS = 'configs/methods.csv'
METRICS = ('mIoU', 'mIoU_16', 'mIoU_13')
REPORTERS = ('paper', 'release', 'this project')
REPORT = ('evaluation_size', 'reported_by', 'source')
RESULT_COLUMNS = ('table', 'experiment', 'method', 'variant', *METRICS, *REPORT)

# Name of a dataset by its class; those of the street world are told apart by their folder.
DATASETS = {
    'GTA5DepthDataset': 'GTA5',
    'SYNTHIADepthDataset': 'SYNTHIA',
    'CityscapesDepthDataset': 'Cityscapes',
    'CityscapesSequenceDataset': 'Cityscapes',
    'MapillaryDepthDataset': 'Mapillary Vistas',
    'CamVidDataset': 'CamVid',
    'FolderDepthDataset': 'own images',
    'FolderSequenceDataset': 'own video',
}


@dataclass(frozen=True)
class Method:
    """A line of ``configs/methods.csv``.

    Args:
        prefix (str): What the names of its experiments begin with, before ``_r101_``, ``_r18_`` or
            ``_effl0_``.
        name (str): Name of the collection in the metafile.
        paper (str): Title.
        paper_url (str): Address.
        guide (str): Page of the docs, relative to the root of the checkout.
        code (str): File of the package, likewise.
    """

    prefix: str
    name: str
    paper: str
    paper_url: str
    guide: str
    code: str


@dataclass(frozen=True)
class Result:
    """Numbers that somebody reports for an experiment.

    Args:
        metrics (Mapping[str, str]): Percent by metric, digits as reported.
        evaluation_size (str): ``WIDTHxHEIGHT`` in pixels, or ``'not stated'``.
        reported_by (str): One of ``REPORTERS``.
        source (str): Table or section of the paper, or page of the docs.
    """

    metrics: Mapping[str, str]
    evaluation_size: str
    reported_by: str
    source: str


@dataclass(frozen=True)
class Experiment:
    """A config and what is reported for it.

    Args:
        path (str): Config, relative to the root of the checkout.
        cfg (Config): Its content.
        table (str): Table of the page that lists it.
        method (str): What that table calls the method.
        variant (str): What tells it apart in that table; may be empty.
        results (tuple[Result, ...]): None, one, or several reports.
    """

    path: str
    cfg: Config
    table: str
    method: str
    variant: str
    results: tuple[Result, ...]

    @property
    def name(self) -> str:
        return Path(self.path).stem

    @property
    def prefix(self) -> str:
        """Of the method: ``simple_aux`` of ``simple_aux_r18_sim2real``."""
        return re.split(r'_(?:r\d+|effl\d)_', self.name)[0]

    @property
    def domains(self) -> dict[str, Mapping[str, Any]]:
        """Datasets by domain, empty where it trains on an ordinary dataset."""
        training = self.cfg.train_dataloader.dataset
        if training.type not in ('SourceTargetDataset', 'DomainsDataset'):
            return {}
        return {name: d for name, d in sorted(training.items()) if isinstance(d, Mapping)}

    @property
    def training_data(self) -> list[str]:
        datasets = self.domains.values() or [self.cfg.train_dataloader.dataset]
        return list(dict.fromkeys(dataset_name(dataset, self.cfg) for dataset in datasets))

    @property
    def evaluation_data(self) -> str:
        return dataset_name(self.cfg.test_dataloader.dataset, self.cfg)

    @property
    def batch_size(self) -> int | str:
        size = self.cfg.train_dataloader.batch_size
        return ' + '.join(f'{size} {domain}' for domain in self.domains) or size

    @property
    def target_depth(self) -> str | None:
        """``'stereo'`` or ``'mono'`` where the target dataset has both."""
        return self.domains.get('target', {}).get('depth')

    @property
    def initialization(self) -> str:
        """Where the weights come from; of a second stage or a transfer, the name of the first."""
        transfer = self.cfg.model.get('transfer') or {}
        first = self.cfg.get('load_from') or transfer.get('checkpoint')
        if first:
            return Path(first).parent.name
        init = self.cfg.model.backbone.get('init_cfg')
        if not init:
            return 'random'
        return 'ImageNet+COCO' if init.checkpoint == self.cfg.get('coco_init') else 'ImageNet'

    @property
    def network(self) -> str:
        """Backbone with its output stride, as in ``R-101-D8 (DeepLab-v2)``."""
        backbone = self.cfg.model.backbone
        if backbone.type == 'EfficientNetLite':
            return f'EfficientNet-{backbone.arch.title()}-D{backbone.output_stride}'
        deeplab = backbone.type == 'DeepLabV2ResNet'
        stride = 4 * prod(backbone.get('strides', (1, 2, 1, 1) if deeplab else (1, 2, 2, 2)))
        text = f'R-{backbone.depth}-D{stride}'
        if not deeplab:
            text += ' with stem'
        if backbone.get('base_channels', 64) == 32:
            return f'{text}, half width'
        return f'{text} (DeepLab-v2)' if deeplab else text

    @property
    def parts(self) -> list[str]:
        """Classes of its networks: backbone, head, and discriminator or pose network."""
        model = self.cfg.model
        alignments = (model.get('alignments') or {}).values()
        others = [a.get('discriminator') for a in alignments] + [model.get('pose_net')]
        found = [model.backbone, model.decode_head, *filter(None, others)]
        return list(dict.fromkeys(part.type for part in found))


def dataset_name(dataset: Mapping[str, Any], cfg: Mapping[str, Any]) -> str:
    """Name a dataset of a config for people.

    Args:
        dataset (Mapping): Config of the dataset.
        cfg (Mapping): The whole config, with the roots of ``_base_/data_roots.py``.

    Returns:
        str: As in ``DATASETS``, ``Street world (sim)`` or ``Street world (real)``; with ``video``
        and ``stereo`` where a sequence dataset reads frames and right images.

    Raises:
        KeyError: The class of the dataset has no name yet.
    """
    kind = dataset['type']
    if kind not in DATASETS:
        raise KeyError(f'no name for {kind}: add it to DATASETS in {Path(__file__).name}')
    name, details = DATASETS[kind], []
    root = str(dataset.get('data_root') or '')
    if root.startswith(f'{cfg.get("street_world_root")}/'):
        details = ['sim' if name in ('GTA5', 'SYNTHIA') else 'real']
        name = 'Street world'
    if 'SequenceDataset' in kind and 'video' not in name:
        stereo = 'right_path' in (dataset.get('data_prefix') or {})
        details.append('video and stereo' if stereo else 'video')
    return f'{name} ({", ".join(details)})' if details else name


def read_methods(root: Path) -> dict[str, Method]:
    """Read ``configs/methods.csv`` of a checkout.

    Returns:
        dict[str, Method]: By prefix, in the order of the file.
    """
    with open(root / METHODS, encoding='utf-8', newline='') as file:
        return {line['prefix']: Method(**line) for line in csv.DictReader(file)}


def read_experiments(root: Path) -> list[Experiment]:
    """Read ``configs/results.csv`` of a checkout and the configs that it names.

    Args:
        root (Path): The checkout.

    Returns:
        list[Experiment]: In the order of the table.

    Raises:
        ValueError: A line of the table is wrong, or a config has no line; the message names it.
    """
    lines: dict[str, list[dict[str, str]]] = {}
    results: dict[str, list[Result]] = {}
    with open(root / RESULTS, encoding='utf-8', newline='') as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != RESULT_COLUMNS:
            raise ValueError(f'{RESULTS}: the columns must be {",".join(RESULT_COLUMNS)}')
        for line in reader:
            name = line['experiment']
            result = _result(line, f'{RESULTS}, line {reader.line_num} ({name})')
            lines.setdefault(name, []).append(line)
            results.setdefault(name, []).extend([result] if result else [])
    paths = {
        path.stem: path.relative_to(root).as_posix()
        for path in sorted(root.glob('configs/*/*.py'))
        if path.parent.name != '_base_'
    }
    if paths.keys() != lines.keys():
        raise ValueError(
            f'{RESULTS} and configs/ differ. Configs without a line: '
            f'{sorted(paths.keys() - lines.keys())}; lines without a config: '
            f'{sorted(lines.keys() - paths.keys())}. Add a line (numbers may be empty) or remove it'
        )
    with _default_variables(root):
        return [
            Experiment(
                paths[name],
                Config.fromfile(root / paths[name]),
                table=first['table'],
                method=first['method'],
                variant=first['variant'],
                results=tuple(results[name]),
            )
            for name, (first, *_) in lines.items()
        ]


def _result(line: Mapping[str, str], where: str) -> Result | None:
    """The numbers of a line of the table, None if it has none."""
    metrics = {metric: line[metric] for metric in METRICS if line[metric]}
    said = [line[column] for column in REPORT]
    if not metrics and not any(said):
        return None
    wrong = [value for value in metrics.values() if not re.fullmatch(r'\d?\d\.\d', value)]
    if wrong:
        raise ValueError(f'{where}: {wrong[0]!r} is not a percentage with one decimal, as in 52.1')
    if not metrics or not all(said):
        raise ValueError(
            f'{where}: numbers, evaluation_size, reported_by and source go together; fill in all '
            'of them or none'
        )
    if line['reported_by'] not in REPORTERS:
        raise ValueError(f'{where}: reported_by must be one of {", ".join(REPORTERS)}')
    return Result(metrics, *said)


@contextmanager
def _default_variables(root: Path) -> Iterator[None]:
    """Hide the environment variables that configs read, so that every machine writes the same."""
    texts = (path.read_text(encoding='utf-8') for path in root.glob('configs/**/*.py'))
    names = {name for text in texts for name in re.findall(r'\{\{\s*\$(\w+)\s*:', text)}
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)
