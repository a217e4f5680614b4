# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch

from mmseg_depthuda.adaptation import mix


@pytest.mark.parametrize('shape', [(2, 3, 4, 5), (2, 1, 4, 5), (2, 4, 5)])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.int64])
def test_equals_numpy(shape, dtype):
    rng = np.random.default_rng(0)
    source = torch.from_numpy(rng.integers(0, 255, shape)).to(dtype)
    target = torch.from_numpy(rng.integers(0, 255, shape)).to(dtype)
    mask = torch.from_numpy(rng.random((2, 1, 4, 5) if len(shape) == 4 else shape) < 0.5)

    mixed = mix(source, target, mask)

    weight = mask.numpy().astype(np.int64)
    expected = weight * source.numpy() + (1 - weight) * target.numpy()
    assert mixed.dtype == dtype
    np.testing.assert_array_equal(mixed.numpy(), expected)


def test_mask_per_channel():
    mask = torch.tensor([True, False, False]).view(1, 3, 1, 1)
    mixed = mix(torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1), mask)
    assert mixed.flatten().tolist() == [1, 0, 0]


def test_what_is_not_selected_leaves_no_trace():
    source = torch.tensor([[[1.0, float('nan')]]], requires_grad=True)
    target = torch.tensor([[[float('inf'), 2.0]]], requires_grad=True)
    mixed = mix(source, target, torch.tensor([[[True, False]]]))
    mixed.sum().backward()
    assert mixed.flatten().tolist() == [1, 2]
    assert source.grad.flatten().tolist() == [1, 0]
    assert target.grad.flatten().tolist() == [0, 1]


IMAGES = torch.zeros(2, 3, 4, 5)
MASK = torch.zeros(2, 1, 4, 5, dtype=torch.bool)


@pytest.mark.parametrize(
    ('source', 'target', 'mask', 'message'),
    [
        (IMAGES, IMAGES[:1], MASK, r'one shape, got \(2, 3, 4, 5\) and \(1, 3, 4, 5\)'),
        (IMAGES, IMAGES.double(), MASK, 'one dtype, got torch.float32 and torch.float64'),
        (IMAGES, IMAGES, MASK.int(), 'mask must be bool, got torch.int32'),
        (IMAGES, IMAGES, MASK[:, 0], r'mask must have.*got \(2, 4, 5\)'),
        (IMAGES[:, 0], IMAGES[:, 0], MASK, r'mask must have.*got \(2, 1, 4, 5\)'),
        (IMAGES, IMAGES, MASK[:1], r'mask must have.*got \(1, 1, 4, 5\)'),
    ],
)
def test_errors(source, target, mask, message):
    with pytest.raises(ValueError, match=message):
        mix(source, target, mask)
