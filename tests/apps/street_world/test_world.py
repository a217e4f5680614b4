# Licensed under the Apache License 2.0, see LICENSE.
"""Determinism, statistics and geometry of rendered scenes."""

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.street_world.appearance import DOMAINS
from mmseg_depthuda.apps.street_world.shapes import LABEL_IDS
from mmseg_depthuda.apps.street_world.world import FRAME_INTERVAL, StreetScene

SIZE = 256, 128
MOVING = [LABEL_IDS[n] for n in ('person', 'rider', 'car', 'truck', 'bus', 'train')]
MOVING += [LABEL_IDS[n] for n in ('motorcycle', 'bicycle')]
SCENES_FOR_STATISTICS = 24


@pytest.fixture(scope='module', params=list(DOMAINS))
def label_counts(request):
    """Pixels per label id, ``(scenes, 256)``."""
    return np.stack(
        [
            np.bincount(
                StreetScene(3, request.param, i, SIZE).rasterize().label_ids.ravel(), minlength=256
            )
            for i in range(SCENES_FOR_STATISTICS)
        ]
    )


def recorded(scene, **kwargs):
    """Raster and camera of a scene."""
    return scene.rasterize(**kwargs), scene.camera(**kwargs)


def reprojection_error(view, other, mask):
    """Look the pixels of a view up in another one, at the projections of their exact depth.

    Returns the median and the 90th percentile of the difference in gray values where both see the
    same point, and the share of such pixels in the mask.
    """
    raster, camera = view
    other_raster, other_camera = other
    points = camera.back_project(np.where(np.isfinite(raster.depth), raster.depth, 1e5))
    u, v = np.moveaxis(other_camera.project(points).astype(np.float32), -1, 0)
    distance = other_camera.to_camera(points)[..., 2]
    seen_depth = cv2.remap(other_raster.depth, u, v, cv2.INTER_NEAREST, borderValue=0)
    same = (np.abs(seen_depth / distance - 1) < 0.02) & mask
    color = cv2.remap(other_raster.color, u, v, cv2.INTER_LINEAR)
    error = np.abs(color - raster.color).mean(axis=2)[same]
    return np.median(error), np.percentile(error, 90), same.sum() / mask.sum()


def test_same_key_gives_the_same_view():
    first, second = (StreetScene(1, 'real', 5, SIZE).view() for _ in range(2))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.depth, second.depth)


@pytest.mark.parametrize('other', [(2, 'real', 5), (1, 'sim', 5), (1, 'real', 6)])
def test_every_part_of_the_key_matters(other):
    labels = StreetScene(1, 'real', 5, SIZE).view().label_ids
    assert (StreetScene(*other, SIZE).view().label_ids != labels).mean() > 0.1


def test_a_view_does_not_depend_on_views_before_it():
    scene = StreetScene(1, 'real', 7, SIZE)
    scene.view(frame=1)
    scene.view(right=True)
    fresh = StreetScene(1, 'real', 7, SIZE).view()
    np.testing.assert_array_equal(scene.view().image, fresh.image)


def test_unknown_domain():
    with pytest.raises(KeyError, match='fake'):
        StreetScene(0, 'fake', 0, SIZE)


@pytest.mark.parametrize('domain', DOMAINS)
@pytest.mark.parametrize('index', range(3))
def test_left_image_reprojects_onto_the_right_one(domain, index):
    scene = StreetScene(0, domain, index, (512, 256))
    left = recorded(scene)
    mask = left[0].label_ids != LABEL_IDS['sky']
    median, high, share = reprojection_error(left, recorded(scene, right=True), mask)
    assert share > 0.8
    assert median < 1.5
    assert high < 10


@pytest.mark.parametrize('frame', [-1, 1])
@pytest.mark.parametrize('index', range(3))
def test_labeled_frame_reprojects_onto_its_neighbors_by_the_poses(index, frame):
    scene = StreetScene(0, 'real', index, (512, 256))
    now = recorded(scene)
    labels = now[0].label_ids
    mask = (labels != LABEL_IDS['sky']) & ~np.isin(labels, MOVING)
    median, high, share = reprojection_error(now, recorded(scene, frame=frame), mask)
    assert share > 0.75
    assert median < 2
    assert high < 12


def test_reprojection_of_wrong_depth_finds_nothing():
    """The bounds above mean something: they fail when the depth is off by a fifth."""
    scene = StreetScene(0, 'sim', 0, (512, 256))
    left, right = recorded(scene), recorded(scene, right=True)
    mask = left[0].label_ids != LABEL_IDS['sky']
    left[0].depth[:] *= 1.2
    assert reprojection_error(left, right, mask)[2] < 0.2


def test_camera_drives_at_the_ego_speed():
    scene = StreetScene(0, 'sim', 0, SIZE)
    metres = scene.camera(frame=2).position[2] - scene.camera().position[2]
    assert metres == pytest.approx(2 * scene.ego_speed * FRAME_INTERVAL)


@pytest.mark.parametrize('domain', DOMAINS)
def test_depth_is_infinite_exactly_in_the_sky(domain):
    view = StreetScene(0, domain, 2, SIZE).view()
    np.testing.assert_array_equal(np.isinf(view.depth), view.label_ids == LABEL_IDS['sky'])
    assert view.depth.dtype == np.float32
    assert view.depth.min() > 0.5


@pytest.mark.parametrize('domain', DOMAINS)
def test_depth_of_the_road_is_that_of_the_ground_plane(domain):
    scene = StreetScene(0, domain, 0, SIZE)
    raster, camera = scene.rasterize(), scene.camera()
    v, u = np.nonzero(raster.label_ids == LABEL_IDS['road'])
    ray = np.stack([(u - camera.u0) / camera.fx, (v - camera.v0) / camera.fy, np.ones(len(u))])
    down = (camera.rotation.T @ ray)[1]
    np.testing.assert_allclose(raster.depth[v, u], -camera.position[1] / down, rtol=1e-3)


def test_every_pixel_has_one_of_the_19_classes(label_counts):
    unlabeled = np.delete(label_counts, list(LABEL_IDS.values()), axis=1)
    assert unlabeled.sum() == 0


def test_all_19_classes_are_frequent_and_large_enough(label_counts):
    share_of_images = {n: (label_counts[:, i] >= 25).mean() for n, i in LABEL_IDS.items()}
    assert all(share >= 0.25 for share in share_of_images.values()), share_of_images
    pixels = label_counts.sum(axis=0) / label_counts.sum()
    share = {n: pixels[i] for n, i in LABEL_IDS.items()}
    assert min(share.values()) > 0.001, share
    assert 0.2 < share['road'] < 0.5
    assert 0.1 < share['building'] < 0.35
    assert 0.05 < share['sky'] < 0.25


def test_sim_is_more_saturated():
    views = {d: [StreetScene(0, d, i, SIZE).view() for i in range(4)] for d in DOMAINS}
    saturation = {
        d: np.mean([cv2.cvtColor(v.image, cv2.COLOR_BGR2HSV)[..., 1].mean() for v in some])
        for d, some in views.items()
    }
    assert saturation['sim'] > 1.5 * saturation['real']
