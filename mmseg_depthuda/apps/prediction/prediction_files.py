# Licensed under the Apache License 2.0, see LICENSE.
"""Predictions of a picture, a folder, a video or a pattern as files."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import mmseg_depthuda
from mmseg_depthuda.datasets.image_files import IMAGE_SUFFIXES, list_files
from mmseg_depthuda.fileio import atomic_write

from .predictor import Prediction, Predictor

VIDEO_SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')
RECORD = 'predictions.json'


@dataclass
class Counts:
    """What became of the pictures of a run; a frame of a video counts as one."""

    predicted: int = 0
    present: int = 0
    problems: list[str] = field(default_factory=list)


def find_inputs(source: str | Path) -> dict[Path, Path]:
    """List pictures and videos.

    Args:
        source (str | Path): A picture, a video, a folder with subfolders, or a pattern
            (``'drive/**/*.png'``).

    Returns:
        dict[Path, Path]: File -> its name in the output, with subfolders and without suffix.

    Raises:
        FileNotFoundError: There is none.
        ValueError: Two of them would have one name.
    """
    suffixes = (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES)
    path = Path(source)
    if path.is_dir():
        files = {path / name: Path(name) for name in list_files(path, suffixes)}
        what = 'has no picture and no video'
    elif path.is_file():
        files = {path: Path(path.name)} if path.suffix.lower() in suffixes else {}
        what = 'is no picture and no video'
    else:
        found = [Path(name) for name in sorted(glob.glob(str(source), recursive=True))]
        found = [file for file in found if file.is_file() and file.suffix.lower() in suffixes]
        root = _root_of_pattern(str(source))
        files = {file: file.relative_to(root) for file in found}
        what = 'matches no picture and no video' if glob.has_magic(str(source)) else 'is not there'
    if not files:
        raise FileNotFoundError(f'{source} {what} ({", ".join(suffixes)}).')
    names: dict[Path, Path] = {}
    for file, name in files.items():
        stem = name.with_suffix('')
        if stem in names:
            raise ValueError(
                f'{names[stem]} and {file} would have the same output. Rename one of them, or move '
                'it to another folder.'
            )
        names[stem] = file
    return {file: stem for stem, file in names.items()}


def _root_of_pattern(pattern: str) -> Path:
    """The folder up to the first part with a wildcard."""
    parts = Path(pattern).parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    return Path(*parts[:fixed])


def predict_files(
    predictor: Predictor,
    checkpoint: str | Path,
    source: str | Path,
    out: str | Path,
    confidence: bool = False,
) -> Counts:
    """Write labels and pictures of every input; what is there already is kept.

    ``labels/NAME.png`` holds class indices, 8 bit; ``overlay/NAME.jpg``, ``depth/NAME.jpg`` and
    ``confidence/NAME.jpg`` are pictures. Of a video NAME is ``VIDEO/FRAME``, and its pictures are
    put together as ``overlay/VIDEO.mp4`` and so on. ``predictions.json`` names the classes.

    Args:
        predictor (Predictor): The network.
        checkpoint (str | Path): Its file, which the folder is to have predictions of, alone.
        source (str | Path): As for :func:`find_inputs`.
        out (str | Path): Folder to write to.
        confidence (bool): Write confidence, too. Defaults to False.

    Returns:
        Counts: What became of the inputs. An input that cannot be read is left out.

    Raises:
        FileNotFoundError: There is no input.
        ValueError: Two inputs would have one output, ``out`` lies in the inputs, or holds
            predictions of another network.
    """
    out = Path(out)
    inputs = find_inputs(source)
    if Path(source).is_dir() and out.resolve().is_relative_to(Path(source).resolve()):
        raise ValueError(
            f'{out} is, or lies in, the folder of the inputs, so that the next run would take the '
            'pictures for inputs. Name a folder beside it.'
        )
    _claim(out, predictor, checkpoint)
    kinds = ['overlay'] * predictor.predicts_classes + ['depth'] * predictor.predicts_depth
    kinds += ['confidence'] * (confidence and predictor.predicts_classes)
    folders = ['labels'] * predictor.predicts_classes + kinds
    counts = Counts()
    lengths = {file: _length(file) for file in inputs}
    with _progress() as progress:
        task = progress.add_task('Predicting', total=sum(lengths.values()))
        for file, name in inputs.items():
            done = counts.predicted + counts.present
            try:
                for stem, read in _images(file, name):
                    targets = {folder: _target(out, folder, stem) for folder in folders}
                    if all(target.exists() for target in targets.values()):
                        counts.present += 1
                    else:
                        _write(predictor(read()), targets)
                        counts.predicted += 1
                    progress.advance(task)
                if _is_video(file):
                    if counts.predicted + counts.present == done:
                        raise ValueError(f'{file} is no video that OpenCV can read')
                    for kind in kinds:
                        _write_video(file, out / kind / name)
            except (FileNotFoundError, ValueError, cv2.error) as error:
                counts.problems.append(
                    str(error) if str(file) in str(error) else f'{file}: {error}'
                )
    return counts


def _progress() -> Progress:
    """A bar on stderr, so that stdout can be piped."""
    columns = (
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(file=sys.stderr))


def _claim(out: Path, predictor: Predictor, checkpoint: str | Path) -> None:
    """Write what the folder holds, or see that it holds that."""
    record = dict(
        checkpoint=str(checkpoint),
        sha256=_digest(checkpoint),
        size=predictor.size,
        classes=list(predictor.classes),
        palette=[list(map(int, color)) for color in predictor.palette],
        depth=('meters' if predictor.depth_is_metric else 'relative')
        if predictor.predicts_depth
        else None,
        mmseg_depthuda=mmseg_depthuda.__version__,
    )
    path = out / RECORD
    if path.is_file():
        found = json.loads(path.read_text(encoding='utf-8'))
        if any(found.get(key) != record[key] for key in ('sha256', 'size')):
            raise ValueError(
                f'{out} has predictions of {found.get("checkpoint")} (size: {found.get("size")}). '
                'Name another folder, or remove it.'
            )
        return
    with atomic_write(path) as file:
        file.write(json.dumps(record, indent=1).encode())


def _digest(path: str | Path) -> str | None:
    if not Path(path).is_file():  # an address
        return str(path)
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _target(out: Path, folder: str, stem: Path) -> Path:
    return out / folder / f'{stem}{".png" if folder == "labels" else ".jpg"}'


def _is_video(file: Path) -> bool:
    return file.suffix.lower() in VIDEO_SUFFIXES


def _length(file: Path) -> int:
    """Frames of a video as its header says, 1 of a picture."""
    if not _is_video(file):
        return 1
    return max(int(cv2.VideoCapture(str(file)).get(cv2.CAP_PROP_FRAME_COUNT)), 0)


def _images(file: Path, name: Path) -> Iterator[tuple[Path, Callable[[], Path | np.ndarray]]]:
    """Name and image, a path or a frame, which is decoded when it is asked for."""
    if not _is_video(file):
        yield name, lambda: file
        return
    capture = cv2.VideoCapture(str(file))
    index = 0
    while capture.grab():
        yield name / f'{index:06d}', lambda: capture.retrieve()[1]
        index += 1


def _write(prediction: Prediction, targets: dict[str, Path]) -> None:
    pictures = prediction.pictures()
    for folder, target in targets.items():
        pixels: Any = prediction.labels if folder == 'labels' else pictures[folder][..., ::-1]
        encoded = cv2.imencode(target.suffix, pixels)[1]
        with atomic_write(target, durable=False) as file:
            file.write(encoded.tobytes())


def _write_video(source: Path, frames: Path) -> None:
    """Put the pictures of a folder together at the speed of the source."""
    target, temporary = Path(f'{frames}.mp4'), Path(f'{frames}.tmp.mp4')
    files = sorted(frames.glob('*.jpg'))
    if target.exists():
        return
    height, width = _read(files[0]).shape[:2]
    speed = cv2.VideoCapture(str(source)).get(cv2.CAP_PROP_FPS) or 25
    writer = cv2.VideoWriter(
        str(temporary), cv2.VideoWriter.fourcc(*'mp4v'), speed, (width, height)
    )
    if not writer.isOpened():
        raise ValueError(f'OpenCV cannot write {target} here; its frames are in {frames}')
    for file in files:
        writer.write(_read(file))
    writer.release()
    os.replace(temporary, target)


def _read(file: Path) -> Any:
    return cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def summary(counts: Counts, out: str | Path) -> str:
    """What to tell the user at the end.

    Args:
        counts (Counts): Of :func:`predict_files`.
        out (str | Path): Where the predictions are.

    Returns:
        str: A line, and one for each input that was left out.
    """
    folders = sorted(path.name for path in Path(out).iterdir() if path.is_dir())
    lines = [
        f'{counts.predicted} predicted, {counts.present} were there already. '
        f'{out} has {", ".join(folders)}.'
    ]
    if counts.problems:
        lines.append(f'Left out, {len(counts.problems)}:')
        lines += [f'  {problem}' for problem in counts.problems]
    return '\n'.join(lines)
