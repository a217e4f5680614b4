# Licensed under the Apache License 2.0, see LICENSE.
"""Loading of pseudo-labels that were written once."""

import logging

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from mmseg.registry import TRANSFORMS

from ..file_integrity import read_intact
from ..label_protocols import IGNORE_INDEX
from .images import decode_image

KEY = 'pseudo_label_path'
REMEDY = 'Write the labels anew with tools/write_pseudo_labels.py, into a new folder.'


@TRANSFORMS.register_module()
class LoadPseudoLabels(BaseTransform):
    """Load pseudo-labels of ``tools/write_pseudo_labels.py`` as labels.

    Does nothing for a sample without ``pseudo_label_path``. Stands where the image has the size
    that it had for the network which labeled it: after the resize, before crops and flips. An
    image of which no label is kept is skipped, and the dataset draws another; each is logged once
    per worker.

    Required keys: ``pseudo_label_path`` (optional), ``img``, ``label_map``. Added: ``gt_seg_map``
    (uint8, (H, W), train indices, 255 where no label is kept), also in ``seg_fields``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, has another size than the image, holds an index that is no
            class, or the sample has true labels, too.
    """

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def transform(self, results: dict) -> dict | None:
        path = results.get(KEY)
        if path is None:
            return results
        if results.get('seg_map_path') is not None:
            raise ValueError(
                f'{KEY}: {results["img_path"]} has true labels, too, {results["seg_map_path"]}. '
                'Set data_prefix.seg_map_path=None to train on the pseudo-labels.'
            )
        labels = decode_image(read_intact(path, KEY), path, KEY)
        if labels.ndim != 2 or labels.dtype != np.uint8:
            raise ValueError(
                f'{KEY}: {path} holds {labels.dtype} of shape {labels.shape}, but pseudo-labels '
                f'are one channel of 8 bits. {REMEDY}'
            )
        if labels.shape != results['img'].shape[:2]:
            height, width = results['img'].shape[:2]
            raise ValueError(
                f'{KEY}: {path} is {labels.shape[1]}x{labels.shape[0]}, but its image '
                f'{results["img_path"]} is {width}x{height} at this place of the pipeline. Put '
                f'LoadPseudoLabels after the resize to {labels.shape[1]}x{labels.shape[0]}. '
                f'Otherwise: {REMEDY}'
            )
        classes = set((results.get('label_map') or {}).values()) - {IGNORE_INDEX}
        found = np.flatnonzero(np.bincount(labels.ravel(), minlength=IGNORE_INDEX + 1))
        unknown = set(found.tolist()) - {IGNORE_INDEX} - classes
        if unknown and classes:
            raise ValueError(
                f'{KEY}: {path} holds the indices {sorted(unknown)}, but the dataset has '
                f'{len(classes)} classes. {REMEDY}'
            )
        if found.tolist() == [IGNORE_INDEX]:
            if path not in self._logged:
                self._logged.add(path)
                print_log(f'{KEY}: {path} keeps no label: skip.', 'current', logging.WARNING)
            return None
        results['gt_seg_map'] = labels
        results['seg_fields'].append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'
