# Licensed under the Apache License 2.0, see LICENSE.
"""The layout: plausible places, whatever the seed."""

from collections import Counter

import numpy as np
import pytest

from mmseg_depthuda.apps.street_world.scene import SIZES, sample_scene
from mmseg_depthuda.apps.street_world.shapes import BUILDERS, GROUND_KINDS


@pytest.fixture(scope='module')
def scenes():
    return [sample_scene(np.random.default_rng(i)) for i in range(60)]


def strips(scene, kind):
    """x and z ranges of the ground strips of a kind."""
    return [
        (e.position[0] + np.array([-0.5, 0.5]) * e.size[0], e.position[2] + 0.5 * e.size[2])
        for e in scene.elements
        if e.kind == kind
    ]


def test_same_generator_same_layout():
    assert sample_scene(np.random.default_rng(3)) == sample_scene(np.random.default_rng(3))


def test_every_kind_can_be_built(scenes):
    assert {e.kind for s in scenes for e in s.elements} == set(BUILDERS)


def test_ground_comes_first_and_terrain_lies_lowest(scenes):
    for scene in scenes:
        is_ground = [e.kind in GROUND_KINDS for e in scene.elements]
        assert is_ground.index(False) == sum(is_ground)
        assert scene.elements[0].kind == 'terrain'
        assert scene.elements[0].position[1] > 0  # y points down


def test_ego_car_has_the_road_below_it_and_nothing_in_its_way(scenes):
    for scene in scenes:
        (left, right), _ = strips(scene, 'road')[0]
        assert left < -1.2 and right > 1.2
        for e in scene.elements:
            # What crosses is looked at from the side and may come nearer.
            if e.kind in ('car', 'truck', 'bus', 'train') and abs(np.sin(e.heading)) < 0.5:
                x, _, z = e.position
                in_the_way = abs(x) < 1.2 and -1 < z - e.size[2] / 2 < 4
                assert not in_the_way, e


def test_driving_vehicles_are_on_the_road_buildings_are_not(scenes):
    for scene in scenes:
        (left, right), _ = strips(scene, 'road')[0]
        for e in scene.elements:
            x = e.position[0]
            if e.kind in ('car', 'truck', 'bus', 'train') and abs(np.sin(e.heading)) < 0.5:
                assert left < x - e.size[0] / 2 + 0.35 and x + e.size[0] / 2 - 0.35 < right, e
            if e.kind in ('building', 'wall', 'hedge'):
                assert x + e.size[0] / 2 <= left + 0.01 or x - e.size[0] / 2 >= right - 0.01, e


def test_traffic_keeps_to_the_right(scenes):
    for scene in scenes:
        for e in scene.elements:
            if e.kind in ('car', 'bus') and e.speed > 0 and np.cos(e.heading) < -0.9:
                assert e.position[0] < 0, e  # oncoming: left of the ego car


def test_sizes_stay_within_their_spread(scenes):
    for e in (e for s in scenes for e in s.elements if e.kind in SIZES):
        *mean, spread = SIZES[e.kind]
        np.testing.assert_array_less(np.abs(np.array(e.size) / mean - 1), spread + 1e-9)


def test_share_of_streets_with_rare_things(scenes):
    present = Counter(kind for s in scenes for kind in {e.kind for e in s.elements})
    for kind in ('train', 'bus', 'truck', 'motorcycle', 'bicycle', 'wall', 'fence'):
        assert present[kind] / len(scenes) > 0.25, kind
