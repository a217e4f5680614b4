# Licensed under the Apache License 2.0, see LICENSE.
"""Checks and converts the images of a split, leaving out those that are done."""

from __future__ import annotations

import os.path as osp
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mmseg_depthuda.datasets.class_statistics import save_class_statistics
from mmseg_depthuda.datasets.label_protocols import IGNORE_INDEX
from mmseg_depthuda.fileio import atomic_write, map_in_processes

from .inspection import Inspection, inspect
from .record import Record
from .splits import Sample, Split

CONVERTER_VERSION = 1  # raise it whenever the same source gives another result than before


@dataclass(frozen=True)
class SplitResult:
    """What was found and done.

    Attributes:
        split: The split.
        inspections: One per image, in the order of the images.
        reused: Number of images that an earlier run had finished.
        folder: Where lists and statistics were written; ``None`` if nothing was.
    """

    split: Split
    inspections: Sequence[Inspection]
    reused: int
    folder: Path | None

    @property
    def skipped(self) -> list[Inspection]:
        """The images that cannot be used."""
        return [inspection for inspection in self.inspections if inspection.problems]


def prepare_split(split: Split, folder: Path | None, workers: int = 1) -> SplitResult:
    """Check every image of a split with its labels and depth maps, and convert the labels.

    Besides the labels it writes

    - ``images.txt``: the images that can be used, for ``ann_file`` of the dataset;
    - ``class_statistics.json``: pixels per class of all converted labels, for rare-class sampling;
    - ``record.jsonl``: see :class:`Record`. Images that it calls finished are not read again.

    Args:
        split: What to prepare.
        folder: Folder of these files, of which a split with a name gets a subfolder. ``None``: read
            everything and write nothing at all.
        workers: Processes.

    Raises:
        FileNotFoundError: If a folder is missing, or there is no image, or a folder holds nothing
            that belongs to the images.
        ValueError: If two images differ only in their suffix.
        OSError: If a file cannot be written.
    """
    split.check_folders()
    samples = split.samples()
    if folder is None:
        return SplitResult(split, _inspect(split, samples, workers), reused=0, folder=None)
    folder = folder / split.name
    record = Record(folder / 'record.jsonl', recorded_settings(split))
    known: dict[str, Inspection] = {}
    unfinished = []
    for sample in samples:
        finished = record.finished(sample)
        if finished is None:
            unfinished.append(sample)
        else:
            known[sample.stem] = finished
    for inspection in _inspect(split, unfinished, workers, record):
        known[inspection.stem] = inspection
    inspections = [known[sample.stem] for sample in samples]
    record.finish(inspections)
    _write_lists(split, inspections, folder)
    return SplitResult(split, inspections, len(samples) - len(unfinished), folder)


def _inspect(
    split: Split, samples: Sequence[Sample], workers: int, record: Record | None = None
) -> list[Inspection]:
    """Inspect in parallel, with a progress bar; convert if there is a record to keep."""
    work = partial(
        inspect,
        label_map=split.labeled.label_map,
        num_classes=len(split.labeled.metainfo['classes']),
        write=record is not None,
    )
    inspections = []
    description = split.name or 'images'
    with closing(map_in_processes(work, samples, workers, description)) as results:
        for sample, inspection in zip(samples, results, strict=True):
            if record is not None:
                record.add(sample, inspection)
            inspections.append(inspection)
    return inspections


def recorded_settings(split: Split) -> dict:
    """Everything besides the files that the result of an image depends on."""
    root = split.labeled.data_root
    datasets = {'labels': split.labeled, **split.depth}
    return dict(
        version=CONVERTER_VERSION,
        classes=list(split.labeled.metainfo['classes']),
        label_map=sorted(split.labeled.label_map.items()),
        ignore_index=IGNORE_INDEX,
        folders={
            kind: {key: osp.relpath(path, root) for key, path in dataset.data_prefix.items()}
            for kind, dataset in datasets.items()
        },
    )


def _write_lists(split: Split, inspections: Sequence[Inspection], folder: Path) -> None:
    usable = [inspection.stem for inspection in inspections if not inspection.problems]
    with atomic_write(folder / 'images.txt') as file:
        file.write(''.join(f'{stem}\n' for stem in usable).encode())
    save_class_statistics(
        folder / 'class_statistics.json',
        split.labeled.metainfo['classes'],
        {
            inspection.name: inspection.class_pixels
            for inspection in inspections
            if inspection.class_pixels is not None
        },
    )
