# Licensed under the Apache License 2.0, see LICENSE.
"""Counts of right pseudo-labels against loops over pixels."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from mmseg_depthuda.evaluation import count_by_agreement, count_pseudo_labels

pixels = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([0, 1, 2, 3, 255]),
        st.floats(0, 1, width=32),
        st.booleans(),
    ),
    max_size=30,
)


def columns(pixels):
    label, truth, value, counted = zip(*pixels, strict=True) if pixels else ([], [], [], [])
    return (
        torch.tensor(label, dtype=torch.int64),
        torch.tensor(truth, dtype=torch.int64),
        torch.tensor(value, dtype=torch.float32),
        torch.tensor(counted, dtype=torch.bool),
    )


@given(pixels)
def test_confident_and_right_pixels(pixels):
    label, truth, confidence, _ = columns(pixels)
    expected = [[0, 0], [0, 0]]
    for one_label, one_truth, one_confidence, _ in pixels:
        if one_truth != 255:
            expected[one_confidence >= 0.5][one_label == one_truth] += 1
    assert count_pseudo_labels(label, confidence, truth, 0.5).tolist() == expected


@given(pixels)
def test_right_pixels_by_agreement(pixels):
    label, truth, agreement, counted = columns(pixels)
    expected = [[0, 0] for _ in range(4)]
    for one_label, one_truth, one_agreement, one_counted in pixels:
        if one_truth != 255 and one_counted:
            index = sum(one_agreement >= edge for edge in (0.25, 0.5, 0.75))
            expected[index][one_label == one_truth] += 1
    assert count_by_agreement(label, agreement, truth, counted, 4).tolist() == expected


def test_bins_contain_their_lower_edge_and_the_last_one_also_1():
    agreement = torch.tensor([[0.0, 0.1999, 0.2001], [0.8001, 1.0, 1.0]])
    label = torch.zeros(2, 3, dtype=torch.int64)
    counts = count_by_agreement(label, agreement, label, torch.ones(2, 3, dtype=torch.bool), 5)
    assert counts.tolist() == [[0, 2], [0, 1], [0, 0], [0, 0], [0, 3]]
