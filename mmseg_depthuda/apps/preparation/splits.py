# Licensed under the Apache License 2.0, see LICENSE.
"""Which files belong to an image, according to the dataset classes that training uses."""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mmseg_depthuda.datasets import CityscapesDepthDataset
from mmseg_depthuda.datasets.depth_dataset import DepthSegDataset, ProtocolDataset
from mmseg_depthuda.datasets.image_files import list_files
from mmseg_depthuda.datasets.label_protocols import TRAIN_ID_LABELLINGS


class Sample(NamedTuple):
    """The files of one image.

    Attributes:
        name: Path of the image below ``img_path``.
        stem: The same without suffix.
        img_path: Image.
        seg_map_path: Labels as downloaded.
        converted_path: Labels as train indices.
        depth: Kind of depth -> ``depth_map_path``, ``depth_file``, and ``camera_path`` where
            needed.
    """

    name: str
    stem: str
    img_path: str
    seg_map_path: str
    converted_path: str
    depth: dict[str, dict[str, str]]

    @property
    def source_paths(self) -> list[str]:
        """Every file that the result depends on."""
        depths = (
            path
            for files in self.depth.values()
            for key, path in files.items()
            if key.endswith('_path')
        )
        return [self.img_path, self.seg_map_path, *depths]


@dataclass(frozen=True)
class Split:
    """Images that are prepared together.

    The datasets are built with ``lazy_init``: they know the paths of files, and have not looked for
    the files.

    Attributes:
        name: Folder name of the split, '' if the dataset has no splits.
        labeled: Reads the labels as downloaded.
        converted: Reads the converted labels; asked for their paths only.
        depth: Kind of depth -> dataset that reads it.
    """

    name: str
    labeled: DepthSegDataset
    converted: DepthSegDataset
    depth: Mapping[str, DepthSegDataset] = field(default_factory=dict)

    def check_folders(self) -> None:
        """Raise FileNotFoundError if a folder of the download is missing."""
        for dataset in (self.labeled, *self.depth.values()):
            for key, folder in dataset.data_prefix.items():
                if not osp.isdir(folder):
                    raise FileNotFoundError(
                        f'there is no folder {folder} ({key}). Check the root and the folder '
                        'options; what to verify of the depth is an option, too.'
                    )

    def samples(self) -> list[Sample]:
        """List the images, sorted, with where their other files belong.

        Raises:
            FileNotFoundError: If there is no image, or for a kind of file none of any image.
            ValueError: If two images differ only in their suffix.
        """
        root = self.labeled.data_prefix['img_path']
        images = self.labeled.list_images()
        for dataset in (self.labeled, *self.depth.values()):
            _check_layout(dataset, images)
        return [
            Sample(
                name,
                stem,
                osp.join(root, name),
                self.labeled.companion_path('seg_map_path', stem),
                self.converted.companion_path('seg_map_path', stem),
                {kind: _depth_files(dataset, stem) for kind, dataset in self.depth.items()},
            )
            for stem, name in images.items()
        ]


def _check_layout(dataset: DepthSegDataset, stems: Iterable[str]) -> None:
    """Tell a folder of another layout from an incomplete one, before every image is read."""
    for key in sorted(dataset.data_prefix.keys() - {'img_path'}):
        expected = [dataset.companion_path(key, stem) for stem in stems]
        if any(map(osp.isfile, expected)):
            continue
        folder = dataset.data_prefix[key]
        found = [osp.join(folder, name) for name in list_files(folder, ('',))]
        others = f'others, such as {found[0]}' if found else 'no file at all'
        raise FileNotFoundError(
            f'{key}: {folder} holds none of the {len(expected)} files that belong to the images, '
            f'such as {expected[0]}; it holds {others}. Check the root and '
            'the folder options; what to verify of the depth is an option, too.'
        )


def _depth_files(dataset: DepthSegDataset, stem: str) -> dict[str, str]:
    keys = dataset.data_prefix.keys() - {'img_path'}
    return {
        'depth_file': dataset.depth_file,
        **{key: dataset.companion_path(key, stem) for key in sorted(keys)},
    }


def folder_split(
    dataset: type[ProtocolDataset],
    root: str,
    out: str,
    protocol: str,
    images: str,
    labels: str,
    depth: str | None,
) -> Split:
    """GTA5 or SYNTHIA: no splits, one folder per kind of file.

    Args:
        dataset: Dataset class.
        root: Root of the download.
        out: Root of the converted labels.
        protocol: Classes of the converted labels.
        images: Folder of the images below ``root``.
        labels: Folder of the labels below ``root`` and ``out``.
        depth: Folder of the depth maps below ``root``, ``None`` to leave them unverified.
    """

    def build(data_root: str, folders: Mapping[str, str], **kwargs) -> ProtocolDataset:
        return dataset(
            protocol=protocol,
            data_root=data_root,
            data_prefix=dict(img_path=images, **folders),
            lazy_init=True,
            **kwargs,
        )

    label_folder = dict(seg_map_path=labels)
    return Split(
        name='',
        labeled=build(root, label_folder),
        converted=build(out, label_folder, labelling=TRAIN_ID_LABELLINGS[protocol]),
        depth={} if depth is None else {depth: build(root, dict(depth_map_path=depth))},
    )


def cityscapes_splits(
    root: str, out: str, protocol: str, names: Iterable[str], depths: Iterable[str]
) -> list[Split]:
    """The splits of Cityscapes.

    A kind of depth is verified in the splits that have it, and at least one must: the stereo and
    monocular depths are published for the training images only.

    Args:
        root: Root of the download.
        out: Root of the converted labels.
        protocol: Classes of the converted labels.
        names: Splits.
        depths: Of ``'stereo'``, ``'mono'``, ``'official'``.

    Raises:
        FileNotFoundError: If no split has a kind of depth.
    """
    names, depths = list(names), list(depths)

    def build(split: str, data_root: str = root, depth: str | None = None, **kwargs):
        return CityscapesDepthDataset(
            protocol=protocol,
            split=split,
            depth=depth,
            data_root=data_root,
            data_prefix=dict(seg_map_path=None) if depth else None,
            lazy_init=True,
            **kwargs,
        )

    depth_datasets = {
        name: {
            kind: dataset
            for kind in depths
            if osp.isdir((dataset := build(name, depth=kind)).data_prefix['depth_map_path'])
        }
        for name in names
    }
    for kind in depths:
        if not any(kind in found for found in depth_datasets.values()):
            folder = build(names[0], depth=kind).data_prefix['depth_map_path']
            raise FileNotFoundError(f'there is no folder {folder} for --depth {kind}.')
    return [
        Split(
            name=name,
            labeled=build(name),
            converted=build(name, data_root=out, labelling=TRAIN_ID_LABELLINGS[protocol]),
            depth=depth_datasets[name],
        )
        for name in names
    ]
