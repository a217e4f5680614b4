# Licensed under the Apache License 2.0, see LICENSE.
"""CamVid: frames of a driving car, without depth."""

from collections.abc import Mapping

from mmseg.registry import DATASETS

from .depth_dataset import ProtocolDataset


@DATASETS.register_module()
class CamVidDataset(ProtocolDataset):
    """CamVid (Brostow et al., Pattern Recognition Letters 30(2), 2009), 11 classes, in the
    widespread 480x360 layout.

    Layout: ``{split}/*.png`` and ``{split}annot/*.png`` (0..10, 11 = void). It has no depth; a
    ``depth_map_path`` in ``data_prefix`` names a folder of 16-bit pseudo depth in CorDA's disparity
    encoding.

    Args:
        protocol: Classes to train on.
        split: ``'train'``, ``'val'`` or ``'test'``. Used for the default ``data_prefix``.
        data_prefix: Other folders by key, merged over the default. ``None`` as a value switches
            that kind off.
        **kwargs: As in :class:`DepthSegDataset`.
    """

    def __init__(
        self,
        protocol: str = 'camvid11',
        split: str = 'train',
        data_prefix: Mapping[str, str | None] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(
            protocol=protocol,
            labelling='camvid_ids',
            data_prefix=dict(img_path=split, seg_map_path=f'{split}annot')
            | dict(data_prefix or {}),
            depth_file='png_disparity',
            **kwargs,
        )
