# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import maximum_filter
from scipy.spatial.distance import cdist

from mmseg_depthuda.adaptation.selection import (
    depth_disagreement,
    farthest_points,
    greatest_errors,
    pooled_features,
    seeded_order,
    standardized_descriptors,
)


def plain_farthest(points, chosen, count, errors=0.0):
    """Word for word, over the matrix of all pairs."""
    distances, chosen = cdist(points, points), list(chosen)
    for _ in range(count):
        score = distances[:, chosen].min(axis=1) + 1000 * np.broadcast_to(errors, len(points))
        score[chosen] = -1
        chosen.append(int(score.argmax()))
    return chosen[-count:]


def test_the_first_images_are_those_of_the_release():
    assert [seeded_order(2975, seed)[:3].tolist() for seed in (7, 25)] == [
        [664, 2130, 1766],
        [1844, 1794, 2625],
    ]
    np.random.seed(3)  # noqa: NPY002
    np.testing.assert_array_equal(seeded_order(9, 3), np.random.permutation(9))  # noqa: NPY002


def test_pooling_is_the_mean_of_each_cell():
    features = torch.rand(2, 3, 12, 40, dtype=torch.float64)
    expected = features.numpy().reshape(2, 3, 4, 3, 8, 5).mean(axis=(3, 5))
    np.testing.assert_allclose(pooled_features(features), expected)


def test_channels_are_standardized_over_images_and_cells():
    pooled = 7 * torch.randn(5, 3, 4, 8, dtype=torch.float64) + 2
    pooled[:, 1] = 4.0
    values = pooled.numpy().copy()
    mean, deviation = (f(values, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    deviation[:, 1] = 1
    expected = ((values - mean) / deviation).reshape(5, 96)
    np.testing.assert_allclose(standardized_descriptors(pooled), expected, atol=1e-12)


@pytest.mark.parametrize('weighted', [False, True])
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(2, 90), started=st.integers(1, 89))
def test_farthest_points_equal_a_plain_statement(weighted, seed, images, started):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(images, 5))
    chosen = rng.permutation(images)[: min(started, images - 1)].tolist()
    errors = rng.uniform(0, 0.005, images) if weighted else None
    count = images - len(chosen)
    found = farthest_points(
        torch.from_numpy(points), chosen, count, errors if errors is None else torch.tensor(errors)
    )
    assert found == plain_farthest(points, chosen, count, 0.0 if errors is None else errors)


def test_choosing_in_two_steps_is_choosing_in_one():
    points = torch.rand(200, 6, generator=torch.Generator().manual_seed(0))
    first = farthest_points(points, [3], 80)
    assert first + farthest_points(points, [3, *first], 50) == farthest_points(points, [3], 130)


def test_greatest_errors_leave_out_what_is_chosen():
    errors = torch.tensor([0.5, 0.1, 0.9, 0.5, 0.7])
    assert greatest_errors(errors, [2], 3) == [4, 0, 3]
    assert errors[2] == 0.9


@pytest.mark.parametrize('choose', [farthest_points, greatest_errors])
def test_more_images_than_there_are(choose):
    with pytest.raises(ValueError, match='3 more images .* of 4 only 2 are not chosen'):
        choose(torch.eye(4) if choose is farthest_points else torch.ones(4), [0, 1], 3)


def test_farthest_points_need_a_first():
    with pytest.raises(ValueError, match='need a first one'):
        farthest_points(torch.eye(4), [], 2)


def test_disagreement_equals_a_plain_statement():
    rng = np.random.default_rng(0)
    student, teacher = rng.uniform(0.08, 1, (2, 3, 1, 31, 40))
    teacher[rng.uniform(size=teacher.shape) < 0.02] = 0.03  # sky, dilated
    teacher[0, 0, 15, 20] = 0  # no depth
    far = maximum_filter(teacher < 0.07, size=(1, 1, 7, 7), mode='constant', cval=0)
    error = np.abs(np.log(1 + student) - np.log(1 + teacher)) * ~far
    error[:, :, int(0.87 * 31) :] = 0
    expected = error.sum(axis=(1, 2, 3)) / (31 * 40)
    assert 0 < far.mean() < 0.95 and (expected > 0).all()
    found = depth_disagreement(torch.from_numpy(student), torch.from_numpy(teacher))
    np.testing.assert_allclose(found, expected)
    with pytest.raises(ValueError, match='must have one shape'):
        depth_disagreement(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3))
