# Licensed under the Apache License 2.0, see LICENSE.
"""Small files in the layouts of the real datasets."""

import gc
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

HEIGHT, WIDTH = 12, 20
CAMERA = {'extrinsic': {'baseline': 0.25}, 'intrinsic': {'fx': 2000.0}}

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='LoadInverseDepth'),
]


@pytest.fixture(scope='session', autouse=True)
def _quick_garbage_collection():
    """MMEngine collects garbage for every dataset it builds: spare it the imported modules."""
    gc.freeze()
    yield
    gc.unfreeze()


class FileWriter:
    """Writes files below a root and returns their paths."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def png(self, name: str, pixels: np.ndarray) -> Path:
        """Gray or BGR, 8 or 16 bits (also JPEG and others, by suffix)."""
        path = self._path(name)
        assert cv2.imwrite(str(path), pixels)
        return path

    def palette_png(self, name: str, indices: np.ndarray) -> Path:
        """A palette whose colors differ from the indices, as GTA5's labels have it."""
        path = self._path(name)
        image = Image.fromarray(indices)
        image.putpalette([255 - value for value in range(256) for _ in range(3)])
        image.save(path)
        return path

    def mat(self, name: str, **content: np.ndarray) -> Path:
        path = self._path(name)
        savemat(path, content)
        return path

    def json(self, name: str, content: object) -> Path:
        path = self._path(name)
        path.write_text(json.dumps(content))
        return path

    def truncate(self, name: str, share: float) -> Path:
        path = self.root / name
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path


@pytest.fixture
def files(tmp_path: Path) -> FileWriter:
    return FileWriter(tmp_path)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def label_ids() -> np.ndarray:
    """Cityscapes label ids 0..33, all of them present."""
    return (np.arange(HEIGHT * WIDTH) % 34).astype(np.uint8).reshape(HEIGHT, WIDTH)


@pytest.fixture
def depth16() -> np.ndarray:
    return np.random.default_rng(1).integers(256, 65535, size=(HEIGHT, WIDTH), dtype=np.uint16)


@pytest.fixture
def gta_root(files: FileWriter, image, label_ids, depth16) -> Path:
    for i in range(1, 6):
        files.png(f'gta/images/{i:05}.png', np.roll(image, i, axis=1))
        files.palette_png(f'gta/labels/{i:05}.png', np.roll(label_ids, i, axis=1))
        files.png(f'gta/disparity/{i:05}.png', np.roll(depth16, i, axis=1))
    return files.root / 'gta'


@pytest.fixture
def cityscapes_root(files: FileWriter, image, label_ids, depth16) -> Path:
    """Both splits, with every kind of depth."""
    for split, city, count in (('train', 'aachen', 3), ('val', 'lindau', 2)):
        for i in range(count):
            stem = f'{split}/{city}/{city}_{i:06}_000019'
            files.png(f'cityscapes/leftImg8bit/{stem}_leftImg8bit.png', np.roll(image, i, axis=0))
            files.png(f'cityscapes/gtFine/{stem}_gtFine_labelIds.png', np.roll(label_ids, i, 0))
            files.mat(
                f'cityscapes/depth/{stem}_depth_stereoscopic.mat',
                depth_map=np.full(image.shape[:2], 10.0 + i),
            )
            files.png(f'cityscapes/disparity/{stem}_leftImg8bit.png', depth16)
            files.png(f'cityscapes/disparity/{stem}_disparity.png', depth16)
            files.json(f'cityscapes/camera/{stem}_camera.json', CAMERA)
    return files.root / 'cityscapes'
