# Licensed under the Apache License 2.0, see LICENSE.
"""Frames of videos with their neighbors and their camera, for self-supervised depth."""

from __future__ import annotations

import logging
import os.path as osp
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from .cameras import PinholeIntrinsics, read_intrinsics
from .image_files import IMAGE_SUFFIXES, list_files

_NUMBERED = re.compile(r'(.*?)(\d+)$', re.S)
Frames = dict[int, str]


def frame_number(stem: str) -> tuple[str, int] | None:
    """Split the name of a frame.

    Args:
        stem: Name without suffix, such as ``aachen_000000_000019``.

    Returns:
        The sequence, which is all up to the last number, and that number. None if the name does not
        end in a number.
    """
    match = _NUMBERED.match(stem)
    return None if match is None else (match[1], int(match[2]))


class SequenceDataset(BaseDataset):
    """Frames whose neighbors exist. Subclasses know where frames and cameras are.

    Frames of one folder whose names differ in their last number alone are a sequence, and
    neighbors if these numbers are. Frames without a neighbor, such as the first and the last, are
    left out as targets; how many, and sequences that are too short, is logged.

    A sample names ``img_path``, ``source_paths`` (neighbors in the order of ``frame_offsets``,
    then the right image), ``frame_offsets``, the camera, either as ``intrinsics``
    (:class:`PinholeIntrinsics` as a dict) or as ``camera_path``, ``calibrated_size`` (width and
    height) if it is known, and ``has_right`` where there is a right image.

    Args:
        data_root: Root of the relative prefixes.
        data_prefix: Folders by key: ``img_path``, and what the subclass knows.
        frame_offsets: Source frames relative to the target, not 0.
        img_suffix: Suffix, or suffixes, of the frames.
        **kwargs: ``pipeline`` and the other arguments of MMEngine's ``BaseDataset``.

    Raises:
        FileNotFoundError: If a folder is missing or holds no frame.
        ValueError: If an argument is invalid, a frame has no number, or no frame has its
            neighbors.
    """

    METAINFO: dict = dict()
    folders: tuple[str, ...] = ('img_path',)

    def __init__(
        self,
        data_root: str | None = None,
        data_prefix: Mapping[str, str | None] = dict(img_path=''),
        frame_offsets: Sequence[int] = (-1, 1),
        img_suffix: str | Sequence[str] = IMAGE_SUFFIXES,
        **kwargs,
    ) -> None:
        self.frame_offsets = tuple(frame_offsets)
        if 0 in self.frame_offsets or len(set(self.frame_offsets)) < len(self.frame_offsets):
            raise ValueError(
                f'frame_offsets={self.frame_offsets} must be different numbers, none of them 0.'
            )
        self.img_suffix = (img_suffix,) if isinstance(img_suffix, str) else tuple(img_suffix)
        prefix = {key: folder for key, folder in data_prefix.items() if folder is not None}
        unknown = sorted(prefix.keys() - set(self.folders))
        if unknown or 'img_path' not in prefix:
            raise ValueError(
                f'data_prefix of {type(self).__name__} has the keys {sorted(prefix)}. It needs '
                f'`img_path`, and may have {sorted(self.folders)}.'
            )
        if not self.frame_offsets and 'right_path' not in prefix:
            raise ValueError(
                'frame_offsets is empty, and there are no right images (data_prefix.right_path): '
                'nothing to learn depth from.'
            )
        super().__init__(data_root=data_root, data_prefix=prefix, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List the frames that have all of their source views."""
        sequences = self.list_sequences('img_path', self.img_suffix)
        folder = self.data_prefix['img_path']
        samples, without_neighbor, short = [], 0, []
        for name, frames in sorted(sequences.items()):
            step = self.frame_step(frames)
            found = 0
            for number, path in sorted(frames.items()):
                numbers = [number + offset * step for offset in self.frame_offsets]
                if not frames.keys() >= set(numbers):
                    without_neighbor += 1
                    continue
                found += 1
                samples.append(
                    dict(
                        img_path=osp.join(folder, path),
                        source_paths=[osp.join(folder, frames[n]) for n in numbers],
                        frame_offsets=self.frame_offsets,
                        **self.camera_of(name, number),
                    )
                )
            if not found:
                short.append(f'{name}* ({len(frames)} frame{"s" if len(frames) > 1 else ""})')
        if short:
            self._warn(
                f'{len(short)} of {len(sequences)} sequences in {folder} hold no frame with '
                f'neighbors at {self.frame_offsets} and are skipped: {_some(short)}'
            )
        total = sum(map(len, sequences.values()))
        if not samples:
            raise ValueError(
                f'img_path: none of {total} frames in {folder} has neighbors at '
                f'{self.frame_offsets}. Sequences: {_some(short)}. A sequence needs at least '
                f'{1 + len(self.frame_offsets)} frames of one folder, numbered without gaps.'
            )
        print_log(
            f'{len(samples)} of {total} frames in {folder} have neighbors at '
            f'{self.frame_offsets}; {without_neighbor} at the ends of their sequences, or beside '
            'a gap, are left out',
            'current',
        )
        return self.with_right_images(samples)

    def with_right_images(self, samples: list[dict]) -> list[dict]:
        """Append the right images where the subclass has them."""
        return samples

    def camera_of(self, sequence: str, number: int) -> dict:
        """What a sample says of the camera of a frame."""
        raise NotImplementedError

    def frame_step(self, frames: Frames) -> int:
        """Difference of the numbers of two neighbors."""
        return 1

    def list_sequences(self, key: str, suffixes: tuple[str, ...]) -> dict[str, Frames]:
        """Files below a folder: name up to the number -> number -> path, both below the folder.

        Raises:
            FileNotFoundError: If there is no such folder, or no such file in it.
            ValueError: If a name has no number, or two files have the same one.
        """
        folder = self.data_prefix[key]
        if not osp.isdir(folder):
            raise FileNotFoundError(
                f'{key}: there is no folder {folder}. Check data_root and data_prefix.'
            )
        sequences: dict[str, Frames] = defaultdict(dict)
        for path in list_files(folder, suffixes):
            suffix = next(s for s in suffixes if path.lower().endswith(s.lower()))
            found = frame_number(path[: -len(suffix)])
            if found is None:
                raise ValueError(
                    f'{key}: the name of {osp.join(folder, path)} does not end in a number. Number '
                    'the frames in the order of time (frame_0001, frame_0002, ...).'
                )
            frames, number = sequences[found[0]], found[1]
            if number in frames:
                raise ValueError(
                    f'{key}: {frames[number]} and {path} in {folder} have the same number.'
                )
            frames[number] = path
        if not sequences:
            raise FileNotFoundError(
                f'{key}: no file ending in {" or ".join(suffixes)} below {folder}. Check '
                'data_root, data_prefix and the suffix.'
            )
        return sequences

    def _warn(self, message: str) -> None:
        print_log(message, 'current', logging.WARNING)


@DATASETS.register_module()
class CityscapesSequenceDataset(SequenceDataset):
    """Cityscapes' sequences, and those of the street world.

    Layout: ``leftImg8bit_sequence/SPLIT/CITY/CITY_SEQ_FRAME_leftImg8bit.png``, 30 frames per
    snippet, and ``camera/SPLIT/CITY/CITY_SEQ_FRAME_camera.json``, one per snippet, whose camera is
    that of all its frames. With right images, ``rightImg8bit_sequence`` (or ``rightImg8bit``, one
    frame per snippet), the frames without one are left out, which is logged.

    Args:
        split: Folder below the others.
        data_prefix: Other folders by key, merged over the default: ``img_path``, ``camera_path``,
            ``right_path`` (by default none).
        calibrated_size: Width and height of the images that the camera files belong to. By default
            that of each image file; Cityscapes' is (2048, 1024), for resized copies of it.
        **kwargs: As in :class:`SequenceDataset`.
    """

    folders = ('img_path', 'camera_path', 'right_path')

    def __init__(
        self,
        split: str = 'train',
        data_prefix: Mapping[str, str | None] | None = None,
        calibrated_size: Sequence[int] | None = None,
        **kwargs,
    ) -> None:
        default = dict(img_path=f'leftImg8bit_sequence/{split}', camera_path=f'camera/{split}')
        self.calibrated_size = None if calibrated_size is None else tuple(calibrated_size)
        self._cameras: dict[str, Frames] | None = None
        super().__init__(
            data_prefix=default | dict(data_prefix or {}),
            img_suffix='_leftImg8bit.png',
            **kwargs,
        )

    def camera_of(self, sequence: str, number: int) -> dict:
        """The camera file of the sequence that is nearest in time."""
        if self._cameras is None:
            self._cameras = self.list_sequences('camera_path', ('_camera.json',))
        cameras = self._cameras.get(sequence)
        if not cameras:
            raise FileNotFoundError(
                f'camera_path: {self.data_prefix["camera_path"]} has no camera file of the '
                f'sequence {sequence}*. Complete the folder, or remove the sequence.'
            )
        numbers = sorted(cameras)
        after = bisect_left(numbers, number)
        nearest = min(numbers[max(after - 1, 0) : after + 1], key=lambda n: abs(n - number))
        return dict(
            camera_path=osp.join(self.data_prefix['camera_path'], cameras[nearest]),
            calibrated_size=self.calibrated_size,
        )

    def with_right_images(self, samples: list[dict]) -> list[dict]:
        if 'right_path' not in self.data_prefix:
            return samples
        left, right = self.data_prefix['img_path'], self.data_prefix['right_path']
        present = {
            path
            for frames in self.list_sequences('right_path', ('_rightImg8bit.png',)).values()
            for path in frames.values()
        }
        paired = []
        for sample in samples:
            path = osp.relpath(sample['img_path'], left)
            path = path.removesuffix('_leftImg8bit.png') + '_rightImg8bit.png'
            if path in present:
                sample['source_paths'].append(osp.join(right, path))
                paired.append(dict(sample, has_right=True))
        if not paired:
            raise FileNotFoundError(
                f'right_path: none of {len(samples)} frames has a right image in {right}, which '
                f'holds, for example, {min(present)}. Check data_prefix.right_path.'
            )
        if len(paired) < len(samples):
            self._warn(
                f'{len(samples) - len(paired)} of {len(samples)} frames have no right image in '
                f'{right} and are left out'
            )
        return paired


@DATASETS.register_module()
class FolderSequenceDataset(SequenceDataset):
    """Your own video: a folder of numbered frames, or several folders, and the camera.

    The most frequent difference of numbers in a sequence is that of neighbors: 5, where every fifth
    frame of a video was kept. A larger difference is a gap.

    Args:
        intrinsics: ``(fx, fy, cx, cy)`` of all frames as shares of the image's width and height
            (cx = cy = 0.5 is the middle), or a JSON file with ``fx, fy, cx, cy, width, height`` in
            pixels of the images that the camera was calibrated with. A relative path starts at
            ``data_root``.
        data_root: Root of the relative prefixes.
        **kwargs: As in :class:`SequenceDataset`; ``data_prefix=dict(img_path=FOLDER)``.
    """

    def __init__(self, intrinsics: Sequence[float] | str, data_root: str = '', **kwargs) -> None:
        self._calibration: dict = {}
        if isinstance(intrinsics, str):
            path = osp.join(data_root or '', intrinsics)
            self.intrinsics, size = read_intrinsics(path)
            self._calibration = dict(camera_name=f'intrinsics: {path}', calibrated_size=size)
        else:
            if len(intrinsics) != 4:
                raise ValueError(f'intrinsics must be (fx, fy, cx, cy), got {intrinsics!r}.')
            self.intrinsics = PinholeIntrinsics(*map(float, intrinsics))
        super().__init__(data_root=data_root, **kwargs)

    def camera_of(self, sequence: str, number: int) -> dict:
        return dict(intrinsics=asdict(self.intrinsics), **self._calibration)

    def frame_step(self, frames: Frames) -> int:
        numbers = sorted(frames)
        differences = Counter(b - a for a, b in zip(numbers, numbers[1:], strict=False))
        return differences.most_common(1)[0][0] if differences else 1


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:5]) + (', ...' if len(names) > 5 else '')
