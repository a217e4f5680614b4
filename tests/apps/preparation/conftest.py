# Licensed under the Apache License 2.0, see LICENSE.
import json
from pathlib import Path

import numpy as np
import pytest

from tests.datasets.conftest import (  # noqa: F401
    _quick_garbage_collection,
    cityscapes_root,
    depth16,
    files,
    gta_root,
    image,
    label_ids,
)

# Typed from the published protocol, independently of the package's tables.
CITYSCAPES_TO_19 = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
    26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


def train_ids_of(raw: np.ndarray) -> np.ndarray:
    """Cityscapes' label ids as train ids, pixel by pixel."""
    return np.array([[CITYSCAPES_TO_19.get(int(value), 255) for value in row] for row in raw])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if p.is_file()}


def prepared(root: Path, protocol: str = 'cityscapes19') -> Path:
    return root / 'prepared' / protocol


def read_report(root: Path, protocol: str = 'cityscapes19') -> dict:
    return json.loads((prepared(root, protocol) / 'report.json').read_text())


@pytest.fixture
def broken_gta_root(files, gta_root, image, label_ids, depth16):  # noqa: F811
    """Images 1 to 5 of ``gta_root``, of which 1 stays good, and more, with one defect each."""
    for i in range(6, 10):
        files.png(f'gta/images/{i:05}.png', image)
        files.palette_png(f'gta/labels/{i:05}.png', label_ids)
        files.png(f'gta/disparity/{i:05}.png', depth16)
    files.truncate('gta/images/00002.png', 0.7)
    files.palette_png('gta/labels/00003.png', label_ids[:, :-2])
    (gta_root / 'labels/00004.png').unlink()
    files.png('gta/labels/00005.png', image)
    files.png('gta/disparity/00006.png', (depth16 >> 8).astype(np.uint8))
    unknown = label_ids.copy()
    unknown[3, 4] = 77
    files.palette_png('gta/labels/00007.png', unknown)
    files.png('gta/disparity/00008.png', depth16[:, :-4])
    files.png('gta/disparity/00009.png', np.zeros_like(depth16))
    return gta_root


DEFECTS = {
    '00002.png': ('image', '00002.png is truncated'),
    '00003.png': ('labels', '00003.png is 18x12, but its image'),
    '00004.png': ('labels', '00004.png does not exist'),
    '00005.png': ('labels', '00005.png holds colors'),
    '00006.png': ('depth disparity', '00006.png holds uint8'),
    '00007.png': ('labels', '00007.png holds the label values [77]'),
    '00008.png': ('depth disparity', '00008.png is 16x12'),
    '00009.png': ('depth disparity', '00009.png has no valid pixel'),
}
