# Licensed under the Apache License 2.0, see LICENSE.
import math

import numpy as np
import pytest
import torch

from mmseg_depthuda.adaptation.block_masks import block_mask


def test_grid_by_hand():
    found = block_mask(2, (4, 6), 2, 0.5, torch.Generator().manual_seed(3))
    cells = torch.rand((2, 1, 2, 3), generator=torch.Generator().manual_seed(3)).numpy() > 0.5
    assert found.dtype == torch.bool
    np.testing.assert_array_equal(found, np.kron(cells, np.ones((2, 2))).astype(bool))
    assert 0 < cells.sum() < cells.size


@pytest.mark.parametrize('size', [(5, 7), (64, 100), (1, 1), (20, 3)])
@pytest.mark.parametrize('block', [3, 16])
def test_sides_that_the_block_does_not_divide(size, block):
    """The number of cells is rounded. A pixel is in the cell floor(y * rows / H)."""
    found = block_mask(3, size, block, 0.4, torch.Generator().manual_seed(0))
    rows, columns = (max(round(side / block), 1) for side in size)
    cells = torch.rand((3, 1, rows, columns), generator=torch.Generator().manual_seed(0)) > 0.4
    y = [math.floor(i * rows / size[0]) for i in range(size[0])]
    x = [math.floor(i * columns / size[1]) for i in range(size[1])]
    np.testing.assert_array_equal(found, cells.numpy()[:, :, y][..., x])


def test_ratios_at_the_ends():
    assert block_mask(2, (9, 9), 2, 0.0, torch.Generator().manual_seed(0)).all()
    assert not block_mask(2, (9, 9), 2, 1.0).any()


def test_share_over_many_draws():
    kept = block_mask(200, (64, 64), 8, 0.7, torch.Generator().manual_seed(1))
    # Binomial(12800, 0.3): standard deviation 0.004.
    assert kept.float().mean().item() == pytest.approx(0.3, abs=5 * 0.0041)
    assert len(kept.flatten(1).unique(dim=0)) == 200


def test_the_global_generator_is_the_default():
    torch.manual_seed(4)
    assert torch.equal(
        block_mask(1, (8, 8), 2), block_mask(1, (8, 8), 2, generator=torch.manual_seed(4))
    )


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(block_size=0), 'block_size must be positive, got 0'),
        (dict(ratio=1.1), 'ratio must be in 0 .. 1, got 1.1'),
        (dict(ratio=-0.1), 'ratio must be in 0 .. 1, got -0.1'),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        block_mask(1, (4, 4), **options)
