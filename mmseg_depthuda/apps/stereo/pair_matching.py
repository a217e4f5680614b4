# Licensed under the Apache License 2.0, see LICENSE.
"""From stereo pairs to depth files: in parallel, resumable, nothing half written."""

from __future__ import annotations

import json
import os.path as osp
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from mmseg_depthuda.datasets.depth_encodings import MAX_CITYSCAPES_DISPARITY
from mmseg_depthuda.fileio import atomic_write, map_in_processes

from .matching import MIN_DISPARITY, NEAREST_METRES, largest_disparity, match_stereo
from .pair_files import ENCODERS, StereoPair, read_image
from .rectification import StereoPairError, check_rectified, matching_convinces
from .stereo_camera import StereoCamera, read_camera

MATCHER_VERSION = 2  # raise it whenever the same pair gives another result than before
RECORD = 'stereo_depth.json'
PAIRS_LOOKED_AT = 5
LEAST_VALID_SHARE = 0.01  # of a pair's pixels; less are mismatches rather than depth
PairCheck = Literal['every', 'doubtful', 'none']


@dataclass(frozen=True)
class MatchingOptions:
    """What a user chooses; see :func:`match_stereo`.

    Attributes:
        nearest: Distance of the nearest thing in sight, meters. With the camera, it gives the
            largest disparity.
        max_disparity: Largest disparity in pixels, instead.
        block_size: Side of the matching window; ``None``: by the width of the image.
        min_disparity: Disparity of the farthest thing that is measured, pixels.
        inpaint: Whether to fill gaps.
    """

    nearest: float = NEAREST_METRES
    max_disparity: float | None = None
    block_size: int | None = None
    min_disparity: float = MIN_DISPARITY
    inpaint: bool = True

    def __post_init__(self) -> None:
        for name in ('nearest', 'min_disparity', 'max_disparity'):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f'{name} must be positive, got {value}.')
        if self.block_size is not None and (self.block_size < 1 or self.block_size % 2 == 0):
            raise ValueError(f'block_size must be a positive odd number, got {self.block_size}.')

    def disparity(self, left: np.ndarray, right: np.ndarray, camera: StereoCamera) -> np.ndarray:
        """Match a pair; arguments, result and errors as :func:`match_stereo`."""
        largest = self.max_disparity
        if largest is None:
            largest = largest_disparity(left.shape[1], camera.focal_baseline, self.nearest)
        return match_stereo(left, right, largest, self.block_size, self.min_disparity, self.inpaint)


@dataclass(frozen=True)
class PairResult:
    """What was done with a pair.

    Attributes:
        name: The pair.
        valid_share: Share of the pixels that have depth; ``None`` if nothing was written.
        problem: Why the pair was skipped; ``None`` if it was not.
    """

    name: str
    valid_share: float | None = None
    problem: str | None = None


def convert_pairs(
    pairs: Sequence[StereoPair],
    options: MatchingOptions,
    workers: int = 1,
    description: str = 'pairs',
    pair_check: bool = True,
) -> list[PairResult]:
    """Write the depth files of pairs that do not have them yet.

    Files that exist are never overwritten.

    Args:
        pairs: The pairs.
        options: How they are matched.
        workers: Processes.
        description: What the progress bar is called.
        pair_check: Whether to leave out what does not look like a rectified pair, see
            :func:`check_rectified`. If some pairs spread over the data pass, only those are looked
            at that do not match convincingly, see :func:`matching_convinces`.

    Returns:
        One result per pair that lacked a file, in the order of the pairs.

    Raises:
        ValueError: If of some pairs spread over the data none is a rectified stereo pair of
            the camera: then something is wrong with all of them.
        OSError: If a file cannot be written.
    """
    open_pairs = [pair for pair in map(_without_existing, pairs) if pair.outputs]
    check: PairCheck = 'every' if pair_check else 'none'
    if open_pairs and _some_pass(pairs, check) and pair_check:
        check = 'doubtful'
    work = partial(convert_pair, options=options, pair_check=check)
    with closing(map_in_processes(work, open_pairs, workers, description)) as results:
        return list(results)


def _without_existing(pair: StereoPair) -> StereoPair:
    missing = {kind: path for kind, path in pair.outputs.items() if not osp.exists(path)}
    return pair._replace(outputs=missing)


def _some_pass(pairs: Sequence[StereoPair], pair_check: PairCheck) -> bool:
    """Whether none of a few pairs spread over the data has a wrong geometry; raise if all have."""
    places = np.linspace(0, len(pairs) - 1, min(PAIRS_LOOKED_AT, len(pairs)))
    problems, passed = [], 0
    for pair in (pairs[round(place)] for place in places):
        try:
            left, right, _ = _read(pair)
            if pair_check != 'none':
                check_rectified(left, right)
        except StereoPairError as error:
            problems.append(f'{pair.left}: {error}')
        except (OSError, ValueError):
            continue  # damaged files say nothing about the others; they are reported one by one
        else:
            passed += 1
    if problems and not passed:
        raise ValueError(
            f'{len(problems)} pairs were looked at, and none can be matched. {problems[0]}'
        )
    return not problems and passed > 0


def list_converted(folder: str | Path, name: str, pairs: Sequence[StereoPair]) -> Path:
    """List the images that have depth, for the ``ann_file`` of the datasets.

    Args:
        folder: Where the list is written.
        name: What the pairs are called.
        pairs: The pairs; those of an earlier run count as well.

    Returns:
        ``stereo_depth_NAME.txt`` in the folder, with the name of a pair in each line.

    Raises:
        OSError: If the file cannot be written.
    """
    converted = [pair.name for pair in pairs if not _without_existing(pair).outputs]
    path = Path(folder) / f'stereo_depth_{name}.txt'
    with atomic_write(path, durable=False) as file:
        file.write(''.join(f'{name}\n' for name in converted).encode())
    return path


def convert_pair(
    pair: StereoPair, options: MatchingOptions, pair_check: PairCheck = 'every'
) -> PairResult:
    """Match a pair and write its depth files.

    Args:
        pair: The pair.
        options: How it is matched.
        pair_check: Whether :func:`check_rectified` judges every pair, or only one whose matching
            leaves doubts.

    Returns:
        What became of it; files that cannot be used are reported, not raised.

    Raises:
        OSError: If a file cannot be written.
    """
    try:
        left, right, camera = _read(pair)
        if pair_check == 'every':
            check_rectified(left, right)
        disparity = options.disparity(left, right, camera)
        if pair_check == 'doubtful' and not matching_convinces(left, right, disparity):
            check_rectified(left, right)
        if 'cityscapes_disparity' in pair.outputs and disparity.max() > MAX_CITYSCAPES_DISPARITY:
            raise ValueError(
                f'a disparity of {disparity.max():.1f} pixels is more than the official files of '
                f'Cityscapes hold, {MAX_CITYSCAPES_DISPARITY:.1f}. Set --max-disparity 255, or '
                'write --kinds stereo.'
            )
        valid_share = np.count_nonzero(disparity) / disparity.size
        if valid_share < LEAST_VALID_SHARE:
            raise ValueError(
                f'{valid_share:.1%} of the pixels were matched. Does something without texture '
                'fill the view, or is the range of disparities (--nearest, --max-disparity, '
                '--min-disparity) not that of the images?'
            )
    except (OSError, ValueError) as error:
        return PairResult(pair.name, problem=_naming(pair, str(error)))
    except cv2.error as error:  # from the decoder of a damaged file
        return PairResult(pair.name, problem=_naming(pair, f'{type(error).__name__}: {error}'))
    for kind, path in pair.outputs.items():
        with atomic_write(path, durable=False) as file:
            file.write(ENCODERS[kind].encode(disparity, camera))
    return PairResult(pair.name, valid_share=valid_share)


def _read(pair: StereoPair) -> tuple[np.ndarray, np.ndarray, StereoCamera]:
    """Both images and the camera, once they are known to fit together."""
    left, right = read_image(pair.left, 'left image'), read_image(pair.right, 'right image')
    if left.shape != right.shape:
        raise ValueError(
            f'left image: {pair.left} is {left.shape[1]}x{left.shape[0]}, but its right image '
            f'{pair.right} is {right.shape[1]}x{right.shape[0]}. Rectified images have one size: '
            'restore the pair, or leave it out.'
        )
    camera = pair.camera if isinstance(pair.camera, StereoCamera) else read_camera(pair.camera)
    camera.check_fits(*left.shape[1::-1])
    return left, right, camera


def _naming(pair: StereoPair, problem: str) -> str:
    """The problem, with the name of the file that it is about."""
    return problem if any(str(p) in problem for p in pair[1:4]) else f'{pair.left}: {problem}'


def check_record(out: str | Path, options: MatchingOptions, camera: StereoCamera | None) -> None:
    """Make sure that a folder gets depth files of one kind of matching only.

    Args:
        out: Folder; the record ``stereo_depth.json`` is written there.
        options: How the pairs are matched now.
        camera: Camera of all pairs, if there is one.

    Raises:
        ValueError: If the record says that it was done otherwise before.
        OSError: If it cannot be written.
    """
    path = Path(out, RECORD)
    settings = dict(version=MATCHER_VERSION, **asdict(options))
    if camera is not None:
        settings.update(fx=camera.fx, baseline=camera.baseline)
    if path.exists():
        try:
            earlier = json.loads(path.read_text(encoding='utf-8'))
        except ValueError as error:
            raise ValueError(f'{path} is not valid JSON ({error}). Delete it.') from error
        different = sorted(
            key for key in settings.keys() | earlier.keys() if settings.get(key) != earlier.get(key)
        )
        if different:
            raise ValueError(
                f'{path} records other settings of an earlier run: '
                + ', '.join(f'{k} was {earlier.get(k)}, now {settings.get(k)}' for k in different)
                + f'. Use the same, choose another folder, or delete the depth files and {path}.'
            )
        return
    with atomic_write(path) as file:
        file.write(json.dumps(settings, indent=1).encode())
