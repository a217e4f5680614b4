# Licensed under the Apache License 2.0, see LICENSE.
"""The one convention for depth in memory: which values are valid."""

from typing import TypeVar

import numpy as np
import torch

INVALID_DEPTH = 0.0
"""The inverse depth that marks a pixel without depth."""

Array = TypeVar('Array', np.ndarray, torch.Tensor)


def valid_depth(depth: Array) -> Array:
    """Which pixels have a depth.

    Depth maps in memory hold inverse depth (larger is nearer); a pixel is valid exactly when its
    value is greater than :data:`INVALID_DEPTH`. NaN is therefore invalid.

    Args:
        depth: Inverse depth of any shape, floating-point NumPy array or tensor.

    Returns:
        Boolean array or tensor of the same shape and device, true where there is a depth.

    Example:
        >>> valid_depth(torch.tensor([[2.5, 0.0]]))
        tensor([[ True, False]])
    """
    return depth > INVALID_DEPTH
