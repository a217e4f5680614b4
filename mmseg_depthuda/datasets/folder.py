# Licensed under the Apache License 2.0, see LICENSE.
"""Folders of your own images, with or without labels and depth."""

from collections.abc import Mapping, Sequence

from mmseg.registry import DATASETS

from .depth_dataset import DepthSegDataset
from .label_protocols import IGNORE_INDEX

_IMAGE_SUFFIXES = tuple(
    s for suffix in ('.png', '.jpg', '.jpeg', '.bmp', '.webp') for s in (suffix, suffix.upper())
)


@DATASETS.register_module()
class FolderDepthDataset(DepthSegDataset):
    """Your own images: any folder, optionally with label PNGs and depth files in parallel folders.

    Args:
        metainfo: ``dict(classes=[...])``, any number of class names from 2 to 254, optionally with
            ``palette``, one RGB color per class. Needed where there are labels.
        label_map: Raw label value (0..255) -> train index (0..C-1, or 255 = ignore). By default raw
            values are train indices. 255 is "ignore" unless the map says otherwise. A value that
            occurs in a file and is not in the map is an error.
        data_prefix: Folders by key: ``img_path``, and optionally ``seg_map_path``,
            ``depth_map_path``, ``camera_path``.
        img_suffix: By default, all common image suffixes.
        **kwargs: As in :class:`DepthSegDataset`, for example ``depth_file`` and the suffixes.
    """

    def __init__(
        self,
        metainfo: Mapping | None = None,
        label_map: Mapping[int, int] | None = None,
        data_prefix: Mapping[str, str | None] = dict(img_path=''),
        img_suffix: str | Sequence[str] = _IMAGE_SUFFIXES,
        **kwargs,
    ) -> None:
        metainfo = dict(metainfo or {})
        classes = metainfo.get('classes')
        if classes is None and data_prefix.get('seg_map_path') is not None:
            raise ValueError(
                'data_prefix.seg_map_path: labels need class names, metainfo=dict(classes=[...]).'
            )
        super().__init__(
            classes=classes,
            palette=metainfo.get('palette'),
            raw_to_train=None if classes is None else _complete_label_map(classes, label_map),
            data_prefix=data_prefix,
            img_suffix=img_suffix,
            **kwargs,
        )


def _complete_label_map(
    classes: Sequence[str], label_map: Mapping[int, int] | None
) -> dict[int, int]:
    if (
        isinstance(classes, str)
        or not 2 <= len(classes) < IGNORE_INDEX
        or len(set(classes)) != len(classes)
    ):
        raise ValueError(
            f'metainfo.classes must be 2 to {IGNORE_INDEX - 1} different names, but is {classes!r}.'
        )
    if label_map is None:
        label_map = {i: i for i in range(len(classes))}
    # Python configs keep integer keys, JSON and YAML turn them into text.
    try:
        label_map = {int(str(raw)): int(str(train)) for raw, train in label_map.items()}
    except ValueError as error:
        raise ValueError(f'label_map must map integers to integers, but is {label_map}.') from error
    bad = {
        raw: train
        for raw, train in label_map.items()
        if not (0 <= raw <= IGNORE_INDEX and (0 <= train < len(classes) or train == IGNORE_INDEX))
    }
    if bad:
        raise ValueError(
            f'label_map maps raw values 0..255 to 0..{len(classes) - 1} (one per class) or '
            f'{IGNORE_INDEX}, but has {bad}.'
        )
    return {IGNORE_INDEX: IGNORE_INDEX} | label_map
