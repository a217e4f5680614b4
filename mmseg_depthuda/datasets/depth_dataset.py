# Licensed under the Apache License 2.0, see LICENSE.
"""What all datasets here share: optional labels and depth, label protocols, early checks."""

import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.datasets import BaseSegDataset

from .image_files import list_files, listed_stems, stems_of
from .label_protocols import get_protocol, label_map
from .sequences import frame_number
from .subsets import check_subset, choose_subset
from .transforms.geometric import check_padding_is_cut

_OWN_METAINFO = ('metainfo', 'reduce_zero_label', 'ignore_index')


class DepthSegDataset(BaseSegDataset):
    """Images with optional label and depth maps in parallel folders.

    A file of another kind has the image's path with another prefix and suffix:
    ``IMG_PATH/a/b{img_suffix}`` goes with ``SEG_MAP_PATH/a/b{seg_map_suffix}`` and
    ``DEPTH_MAP_PATH/a/b{depth_map_suffix}``.

    What is the same for all images is handed to the transforms with every sample: ``label_map``,
    the raw value -> train index map that :class:`LoadLabels` applies (also understood by MMSeg's
    ``LoadAnnotations``), and ``depth_file``, the kind of depth file that :class:`LoadInverseDepth`
    decodes.

    Args:
        classes: Class names in training order, or ``None`` for images without labels.
        palette: One RGB color per class, or ``None`` for MMSeg's random ones.
        raw_to_train: Raw label value -> train index, 255 for ignored.
        data_root: Root of the relative prefixes.
        data_prefix: Folders by key: ``img_path``, and optionally ``seg_map_path``,
            ``depth_map_path``, ``camera_path``, ``pseudo_label_path``, and ``sequence_path`` (the
            frames of the videos). A key that is absent or ``None`` means that this kind of file is
            not used. Relative folders start at ``data_root``, that of pseudo-labels, which are no
            part of the data, at the working directory.
        img_suffix: Suffix, or suffixes, of the images.
        seg_map_suffix: Suffix of the label files.
        depth_map_suffix: Suffix of the depth files.
        camera_suffix: Suffix of the camera files.
        pseudo_label_suffix: Suffix of the pseudo-labels, see :class:`LoadPseudoLabels`.
        depth_file: Kind of the depth files, a key of :data:`~.transforms.depth_files.DEPTH_FILES`.
        frame_offsets: With ``sequence_path``: neighboring frames of each image, by their distance
            in the video. The frame at offset 1 has the image's name with the next higher number at
            its end. :class:`LoadNeighboringFrames` reads them.
        ann_file: Text file naming one image per line, see :func:`~.image_files.listed_stems`. By
            default, all images.
        subset: A part of these images, such as those that have been labeled:
            ``dict(size=100, seed=7)`` draws 100, ``dict(share=1 / 30, seed=7)`` that share, and
            ``dict(file=LIST)`` takes those that a text file names; with ``rest=True`` it is all the
            others, see :func:`~.subsets.choose_subset`. With ``labels_only=True`` all images are
            kept, and those of the subset alone have labels. By default, all.
        **kwargs: As in MMSeg's ``BaseSegDataset`` (``pipeline``, ``test_mode``, ``indices``,
        ``lazy_init``, ...).

    Raises:
        FileNotFoundError: If a folder, label file, depth file or neighboring frame is missing, or
            if there is no image.
        ValueError: If an argument is invalid.
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] | None,
        palette: Sequence[Sequence[int]] | None,
        raw_to_train: Mapping[int, int] | None,
        data_prefix: Mapping[str, str | None],
        data_root: str | None = None,
        img_suffix: str | Sequence[str] = '.png',
        seg_map_suffix: str = '.png',
        depth_map_suffix: str = '.png',
        camera_suffix: str = '.json',
        pseudo_label_suffix: str = '.png',
        depth_file: str = 'png_disparity',
        frame_offsets: Sequence[int] = (-1, 1),
        ann_file: str = '',
        subset: Mapping[str, Any] | None = None,
        **kwargs,
    ) -> None:
        if subset is not None:
            check_subset(subset)
        self.subset = subset
        rejected = [key for key in _OWN_METAINFO if key in kwargs]
        if rejected:
            raise ValueError(
                f'{type(self).__name__} does not take {rejected}: classes and the treatment of raw '
                'label values come from `protocol=` (or, for FolderDepthDataset, from `metainfo=` '
                'and `label_map=`).'
            )
        self.raw_to_train = None if raw_to_train is None else dict(raw_to_train)
        self.companion_suffixes = dict(
            seg_map_path=seg_map_suffix,
            depth_map_path=depth_map_suffix,
            camera_path=camera_suffix,
            pseudo_label_path=pseudo_label_suffix,
        )
        self._spelled_otherwise: dict[str, dict[str, str]] = {}  # kind of file -> stem -> name
        self.depth_file = depth_file
        self.frame_offsets = tuple(frame_offsets)
        if not self.frame_offsets or 0 in self.frame_offsets:
            raise ValueError(
                f'frame_offsets={self.frame_offsets} must be numbers other than 0, such as (-1, 1).'
            )
        prefix = {key: folder for key, folder in data_prefix.items() if folder is not None}
        known = {*self.companion_suffixes, 'sequence_path'}
        unknown = sorted(prefix.keys() - known - {'img_path'})
        if unknown or 'img_path' not in prefix:
            raise ValueError(
                f'data_prefix of {type(self).__name__} has the keys {sorted(prefix)}. It needs '
                f'`img_path`, and may have {sorted(known)}.'
            )
        if self._labels_only and 'seg_map_path' not in prefix:
            raise ValueError(
                f'subset.labels_only says which images of {type(self).__name__} have labels, but '
                'it reads none: set data_prefix.seg_map_path.'
            )
        if 'pseudo_label_path' in prefix:
            prefix['pseudo_label_path'] = osp.abspath(prefix['pseudo_label_path'])
        metainfo: dict[str, Sequence] = {}
        if classes is not None:
            _check_class_names(classes)
            metainfo['classes'] = tuple(classes)
            metainfo['palette'] = [] if palette is None else [list(color) for color in palette]
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=prefix,
            **kwargs,
        )
        if self.test_mode:
            check_padding_is_cut(self.pipeline.transforms, labeled='seg_map_path' in prefix)
        # MMSeg's confusion_matrix.py reads the class names from here.
        self.METAINFO = {
            key: self._metainfo[key] for key in ('classes', 'palette') if key in self._metainfo
        }

    def get_label_map(self, new_classes=None) -> dict[int, int] | None:
        """The raw value -> train index map, instead of one between two lists of classes."""
        return self.raw_to_train

    def load_data_list(self) -> list[dict]:
        """List the images and what goes with them: one listing per folder, no file is touched."""
        images = self.list_images()
        labeled = set(self._subset_of(images) if self._labels_only else images)
        data_list = [
            dict(img_path=osp.join(self.data_prefix['img_path'], image))
            for image in images.values()
        ]
        for key, suffix in self.companion_suffixes.items():
            if key not in self.data_prefix:
                continue
            having = labeled if key == 'seg_map_path' else images
            present = self._companions(key)
            self._check_listed(
                [stem + suffix for stem in self._indexed(list(images)) if stem in having],
                {stem + suffix for stem in present},
                key,
                suffix,
            )
            for data_info, stem in zip(data_list, images, strict=True):
                if stem not in having:
                    continue
                name = present.get(stem, stem + suffix)
                data_info[key] = osp.join(self.data_prefix[key], name)
        if 'sequence_path' in self.data_prefix:
            self._add_neighbors(data_list, list(images))
        return data_list

    def _add_neighbors(self, data_list: list[dict], stems: list[str]) -> None:
        """Name the neighboring frames of each image, all of which must be there."""
        folder = self.data_prefix['sequence_path']
        listed = self._list_folder('sequence_path', self._image_suffixes)
        present = {frame_number(stem): name for stem, name in listed}
        needed = {*self._indexed(stems)}
        missing = []
        for info, stem in zip(data_list, stems, strict=True):
            found = frame_number(stem)
            if found is None:
                raise ValueError(
                    f'img_path: the name of {stem} in {self.data_prefix["img_path"]} does not end '
                    'in a number, so that its neighbors in the video are not known. Leave out '
                    'data_prefix.sequence_path.'
                )
            sequence, number = found
            wanted = [(sequence, number + offset) for offset in self.frame_offsets]
            if stem in needed:
                missing += [f'{name}*{n}' for name, n in wanted if (name, n) not in present]
            info['source_paths'] = [osp.join(folder, present.get(one, '')) for one in wanted]
            info['frame_offsets'] = self.frame_offsets
        if missing:
            raise FileNotFoundError(
                f'sequence_path: {len(missing)} neighboring frames are missing in {folder}, such '
                f'as {", ".join(missing[:3])} ({" or ".join(self._image_suffixes)}). Complete the '
                'folder, change frame_offsets, or list the images that have neighbors in ann_file.'
            )

    def _indexed(self, stems: list[str]) -> list[str]:
        """The images that ``indices`` leaves; only these need their files."""
        indices = self._indices
        if indices is None:
            return stems
        if isinstance(indices, int):
            return stems[:indices] if indices >= 0 else stems[indices:]
        return [stems[i] for i in indices]

    def companion_path(self, key: str, stem: str) -> str:
        """Where the file of kind ``key`` of an image is expected, whether it exists or not.

        The suffix of an existing file may be in other letters (``.PNG``).

        Args:
            key: Key of ``data_prefix``: ``'seg_map_path'``, ``'depth_map_path'``,
                ``'camera_path'``, ``'pseudo_label_path'``.
            stem: The image, as a key of :meth:`list_images`.
        """
        suffix = self.companion_suffixes[key]
        if key not in self._spelled_otherwise:
            present = self._companions(key) if osp.isdir(self.data_prefix[key]) else {}
            self._spelled_otherwise[key] = {
                other: name for other, name in present.items() if name != other + suffix
            }
        name = self._spelled_otherwise[key].get(stem, stem + suffix)
        return osp.join(self.data_prefix[key], name)

    def _companions(self, key: str) -> dict[str, str]:
        """Stem -> name of the files of a kind; of several, the one with the suffix as given."""
        suffix = self.companion_suffixes[key]
        listed = self._list_folder(key, (suffix,))
        return dict(sorted(listed, key=lambda pair: pair[1] == pair[0] + suffix))

    def list_images(self) -> dict[str, str]:
        """Path without suffix -> path, both below ``img_path``; sorted, or as in ``ann_file``."""
        suffixes = self._image_suffixes
        images: dict[str, str] = {}
        for stem, name in self._list_folder('img_path', suffixes):
            if stem in images:
                raise ValueError(
                    f'img_path: {images[stem]} and {name} in {self.data_prefix["img_path"]} differ '
                    'only in their suffix, so that their labels and depths cannot be told apart. '
                    'Rename one, or set img_suffix to one suffix.'
                )
            images[stem] = name
        if not images:
            raise FileNotFoundError(
                f'img_path: no image ending in {" or ".join(suffixes)} below '
                f'{self.data_prefix["img_path"]}. Check data_root, data_prefix and img_suffix.'
            )
        if self.ann_file:
            images = {stem: images[stem] for stem in self._listed(self.ann_file, images)}
        if self._labels_only:
            return images
        return {stem: images[stem] for stem in self._subset_of(images)}

    @property
    def _labels_only(self) -> bool:
        return bool(self.subset and self.subset.get('labels_only'))

    def _subset_of(self, images: Mapping[str, str]) -> list[str]:
        """The images of ``subset``, or all without one; ``images`` are all of them."""
        if self.subset is None:
            return list(images)
        file = self.subset.get('file')
        listed = [] if file is None else self._listed(file, images)
        try:
            return choose_subset(sorted(images), self.subset, listed)
        except ValueError as error:
            raise ValueError(f'{error} (img_path: {self.data_prefix["img_path"]})') from error

    @property
    def _image_suffixes(self) -> tuple[str, ...]:
        return (self.img_suffix,) if isinstance(self.img_suffix, str) else tuple(self.img_suffix)

    def _listed(self, path: str, images: Mapping[str, str]) -> list[str]:
        """The images that a list names, all of which must be there."""
        chosen, missing = listed_stems(path, images, self.data_prefix['img_path'])
        suffix = ' or '.join(self._image_suffixes)
        self._check_listed(
            [*missing, *chosen], images.keys(), 'img_path', f'{suffix} (list: {path})'
        )
        return chosen

    def _list_folder(self, key: str, suffixes: tuple[str, ...]) -> list[tuple[str, str]]:
        """Stem and name of every file, sorted by name."""
        folder = self.data_prefix[key]
        if not osp.isdir(folder):
            raise FileNotFoundError(
                f'{key}: there is no folder {folder}. Check data_root and data_prefix'
                + ('.' if key == 'img_path' else f', or leave out data_prefix.{key} to do without.')
            )
        return stems_of(list_files(folder, suffixes), suffixes)

    def _check_listed(self, expected: list[str], present, key: str, suffix: str) -> None:
        missing = [name for name in expected if name not in present]
        if missing:
            found = (
                f'it holds, for example, {min(present)}'
                if present
                else 'it holds no such file at all'
            )
            raise FileNotFoundError(
                f'{key}: {len(missing)} of {len(expected)} files are missing in '
                f'{self.data_prefix[key]}: '
                f'{", ".join(missing[:3])}{", ..." if len(missing) > 3 else ""} (files ending in '
                f'{suffix}; {found}). Complete the folder, correct data_prefix.{key} or the '
                'suffix, or list the images to use in ann_file.'
            )

    def get_data_info(self, idx: int) -> dict:
        """Paths of sample ``idx``, and what the transforms need to know about this dataset."""
        data_info = super().get_data_info(idx)
        data_info.update(
            label_map=self.label_map,
            depth_file=self.depth_file,
            reduce_zero_label=False,
            seg_fields=[],
        )
        return data_info

    def prepare_data(self, idx: int):
        """Run the pipeline on sample ``idx``.

        Raises:
            ValueError: If a transform cannot take the image, for example because it is one pixel
                wide and would be resized to 0; the message has file and size. Errors that name a
                file of the sample stay as they are.
        """
        data_info = self.get_data_info(idx)
        files = [
            data_info[key] for key in ('img_path', *self.companion_suffixes) if key in data_info
        ]
        try:
            return self.pipeline(data_info)
        except Exception as error:
            shape = data_info.get('ori_shape')
            if shape is None or any(file in str(error) for file in files):
                raise
            raise ValueError(
                f'img_path: {files[0]}, {shape[1]}x{shape[0]} pixels, does not go through the '
                f'pipeline ({type(error).__name__}: {error}). Remove it, or change the sizes in '
                'the transforms.'
            ) from error


def _check_class_names(classes: Sequence[str]) -> None:
    """Class names must be text: tables, logs and pictures show them."""
    if not all(isinstance(name, str) and name.strip() for name in classes):
        raise ValueError(
            f'metainfo.classes must be names, but is {list(classes)!r}. Write each as text: '
            f'classes={[str(name) for name in classes]}.'
        )


class ProtocolDataset(DepthSegDataset):
    """A known dataset: the labeling of its files is known, and a protocol names the classes.

    Args:
        protocol: Classes to train on, a key of :data:`~.label_protocols.PROTOCOLS`.
        labelling: Meaning of the raw label values, a key of :data:`~.label_protocols.LABELINGS`.
        **kwargs: As in :class:`DepthSegDataset`.
    """

    def __init__(self, *, protocol: str, labelling: str, **kwargs) -> None:
        super().__init__(
            **get_protocol(protocol).metainfo, raw_to_train=label_map(labelling, protocol), **kwargs
        )
