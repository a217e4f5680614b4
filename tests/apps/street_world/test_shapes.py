# Licensed under the Apache License 2.0, see LICENSE.
"""Objects as they stand in the picture: shape, place and class."""

import numpy as np
import pytest

from mmseg_depthuda.apps.street_world.appearance import DOMAINS, Appearance
from mmseg_depthuda.apps.street_world.camera import Camera
from mmseg_depthuda.apps.street_world.render import rasterize
from mmseg_depthuda.apps.street_world.scene import SIZES, Element, Scene
from mmseg_depthuda.apps.street_world.shapes import LABEL_IDS, PROFILES, Dresser, Sprite

HEIGHT = 1.5
TERRAIN = Element('terrain', (0.0, 0.0, 250.0), (500.0, 0.0, 520.0))


def look():
    return Appearance(DOMAINS['sim'], np.random.default_rng(0))


def picture(*elements):
    camera = Camera.looking_ahead((512, 256), 1.0, 0.2, (0, -HEIGHT, 0), 0.0, 0.0)
    dresser = Dresser(look(), camera)
    surfaces = dresser.dress(Scene((TERRAIN, *elements), 0.0), np.random.default_rng(1))
    return rasterize(surfaces, camera), camera


def extent(mask):
    rows, columns = mask.nonzero()
    return columns.min(), columns.max(), rows.min(), rows.max()


@pytest.mark.parametrize('kind', ['car', 'truck', 'bus', 'train'])
@pytest.mark.parametrize('heading', [0.0, np.pi])
def test_vehicle_fills_the_projection_of_its_box(kind, heading):
    width, height, length, _ = SIZES[kind]
    rear = 12.0
    element = Element(kind, (0.0, 0.0, rear + length / 2), (width, height, length), heading)
    raster, camera = picture(element)
    mask = raster.label_ids == LABEL_IDS[kind]
    left, right, top, bottom = extent(mask)
    # The nearest point of the box is its bottom edge.
    near_left, near_bottom = camera.project(np.array([-width / 2, 0, rear]))
    assert left == pytest.approx(near_left, abs=1.5)
    assert right == pytest.approx(2 * camera.u0 - near_left, abs=1.5)
    assert bottom == pytest.approx(near_bottom, abs=1.5)
    highest = camera.project(np.array([0, -height, rear + 0.4 * length]))[1]
    lowest = camera.project(np.array([0, -height, rear]))[1]
    assert min(highest, lowest) - 2 <= top <= max(highest, lowest) + 2
    assert rear - 0.01 <= raster.depth[mask].min() <= rear + 0.1 * length


def test_vehicle_from_the_side_shows_the_ground_below_it():
    width, height, length, _ = SIZES['car']
    raster, camera = picture(Element('car', (0.0, 0.0, 10.0), (width, height, length), np.pi / 2))
    mask = raster.label_ids == LABEL_IDS['car']
    left, right, _, bottom = extent(mask)
    distance = 10 - width / 2
    assert right - left == pytest.approx(camera.fx * length / distance, rel=0.03)
    # Two wheels touch the ground; between and beside them it is free.
    touching = mask[bottom - 1]
    assert np.count_nonzero(np.diff(touching.astype(int)) == 1) == 2


def test_profiles_are_closed_and_within_the_unit_box():
    for parts in PROFILES.values():
        for part in parts:
            z, y, names = zip(*part, strict=True)
            assert min(z) >= -0.5 and max(z) <= 0.5
            assert min(y) >= 0 and max(y) <= 1
            assert all(names[:-1]) and names[-1] == ''


def test_person_has_the_size_of_a_person():
    raster, camera = picture(Element('person', (1.0, 0.0, 10.0), (0.75, 1.8, 0.3)))
    mask = raster.label_ids == LABEL_IDS['person']
    left, right, top, bottom = extent(mask)
    assert bottom - top == pytest.approx(51.2 * 1.8, abs=8)
    assert 0.35 < (right - left) / 51.2 < 0.9
    assert (left + right) / 2 == pytest.approx(camera.u0 + 51.2, abs=4)
    np.testing.assert_allclose(raster.depth[mask], 10, rtol=1e-5)


@pytest.mark.parametrize('kind', ['bicycle', 'motorcycle'])
def test_rider_sits_above_what_he_rides(kind):
    size = SIZES[kind][:3]
    ridden, _ = picture(Element(kind, (0.0, 0.0, 8.0), size, np.pi / 2, ridden=True))
    vehicle = ridden.label_ids == LABEL_IDS[kind]
    rider = ridden.label_ids == LABEL_IDS['rider']
    assert rider.sum() > 500 and vehicle.sum() > 500
    assert rider.nonzero()[0].mean() < vehicle.nonzero()[0].mean()  # rows count downwards
    parked, _ = picture(Element(kind, (0.0, 0.0, 8.0), size, np.pi / 2))
    assert not (parked.label_ids == LABEL_IDS['rider']).any()


def test_light_and_sign_hang_on_poles():
    light = Element('traffic_light', (-2.0, 0.0, 10.0), (4.5, 3.4, 0.0))
    sign = Element('sign', (2.0, 0.0, 10.0), (1.0, 3.0, 0.0))
    raster, _ = picture(light, sign)
    for name, half in (('traffic_light', slice(0, 256)), ('traffic_sign', slice(256, 512))):
        labels = raster.label_ids[:, half]
        hung, pole = labels == LABEL_IDS[name], labels == LABEL_IDS['pole']
        assert hung.sum() > 400 and pole.sum() > 200
        _, _, _, bottom = extent(hung)
        assert extent(pole)[3] > bottom  # the pole goes on below


@pytest.mark.parametrize(
    ('kind', 'label'),
    [('wall', 'wall'), ('fence', 'fence'), ('hedge', 'vegetation'), ('building', 'building')],
)
def test_box_beside_the_road_shows_its_road_side_and_its_end(kind, label):
    element = Element(kind, (6.0, 0.0, 15.0), (2.0, 3.0, 10.0))
    raster, camera = picture(element)
    mask = raster.label_ids == LABEL_IDS[label]
    left, right, _, _ = extent(mask)
    assert left == pytest.approx(camera.project(np.array([5.0, 0, 20.0]))[0], abs=1.5)
    assert right == pytest.approx(min(511, camera.project(np.array([7.0, 0, 10.0]))[0]), abs=1.5)


def test_nothing_is_built_that_the_camera_cannot_see():
    camera = Camera.looking_ahead((512, 256), 1.0, 0.2, (0, -HEIGHT, 0), 0.0, 0.0)
    size = SIZES['car'][:3]
    for position in ((0.0, 0.0, -20.0), (60.0, 0.0, 20.0), (0.0, 0.0, 900.0)):
        dresser = Dresser(look(), camera)
        empty = Dresser(look(), camera).dress(Scene((), 0.0), np.random.default_rng(1))
        scene = Scene((Element('car', position, size),), 0.0)
        assert len(dresser.dress(scene, np.random.default_rng(1))) == len(empty)


def test_sprite_labels_have_no_holes_where_it_is_opaque():
    sprite = Sprite(1.0, 1.0, 40, (0, 0, 0), 'bicycle')
    sprite.line((-0.4, 0.1), (0.4, 0.9), 0.1, (9, 9, 9))
    sprite.label('rider')
    sprite.disc(0.2, 0.3, 0.2, (9, 9, 9))
    texture = sprite.texture(look())
    opaque = texture.pixels[..., 3] >= 128
    assert set(np.unique(texture.labels[opaque])) == {LABEL_IDS['bicycle'], LABEL_IDS['rider']}
