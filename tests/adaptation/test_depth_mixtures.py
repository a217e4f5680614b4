# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from mmseg_depthuda.adaptation.depth_mixtures import (
    DepthMixtures,
    GridMixtures,
    density_map,
    nearest_at_centers,
    source_density,
    target_density,
)

GRID = (5, 7)
NUM_CLASSES, COMPONENTS = 3, 4


@pytest.fixture
def mixtures():
    """Three classes of four components; one component has weight 0."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(COMPONENTS), NUM_CLASSES)
    weights[1] = [0.5, 0.0, 0.25, 0.25]
    means = rng.uniform(0, [7, 5, 200], (NUM_CLASSES, COMPONENTS, 3))
    variances = rng.uniform(0.5, [9, 9, 900], (NUM_CLASSES, COMPONENTS, 3))
    means[2, 0, 2], variances[2, 0, 2] = 1, 1e-6  # as sky
    return DepthMixtures(*map(torch.from_numpy, (weights, means, variances)))


def by_scipy(mixtures, classes, depth):
    """Density pixel by pixel."""
    density = np.zeros(classes.shape)
    for (n, y, x), c in np.ndenumerate(classes.numpy()):
        density[n, y, x] = sum(
            w * multivariate_normal(m, np.diag(v)).pdf([x, y, depth[n, y, x].item()])
            for w, m, v in zip(*(part[c].numpy() for part in parts(mixtures)), strict=True)
        )
    return density


def parts(mixtures):
    return mixtures.weights, mixtures.means, mixtures.variances


def random_pixels(images=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    classes = torch.randint(NUM_CLASSES, (images, *GRID), generator=generator)
    return classes, 200 * torch.rand(images, *GRID, generator=generator, dtype=dtype)


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32, torch.float16])
def test_density_is_scipys(mixtures, dtype):
    classes, depth = random_pixels(dtype=torch.float64)
    depth = depth.to(dtype).transpose(1, 2).contiguous().transpose(1, 2)  # any strides
    found = GridMixtures(mixtures, GRID).density(classes, depth)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-4
    expected = by_scipy(mixtures, classes, depth)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=1e-40)


def test_narrow_component(mixtures):
    """At the depth of the sky the component of deviation 0.001 is a hundred times the rest."""
    classes = torch.full((1, *GRID), 2)
    depth = torch.ones(1, *GRID, dtype=torch.float64)
    found = GridMixtures(mixtures, GRID).density(classes, depth)
    np.testing.assert_allclose(found, by_scipy(mixtures, classes, depth), rtol=1e-12)
    assert (found > 100 * GridMixtures(mixtures, GRID).density(classes, depth + 0.006)).all()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('far', [-3e38, -65536.0, 1e5, 65536.0, 1e20, 3e38])
def test_tails_are_finite(mixtures, dtype, far):
    classes, depth = random_pixels(dtype=dtype)
    depth = torch.full_like(depth, far).requires_grad_()
    density = GridMixtures(mixtures, GRID).density(classes, depth)
    density.sum().backward()
    torch.testing.assert_close(density, torch.zeros_like(density))
    torch.testing.assert_close(depth.grad, torch.zeros_like(depth))


def test_gradient_by_finite_differences(mixtures):
    classes, depth = random_pixels(images=1)
    grid = GridMixtures(mixtures, GRID)
    depth[..., :2] = 1.0005  # on the flank of the narrow component
    depth.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: density_map(grid.density(classes, z), 1e3), depth, eps=1e-7, rtol=1e-4
    )


def test_class_without_mixture_has_no_density(mixtures):
    weights = mixtures.weights.clone()
    weights[1] = 0
    classes, depth = random_pixels()
    depth.requires_grad_()
    grid = GridMixtures(DepthMixtures(weights, mixtures.means, mixtures.variances), GRID)
    density = grid.density(classes, depth)
    density.sum().backward()
    assert (density[classes == 1] == 0).all() and (density[classes == 0] > 0).any()
    assert depth.grad.isfinite().all()


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([1.0, 1e6]))
def test_density_map_is_the_closed_form(values, scale):
    values = np.array(values)
    found = density_map(torch.from_numpy(values), scale).numpy()
    np.testing.assert_allclose(found, 255 * (1 - np.exp(-scale * values)), rtol=1e-6, atol=1e-8)


@given(*[st.integers(1, 40)] * 4)
def test_nearest_is_at_the_centers(height, width, rows, columns):
    full = torch.arange(height * width).view(1, height, width)
    y = np.floor((np.arange(rows) + 0.5) * np.float64(height) / rows + 1e-9).astype(int)
    x = np.floor((np.arange(columns) + 0.5) * np.float64(width) / columns + 1e-9).astype(int)
    np.testing.assert_array_equal(
        nearest_at_centers(full, (rows, columns)), full.numpy()[:, y][..., x]
    )


def test_the_two_readings_of_the_source(mixtures):
    grid = GridMixtures(mixtures, GRID)
    predicted, depth = random_pixels()
    label = predicted.clone()
    label[:, ::2] = (label[:, ::2] + 1) % NUM_CLASSES
    label[:, 1, 1] = 255
    wrong = label != predicted

    def expected(at):
        return 255 * (1 - np.exp(-1e6 * by_scipy(mixtures, predicted, at)))

    release = source_density(grid, predicted, depth, label)
    np.testing.assert_allclose(release, expected(torch.where(wrong, 0.0, depth)), atol=1e-9)
    paper = source_density(grid, predicted, depth, label, 'paper')
    np.testing.assert_allclose(paper, expected(depth), atol=1e-9)
    assert (release[wrong] != paper[wrong]).any()
    with pytest.raises(ValueError, match="one of.*'release', 'paper'.*got 'both'"):
        source_density(grid, predicted, depth, label, 'both')
    with pytest.raises(ValueError, match='label must have the shape of depth'):
        source_density(grid, predicted, depth, label[:1])


def test_target_without_positive_depth(mixtures):
    grid = GridMixtures(mixtures, GRID)
    predicted, depth = random_pixels()
    depth[0, :2] = torch.tensor([[0.0], [-3.0]])
    found = target_density(grid, predicted, depth, scale=10.0)
    expected = 255 * (1 - np.exp(-10 * by_scipy(mixtures, predicted, depth)))
    assert (expected[0, :2] > 0).any()
    expected[0, :2] = 0
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(weights=torch.ones(3, 4).double()), r'class 0 has \[1\.0, 1\.0, 1\.0, 1\.0\]'),
        (dict(weights=torch.ones(3, 4)), 'weights of mixtures must be float64'),
        (dict(means=torch.zeros(3, 4, 2).double()), 'means of mixtures must be float64'),
        (dict(means=torch.full((3, 4, 3), torch.nan).double()), 'means.*finite'),
        (dict(variances=torch.zeros(3, 4, 3).double()), 'variances of mixtures must be positive'),
    ],
)
def test_refuses_what_is_no_mixture(mixtures, change, message):
    values = dict(zip(('weights', 'means', 'variances'), parts(mixtures), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        DepthMixtures(**values)


def test_refuses_another_grid(mixtures):
    classes, depth = random_pixels()
    grid = GridMixtures(mixtures, (7, 5))
    with pytest.raises(ValueError, match=r'must be \(N, 7, 5\)'):
        grid.density(classes, depth)
    with pytest.raises(ValueError, match=r'grid must be \(height, width\)'):
        GridMixtures(mixtures, (0, 5))
    with pytest.raises(ValueError, match='classes must be int64'):
        GridMixtures(mixtures, GRID).density(classes.int(), depth)
