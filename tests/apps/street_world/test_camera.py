# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmseg_depthuda.apps.street_world.camera import Camera

ANGLE = st.floats(-0.3, 0.3)


def camera(pitch=0.0, yaw=0.0, position=(0, -1.4, 0), size=(512, 256)):
    return Camera.looking_ahead(size, 0.9, 0.22, position, pitch, yaw)


@given(pitch=ANGLE, yaw=ANGLE)
def test_rotation_is_a_rotation(pitch, yaw):
    rotation = camera(pitch, yaw).rotation
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_positive_pitch_looks_down_and_positive_yaw_to_the_right():
    axis = camera(pitch=0.1, yaw=0.2).rotation[2]
    assert axis[1] == pytest.approx(np.sin(0.1))  # y is down
    assert axis[0] == pytest.approx(np.cos(0.1) * np.sin(0.2))


def test_project_by_hand():
    # 3 m right of the axis, 1.4 m below it, 10 m ahead: u = 460.8 * 3 / 10 + 255.5
    u, v = camera().project(np.array([3.0, 0.0, 10.0]))
    assert u == pytest.approx(0.9 * 512 * 0.3 + 255.5)
    assert v == pytest.approx(0.9 * 512 * 0.14 + 127.5)


@given(pitch=ANGLE, yaw=ANGLE, z=st.floats(1, 100))
def test_back_project_inverts_project(pitch, yaw, z):
    cam = camera(pitch, yaw, (0.3, -1.2, 5.0), size=(16, 8))
    points = cam.back_project(np.full((8, 16), z))
    v, u = np.indices((8, 16))
    np.testing.assert_allclose(cam.project(points), np.stack([u, v], -1), atol=1e-6)
    np.testing.assert_allclose(cam.to_camera(points)[..., 2], z, rtol=1e-9)


def test_pose_is_the_same_transform_as_to_camera():
    cam = camera(0.05, -0.1, (1.0, -1.5, 7.0))
    point = np.array([2.0, -3.0, 20.0])
    np.testing.assert_allclose((cam.pose @ [*point, 1])[:3], cam.to_camera(point))


def test_right_camera_gives_disparity_fx_b_over_z():
    cam = camera(0.04, 0.03)
    point = cam.position + cam.rotation.T @ np.array([1.0, 0.5, 12.0])
    left, right = cam.project(point), cam.right().project(point)
    np.testing.assert_allclose(left - right, [cam.fx * 0.22 / 12, 0], atol=1e-9)


def test_moved_drives_along_the_street():
    np.testing.assert_allclose(camera(yaw=0.2).moved(2.5).position, [0, -1.4, 2.5])
