# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch

from mmseg_depthuda.adaptation.depth import INVALID_DEPTH, valid_depth

VALUES = [INVALID_DEPTH, 1e-6, 1.0, 655.36, -1.0, float('nan')]
VALID = [False, True, True, True, False, False]


def test_invalid_depth_is_zero():
    assert INVALID_DEPTH == 0.0


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_numpy(dtype):
    valid = valid_depth(np.array([VALUES, VALUES], dtype=dtype))
    assert valid.dtype == np.bool_
    np.testing.assert_array_equal(valid, [VALID, VALID])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_torch(dtype):
    valid = valid_depth(torch.tensor([VALUES], dtype=dtype))
    assert valid.dtype == torch.bool
    assert valid.tolist() == [VALID]
