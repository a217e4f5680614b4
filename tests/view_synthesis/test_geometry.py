# Licensed under the Apache License 2.0, see LICENSE.
"""Depth, poses and warping against SciPy, OpenCV, kornia, and the street world's exact geometry."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from kornia.geometry import depth_to_3d, warp_frame_depth
from scipy.spatial.transform import Rotation

from mmseg_depthuda.apps.street_world import StreetScene
from mmseg_depthuda.view_synthesis import (
    disparity_to_depth,
    photometric_error,
    pose_matrix,
    warp,
)

MOVING = range(24, 34)  # Cityscapes label ids of persons and vehicles
FAR = 1e6  # stands for the street world's infinite depth


def camera_matrix(fx=30.0, fy=28.0, cx=11.0, cy=7.5):
    return torch.tensor([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=torch.float64)


def vectors(limit):
    coordinate = st.floats(-limit, limit)
    return st.tuples(coordinate, coordinate, coordinate)


# -- depth and pose --------------------------------------------------------------------------------


def test_depth_of_a_disparity():
    depth = disparity_to_depth(torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    torch.testing.assert_close(depth, torch.tensor([100, 1 / 5.005, 0.1], dtype=torch.float64))
    assert disparity_to_depth(torch.tensor(0.0), 1.0, 20.0).item() == pytest.approx(20)


@given(rotation=vectors(3.0), translation=vectors(50.0))
def test_pose_is_that_of_scipy(rotation, translation):
    pose = pose_matrix(*(torch.tensor([v], dtype=torch.float64) for v in (rotation, translation)))
    expected = np.eye(4)
    expected[:3, :3] = Rotation.from_rotvec(rotation).as_matrix()
    expected[:3, 3] = translation
    np.testing.assert_allclose(pose[0], expected, atol=1e-12)


@pytest.mark.parametrize('angle', [0.0, 1e-12, 1e-6, 1e-3, 1e-2])
def test_small_rotations_and_their_gradients(angle):
    """Poses near 0, as at the start of training. Derivatives at 0: the generators of rotation."""
    axis = np.array([0.6, -0.48, 0.64])
    for dtype, tolerance in ((torch.float64, 1e-14), (torch.float32, 2e-7)):
        rotation = torch.from_numpy(angle * axis).to(dtype)[None]
        matrix = pose_matrix(rotation, torch.zeros(1, 3, dtype=dtype))[0, :3, :3]
        expected = Rotation.from_rotvec(angle * axis).as_matrix()
        np.testing.assert_allclose(matrix, expected, atol=tolerance)
    rotation = torch.from_numpy(angle * axis)[None].requires_grad_()
    inputs = rotation, torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(pose_matrix, inputs)
    if angle == 0:
        jacobian = torch.autograd.functional.jacobian(pose_matrix, inputs)[0][0, :3, :3, 0]
        generators = np.stack([np.cross(np.eye(3)[i], np.eye(3)).T for i in range(3)], axis=-1)
        np.testing.assert_allclose(jacobian, generators, atol=1e-12)


# -- warping ---------------------------------------------------------------------------------------


def random_views(seed=0, shape=(16, 24)):
    generator = torch.Generator().manual_seed(seed)
    height, width = shape
    images = torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64)
    depth = 2 + 6 * torch.rand(2, 1, height, width, generator=generator, dtype=torch.float64)
    axis_angle = 0.02 * torch.randn(2, 3, generator=generator, dtype=torch.float64)
    translation = 0.1 * torch.randn(2, 3, generator=generator, dtype=torch.float64)
    intrinsics = torch.stack([camera_matrix(), camera_matrix(40, 44, 12.2, 8.1)])
    return images, depth, axis_angle, translation, intrinsics


def projected_by_opencv(depth, axis_angle, translation, intrinsics):
    """Pixels (H, W, 2) of the source view, by kornia's back-projection and OpenCV's projection."""
    points = depth_to_3d(depth[None], intrinsics[None])[0].permute(1, 2, 0).reshape(-1, 3)
    pixels, _ = cv2.projectPoints(
        points.numpy(), axis_angle.numpy(), translation.numpy(), intrinsics.numpy(), None
    )
    return pixels.reshape(*depth.shape[1:], 2)


def test_warping_looks_up_what_opencv_projects():
    """The values of the source image are its coordinates: the result shows what was looked up."""
    _, depth, axis_angle, translation, intrinsics = random_views()
    v, u = np.indices(depth.shape[2:])
    coordinates = torch.from_numpy(np.stack([u, v])).double().expand(2, -1, -1, -1)
    warped = warp(coordinates, depth, pose_matrix(axis_angle, translation), intrinsics)
    for index in range(2):
        expected = projected_by_opencv(
            depth[index], axis_angle[index], translation[index], intrinsics[index]
        )
        limits = np.array(depth.shape[:1:-1]) - 1
        # Outside of the image the border is taken.
        expected = np.clip(expected, 0, limits).transpose(2, 0, 1)
        np.testing.assert_allclose(warped[index], expected, atol=1e-9)
        strictly_inside = (expected > 0) & (expected < limits[:, None, None])
        assert strictly_inside.mean() > 0.5


def test_warping_agrees_with_kornia_inside_the_image():
    images, depth, axis_angle, translation, intrinsics = random_views(1)
    poses = pose_matrix(axis_angle, translation)
    ours = warp(images, depth, poses, intrinsics)
    kornias = warp_frame_depth(images, depth, poses, intrinsics)
    ones = warp_frame_depth(torch.ones_like(images), depth, poses, intrinsics)
    inside = ones > 1 - 1e-9
    assert 0.5 < inside.double().mean() < 1
    torch.testing.assert_close(ours[inside], kornias[inside], atol=1e-7, rtol=0)


def test_the_identity_changes_nothing_and_the_border_goes_on():
    images, depth, *_, intrinsics = random_views(2)
    still = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    torch.testing.assert_close(warp(images, depth, still, intrinsics), images)
    away = still.clone()
    away[:, 0, 3] = 1e4  # everything is far to the right of the source image
    expected = images[..., -1:].expand_as(images)
    torch.testing.assert_close(warp(images, depth, away, intrinsics), expected)


def test_points_at_and_behind_the_camera_stay_finite():
    images, depth, *_, intrinsics = (x.float() for x in random_views(3))
    depth = torch.full_like(depth, 2.0).requires_grad_()
    poses = torch.eye(4).repeat(2, 1, 1)
    poses[0, 2, 3], poses[1, 2, 3] = -2.0, -5.0
    poses.requires_grad_()
    warped = warp(images, depth, poses, intrinsics)
    warped.square().sum().backward()
    for values in (warped, depth.grad, poses.grad):
        assert torch.isfinite(values).all()


def test_gradients_of_warping_by_finite_differences():
    """The image is smooth, because bilinear sampling has kinks at pixel centers."""
    _, depth, axis_angle, translation, intrinsics = random_views(4, shape=(4, 6))
    v, u = np.indices((4, 6))
    images = torch.from_numpy(np.stack([u * v, u - 2.0 * v])).expand(2, -1, -1, -1)
    intrinsics[:, 0, 2], intrinsics[:, 1, 2] = 2.4, 1.3

    def synthesize(depth, axis_angle, translation):
        return warp(images, depth, pose_matrix(axis_angle, translation), intrinsics)

    inputs = [x.requires_grad_() for x in (depth, axis_angle, translation)]
    assert torch.autograd.gradcheck(synthesize, inputs)


# -- the street world ------------------------------------------------------------------------------


class SceneViews:
    """Two views of a scene, with their exact geometry from the renderer.

    Colors are those before lens and sensor, whose noise has nothing to do with geometry.
    """

    def __init__(self, index, **options):
        scene = StreetScene(seed=0, domain='real', index=index, size=(256, 128))
        target, self.source = scene.rasterize(), scene.rasterize(**options)
        cameras = scene.camera(), scene.camera(**options)
        self.labels = target.label_ids
        self.target_image, self.source_image = (
            torch.from_numpy(view.color.astype(np.float64) / 255).permute(2, 0, 1)[None]
            for view in (target, self.source)
        )
        depth = np.minimum(target.depth.astype(np.float64), FAR)
        self.depth = torch.from_numpy(depth)[None, None]
        self.pose = torch.from_numpy(cameras[1].pose @ np.linalg.inv(cameras[0].pose))[None]
        self.intrinsics = torch.from_numpy(cameras[0].matrix)[None]

    def error(self, measure=photometric_error, depth=None, pose=None, intrinsics=None):
        """Difference of the target and the source warped by the true geometry, or by another."""
        warped = warp(
            self.source_image,
            self.depth if depth is None else depth,
            self.pose if pose is None else pose,
            self.intrinsics if intrinsics is None else intrinsics,
        )
        return measure(warped, self.target_image)[0, 0]

    def static_and_visible(self):
        """Pixels that are visible in the source, too, and show no moving object, bool (H, W).

        A point is visible where the source has its depth. Inverse depth is linear on planes.
        """
        points = depth_to_3d(self.depth, self.intrinsics)[0].reshape(3, -1)
        points = (self.pose[0, :3, :3] @ points + self.pose[0, :3, 3:]).numpy()
        height, width = self.labels.shape
        pixels = ((self.intrinsics[0].numpy() @ points)[:2] / points[2]).astype(np.float32)
        u, v = pixels.reshape(2, height, width)
        z = points[2].reshape(height, width)
        inside = (u > 1) & (u < width - 2) & (v > 1) & (v < height - 2) & (z > 0)
        inverse = (1 / np.minimum(self.source.depth, FAR)).astype(np.float32)
        seen = cv2.remap(inverse, u, v, cv2.INTER_LINEAR)
        visible = np.abs(seen * z - 1) < 0.02
        moving = np.isin(self.source.label_ids, MOVING).astype(np.float32)
        still = cv2.remap(moving, u, v, cv2.INTER_LINEAR) == 0
        good = inside & visible & still & ~np.isin(self.labels, MOVING)
        # All of the window of SSIM must be valid.
        return torch.from_numpy(cv2.erode(good.astype(np.uint8), np.ones((3, 3))) > 0)


def absolute_difference(prediction, target):
    return (prediction - target).abs().mean(1, keepdim=True)


@pytest.mark.parametrize('index', [0, 5])
@pytest.mark.parametrize(
    ('options', 'photometric', 'absolute', 'of_unwarped'),
    [
        (dict(right=True), 0.015, 0.006, 0.1),
        # A forward motion changes the size of things, and with it the renderer's textures.
        (dict(frame=-1), 0.06, 0.015, 0.5),
        (dict(frame=1), 0.06, 0.015, 0.5),
    ],
)
def test_exact_depth_and_pose_reproduce_the_neighboring_view(
    index, options, photometric, absolute, of_unwarped
):
    """Outside of occlusions and traffic: bounds on the photometric error, on the difference of
    colors (of 1), and near the camera on both as a share of what the unwarped view gives."""
    views = SceneViews(index, **options)
    counted = views.static_and_visible()
    near = counted & (views.depth[0, 0] < 15)
    assert counted.double().mean() > 0.4 and near.double().mean() > 0.1
    for measure, bound in ((photometric_error, photometric), (absolute_difference, absolute)):
        explained = views.error(measure)
        unwarped = measure(views.source_image, views.target_image)[0, 0]
        assert explained[counted].mean() < bound
        assert explained[near].mean() < of_unwarped * unwarped[near].mean()


@pytest.mark.parametrize('wrong', ['intrinsics', 'depth', 'pose'])
def test_wrong_geometry_explains_less(wrong):
    """The errors of the test above are larger with a wrong geometry."""
    views = SceneViews(0, right=True)
    counted = views.static_and_visible() & (views.depth[0, 0] < 15)
    intrinsics = views.intrinsics.clone()
    intrinsics[:, :2, :2] *= 1.5
    wrongs = dict(
        intrinsics=dict(intrinsics=intrinsics),
        depth=dict(depth=1.5 * views.depth),
        pose=dict(pose=views.pose.inverse()),
    )
    assert views.error(**wrongs[wrong])[counted].mean() > 5 * views.error()[counted].mean()
