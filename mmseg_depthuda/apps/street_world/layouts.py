# Licensed under the Apache License 2.0, see LICENSE.
"""The on-disk layouts of GTA5, SYNTHIA, Cityscapes and Mapillary Vistas.

A layout knows its paths and encodings; ``generation.py`` decides what is written, and writes it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection
from functools import cached_property, partial

import cv2
import numpy as np
from mmseg.datasets import CityscapesDataset, MapillaryDataset_v1
from PIL import Image

from mmseg_depthuda.apps.stereo.pair_files import ENCODERS, mat_file
from mmseg_depthuda.apps.stereo.pair_matching import MatchingOptions
from mmseg_depthuda.apps.stereo.stereo_camera import StereoCamera
from mmseg_depthuda.datasets.depth_encodings import encode_centimetres

from .monocular import pseudo_inverse_depth
from .world import StreetScene, View

PARTS = ('image', 'label', 'depth', 'disparity', 'right', 'sequence', 'camera')
DEFAULT_PARTS = ('image', 'label', 'depth')
VAL_OFFSET = 1_000_000  # scenes from this index on belong to the validation set
LABELED_FRAME = 19  # of the 30 frames of a Cityscapes snippet
PNG_FAST = (cv2.IMWRITE_PNG_COMPRESSION, 1)
JPEG_FINE = (cv2.IMWRITE_JPEG_QUALITY, 95)
# Of six images of Vistas, the third is cropped to 4:3 and the sixth to 3:4; width to height.
ASPECT_RATIOS = (None, None, (4, 3), None, None, (3, 4))

TRAIN_CITIES = (
    'aachen', 'bochum', 'bremen', 'cologne', 'darmstadt', 'dusseldorf', 'erfurt', 'hamburg',
    'hanover', 'jena', 'krefeld', 'monchengladbach', 'strasbourg', 'stuttgart', 'tubingen', 'ulm',
    'weimar', 'zurich',
)  # fmt: skip
VAL_CITIES = ('frankfurt', 'lindau', 'munster')

# Cityscapes label ids of the 19 classes, in the order of their train ids.
TRAIN_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
SYNTHIA_IDS = (3, 4, 2, 21, 5, 7, 15, 9, 6, 16, 1, 10, 17, 8, 18, 19, 20, 12, 11)

VISTAS_NAMES = (
    'Road', 'Sidewalk', 'Building', 'Wall', 'Fence', 'Pole', 'Traffic Light',
    'Traffic Sign (Front)', 'Vegetation', 'Terrain', 'Sky', 'Person', 'Bicyclist', 'Car', 'Truck',
    'Bus', 'On Rails', 'Motorcycle', 'Bicycle',
)  # fmt: skip
VISTAS_CLASSES = MapillaryDataset_v1.METAINFO['classes']
VISTAS_IDS = tuple(VISTAS_CLASSES.index(name) for name in VISTAS_NAMES)


def _lookup(values: tuple[int, ...], fill: int) -> np.ndarray:
    """Table from Cityscapes label ids to ``values``, uint8 ``(256,)``."""
    table = np.full(256, fill, np.uint8)
    table[list(TRAIN_IDS)] = values
    return table


TO_TRAIN_ID = _lookup(tuple(range(19)), 255)
TO_SYNTHIA_ID = _lookup(SYNTHIA_IDS, 0)
TO_VISTAS_ID = _lookup(VISTAS_IDS, VISTAS_CLASSES.index('Unlabeled'))


def label_palette() -> np.ndarray:
    """The Cityscapes colors by label id, uint8 ``(256, 3)`` RGB."""
    palette = np.zeros((256, 3), np.uint8)
    palette[list(TRAIN_IDS)] = CityscapesDataset.METAINFO['palette']
    return palette


def vistas_palette() -> np.ndarray:
    """The colors of Mapillary Vistas by label id, uint8 ``(66, 3)`` RGB."""
    return np.array(MapillaryDataset_v1.METAINFO['palette'], np.uint8)


def _encoded(pixels: np.ndarray, suffix: str, parameters: tuple[int, ...]) -> bytes:
    ok, content = cv2.imencode(suffix, pixels, parameters)
    if not ok:
        raise RuntimeError(f'OpenCV cannot encode a {suffix} of {pixels.shape} {pixels.dtype}.')
    return content.tobytes()


def _png(pixels: np.ndarray) -> bytes:
    return _encoded(pixels, '.png', PNG_FAST)


def _palette_png(label_ids: np.ndarray, palette: np.ndarray) -> bytes:
    image = Image.fromarray(label_ids)
    image.putpalette(palette.ravel().tolist())
    buffer = io.BytesIO()
    image.save(buffer, format='PNG', compress_level=1)
    return buffer.getvalue()


def crop(pixels: np.ndarray, ratio: tuple[int, int] | None) -> np.ndarray:
    """The largest part of an image, in its middle, that has an aspect ratio.

    Args:
        pixels: ``(H, W)`` or ``(H, W, C)``.
        ratio: ``(width, height)``, or None to leave the image as it is.
    """
    if ratio is None:
        return pixels
    height, width = pixels.shape[:2]
    new_width = min(width, height * ratio[0] // ratio[1])
    new_height = min(height, width * ratio[1] // ratio[0])
    top, left = (height - new_height) // 2, (width - new_width) // 2
    return np.ascontiguousarray(pixels[top : top + new_height, left : left + new_width])


class Record:
    """A scene with what several files share computed once."""

    def __init__(self, scene: StreetScene) -> None:
        self.scene = scene

    @cached_property
    def left(self) -> View:
        return self.scene.view()

    @cached_property
    def right(self) -> View:
        return self.scene.view(right=True)

    @cached_property
    def stereo(self) -> tuple[np.ndarray, StereoCamera]:
        """What stereo matching finds in the two images, as ``stereo_depth.py`` would."""
        camera = StereoCamera(self.left.camera.fx, self.left.camera.baseline, name='street world')
        return MatchingOptions().disparity(self.left.image, self.right.image, camera), camera

    def image(self) -> bytes:
        return _png(self.left.image)

    def right_image(self) -> bytes:
        return _png(self.right.image)

    def frame(self, frame: int) -> bytes:
        return _png(self.scene.view(frame).image) if frame else self.image()

    def label_ids(self) -> bytes:
        return _png(self.left.label_ids)

    def train_ids(self) -> bytes:
        return _png(TO_TRAIN_ID[self.left.label_ids])

    def gta_labels(self) -> bytes:
        return _palette_png(self.left.label_ids, label_palette())

    def vistas_image(self, ratio: tuple[int, int] | None) -> bytes:
        return _encoded(crop(self.left.image, ratio), '.jpg', JPEG_FINE)

    def vistas_labels(self, ratio: tuple[int, int] | None) -> bytes:
        ids = TO_VISTAS_ID[crop(self.left.label_ids, ratio)]
        return _palette_png(ids, vistas_palette())

    def synthia_ids(self) -> bytes:
        return _png(TO_SYNTHIA_ID[self.left.label_ids])

    def synthia_labels(self) -> bytes:
        """16 bit, three channels: class id in the first (red), instance (always 0) next."""
        pixels = np.zeros((*self.left.label_ids.shape, 3), np.uint16)
        pixels[..., 2] = TO_SYNTHIA_ID[self.left.label_ids]  # OpenCV writes BGR
        return _png(pixels)

    def monocular(self) -> bytes:
        return _png(pseudo_inverse_depth(self.left.depth, self.scene.rng(5)))

    def centimetres(self) -> bytes:
        return _png(encode_centimetres(self.left.depth))

    def stereo_depth(self) -> bytes:
        return ENCODERS['mat_metres'].encode(*self.stereo)

    def exact_depth(self) -> bytes:
        return mat_file(np.where(np.isinf(self.left.depth), np.float32(0), self.left.depth))

    def official_disparity(self) -> bytes:
        return ENCODERS['cityscapes_disparity'].encode(*self.stereo)

    def camera(self) -> bytes:
        """The keys of Cityscapes' camera files; the camera is above the origin of the car."""
        camera = self.left.camera
        look = {'yaw': self.scene.yaw, 'pitch': self.scene.pitch, 'roll': 0.0}
        place = {'x': 0.0, 'y': 0.0, 'z': -float(camera.position[1])}
        content = {
            'extrinsic': {'baseline': camera.baseline, **look, **place},
            'intrinsic': {'fx': camera.fx, 'fy': camera.fy, 'u0': camera.u0, 'v0': camera.v0},
        }
        return json.dumps(content, indent=4).encode()


Files = dict[str, Callable[[Record], bytes]]


def gta5_files(index: int, parts: Collection[str]) -> Files:
    """GTA5: files numbered from 00001; depth is monocular pseudo depth."""
    name = f'{index + 1:05d}.png'
    files: dict[str, Files] = {
        'image': {f'gta/images/{name}': Record.image},
        'label': {f'gta/labels/{name}': Record.gta_labels},
        'depth': {f'gta/disparity/{name}': Record.monocular},
    }
    return _selected(files, parts)


def synthia_files(index: int, parts: Collection[str]) -> Files:
    """SYNTHIA-RAND-CITYSCAPES: files numbered from 0000000; depth is exact up to 655.35 m."""
    name = f'{index:07d}.png'
    files: dict[str, Files] = {
        'image': {f'synthia/RGB/{name}': Record.image},
        'label': {
            f'synthia/GT/LABELS/{name}': Record.synthia_labels,
            f'synthia/parsed_LABELS/{name}': Record.synthia_ids,
        },
        'depth': {f'synthia/Depth/{name}': Record.centimetres},
    }
    return _selected(files, parts)


def cityscapes_files(index: int, parts: Collection[str]) -> Files:
    """Cityscapes: scenes are dealt out to the cities of their split.

    Depth is that of stereo matching in train and exact in val.
    """
    is_val = index >= VAL_OFFSET
    split, cities = ('val', VAL_CITIES) if is_val else ('train', TRAIN_CITIES)
    sequence, city = divmod(index % VAL_OFFSET, len(cities))

    def path(folder: str, suffix: str, frame: int = 0) -> str:
        name = f'{cities[city]}_{sequence:06d}_{LABELED_FRAME + frame:06d}_{suffix}'
        return f'cityscapes/{folder}/{split}/{cities[city]}/{name}'

    files: dict[str, Files] = {
        'image': {path('leftImg8bit', 'leftImg8bit.png'): Record.image},
        'label': {
            path('gtFine', 'gtFine_labelIds.png'): Record.label_ids,
            path('gtFine', 'gtFine_labelTrainIds.png'): Record.train_ids,
        },
        'depth': {
            path('depth', 'depth_stereoscopic.mat'): Record.exact_depth
            if is_val
            else Record.stereo_depth
        },
        'disparity': {
            path('disparity', 'leftImg8bit.png'): Record.monocular,
            path('disparity', 'disparity.png'): Record.official_disparity,
        },
        'right': {path('rightImg8bit', 'rightImg8bit.png'): Record.right_image},
        'sequence': {
            path('leftImg8bit_sequence', 'leftImg8bit.png', frame): partial(
                Record.frame, frame=frame
            )
            for frame in (-1, 0, 1)
        },
        'camera': {path('camera', 'camera.json'): Record.camera},
    }
    return _selected(files, parts)


def mapillary_files(index: int, parts: Collection[str]) -> Files:
    """Mapillary Vistas v1.2: files numbered from 0000000 in either split; no depth.

    Some images are cropped (``ASPECT_RATIOS``), as those of Vistas have many shapes.
    """
    split = 'validation' if index >= VAL_OFFSET else 'training'
    number = index % VAL_OFFSET
    ratio = ASPECT_RATIOS[number % len(ASPECT_RATIOS)]
    folder, name = f'mapillary/{split}', f'{number:07d}'
    files: dict[str, Files] = {
        'image': {f'{folder}/images/{name}.jpg': partial(Record.vistas_image, ratio=ratio)},
        'label': {f'{folder}/labels/{name}.png': partial(Record.vistas_labels, ratio=ratio)},
    }
    return _selected(files, parts)


def _selected(files: dict[str, Files], parts: Collection[str]) -> Files:
    return {path: encode for part in parts if part in files for path, encode in files[part].items()}


LAYOUTS: dict[str, tuple[str, Callable[[int, Collection[str]], Files]]] = {
    'gta': ('sim', gta5_files),
    'synthia': ('sim', synthia_files),
    'cityscapes': ('real', cityscapes_files),
    'mapillary': ('real', mapillary_files),
}
