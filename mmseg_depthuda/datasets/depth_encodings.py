# Licensed under the Apache License 2.0, see LICENSE.
"""How depth is written as numbers: every formula of the package, in both directions.

An *encoding* (:data:`DEPTH_ENCODINGS`) is the inverse depth that a network learns. CorDA's
``655.36 / (metres + 0.01)`` and DADA's ``65536 / (centimetres + 1)`` are one formula: they differ
in which depths are valid. :func:`metres_of_inverse_depth` decodes both.

A *disparity PNG* keeps inverse depth, or a disparity of unknown scale, in 16 bits. The
*centimeters* of SYNTHIA and the *disparity of Cityscapes* are the two other 16-bit formats.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import numpy as np
import torch

from mmseg_depthuda.adaptation.depth import INVALID_DEPTH

Array = TypeVar('Array', np.ndarray, torch.Tensor)

MAX_METRES = 655.35
MIN_METRES = 0.1
PNG_DISPARITY_STEP = 1 / 256
"""The smallest disparity that a disparity PNG can hold."""
CITYSCAPES_STEPS = 256  # per pixel of disparity
MAX_CITYSCAPES_DISPARITY = 65534 / CITYSCAPES_STEPS


def inverse_depth_of_metres(metres: Array) -> Array:
    """The formula of CorDA alone, ``655.36 / (metres + 0.01)``, without a rule for validity.

    Args:
        metres: Depth in meters, > -0.01, any float dtype, any shape. Infinite depth becomes 0.

    Returns:
        Same type, dtype and shape.
    """
    return 655.36 / (metres + 0.01)


def metres_of_inverse_depth(inverse_depth: Array) -> Array:
    """Decode both encodings.

    Args:
        inverse_depth: Inverse depth of either encoding, any float dtype, any shape. Values below 1
            count as 1, which is the farthest depth that they reach, 655.35 m. So does
            ``INVALID_DEPTH``: select the valid pixels first.

    Returns:
        Depth in meters, same type, dtype and shape, at most 655.35.
    """
    return 655.36 / inverse_depth.clip(min=1) - 0.01


def corda_inverse_depth(metres: Array) -> Array:
    """CorDA's ``655.36 / (metres + 0.01)``.

    Args:
        metres: Depth in meters, any float dtype, any shape.

    Returns:
        float32 of the same type and shape. CorDA writes missing depth as the value 1, which is
        655.35 m; such pixels, everything beyond, everything nearer than 0.1 m, and NaN become
        ``INVALID_DEPTH``. Valid values lie in (1, 5957.9].
    """
    valid = (metres >= MIN_METRES) & (metres < MAX_METRES)
    return _where_valid(valid, metres, inverse_depth_of_metres)


def dada_inverse_depth(metres: Array) -> Array:
    """DADA's ``65536 / (centimetres + 1)``, where every finite depth is valid, also 0.

    Args:
        metres: Depth in meters, any float dtype, any shape.

    Returns:
        float32 of the same type and shape, in (0, 65536] where valid.
    """
    valid = (metres >= 0) & (metres < np.inf)
    return _where_valid(valid, metres, lambda m: 65536 / (100 * m + 1))


def _where_valid(valid: Array, values: Array, encode: Callable[[Array], Array]) -> Array:
    if isinstance(values, torch.Tensor):
        encoded = encode(values.masked_fill(~valid, 1))
        return encoded.masked_fill(~valid, INVALID_DEPTH).float()
    encoded = encode(np.where(valid, values, 1))
    return np.where(valid, encoded, INVALID_DEPTH).astype(np.float32)


DEPTH_ENCODINGS: Mapping[str, Callable[[Array], Array]] = {
    'corda': corda_inverse_depth,
    'dada': dada_inverse_depth,
}
"""Name -> the function that turns meters into the inverse depth to train on."""


def encode_png_disparity(inverse_depth: np.ndarray) -> np.ndarray:
    """Encode inverse depth as the pixels of a disparity PNG, ``round(256 * (inverse_depth - 1))``.

    Args:
        inverse_depth: Finite inverse depth, float, any shape.

    Returns:
        uint16 of the same shape. Less than 1 becomes 0, "no depth"; more than 256.996 becomes
        65535.
    """
    return np.rint(256 * (inverse_depth - 1)).clip(0, 65535).astype(np.uint16)


def decode_png_disparity(values: np.ndarray) -> np.ndarray:
    """Decode the pixels of a disparity PNG, ``value / 256 + 1``.

    Args:
        values: uint16, any shape; 0 is "no depth".

    Returns:
        float32 of the same shape, exact; ``INVALID_DEPTH`` where there is none.
    """
    inverse_depth = values * np.float32(1 / 256) + np.float32(1)  # exact: 24 bits suffice
    inverse_depth[values == 0] = INVALID_DEPTH
    return inverse_depth


def depth_of_png_disparity(inverse_depth: Array) -> Array:
    """Depth, in an unknown unit, of the values that a network learns from disparity PNGs.

    Args:
        inverse_depth: ``disparity + 1``, any float dtype, any shape.

    Returns:
        ``1 / disparity``, same type and shape. No disparity is less than the file's step.
    """
    return 1 / (inverse_depth - 1).clip(min=PNG_DISPARITY_STEP)


def encode_centimetres(metres: np.ndarray) -> np.ndarray:
    """Encode meters, any float shape, as centimeters, uint16; infinite becomes 65535 cm."""
    return np.rint(100 * metres).clip(0, 65535).astype(np.uint16)


def decode_centimetres(values: np.ndarray) -> np.ndarray:
    """Decode centimeters, integers of any shape, as meters, float64."""
    return values / 100


def encode_cityscapes_disparity(disparity: np.ndarray) -> np.ndarray:
    """Encode disparity as Cityscapes' files do, ``256 * disparity + 1``.

    Args:
        disparity: Pixels, float, any shape; 0 or less is invalid.

    Returns:
        uint16 of the same shape; 0 where invalid, at most 65535.
    """
    values = np.where(disparity > 0, CITYSCAPES_STEPS * disparity + 1, 0)
    return np.rint(values).clip(0, 65535).astype(np.uint16)


def decode_cityscapes_disparity(values: np.ndarray) -> np.ndarray:
    """Decode the pixels of Cityscapes' disparity files, ``(value - 1) / 256``.

    Args:
        values: Integers, any shape; 0 is invalid.

    Returns:
        Pixels of disparity, float64 of the same shape; NaN where invalid, 0 at infinity.
    """
    values = np.asarray(values, dtype=np.float64)
    return np.where(values > 0, (values - 1) / CITYSCAPES_STEPS, np.nan)
