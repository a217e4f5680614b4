# Licensed under the Apache License 2.0, see LICENSE.
"""Every formula against numbers by hand, and every decoding against its encoding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmseg_depthuda.datasets.depth_encodings import (
    DEPTH_ENCODINGS,
    corda_inverse_depth,
    dada_inverse_depth,
    decode_centimetres,
    decode_cityscapes_disparity,
    decode_png_disparity,
    depth_of_png_disparity,
    encode_centimetres,
    encode_cityscapes_disparity,
    encode_png_disparity,
    metres_of_inverse_depth,
)

ALL_VALUES = np.arange(65536, dtype=np.uint16)


@pytest.mark.parametrize(
    ('metres', 'expected'),
    [
        (0.1, 655.36 / 0.11),
        (9.99, 65.536),
        (99.99, 6.5536),
        (0.09, 0),  # CorDA: nearer than 0.1 m is missing
        (0.0, 0),
        (-1.0, 0),
        (655.35, 0),  # the value 1 means "no depth"
        (1000.0, 0),
        (np.inf, 0),
        (np.nan, 0),
    ],
)
def test_corda_encoding_by_hand(metres, expected):
    for dtype in (np.float32, np.float64):
        encoded = corda_inverse_depth(np.array([[metres]], dtype=dtype))
        assert encoded.dtype == np.float32
        assert encoded[0, 0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ('metres', 'expected'), [(0.0, 65536), (0.01, 32768), (655.35, 1), (np.nan, 0), (np.inf, 0)]
)
def test_dada_encoding_by_hand(metres, expected):
    assert dada_inverse_depth(np.array([metres]))[0] == pytest.approx(expected, rel=1e-6)


@given(st.floats(0.1, 655.34), st.floats(1e-3, 100))
def test_corda_encoding_is_valid_and_decreasing(metres, step):
    near, far = corda_inverse_depth(np.array([metres, metres + step]))
    assert near > 1
    assert far < near


@pytest.mark.parametrize('encoding', DEPTH_ENCODINGS)
@given(metres=st.floats(0.1, 655.0))
def test_metres_undo_both_encodings(encoding, metres):
    encoded = DEPTH_ENCODINGS[encoding](np.array([metres]))
    assert metres_of_inverse_depth(encoded)[0] == pytest.approx(metres, rel=1e-4)


def test_what_lies_beyond_the_encoding_is_at_its_end():
    assert metres_of_inverse_depth(np.array([0.5, 0.0])) == pytest.approx(655.35)


@pytest.mark.parametrize('encoding', DEPTH_ENCODINGS)
def test_tensors_and_arrays_give_the_same_numbers(encoding):
    metres = np.array([-1, 0, 0.05, 0.1, 7, 655.34, 655.35, np.inf, np.nan], dtype=np.float32)
    encoded = DEPTH_ENCODINGS[encoding](metres)
    from_tensor = DEPTH_ENCODINGS[encoding](torch.from_numpy(metres))
    assert from_tensor.dtype == torch.float32
    np.testing.assert_allclose(from_tensor.numpy(), encoded, rtol=2e-7)
    for decode in (metres_of_inverse_depth, depth_of_png_disparity):
        np.testing.assert_allclose(decode(from_tensor).numpy(), decode(encoded), rtol=1e-6)


@pytest.mark.parametrize(
    ('encode', 'decode'),
    [
        (encode_png_disparity, decode_png_disparity),
        (encode_centimetres, decode_centimetres),
    ],
)
def test_every_16_bit_value_survives_decoding_and_encoding(encode, decode):
    again = encode(decode(ALL_VALUES))
    assert again.dtype == np.uint16
    np.testing.assert_array_equal(again, ALL_VALUES)


def test_every_cityscapes_disparity_survives_but_the_infinite_one():
    """1 is the disparity 0, which the encoder takes for "unknown"."""
    again = encode_cityscapes_disparity(decode_cityscapes_disparity(ALL_VALUES))
    np.testing.assert_array_equal(again, np.where(ALL_VALUES == 1, 0, ALL_VALUES))


def test_depth_of_a_disparity_is_bounded_by_the_step_of_the_file():
    np.testing.assert_allclose(depth_of_png_disparity(np.array([3.0, 1.0, 0.0])), [0.5, 256, 256])
