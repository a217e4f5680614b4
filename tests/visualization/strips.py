# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np


def pictures_of(strip, height, width, count):
    """The pictures of a strip without titles and legend, at their own size."""
    factor = -(-256 // height)
    assert strip.shape[0] > factor * height and strip.shape[1] >= count * factor * width
    region = strip[-factor * height :, : count * factor * width]
    small = region[::factor, ::factor]
    assert np.array_equal(region, small.repeat(factor, 0).repeat(factor, 1))
    return np.split(small, count, axis=1)
