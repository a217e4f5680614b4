# Licensed under the Apache License 2.0, see LICENSE.
"""Cityscapes with stereo or monocular depth, and the street world in its layout."""

from collections.abc import Mapping
from typing import NamedTuple

from mmseg.registry import DATASETS

from .depth_dataset import ProtocolDataset
from .label_protocols import label_suffix


class _DepthLayout(NamedTuple):
    folders: dict[str, str]
    suffix: str
    depth_file: str


_DEPTH_LAYOUTS = {
    'stereo': _DepthLayout(dict(depth_map_path='depth'), '_depth_stereoscopic.mat', 'mat_metres'),
    'mono': _DepthLayout(dict(depth_map_path='disparity'), '_leftImg8bit.png', 'png_disparity'),
    'official': _DepthLayout(
        dict(depth_map_path='disparity', camera_path='camera'),
        '_disparity.png',
        'cityscapes_disparity',
    ),
}


@DATASETS.register_module()
class CityscapesDepthDataset(ProtocolDataset):
    """Cityscapes (Cordts et al., CVPR 2016) with one of three kinds of depth.

    Layout: ``leftImg8bit/SPLIT/CITY/*_leftImg8bit.png``,
    ``gtFine/SPLIT/CITY/*_gtFine_labelIds.png``, and by ``depth``:

    - ``'stereo'``: ``depth/SPLIT/CITY/*_depth_stereoscopic.mat``, meters, inpainted (Sakaridis et
      al., IJCV 2018);
    - ``'mono'``: ``disparity/SPLIT/CITY/*_leftImg8bit.png``, 16 bit, CorDA's monocular disparity;
    - ``'official'``: ``disparity/SPLIT/CITY/*_disparity.png``, 16 bit, and
      ``camera/SPLIT/CITY/*_camera.json``.

    Args:
        protocol: Classes to train on.
        split: Folder below ``leftImg8bit`` and the others. Used for the default ``data_prefix``.
        depth: ``'stereo'``, ``'mono'``, ``'official'`` or ``None``.
        data_prefix: Other folders by key, merged over the default. ``None`` as a value switches
            that kind off (``dict(seg_map_path=None)`` for training without labels).
        labelling: ``'cityscapes_ids'``, or what ``tools/dataset_converters/cityscapes.py`` wrote:
            ``'cityscapes_train_ids'`` for ``*_labelTrainIds.png``, ``'PROTOCOL_train_ids'`` for
            another protocol.
        **kwargs: As in :class:`DepthSegDataset`.
    """

    def __init__(
        self,
        protocol: str = 'cityscapes19',
        split: str = 'train',
        depth: str | None = None,
        data_prefix: Mapping[str, str | None] | None = None,
        labelling: str = 'cityscapes_ids',
        **kwargs,
    ) -> None:
        if depth is not None and depth not in _DEPTH_LAYOUTS:
            raise ValueError(
                f'depth={depth!r} is unknown. Choose one of {sorted(_DEPTH_LAYOUTS)} or None.'
            )
        folders = dict(img_path='leftImg8bit', seg_map_path='gtFine')
        if depth is not None:
            layout = _DEPTH_LAYOUTS[depth]
            folders.update(layout.folders)
            kwargs = dict(depth_map_suffix=layout.suffix, depth_file=layout.depth_file) | kwargs
        super().__init__(
            protocol=protocol,
            labelling=labelling,
            data_prefix={key: f'{folder}/{split}' for key, folder in folders.items()}
            | dict(data_prefix or {}),
            img_suffix='_leftImg8bit.png',
            seg_map_suffix=f'_gtFine{label_suffix(labelling, "_labelIds.png")}',
            camera_suffix='_camera.json',
            **kwargs,
        )
