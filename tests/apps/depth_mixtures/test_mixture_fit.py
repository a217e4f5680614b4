# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mmseg_depthuda.apps.depth_mixtures import ClassSamples, fit_class, fit_depth_mixtures

# The published mixture of road on 161x96.
WEIGHTS = np.array([0.249, 0.215, 0.160, 0.151, 0.224])
MEANS = np.array(
    [
        [45.1, 60.1, 57.0],
        [114.0, 75.2, 124.1],
        [80.6, 89.0, 208.3],
        [40.1, 76.3, 133.5],
        [108.5, 56.9, 50.9],
    ]
)
VARIANCES = np.array(
    [[662, 271, 545], [729, 87, 1255], [2023, 18, 1152], [572, 71, 1108], [768, 266, 429]]
)
MISSING = 65536.0


def draw(rng, count):
    chosen = rng.choice(5, size=count, p=WEIGHTS / WEIGHTS.sum())
    return rng.normal(MEANS[chosen], VARIANCES[chosen] ** 0.5)


def log_likelihood(samples, weights, means, variances):
    density = sum(
        w * multivariate_normal(m, np.diag(v)).pdf(samples)
        for w, m, v in zip(weights, means, variances, strict=True)
    )
    return np.log(density).mean()


def test_recovers_the_published_road():
    rng = np.random.default_rng(0)
    fit = fit_class(draw(rng, 20_000))
    unseen = draw(rng, 20_000)
    best = log_likelihood(unseen, WEIGHTS / WEIGHTS.sum(), MEANS, VARIANCES)
    found = log_likelihood(unseen, fit.weights, fit.means, fit.variances)
    assert best - 0.01 < found < best + 0.001
    assert fit.log_likelihood == pytest.approx(best, abs=0.03)
    assert fit.converged


def test_depth_of_another_unit_gives_the_same_mixture():
    """On raw axes k-means would see the axis of the largest numbers alone."""
    samples = draw(np.random.default_rng(1), 2000)
    fit, scaled = fit_class(samples), fit_class(samples * [1, 1, 1000])
    np.testing.assert_allclose(scaled.means, fit.means * [1, 1, 1000], rtol=1e-6)
    np.testing.assert_allclose(scaled.variances, fit.variances * [1, 1, 1e6], rtol=1e-6)


def test_one_depth_has_the_least_variance():
    samples = draw(np.random.default_rng(2), 500)
    samples[:, 2] = 1
    fit = fit_class(samples)
    np.testing.assert_allclose(fit.variances[:, 2], 1e-6)
    np.testing.assert_allclose(fit.means[:, 2], 1)


def drawn(*samples, encoding='dada'):
    names = tuple('abc'[: len(samples)])
    return ClassSamples(names, (96, 161), encoding, [len(s) for s in samples], list(samples))


def with_missing(count=1000, missing=20):
    samples = draw(np.random.default_rng(3), count)
    samples[:missing, 2] = MISSING
    return samples


def test_missing_depth_is_left_out():
    samples = with_missing()
    report = fit_depth_mixtures(drawn(samples))
    assert report.meta.samples == (980,) and report.meta.pixels == (1000,)
    alone = fit_class(samples[20:])
    np.testing.assert_array_equal(report.mixtures.means[0], alone.means)


def test_missing_depth_as_a_component():
    samples = with_missing()
    report = fit_depth_mixtures(drawn(samples), missing_depth='component')
    assert report.meta.samples == (1000,)
    assert report.mixtures.weights[0, 0].item() == pytest.approx(0.02)
    np.testing.assert_allclose(report.mixtures.means[0, 0], samples[:20].mean(axis=0))
    assert report.mixtures.variances[0, 0, 2].item() == pytest.approx(1e-6)
    rest = fit_class(samples[20:], components=4)
    np.testing.assert_allclose(report.mixtures.means[0, 1:], rest.means)
    np.testing.assert_allclose(report.mixtures.weights[0, 1:], 0.98 * rest.weights)


def test_other_encodings_have_no_missing_depth():
    report = fit_depth_mixtures(drawn(with_missing(), encoding='corda'))
    assert report.meta.samples == (1000,)


@pytest.mark.parametrize('workers', [1, 2])
def test_classes_with_too_few_samples(workers):
    few = drawn(draw(np.random.default_rng(4), 300), np.empty((0, 3)), np.ones((4, 3)))
    with pytest.raises(
        ValueError, match=r'than the 5 components have the classes b \(0\), c \(4\)'
    ):
        fit_depth_mixtures(few)
    report = fit_depth_mixtures(few, skip_missing_classes=True, workers=workers)
    assert report.meta.samples == (300, 0, 0)
    np.testing.assert_array_equal(report.mixtures.weights[1:], 0)
    assert np.isnan(report.log_likelihood[1])


def test_a_fit_does_not_depend_on_workers():
    samples = [draw(np.random.default_rng(i), 300) for i in range(3)]
    one, two = (fit_depth_mixtures(drawn(*samples), seed=1, workers=w) for w in (1, 2))
    for name in ('weights', 'means', 'variances'):
        np.testing.assert_array_equal(getattr(one.mixtures, name), getattr(two.mixtures, name))


def test_refuses_an_unknown_treatment():
    with pytest.raises(ValueError, match="'drop', 'component'.*got 'keep'"):
        fit_depth_mixtures(drawn(with_missing()), missing_depth='keep')


def test_components_do_not_collapse_onto_rows():
    """Of a Gaussian on one row of the grid the likelihood has no bound."""
    samples = np.round(draw(np.random.default_rng(5), 2000) / [10, 30, 1])
    assert len(np.unique(samples[:, 1])) <= 5
    assert fit_class(samples).variances[:, :2].min() > 0.01


def test_a_fit_that_fails_names_the_class():
    samples = [draw(np.random.default_rng(i), 300) for i in range(2)]
    samples[1][7, 2] = np.nan
    with pytest.raises(ValueError, match='the mixture of b cannot be fitted: .*NaN'):
        fit_depth_mixtures(drawn(*samples, encoding='corda'))
