# Licensed under the Apache License 2.0, see LICENSE.
"""Labels with which a training or a test would be useless, found in a sample of their files."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from mmseg.datasets.transforms import LoadAnnotations
from torch.utils.data import Dataset

from .data_check import (
    CheckedFile,
    CheckReport,
    check_files,
    find_transform,
    sample_evenly,
    simple_datasets,
)
from .depth_dataset import ProtocolDataset
from .label_protocols import IGNORE_INDEX
from .listed_dataset import ListedDataset
from .transforms import LoadLabels, read_label_ids
from .transforms.label_files import label_map_remedy, short_list

_AS_MEANT = ' If the labels are as they should be, set default_hooks.data_check.refuse=False.'


def check_labels(
    dataset: Dataset, name: str, required: bool, files: int, seconds: float
) -> CheckReport | None:
    """Look for label values that no class has, for classes that never occur, and for labels in
    which nothing is labeled.

    Args:
        dataset: Whose pipeline loads labels with :class:`LoadLabels` or MMSeg's
            ``LoadAnnotations``; may be a wrapper of several.
        name: Place of the dataset in the config, for the messages.
        required: Whether labels without any labeled pixel are an error rather than a warning.
        files: How many label files to read.
        seconds: How long.

    Returns:
        What was found; ``None`` if the dataset loads no labels.
    """
    parts = [part for one in simple_datasets(dataset) if (part := _labeled_part(one)) is not None]
    if not parts:
        return None
    for part in parts:
        part.read(math.ceil(files / len(parts)), seconds / len(parts))
    total, read = sum(len(part.dataset) for part in parts), sum(len(p.checked) for p in parts)
    pixels = sum((part.class_pixels() for part in parts), Counter())
    labeled = sum(1 for part in parts for file in part.sound() if part.is_labeled(file))
    where = f'{name}: {read} of {total} label files were read'
    report = CheckReport(f'{where}; {labeled} show a class, together {len(pixels)} classes.')
    if not read:
        report.warnings.append(f'{name}: no label file could be read in {seconds:.1f} s.')
        return report
    for part in parts:
        report.errors += part.complaints(name)
    if not report.errors:
        _judge_classes(parts, pixels, where, required, report)
        report.errors = [message + _AS_MEANT for message in report.errors]
    return report


def _judge_classes(
    parts: list[_LabeledPart],
    pixels: Counter[int],
    where: str,
    required: bool,
    report: CheckReport,
) -> None:
    """Compare the classes that occur with the classes of the dataset."""
    serious = report.errors if required else report.warnings
    classes = parts[0].dataset.metainfo['classes']
    absent = [name for index, name in enumerate(classes) if index not in pixels]
    found = sorted(set().union(*(part.found() for part in parts)))
    ignores_255 = all(part.label_map.get(IGNORE_INDEX) == IGNORE_INDEX for part in parts)
    if not pixels:
        serious.append(
            f'{where}, and nothing is labeled in any of them: they hold only the values '
            f'{short_list(found)}, which mean "ignore". {parts[0].remedy()}'
        )
    elif len(classes) == 2 and absent and IGNORE_INDEX in found and ignores_255:
        serious.append(
            f'{where}; they hold only the values {short_list(found)}, of which 255 is ignored, so '
            f'that the class {absent[0]!r} never occurs. {parts[0].remedy()}'
        )
    elif any(part.holds_train_indices(len(absent)) for part in parts):
        serious.append(
            f'{where}; they hold only the values {short_list(found, 20)}, which look like train '
            f'indices but are read as label ids, so that {len(absent)} of {len(classes)} classes '
            "never occur. Set labelling='cityscapes_train_ids', or that of your protocol, or name "
            'the files of label ids.'
        )
    elif absent:
        report.warnings.append(
            f'{where}, and {len(absent)} of {len(classes)} classes never occur in them: '
            f'{", ".join(absent)}. They hold the values {short_list(found, 20)}. If the classes '
            'are there, correct label_map, protocol or labeling.'
        )


@dataclass
class _LabeledPart:
    """A dataset without wrappers, and how its pipeline reads labels.

    Attributes:
        dataset: The dataset.
        loader: The transform of its pipeline that loads the labels.
        label_map: Value that :meth:`_values` returns -> train index or 255.
        checked: What was read.
    """

    dataset: ListedDataset
    loader: LoadLabels | LoadAnnotations
    label_map: Mapping[int, int]
    checked: list[CheckedFile]

    def read(self, files: int, seconds: float) -> None:
        indices = sample_evenly(len(self.dataset), files)
        infos = [self.dataset.get_data_info(index) for index in indices]
        self.checked = check_files(self._values, infos, 'seg_map_path', seconds)

    def _values(self, info: Mapping) -> dict[int, int]:
        """Label value -> number of pixels: of the file, or of what MMSeg's loader makes of it."""
        if isinstance(self.loader, LoadLabels):
            labels = read_label_ids(info['seg_map_path'])
        else:
            labels = self.loader.transform(dict(info, seg_fields=[]))['gt_seg_map']
            if labels.ndim != 2:
                raise ValueError(
                    f'seg_map_path: {info["seg_map_path"]} has {labels.shape[2]} channels, but '
                    'LoadAnnotations needs ids in one channel.'
                )
        if labels.dtype == np.uint8:  # several times as fast as np.unique
            counts = np.bincount(labels.ravel())
            return {int(value): int(counts[value]) for value in counts.nonzero()[0]}
        values, counts = np.unique(labels, return_counts=True)
        return dict(zip(values.tolist(), counts.tolist(), strict=True))

    def sound(self) -> Iterable[CheckedFile]:
        return (file for file in self.checked if file.error is None)

    def found(self) -> set[int]:
        return set().union(*(file.content for file in self.sound()))

    def is_labeled(self, file: CheckedFile) -> bool:
        return any(
            self.label_map.get(value, IGNORE_INDEX) != IGNORE_INDEX for value in file.content
        )

    def class_pixels(self) -> Counter[int]:
        """Train index -> number of pixels, of those that occur."""
        pixels: Counter[int] = Counter()
        for file in self.sound():
            for value, count in file.content.items():
                pixels[self.label_map.get(value, IGNORE_INDEX)] += count
        del pixels[IGNORE_INDEX]
        return pixels

    def complaints(self, name: str) -> list[str]:
        """What would end the run at the first of these files."""
        messages = []
        broken = [file for file in self.checked if file.error is not None]
        if broken:
            messages.append(
                f'{name}: {len(broken)} of {len(self.checked)} label files that were read cannot '
                f'be used. {broken[0].error}'
            )
        unknown = [file for file in self.sound() if file.content.keys() - self.label_map.keys()]
        if unknown:
            values = sorted(self.found() - self.label_map.keys())
            messages.append(
                f'{name}: {len(unknown)} of {len(self.checked)} label files that were read hold '
                f'values that mean nothing: {short_list(values)}, as {unknown[0].path} does '
                f'(known: {sorted(self.label_map)}). ' + self.remedy()
            )
        return messages

    def remedy(self) -> str:
        """The line of config that fits what was found."""
        found = self.found()
        if found == {IGNORE_INDEX}:
            return (
                'Check data_prefix.seg_map_path. If 255 is a class, map it: label_map={0: 0, '
                '255: 1} of a FolderDepthDataset.'
            )
        if isinstance(self.loader, LoadLabels):
            return label_map_remedy(found, self.label_map)
        return 'Check metainfo.classes and reduce_zero_label of the dataset.'

    def holds_train_indices(self, num_absent: int) -> bool:
        """Whether files that should hold label ids hold train indices."""
        classes = range(len(self.dataset.metainfo['classes']))
        values = self.found() - {IGNORE_INDEX}
        return (
            isinstance(self.dataset, ProtocolDataset)
            and IGNORE_INDEX in self.found()
            and any(self.label_map.get(index) != index for index in classes)
            and values <= set(classes)
            and len(values) > 2
            and 2 * num_absent >= len(classes)
        )


def _labeled_part(dataset: ListedDataset) -> _LabeledPart | None:
    """``None`` if the dataset loads no labels, or in a way that is not known here."""
    loader = find_transform(dataset, (LoadLabels, LoadAnnotations))
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
    if loader is None or not classes or not len(dataset):
        return None
    info = dataset.get_data_info(0)
    if info.get('seg_map_path') is None:
        return None
    if isinstance(loader, LoadLabels):
        label_map = info['label_map']
    else:  # has already mapped what it knows, and leaves the rest as it is
        label_map = {index: index for index in range(len(classes))}
        for ignored in (IGNORE_INDEX, getattr(dataset, 'ignore_index', IGNORE_INDEX)):
            label_map[ignored] = IGNORE_INDEX
    return _LabeledPart(dataset, loader, label_map, [])
