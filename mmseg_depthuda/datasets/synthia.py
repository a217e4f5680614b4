# Licensed under the Apache License 2.0, see LICENSE.
"""SYNTHIA-RAND-CITYSCAPES with rendered depth, and the street world in its layout."""

from collections.abc import Mapping

from mmseg.registry import DATASETS

from .depth_dataset import ProtocolDataset
from .label_protocols import label_suffix


@DATASETS.register_module()
class SYNTHIADepthDataset(ProtocolDataset):
    """SYNTHIA-RAND-CITYSCAPES (Ros et al., CVPR 2016) with its rendered depth.

    Layout: ``RGB/0000000.png``, ``GT/LABELS/0000000.png`` (16 bit, 3 channels, class id in the
    first), ``Depth/0000000.png`` (16 bit, centimeters). Some copies have ``Depth/Depth`` or 8-bit
    class ids in ``parsed_LABELS`` or ``synthia_mapped_to_cityscapes``: name the folder in
    ``data_prefix``.

    Args:
        protocol: Classes to train on.
        data_prefix: Folders by key; a key that is missing or ``None`` is not read.
        labelling: ``'synthia_ids'``, or what ``tools/dataset_converters/synthia.py`` wrote:
            ``'cityscapes_train_ids'`` for ``GT/LABELS/0000000_labelTrainIds.png``,
            ``'PROTOCOL_train_ids'`` for another protocol.
        **kwargs: As in :class:`DepthSegDataset`.
    """

    def __init__(
        self,
        protocol: str = 'cityscapes19',
        data_prefix: Mapping[str, str | None] = dict(
            img_path='RGB', seg_map_path='GT/LABELS', depth_map_path='Depth'
        ),
        labelling: str = 'synthia_ids',
        **kwargs,
    ) -> None:
        super().__init__(
            protocol=protocol,
            labelling=labelling,
            data_prefix=data_prefix,
            seg_map_suffix=label_suffix(labelling, '.png'),
            depth_file='png_centimetres',
            **kwargs,
        )
