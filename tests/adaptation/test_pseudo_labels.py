# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from mmseg_depthuda.adaptation import confident_share, pseudo_label_weight, pseudo_labels


@pytest.mark.parametrize(
    ('dtype', 'tolerance'),
    [(torch.float64, 1e-14), (torch.float32, 1e-6), (torch.float16, 1e-6), (torch.bfloat16, 1e-6)],
)
@pytest.mark.parametrize('scale', [1.0, 30.0])
def test_pseudo_labels_equal_scipy(dtype, tolerance, scale):
    logits = (torch.randn(2, 19, 5, 7) * scale).to(dtype).requires_grad_()
    label, confidence = pseudo_labels(logits)

    # Round to the dtype first. This loss of digits is no error of the function.
    rounded = logits.detach().double().numpy()
    probability = softmax(rounded, axis=1)
    np.testing.assert_allclose(confidence.double().numpy(), probability.max(axis=1), atol=tolerance)
    chosen = np.take_along_axis(rounded, label.numpy()[:, None], axis=1)
    np.testing.assert_array_equal(chosen, rounded.max(axis=1, keepdims=True))
    assert label.dtype == torch.int64
    assert label.shape == confidence.shape == (2, 5, 7)
    assert confidence.dtype == torch.promote_types(dtype, torch.float32)
    assert not confidence.requires_grad


def test_pseudo_labels_of_uniform_logits():
    _, confidence = pseudo_labels(torch.full((1, 8, 2, 2), 7.0))
    assert confidence.flatten().tolist() == [1 / 8] * 4


def test_pseudo_labels_beyond_the_resolution_of_the_softmax():
    # Both probabilities round to the same number, but the logits differ.
    logits = torch.tensor([1000.0, 1000.0001, -1000.0]).double().view(1, 3, 1, 1)
    label, confidence = pseudo_labels(logits)
    assert label.item() == 1
    assert confidence.item() == pytest.approx(0.5, abs=1e-4)


def test_pseudo_labels_error():
    with pytest.raises(ValueError, match=r'\(N, C, H, W\), got \(19, 4, 4\)'):
        pseudo_labels(torch.zeros(19, 4, 4))


def test_confident_share_is_over_the_batch_not_per_image():
    confidence = torch.tensor([[[0.99, 0.99, 0.99]], [[0.1, 0.968, 0.9679]]])
    assert confident_share(confidence).item() == pytest.approx(4 / 6)
    assert confident_share(confidence, threshold=0.5).item() == pytest.approx(5 / 6)


def test_confident_share_without_padding():
    confidence = torch.tensor([[[0.99, 0.5, 0.99, 0.99]]])
    valid = torch.tensor([[[True, True, True, False]]])
    assert confident_share(confidence, valid=valid).item() == pytest.approx(2 / 3)
    assert confident_share(confidence, valid=torch.zeros_like(valid)).item() == 0


@settings(max_examples=50, deadline=None)
@given(
    confidence=arrays(np.float32, (2, 3, 4), elements=st.floats(0, 1, width=32)),
    valid=arrays(np.bool_, (2, 3, 4)),
    threshold=st.floats(0, 1, width=32),
)
def test_confident_share_equals_counting(confidence, valid, threshold):
    counted = [c for c, v in zip(confidence.flat, valid.flat, strict=True) if v]
    expected = sum(c >= threshold for c in counted) / max(len(counted), 1)
    share = confident_share(torch.from_numpy(confidence), threshold, torch.from_numpy(valid))
    assert share.shape == ()
    assert share.dtype == torch.float32
    assert share.item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'threshold': 1.5}, 'threshold must be in 0 .. 1, got 1.5'),
        ({'threshold': -0.1}, 'got -0.1'),
        ({'valid': torch.ones(1, 1, 2, 2, dtype=torch.bool)}, r'of shape \(1, 1, 2, 2\)'),
        ({'valid': torch.ones(1, 2, 2)}, 'valid must be bool.*got torch.float32'),
    ],
)
def test_confident_share_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        confident_share(torch.rand(1, 2, 2), **arguments)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_weight_is_one_on_the_source_and_the_share_on_the_target(dtype):
    mask = torch.tensor([[[[True, False], [False, True]]]])
    weight = pseudo_label_weight(mask, torch.tensor(0.375, dtype=dtype))
    assert weight.dtype == dtype
    assert weight.tolist() == [[[[1.0, 0.375], [0.375, 1.0]]]]


def test_weight_by_a_map():
    mask = torch.tensor([[True, False, False]])
    weight = pseudo_label_weight(mask, torch.tensor([[0.25, 0.5, 0.0]]))
    assert weight.tolist() == [[1.0, 0.5, 0.0]]


@pytest.mark.parametrize(
    ('mask', 'share', 'message'),
    [
        (torch.ones(2, 2), torch.tensor(0.5), 'mask must be bool, got torch.float32'),
        (torch.ones(2, 2) > 0, torch.rand(2), r'scalar tensor or of shape \(2, 2\), got \(2,\)'),
    ],
)
def test_weight_errors(mask, share, message):
    with pytest.raises(ValueError, match=message):
        pseudo_label_weight(mask, share)
