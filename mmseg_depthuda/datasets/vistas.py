# Licensed under the Apache License 2.0, see LICENSE.
"""Mapillary Vistas, version 1.2: photos of streets from all over the world, without depth."""

from collections.abc import Mapping

from mmseg.registry import DATASETS

from .depth_dataset import ProtocolDataset

_SPLITS = ('training', 'validation')


@DATASETS.register_module()
class MapillaryDepthDataset(ProtocolDataset):
    """Mapillary Vistas (Neuhold et al., ICCV 2017) with the 66 labels of version 1.2.

    Layout: ``{split}/images/*.jpg`` and ``{split}/labels/*.png`` (palette PNG, pixel = label id).
    The archive of version 2.0 has the same labels in ``{split}/v1.2/labels``: name that folder in
    ``data_prefix``. There is no depth; a ``depth_map_path`` in ``data_prefix`` names a folder of
    16-bit pseudo depth in CorDA's disparity encoding.

    Images differ in size and aspect ratio and have up to 22 megapixels; :class:`ResizeAndPad` gives
    them one size.

    Args:
        protocol: Classes to train on. Vistas' names are known to ``'categories7'``.
        split: ``'training'`` or ``'validation'``. Used for the default ``data_prefix``.
        data_prefix: Other folders by key, merged over the default. ``None`` as a value switches
            that kind off (``dict(seg_map_path=None)`` for training without labels).
        **kwargs: As in :class:`DepthSegDataset`.

    Raises:
        ValueError: If the split is unknown, or as :class:`DepthSegDataset`.
    """

    def __init__(
        self,
        protocol: str = 'categories7',
        split: str = 'training',
        data_prefix: Mapping[str, str | None] | None = None,
        **kwargs,
    ) -> None:
        if split not in _SPLITS:
            raise ValueError(f'split={split!r} is unknown. Choose one of {list(_SPLITS)}.')
        super().__init__(
            protocol=protocol,
            labelling='vistas_ids',
            data_prefix=dict(img_path=f'{split}/images', seg_map_path=f'{split}/labels')
            | dict(data_prefix or {}),
            img_suffix='.jpg',
            depth_file='png_disparity',
            **kwargs,
        )
