# Licensed under the Apache License 2.0, see LICENSE.
"""GTA5 with monocular depth, and the street world in its layout."""

from collections.abc import Mapping

from mmseg.registry import DATASETS

from .depth_dataset import ProtocolDataset
from .label_protocols import label_suffix


@DATASETS.register_module()
class GTA5DepthDataset(ProtocolDataset):
    """GTA5 (Richter et al., "Playing for data", ECCV 2016) with CorDA's monocular depth.

    Layout: ``images/00001.png``, ``labels/00001.png`` (palette PNG, pixel = Cityscapes label id),
    ``disparity/00001.png`` (16 bit).

    Args:
        protocol: Classes to train on.
        data_prefix: Folders by key; a key that is missing or ``None`` is not read.
        labelling: ``'cityscapes_ids'``, or what ``tools/dataset_converters/gta.py`` wrote:
            ``'cityscapes_train_ids'`` for ``labels/00001_labelTrainIds.png``,
            ``'PROTOCOL_train_ids'`` for another protocol.
        **kwargs: As in :class:`DepthSegDataset`.
    """

    def __init__(
        self,
        protocol: str = 'cityscapes19',
        data_prefix: Mapping[str, str | None] = dict(
            img_path='images', seg_map_path='labels', depth_map_path='disparity'
        ),
        labelling: str = 'cityscapes_ids',
        **kwargs,
    ) -> None:
        super().__init__(
            protocol=protocol,
            labelling=labelling,
            data_prefix=data_prefix,
            seg_map_suffix=label_suffix(labelling, '.png'),
            depth_file='png_disparity',
            **kwargs,
        )
