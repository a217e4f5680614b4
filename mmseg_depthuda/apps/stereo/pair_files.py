# Licensed under the Apache License 2.0, see LICENSE.
"""Stereo pairs on disk, and the depth files that are written for them."""

from __future__ import annotations

import io
import os.path as osp
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.io import savemat

from mmseg_depthuda.apps.depth_prediction.prediction import disparity_png
from mmseg_depthuda.datasets import CityscapesDepthDataset, FolderDepthDataset
from mmseg_depthuda.datasets.depth_encodings import (
    corda_inverse_depth,
    encode_cityscapes_disparity,
)
from mmseg_depthuda.datasets.file_integrity import read_intact
from mmseg_depthuda.datasets.transforms.depth_files import DEPTH_MAT_KEY
from mmseg_depthuda.datasets.transforms.pictures import decode_picture

from .stereo_camera import StereoCamera


class StereoPair(NamedTuple):
    """The files of a stereo pair.

    Attributes:
        name: Path of the left image below its folder, without suffix.
        left: Left image.
        right: Right image.
        camera: The camera, or its file.
        outputs: Kind of depth file, a key of :data:`ENCODERS` -> path.
    """

    name: str
    left: str
    right: str
    camera: StereoCamera | str
    outputs: dict[str, str]


def cityscapes_pairs(root: str, out: str, split: str, kinds: Mapping[str, str]) -> list[StereoPair]:
    """The pairs of a split of Cityscapes, sorted; partners that are missing are listed, too.

    Args:
        root: Folder with ``leftImg8bit``, ``rightImg8bit`` and ``camera``.
        out: Root of the depth files.
        split: Folder below them.
        kinds: What to write: ``depth`` of :class:`CityscapesDepthDataset`, ``'stereo'`` or
            ``'official'`` -> key of :data:`ENCODERS`.

    Raises:
        FileNotFoundError: If a folder is missing or empty.
    """

    def dataset(data_root: str, depth: str) -> CityscapesDepthDataset:
        return CityscapesDepthDataset(
            split=split,
            depth=depth,
            data_root=data_root,
            data_prefix=dict(seg_map_path=None),
            lazy_init=True,
        )

    source = dataset(root, 'official')
    right = _folder(osp.join(root, 'rightImg8bit', split), img_suffix='_rightImg8bit.png')
    if not osp.isdir(source.data_prefix['camera_path']):
        raise FileNotFoundError(
            f'there is no folder {source.data_prefix["camera_path"]}. Cityscapes has its cameras '
            'in camera_trainvaltest.zip; without them, give --fx and --baseline with --left and '
            '--right.'
        )
    targets = {encoder: dataset(out, depth) for depth, encoder in kinds.items()}
    return _paired(
        source.list_images(),
        right.list_images(),
        (source.data_prefix['img_path'], source.img_suffix),
        (right.data_prefix['img_path'], right.img_suffix),
        lambda stem: source.companion_path('camera_path', stem),
        lambda stem: {
            kind: target.companion_path('depth_map_path', stem) for kind, target in targets.items()
        },
    )


def folder_pairs(
    left: str, right: str, out: str, camera: StereoCamera, kind: str
) -> list[StereoPair]:
    """The pairs of two folders, whose files have the same names; sorted.

    Args:
        left: Folder of the left images, with subfolders.
        right: Folder of the right images.
        out: Folder of the depth files.
        camera: Camera of all pairs.
        kind: Key of :data:`ENCODERS`.

    Raises:
        FileNotFoundError: If a folder is missing or empty.
        ValueError: If two images differ only in their suffix.
    """
    return _paired(
        _folder(left).list_images(),
        _folder(right).list_images(),
        (left, '.png'),
        (right, '.png'),
        lambda stem: camera,
        lambda stem: {kind: osp.join(out, stem + ENCODERS[kind].suffix)},
    )


def _folder(folder: str, **kwargs) -> FolderDepthDataset:
    return FolderDepthDataset(data_prefix=dict(img_path=folder), lazy_init=True, **kwargs)


def _paired(
    left_images: Mapping[str, str],
    right_images: Mapping[str, str],
    left: tuple[str, str],
    right: tuple[str, str],
    camera: Callable[[str], StereoCamera | str],
    outputs: Callable[[str], dict[str, str]],
) -> list[StereoPair]:
    """Pairs of two listings; ``left`` and ``right`` are folder and suffix of a missing file."""

    def path(images: Mapping[str, str], place: tuple[str, str], stem: str) -> str:
        return osp.join(place[0], images.get(stem, stem + place[1]))

    return [
        StereoPair(
            name=stem,
            left=path(left_images, left, stem),
            right=path(right_images, right, stem),
            camera=camera(stem),
            outputs=outputs(stem),
        )
        for stem in sorted(left_images.keys() | right_images.keys())
    ]


def read_image(path: str | Path, key: str) -> np.ndarray:
    """Read an image for matching.

    Args:
        path: The file.
        key: What it is, for messages.

    Returns:
        uint8 ``(H, W, 3)`` BGR.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, or does not hold 8 bits per channel.
    """
    return decode_picture(read_intact(path, key), str(path), key)


def metres_of(disparity: np.ndarray, camera: StereoCamera) -> np.ndarray:
    """``fx * baseline / disparity``, float32 ``(H, W)`` meters; 0 where there is no disparity."""
    metres = np.zeros(disparity.shape, np.float32)
    focal_baseline = np.float32(camera.focal_baseline)
    return np.divide(focal_baseline, disparity, out=metres, where=disparity > 0)


def mat_file(metres: np.ndarray) -> bytes:
    """A depth file as ``depth_file='mat_metres'`` reads it; the same meters give the same bytes."""
    buffer = io.BytesIO()
    savemat(buffer, {DEPTH_MAT_KEY: metres}, do_compression=True)
    # SciPy puts the time of writing into the 116 bytes of free text.
    return b'MATLAB 5.0 MAT-file'.ljust(116) + buffer.getvalue()[116:]


def _mat_metres(disparity: np.ndarray, camera: StereoCamera) -> bytes:
    return mat_file(metres_of(disparity, camera))


def _cityscapes_disparity(disparity: np.ndarray, camera: StereoCamera) -> bytes:
    return _png(encode_cityscapes_disparity(disparity))


def _png_disparity(disparity: np.ndarray, camera: StereoCamera) -> bytes:
    return _png(disparity_png(corda_inverse_depth(metres_of(disparity, camera))))


def _png(values: np.ndarray) -> bytes:
    encoded, content = cv2.imencode('.png', values)
    if not encoded:
        raise OSError(f'OpenCV cannot encode a PNG of {values.shape} {values.dtype}.')
    return content.tobytes()


class Encoder(NamedTuple):
    """How a kind of depth file is written.

    Attributes:
        suffix: Suffix of the files in a plain folder.
        encode: ``encode(disparity, camera)`` returns the file.
    """

    suffix: str
    encode: Callable[[np.ndarray, StereoCamera], bytes]


ENCODERS: Mapping[str, Encoder] = {
    'mat_metres': Encoder('.mat', _mat_metres),
    'cityscapes_disparity': Encoder('.png', _cityscapes_disparity),
    'png_disparity': Encoder('.png', _png_disparity),
}
"""Kind of depth file, as ``depth_file`` of the datasets names it -> how it is written."""
