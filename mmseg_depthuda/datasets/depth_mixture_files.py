# Licensed under the Apache License 2.0, see LICENSE.
"""Files of fitted mixtures: what they say of themselves, and which training may use them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from mmengine.dataset import BaseDataset

from mmseg_depthuda.adaptation.depth_mixtures import DepthMixtures
from mmseg_depthuda.fileio import atomic_write

from .transforms import LoadInverseDepth

KIND = 'mmseg_depthuda.depth_mixtures'
REMEDY = 'Fit it anew: python tools/fit_depth_mixtures.py CONFIG OUT.json'


@dataclass(frozen=True)
class MixtureMeta:
    """What mixtures were fitted on.

    Attributes:
        classes: Names of the C classes in training order.
        grid: (height, width) of the feature map whose pixels were the samples.
        encoding: Encoding of the depth, a key of ``DEPTH_ENCODINGS``.
        pixels: Labeled pixels of the grid per class, in all images, as counts of the classes.
        samples: Those of them that were fitted, per class; 0 for a class without mixture.
        components: K.
        seed: Of the sampling and of the fit.
        path: The file, set by :func:`load_mixtures`.
    """

    classes: tuple[str, ...]
    grid: tuple[int, int]
    encoding: str
    pixels: tuple[int, ...]
    samples: tuple[int, ...]
    components: int
    seed: int
    path: str = ''


def save_mixtures(path: str | Path, mixtures: DepthMixtures, meta: MixtureMeta) -> None:
    """Write mixtures as JSON that a person can read; the file is whole or absent.

    Args:
        path: File to write.
        mixtures: Of the classes of ``meta``. Every number is kept exactly.
        meta: What they were fitted on.

    Raises:
        ValueError: If the numbers of classes or components differ.
        OSError: As :func:`~mmseg_depthuda.fileio.atomic_write`.
    """
    wanted = len(meta.classes), meta.components
    if mixtures.weights.shape != wanted or not len(meta.pixels) == len(meta.samples) == wanted[0]:
        raise ValueError(
            f'mixtures of weights {tuple(mixtures.weights.shape)}, {len(meta.pixels)} and '
            f'{len(meta.samples)} counts do not fit {wanted[0]} classes of {wanted[1]} components'
        )
    columns = (
        meta.classes,
        meta.pixels,
        meta.samples,
        mixtures.weights.tolist(),
        mixtures.means.tolist(),
        mixtures.variances.tolist(),
    )
    names = ('name', 'pixels', 'samples', 'weights', 'means', 'variances')
    rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    kept = asdict(meta)
    head = {name: kept[name] for name in ('grid', 'encoding', 'components', 'seed')}
    content = dict(kind=KIND, **head, axes=['column', 'row', 'depth'], classes=rows)
    with atomic_write(path) as file:
        file.write(f'{json.dumps(content, indent=1)}\n'.encode())


def load_mixtures(path: str | Path) -> tuple[DepthMixtures, MixtureMeta]:
    """Read mixtures.

    Args:
        path: File of :func:`save_mixtures`.

    Returns:
        The mixtures, and what they were fitted on.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is cut, damaged or of another kind.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        if content['kind'] != KIND:
            raise ValueError(f'kind is {content["kind"]!r}')
        rows = content['classes']
        mixtures = DepthMixtures(
            *(
                torch.tensor([row[name] for row in rows], dtype=torch.float64)
                for name in ('weights', 'means', 'variances')
            )
        )
        height, width = content['grid']
        meta = MixtureMeta(
            classes=tuple(row['name'] for row in rows),
            grid=(height, width),
            encoding=content['encoding'],
            pixels=tuple(row['pixels'] for row in rows),
            samples=tuple(row['samples'] for row in rows),
            components=content['components'],
            seed=content['seed'],
            path=str(path),
        )
    except FileNotFoundError as error:
        raise FileNotFoundError(f'there is no file of depth mixtures {path}. {REMEDY}') from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'{path} is no whole file of depth mixtures ({type(error).__name__}: {error}). {REMEDY}'
        ) from error
    return mixtures, meta


def check_mixtures(
    meta: MixtureMeta, *, classes: Sequence[str], grid: Sequence[int], encoding: str
) -> None:
    """Refuse mixtures that were fitted for another training.

    Args:
        meta: Of the file.
        classes: Names of the classes of the training, in its order.
        grid: (height, width) of its feature map.
        encoding: Encoding of its depth.

    Raises:
        ValueError: If one of them differs; the message says which, and how to fit anew.
    """
    wanted = dict(classes=tuple(classes), grid=tuple(grid), encoding=encoding)
    differing = [
        f'{name} {getattr(meta, name)}, the training has {value}'
        for name, value in wanted.items()
        if getattr(meta, name) != value
    ]
    if differing:
        raise ValueError(
            f'the depth mixtures {meta.path} were fitted for another training: '
            f'{"; ".join(differing)}. {REMEDY}, with the config of this training.'
        )


def depth_encoding(dataset: BaseDataset) -> str:
    """The encoding in which a dataset loads depth.

    Args:
        dataset: With a ``LoadInverseDepth`` in its pipeline.

    Returns:
        Key of ``DEPTH_ENCODINGS``.

    Raises:
        ValueError: If the dataset loads no depth.
    """
    loaders = [t for t in dataset.pipeline.transforms if isinstance(t, LoadInverseDepth)]
    if not loaders or 'depth_map_path' not in dataset.data_prefix:
        raise ValueError(
            f'the {type(dataset).__name__} loads no depth. Name its depth files with '
            "data_prefix=dict(depth_map_path=...), and let dict(type='LoadInverseDepth', "
            "encoding='dada') follow LoadImageFromFile in its pipeline."
        )
    return loaders[0].encoding
