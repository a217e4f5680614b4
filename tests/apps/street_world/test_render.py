# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.apps.street_world.camera import Camera
from mmseg_depthuda.apps.street_world.render import (
    GROUND_LAYER,
    SHADOW_LAYER,
    SKY_ID,
    SKY_LAYER,
    Surface,
    Texture,
    rasterize,
)

SIZE = 64, 32
X, Y, Z = np.eye(3)


def camera(pitch=0.0):
    return Camera.looking_ahead(SIZE, 1.0, 0.2, (0, -1.5, 0), pitch, 0.0)


def solid(gray, alpha=None):
    return Texture(np.full((1, 1, 3 if alpha is None else 4), gray, np.uint8))


def sky():
    far = 1e6
    return Surface(
        far * (Z - 2 * X - Y), 4 * far * X, 2 * far * Y, solid(200), SKY_ID, layer=SKY_LAYER
    )


def wall(z, width, label, gray=50, **kwargs):
    """A wall across the street, taller than the picture, from x = -width / 2."""
    origin = np.array([-width / 2, -100.0, z])
    return Surface(origin, width * X, 200 * Y, solid(gray), label, **kwargs)


@pytest.mark.parametrize('pitch', [0.0, 0.05])
def test_depth_of_the_ground_is_the_closed_form(pitch):
    """A pixel's ray meets the plane h below the camera at z = h / (y cos(pitch) + sin(pitch))."""
    ground = Surface(-500 * X - 10 * Z, 1000 * X, 5000 * Z, solid(90), 7, layer=GROUND_LAYER)
    raster = rasterize([sky(), ground], camera(pitch))
    y = (np.arange(SIZE[1]) - (SIZE[1] - 1) / 2) / SIZE[0]
    slope = y * np.cos(pitch) + np.sin(pitch)
    below = slope > 1.5 / 1000
    expected = np.broadcast_to((1.5 / slope[below])[:, None], (below.sum(), SIZE[0]))
    np.testing.assert_allclose(raster.depth[below], expected, rtol=1e-5)
    assert (raster.label_ids[below] == 7).all()
    assert np.isinf(raster.depth[slope < 0]).all()
    assert (raster.label_ids[slope < 0] == SKY_ID).all()


def test_nearer_surface_wins_whatever_the_order():
    near, far = wall(5, 2.0, 26), wall(9, 100, 11)
    for surfaces in ([sky(), near, far], [far, near, sky()]):
        raster = rasterize(surfaces, camera())
        # The near wall spans 64 * 2 / 5 = 25.6 pixels around column 31.5: columns 19..44.
        assert (raster.label_ids[16] == 26).nonzero()[0].tolist() == list(range(19, 45))
        assert raster.depth[16, 31] == pytest.approx(5)
        assert raster.depth[16, 5] == pytest.approx(9)


def test_edges_are_antialiased_by_their_coverage():
    # 64 * 1 / 5 = 12.8 pixels around 31.5: the edge lies at 25.1, so column 25 (24.5 to 25.5) is
    # covered to 40 %.
    raster = rasterize([sky(), wall(5, 1.0, 26, gray=0)], camera())
    assert raster.color[10, 25, 0] == pytest.approx(0.6 * 200, abs=0.1)
    assert raster.label_ids[10, 25] == SKY_ID


def test_of_coplanar_surfaces_the_later_wins():
    ground = [
        Surface(-9 * X - Z, 18 * X, 99 * Z, solid(90), 7, layer=GROUND_LAYER),
        Surface(-9 * X - Z, 18 * X, 99 * Z, solid(90), 8, layer=GROUND_LAYER),
    ]
    assert (rasterize([sky(), *ground], camera()).label_ids[-1] == 8).all()


def test_surface_across_the_camera_plane_needs_no_clipping():
    side = Surface(np.array([2.0, -50, -30]), 60 * Z, 100 * Y, solid(90), 11)
    raster = rasterize([sky(), side], camera())
    # x = 2 is seen at u = 64 * 2 / z + 31.5, up to z = 30: from column 36 on.
    columns = np.arange(36, 64)
    assert (raster.label_ids[16] == 11).nonzero()[0].tolist() == columns.tolist()
    np.testing.assert_allclose(raster.depth[16, 36:], 128 / (columns - 31.5), rtol=1e-5)


def test_texels_lie_where_the_surface_has_them():
    pixels = np.zeros((2, 2, 3), np.uint8)
    pixels[0, 1] = 100  # top right
    pixels[1, 0] = 240  # bottom left
    origin = np.array([-2.0, -3.5, 5.0])
    raster = rasterize([sky(), Surface(origin, 4 * X, 4 * Y, Texture(pixels), 11)], camera())
    # 4 m at 5 m are 51.2 pixels; the center of the surface is the center of the picture.
    corners = raster.color[[3, 3, 28, 28], [19, 44, 19, 44], 0]  # next to the texels' centers
    np.testing.assert_allclose(corners, [0, 100, 240, 0], atol=8)


def test_label_texture_and_alpha_decide_per_texel():
    pixels = np.full((1, 4, 4), 255, np.uint8)
    pixels[0, 3, 3] = 0  # the right quarter is transparent
    labels = np.array([[25, 25, 33, 33]], np.uint8)
    origin = np.array([-2.0, -10, 5.0])
    surface = Surface(origin, 4 * X, 20 * Y, Texture(pixels, labels), 33)
    row = rasterize([sky(), surface], camera()).label_ids[16]
    assert row[12] == 25 and row[36] == 33 and row[54] == SKY_ID


def test_shadow_darkens_and_leaves_label_and_depth():
    ground = Surface(-9 * X - Z, 18 * X, 99 * Z, solid(100), 7, layer=GROUND_LAYER)
    shadow = np.array([[[0, 0, 0, 102]]], np.uint8)  # 40 %
    decal = Surface(-9 * X - Z, 18 * X, 99 * Z, Texture(shadow), None, layer=SHADOW_LAYER)
    plain, dark = (rasterize(s, camera()) for s in ([sky(), ground], [sky(), ground, decal]))
    assert dark.color[30, 31, 0] == pytest.approx(60, abs=0.1)
    np.testing.assert_array_equal(plain.depth, dark.depth)
    np.testing.assert_array_equal(plain.label_ids, dark.label_ids)


def test_surfaces_seen_from_behind_are_skipped():
    ahead, back = wall(5, 100, 26, normal=-Z), wall(5, 100, 26, normal=Z)
    assert (rasterize([sky(), ahead], camera()).label_ids == 26).all()
    assert (rasterize([sky(), back], camera()).label_ids == SKY_ID).all()


def test_moving_surface_is_where_its_velocity_takes_it():
    raster = rasterize([sky(), wall(5, 100, 26, velocity=4 * Z)], camera(), time=0.5)
    assert raster.depth[16, 31] == pytest.approx(7)


def test_far_texture_is_averaged_not_sampled():
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[::2, ::2] = pixels[1::2, 1::2] = 200  # a chequerboard much finer than the pixels
    origin = np.array([-10.0, -10, 100])
    raster = rasterize([sky(), Surface(origin, 20 * X, 20 * Y, Texture(pixels), 11)], camera())
    np.testing.assert_allclose(raster.color[13:15, 28:36], 100, atol=1)


def test_repeated_texture_wraps():
    pixels = np.array([[[0] * 3, [200] * 3]], np.uint8)
    origin = np.array([-2.0, -10, 5.0])
    surface = Surface(origin, 4 * X, 20 * Y, Texture(pixels), 11, repeat=(2.0, 1.0))
    row = rasterize([sky(), surface], camera()).color[16, :, 0]
    # Texels are 12.8 pixels wide, the first from 5.9 to 18.7.
    np.testing.assert_allclose(row[[12, 25, 38, 51]], [0, 200, 0, 200], atol=6)
