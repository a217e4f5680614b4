# Licensed under the Apache License 2.0, see LICENSE.
"""Losses and all gradients of self-supervised depth against a second, plain implementation.

The second one shares the encoders alone. It works image by image in float64, with rotations by the
matrix exponential, motions as 4x4 matrices inverted as such, points projected one step after the
other, bilinear interpolation and box filters by indexing, and the decoder by functions.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.models.tiny_depth import SIZE, build, make_batch

CASES = {
    'video': dict(),
    'next frames alone': dict(offsets=(1, 2)),
    'video, right image': dict(offsets=(1, -1), stereo=True),
    'right image alone': dict(offsets=(), stereo=True),
}
NOISE = 5000.0  # a twentieth after the factor: large enough to decide for many pixels


# -- networks --------------------------------------------------------------------------------------


def convolved(module, x):
    """3x3 with reflected borders."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode='reflect'), module.weight, module.bias)


def disparities_of(head, features):
    """Fine to coarse."""
    *skips, x = features
    found = []
    for stage in range(5):
        x = F.elu(convolved(head.before[stage][0], x))
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        if skips:
            x = torch.cat([x, skips.pop()], 1)
        x = F.elu(convolved(head.after[stage][0], x))
        if stage:
            found.insert(0, 1 / (1 + torch.exp(-convolved(head.disparity[stage - 1], x))))
    return found


def motion_of(net, first, second):
    """(4, 4) per pair, from the coordinates of the first frame to those of the second."""
    x = net.backbone(torch.cat([first, second], 1))[-1]
    for index, padding in ((0, 0), (2, 1), (4, 1), (6, 0)):
        layer = net.pose[index]
        x = F.conv2d(x, layer.weight, layer.bias, padding=padding)
        x = x if index == 6 else x.clamp(min=0)
    motions = []
    for rx, ry, rz, tx, ty, tz in x.mean((2, 3)) * 0.01:
        zero = torch.zeros_like(rx)
        axis = torch.stack([zero, -rz, ry, rz, zero, -rx, -ry, rx, zero]).view(3, 3)
        upper = torch.cat([torch.matrix_exp(axis), torch.stack([tx, ty, tz])[:, None]], 1)
        motions.append(torch.cat([upper, upper.new_tensor([[0, 0, 0, 1]])]))
    return torch.stack(motions)


# -- view synthesis of one image -------------------------------------------------------------------


def lookup(image, x, y):
    """Bilinear, (C, H, W) at (H, W) places; the border goes on outside."""
    height, width = image.shape[1:]
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor().clamp(max=width - 2), y.floor().clamp(max=height - 2)
    right_share, lower_share = x - left, y - top
    left, top = left.long(), top.long()
    upper = image[:, top, left] * (1 - right_share) + image[:, top, left + 1] * right_share
    lower = image[:, top + 1, left] * (1 - right_share) + image[:, top + 1, left + 1] * right_share
    return upper * (1 - lower_share) + lower * lower_share


def warped(source, depth, motion, camera):
    rows, columns = torch.meshgrid(
        torch.arange(depth.shape[0]).double(), torch.arange(depth.shape[1]).double(), indexing='ij'
    )
    x = (columns - camera[0, 2]) / camera[0, 0] * depth
    y = (rows - camera[1, 2]) / camera[1, 1] * depth
    x, y, z = (
        torch.einsum('ij,jhw->ihw', motion[:3, :3], torch.stack([x, y, depth]))
        + motion[:3, 3, None, None]
    )
    return lookup(source, camera[0, 0] * x / z + camera[0, 2], camera[1, 1] * y / z + camera[1, 2])


def box(image):
    """Mean of 3x3, mirrored at the outermost pixels."""
    height, width = image.shape[1:]
    padded = image[:, [1, *range(height), height - 2]][:, :, [1, *range(width), width - 2]]
    return sum(padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)) / 9


def difference(a, b):
    """Photometric, (H, W)."""
    mean_a, mean_b = box(a), box(b)
    variance_a, variance_b = box(a * a) - mean_a**2, box(b * b) - mean_b**2
    covariance = box(a * b) - mean_a * mean_b
    c1, c2 = 0.0001, 0.0009
    ssim = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    ssim = ssim / ((mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2))
    return (0.85 * ((1 - ssim) / 2).clamp(0, 1) + 0.15 * (a - b).abs()).mean(0)


def roughness(disparity, image):
    disparity = disparity / (disparity.mean() + 1e-7)
    over_x = (disparity[:, 1:] - disparity[:, :-1]).abs()
    over_y = (disparity[1:] - disparity[:-1]).abs()
    edges_x = (image[:, :, 1:] - image[:, :, :-1]).abs().mean(0)
    edges_y = (image[:, 1:] - image[:, :-1]).abs().mean(0)
    return (over_x * torch.exp(-edges_x)).mean() + (over_y * torch.exp(-edges_y)).mean()


def reference_losses(model, data, offsets, noise):
    """``noise`` per scale: (sources, N, 1, H, W)."""
    inputs, images, cameras = data['inputs'], data['images'], data['intrinsics']
    motions = []
    for offset, view in zip(offsets, inputs.unbind(1)[1:], strict=False):
        if offset > 0:
            motions.append(motion_of(model.pose_net, inputs[:, 0], view))
        else:
            motions.append(torch.linalg.inv(motion_of(model.pose_net, view, inputs[:, 0])))
    if 'stereo_pose' in data:
        motions.append(data['stereo_pose'])
    features = model.backbone(inputs[:, 0])
    photometric, smoothness, explained = [], [], []
    for scale, disparity in enumerate(disparities_of(model.decode_head, features)):
        full = F.interpolate(disparity, SIZE, mode='bilinear', align_corners=False)[:, 0]
        depths = 1 / (1 / 100 + (1 / 0.1 - 1 / 100) * full)
        for n, (frame, *sources) in enumerate(images):
            moved = [
                difference(warped(source, depths[n], motion[n], cameras[n]), frame)
                for source, motion in zip(sources, motions, strict=True)
            ]
            still = [
                difference(source, frame) + 1e-5 * noise[scale][i, n, 0]
                for i, source in enumerate(sources)
            ]
            least, which = torch.stack([*still, *moved]).min(0)
            photometric.append(least.mean())
            small = frame.view(3, SIZE[0] >> scale, 1 << scale, SIZE[1] >> scale, 1 << scale)
            smoothness.append(roughness(disparity[n, 0], small.mean((2, 4))) / 2**scale)
            if scale == 0:
                explained.append((which >= len(sources)).double().mean())
    return dict(
        loss_photometric=torch.stack(photometric).mean(),
        loss_smoothness=1e-3 * torch.stack(smoothness).mean(),
        explained=torch.stack(explained).mean(),
    )


# -- comparison ------------------------------------------------------------------------------------


@pytest.fixture
def noise(monkeypatch):
    """The noise that was drawn; and every conversion to float32 goes to float64 instead."""
    drawn = []

    def draw(like):
        drawn.append(NOISE * torch.randn(like.shape, dtype=like.dtype))
        return drawn[-1]

    monkeypatch.setattr(torch, 'randn_like', draw)
    monkeypatch.setattr(torch.Tensor, 'float', torch.Tensor.double)
    return drawn


def make_model(case):
    """Near the shifts of the batch, and with a gradient everywhere from the first iteration on."""
    model = build(**(dict(pose_net=None) if case == 'right image alone' else {})).double()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.uniform_(0.5, 1)
    for layer in model.decode_head.disparity:
        layer.weight.data *= 5
        layer.bias.data -= 4.5
    if model.pose_net is not None:
        model.pose_net.pose[-1].bias.data = torch.tensor([0.2, -0.3, 0.4, -6, 2, 6]).double()
    return model.eval()  # BatchNorm would mix what is compared image by image


@pytest.mark.parametrize('case', CASES)
def test_losses_and_gradients(case, noise):
    torch.manual_seed(0)
    batch = make_batch(**CASES[case])
    model = make_model(case)
    data = model.data_preprocessor(batch, training=True)
    for name, value in data.items():
        if torch.is_tensor(value):
            data[name] = value.double()
    losses = model(**data, mode='loss')
    offsets = CASES[case].get('offsets', (-1, 1))
    expected = reference_losses(model, data, offsets, noise)
    assert len(noise) == 4
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-6, atol=0)
    assert 0.05 < expected['explained'] < 0.95  # all of them are chosen somewhere

    names, parameters = zip(*model.named_parameters(), strict=True)
    for loss in ('loss_photometric', 'loss_smoothness'):
        got, wanted = (
            torch.autograd.grad(values[loss], parameters, retain_graph=True, allow_unused=True)
            for values in (losses, expected)
        )
        for name, a, b in zip(names, got, wanted, strict=True):
            assert (a is None) == (b is None), name
            if b is not None:
                assert b.abs().max() > 0, name
                assert (a - b).abs().max() <= 1e-4 * b.abs().max(), name
        has_motion = dict(zip(names, wanted, strict=True)).get('pose_net.pose.6.bias') is not None
        assert has_motion == (loss == 'loss_photometric' and model.pose_net is not None)
