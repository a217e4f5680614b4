# Licensed under the Apache License 2.0, see LICENSE.
"""Negative transfer rate: numbers by hand, what must hold for any scores, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_depthuda.evaluation import ImageScores, negative_transfer

NAN = float('nan')


def scores(miou, images=None, classes=('road', 'sky')):
    """Images of 2 x 4 pixels with one class each, or without a label."""
    iou = np.full((len(miou), len(classes)), NAN)
    iou[:, 0] = miou
    return ImageScores(
        images=images or [f'{index}.png' for index in range(len(miou))],
        classes=classes,
        iou=iou,
        sizes=np.full((len(miou), 2), (2, 4)),
        labelled_pixels=np.where(np.isnan(miou), 0, 8),
    )


def test_rate_means_and_gain_by_hand():
    """Better, worse, equal, worse, and one that has no label."""
    transfer = negative_transfer(
        scores([10.0, 50.0, 30.0, NAN, 20.0]), scores([40.0, 45.0, 30.0, NAN, 5.0])
    )
    assert transfer.rate == 50.0
    assert transfer.worse.tolist() == [False, True, False, True]
    assert (transfer.num_equal, transfer.num_unlabelled) == (1, 1)
    assert (transfer.before.mean(), transfer.after.mean()) == (27.5, 30.0)
    assert transfer.mean_gain == 2.5


def test_images_are_matched_by_name():
    before = scores([1.0, 2.0, 3.0], images=['a', 'b', 'c'])
    after = scores([3.0, 1.5, 2.0], images=['c', 'a', 'b'])
    transfer = negative_transfer(before, after)
    assert transfer.after.tolist() == [1.5, 2.0, 3.0]
    assert transfer.rate == 0.0


PAIRS = st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=30)


@given(PAIRS)
def test_swapping_the_networks_gives_the_complement_without_the_ties(pairs):
    before, after = map(list, zip(*pairs, strict=True))
    forth = negative_transfer(scores(before), scores(after))
    back = negative_transfer(scores(after), scores(before))
    assert 0 <= forth.rate <= 100
    ties = 100 * sum(a == b for a, b in pairs) / len(pairs)
    assert forth.rate + back.rate + ties == pytest.approx(100)
    assert 100 * forth.num_equal / len(pairs) == ties
    assert forth.mean_gain == pytest.approx(-back.mean_gain)


@given(PAIRS)
def test_a_network_does_no_harm_to_itself(pairs):
    same = scores([before for before, _ in pairs])
    transfer = negative_transfer(same, same)
    assert (transfer.rate, transfer.num_equal, transfer.mean_gain) == (0, len(pairs), 0)


BASE = scores([1.0, 2.0])


@pytest.mark.parametrize(
    ('adapted', 'message'),
    [
        (scores([1.0]), r'the images differ: the adapted network lacks 1.png. Test both'),
        (scores([1.0] * 7), r'the baseline lacks 2.png, 3.png, 4.png and 2 more'),
        (
            replace(BASE, images=['0.png', 'x.png']),
            r'the baseline lacks x.png; the adapted network lacks 1.png',
        ),
        (
            replace(BASE, classes=('road', 'car')),
            r'the classes differ: the baseline lacks car; the',
        ),
        (replace(BASE, classes=('sky', 'road')), r'classes are in another order'),
        (
            replace(BASE, sizes=np.array([[2, 4], [4, 8]])),
            r'1.png was compared at 4x2 by the baseline and at 8x4 by the adapted network',
        ),
        (
            replace(BASE, labelled_pixels=np.array([8, 7])),
            r'1.png has 8 labeled pixels in the baseline, 7 in the adapted network',
        ),
    ],
)
def test_scores_of_other_data_classes_or_sizes_are_refused(adapted, message):
    with pytest.raises(ValueError, match=message):
        negative_transfer(BASE, adapted)


def test_images_without_any_label_are_refused():
    with pytest.raises(ValueError, match='none of the 2 images has a labeled pixel'):
        negative_transfer(scores([NAN, NAN]), scores([NAN, NAN]))
