# Licensed under the Apache License 2.0, see LICENSE.
"""Packing of images whose arrays have negative strides."""

import numpy as np
from mmseg.datasets.transforms import PackSegInputs as _PackSegInputs
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module(force=True)
class PackSegInputs(_PackSegInputs):
    """MMSeg's transform under the same name, which also packs images of one row or column.

    A flip gives such an array a negative stride, and NumPy still calls it contiguous. MMSeg
    believes that, and PyTorch takes no negative strides.

    Keys: as in MMSeg's ``PackSegInputs``.
    """

    def transform(self, results: dict) -> dict:
        for key, value in results.items():
            if isinstance(value, np.ndarray) and any(stride < 0 for stride in value.strides):
                results[key] = value.copy()
        return super().transform(results)
