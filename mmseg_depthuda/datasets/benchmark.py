# Licensed under the Apache License 2.0, see LICENSE.
"""How fast source-target pairs are read, resized and cropped, measured on full-size files.

Times are processor times of this process, so that they mean one core whatever else runs.
"""

import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from mmengine.dataset import BaseDataset
from PIL import Image
from scipy.io import savemat

from .domains import DomainsIndex, SourceTargetDataset
from .label_protocols import LABELLINGS
from .seeding import seeded

GTA5_SIZE = (1914, 1052)
CITYSCAPES_SIZE = (2048, 1024)


def write_full_size_pairs(folder: Path, count: int) -> tuple[Path, Path]:
    """Write files of the sizes, bit depths and compressibility of GTA5 and Cityscapes.

    Args:
        folder: Existing folder.
        count: Images per domain.

    Returns:
        Roots of the source (GTA5's layout) and the target (Cityscapes', stereo depth).
    """
    generator = np.random.default_rng(0)
    source, target = folder / 'gta', folder / 'cityscapes'
    for i in range(count):
        name = f'{i + 1:05}.png'
        _write(source / 'images' / name, _photograph(generator, GTA5_SIZE))
        _write(source / 'disparity' / name, _disparity(generator, GTA5_SIZE))
        _write_palette(source / 'labels' / name, _label_ids(generator, GTA5_SIZE))
        name = f'train/aachen/aachen_{i:06}_000019'
        image = target / 'leftImg8bit' / f'{name}_leftImg8bit.png'
        _write(image, _photograph(generator, CITYSCAPES_SIZE))
        depth = target / 'depth' / f'{name}_depth_stereoscopic.mat'
        _write_metres(depth, _disparity(generator, CITYSCAPES_SIZE) / np.float32(1000))
    return source, target


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), pixels):
        raise OSError(f'Could not write {path}.')


def _write_palette(path: Path, label_ids: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(label_ids)
    image.putpalette([value for value in range(256) for _ in range(3)])
    image.save(path)


def _write_metres(path: Path, metres: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, dict(depth_map=metres), do_compression=True)


def _photograph(generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Smooth shading with the fine noise of a camera: about 2.5 MB as PNG, like the real files."""
    shading = cv2.resize(generator.random((26, 48, 3)), size, interpolation=cv2.INTER_CUBIC)
    noise = generator.normal(scale=2, size=shading.shape)
    return np.clip(200 * shading + 25 + noise, 0, 255).astype(np.uint8)


def _disparity(generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Network output: smooth, but with all 16 bits in use."""
    smooth = cv2.resize(generator.random((26, 48)), size, interpolation=cv2.INTER_CUBIC)
    return np.clip(50000 * smooth + 5000, 1, 65535).astype(np.uint16)


def _label_ids(generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    ids = generator.integers(len(LABELLINGS['cityscapes_ids']), size=(26, 48), dtype=np.uint8)
    return cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST)


def time_pairs(dataset: SourceTargetDataset, indices: Iterable[DomainsIndex]) -> float:
    """Draw pairs in this process.

    Returns:
        Pairs per second.
    """
    indices = list(indices)
    start = time.process_time()
    for index in indices:
        dataset[index]
    return len(indices) / (time.process_time() - start)


def time_transforms(dataset: BaseDataset, indices: Iterable[int]) -> dict[str, float]:
    """Run a dataset's pipeline step by step.

    Returns:
        Mean seconds per sample, by name of the transform.
    """
    indices = list(indices)
    seconds: dict[str, float] = defaultdict(float)
    for index in indices:
        results = dataset.get_data_info(index)
        with seeded(index):
            for transform in dataset.pipeline.transforms:
                start = time.process_time()
                results = transform(results)
                seconds[type(transform).__name__] += time.process_time() - start
    return {name: total / len(indices) for name, total in seconds.items()}
