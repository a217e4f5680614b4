# Licensed under the Apache License 2.0, see LICENSE.
"""Pictures of predictions: colors by hand, a legend of every class, marks where they belong."""

import numpy as np
import pytest

from mmseg_depthuda.visualization.legends import (
    confidence_picture,
    depth_picture,
    label_picture,
    meter_marks,
    titled_strip,
)

PALETTE = [[200, 0, 0], [0, 0, 200]]


def legend_of(picture, width):
    return picture[:, width:].reshape(-1, 3)


def test_classes_over_the_image_and_in_the_legend():
    image = np.full((400, 40, 3), 100, np.uint8)
    labels = np.zeros((400, 40), np.uint8)
    labels[:, 20:30], labels[:, 30:] = 1, 255
    picture = label_picture(image, labels, ['red', 'blue'], PALETTE)
    for column, color in ((0, [150, 50, 50]), (25, [50, 50, 150]), (35, [100, 100, 100])):
        assert (picture[:, column] == color).all()
    for color in PALETTE:
        assert (legend_of(picture, 40) == color).all(axis=1).sum() > 100


@pytest.mark.parametrize('count', [2, 19, 150])
def test_every_class_has_a_swatch(count):
    palette = [[i, 255 - i, 77] for i in range(count)]
    image, labels = np.zeros((100, 100, 3), np.uint8), np.zeros((100, 100), np.uint8)
    picture = label_picture(image, labels, ['a'] * count, palette)
    assert picture.shape[0] == 400  # enlarged by a whole number
    found = {tuple(color) for color in np.unique(legend_of(picture, 400), axis=0)}
    assert {tuple(color) for color in palette} <= found


def test_near_is_bright_and_meters_are_marked():
    meters = np.geomspace(4, 300, 400 * 50).reshape(400, 50)
    inverse = 655.36 / (meters + 0.01)
    picture, relative = depth_picture(inverse, meters), depth_picture(inverse)
    assert picture[0, 0].sum() > 600 > 50 > picture[-1, 49].sum()
    np.testing.assert_array_equal(picture[:, :50], relative[:, :50])
    assert picture.shape != relative.shape or (picture != relative).any()


def test_meters_are_marked_where_their_color_is():
    meters = np.array([[4.0, 8.0, 16.0, 32.0]])
    marks = meter_marks(1 / meters, meters, largest=0.25)
    # 5 m lies between 4 m (place 1) and 8 m (place 1/2), 10 m and 20 m likewise.
    assert marks == pytest.approx({0.875: '5', 0.4375: '10', 0.21875: '20'})
    assert not meter_marks(np.zeros((1, 4)), meters, largest=1.0)


def test_confidence_ends_in_yellow():
    picture = confidence_picture(np.ones((400, 10), np.float32))
    assert (picture[:, :10] == [253, 231, 36]).all()


def test_a_strip_has_titles_above_and_classes_beside_its_pictures():
    panels = dict(image=np.full((8, 12, 3), 7, np.uint8), depth=np.full((8, 12, 3), 9, np.uint8))
    plain = titled_strip(panels)
    factor = 32
    assert plain.shape[1] == 2 * 12 * factor
    pictures = plain[-8 * factor :]
    assert (pictures[:, : 12 * factor] == 7).all() and (pictures[:, 12 * factor :] == 9).all()
    titles = plain[: -8 * factor]
    assert (titles < 128).any(axis=(0, 2))[: 12 * factor].any()  # ink over both
    assert (titles < 128).any(axis=(0, 2))[12 * factor :].any()
    named = titled_strip(panels, ['road', 'sky'], [[255, 0, 0], [0, 0, 255]])
    assert np.array_equal(named[:, : plain.shape[1]], plain)
    legend = named[:, plain.shape[1] :].reshape(-1, 3).tolist()
    assert [255, 0, 0] in legend and [0, 0, 255] in legend
