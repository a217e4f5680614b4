# Licensed under the Apache License 2.0, see LICENSE.
"""The whole model: the order of its frames, its training, and its predictions.

Its losses and gradients are compared in tests/integration/test_depth_reference.py.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmseg.structures import SegDataSample
from torch import nn

from mmseg_depthuda.apps.street_world import StreetScene
from mmseg_depthuda.view_synthesis import pose_matrix
from tests.models.tiny_depth import SIZE, build, make_batch


def losses_of(model, batch):
    return model(**model.data_preprocessor(batch, training=True), mode='loss')


class RecordedPoses(nn.Module):
    """A pose network that keeps its inputs. The motion depends on the mean of the first frame."""

    def forward(self, first, second):
        self.seen = first, second
        vector = torch.stack([first.mean((1, 2, 3))] * 3, dim=1)
        return pose_matrix(0.1 * vector, vector)


def test_pairs_are_seen_in_the_order_of_time():
    model = build()
    model.pose_net = RecordedPoses()
    views = torch.rand(2, 4, 3, 8, 8)
    frame, next_frame, previous, after_next = views.unbind(1)
    poses = model.predict_poses(views, (1, -1, 2))
    first, second = (seen.chunk(3) for seen in model.pose_net.seen)
    for got, expected in zip(first, (frame, previous, frame), strict=True):
        assert torch.equal(got, expected)
    for got, expected in zip(second, (next_frame, frame, after_next), strict=True):
        assert torch.equal(got, expected)
    raw = model.pose_net(previous, frame)
    identity = torch.eye(4).expand(2, 4, 4)
    torch.testing.assert_close(poses[1] @ raw, identity, atol=1e-6, rtol=0)
    torch.testing.assert_close(poses[0], model.pose_net(frame, next_frame))
    assert not torch.allclose(poses[1], identity, atol=1e-2)


def test_stereo_alone_needs_no_pose_network():
    model = build(pose_net=None)
    losses = losses_of(model, make_batch(offsets=(), stereo=True))
    assert losses['loss_photometric'] > 0
    with pytest.raises(ValueError, match='model.pose_net'):
        losses_of(model, make_batch(stereo=True))
    with pytest.raises(ValueError, match='model.pose_net=None'):
        losses_of(build(), make_batch(offsets=(), stereo=True))


def test_every_network_learns_and_the_loss_falls():
    model, batch = build(), make_batch()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    wrapper = OptimWrapper(optimizer)
    logs = [model.train_step(batch, wrapper) for _ in range(8)]
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    first, last = ({k: v.item() for k, v in log.items()} for log in (logs[0], logs[-1]))
    assert last['loss_photometric'] < 0.9 * first['loss_photometric']
    assert last['explained'] > first['explained']


def test_mixed_precision():
    """The networks may run in half precision; coordinates and losses may not."""
    model, batch = build(), make_batch()
    torch.manual_seed(0)
    expected = losses_of(model, batch)
    torch.manual_seed(0)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        losses = losses_of(build(), batch)
    for name, value in losses.items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(expected[name].item(), rel=0.05), name


@pytest.mark.parametrize('offset', [-1, 1])
def test_motions_are_exact_in_mixed_precision(offset):
    """Rotations are orthogonal, and the inverse is an inverse, as exactly as float32 allows."""
    model = build()
    views = model.data_preprocessor(make_batch(), training=True)['inputs'][:, :2]
    model.pose_net.pose[-1].bias.data = torch.tensor([2.0, -6, 3, 50, 20, -90])
    pair = views.unbind(1)[::offset]
    with torch.autocast('cpu', dtype=torch.bfloat16):
        (pose,) = model.predict_poses(views, (offset,))
        motion = model.pose_net(*pair)
    assert pose.dtype == torch.float32
    expected = motion if offset > 0 else torch.linalg.inv(motion)
    torch.testing.assert_close(pose, expected, atol=1e-5, rtol=0)
    rotation, identity = pose[:, :3, :3], torch.eye(3).expand(2, 3, 3)
    torch.testing.assert_close(rotation @ rotation.mT, identity, atol=2e-6, rtol=0)
    assert (rotation - identity).abs().max() > 0.05


def test_a_training_step_with_mixed_precision(monkeypatch):
    """MMEngine's AMP wrapper on the CPU (only its check of the device refuses it): the gradients
    are float32, and near those of full precision."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    gradients = []
    for wrapper_type, options in ((OptimWrapper, {}), (AmpOptimWrapper, dict(dtype='bfloat16'))):
        model = build().eval()
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        wrapper = wrapper_type(optimizer=optimizer, **options)
        if options:
            wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=2.0**14)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        torch.manual_seed(0)
        log = model.train_step(make_batch(), wrapper)
        assert all(torch.isfinite(value) for value in log.values())
        gradients.append({n: before[n] - p.detach() for n, p in model.named_parameters()})
    full, half = gradients
    for part in ('backbone', 'decode_head', 'pose_net'):
        a, b = (
            torch.cat([g.flatten() for n, g in found.items() if n.startswith(part)])
            for found in (full, half)
        )
        assert b.dtype == torch.float32
        assert torch.cosine_similarity(a, b, dim=0) > 0.9, part
        assert b.norm().item() == pytest.approx(a.norm().item(), rel=0.2)


def test_a_camera_that_stands_still_teaches_nothing():
    """With identical frames the error is that without warping: 0, apart from the noise."""
    model, batch = build(), make_batch(offsets=(-1, 1))
    batch['inputs'] = [views[:1].expand(3, -1, -1, -1) for views in batch['inputs']]
    losses = losses_of(model, batch)
    assert abs(losses['loss_photometric'].item()) < 1e-4
    total, _ = model.parse_losses(losses)
    total.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients and all(torch.isfinite(g).all() for g in gradients)


# -- feature distance ------------------------------------------------------------------------------


@pytest.fixture
def pretrained(tmp_path):
    encoder = build().backbone
    torch.save(encoder.state_dict(), tmp_path / 'encoder.pth')
    return dict(
        type='ResNetWithStem',
        depth=18,
        base_channels=8,
        stem_channels=8,
        norm_eval=True,
        init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'encoder.pth')),
    )


def test_feature_distance_to_the_pretrained_encoder(pretrained):
    model, batch = build(seed=1, backbone=pretrained, feature_distance_weight=0.01), make_batch()
    losses = losses_of(model, batch)
    assert losses['loss_feature_distance'] == 0
    total, _ = model.parse_losses(losses)
    total.backward()
    assert all(
        torch.isfinite(p.grad).all() for p in model.backbone.parameters() if p.grad is not None
    )
    with torch.no_grad():
        model.backbone.layer4[1].bn2.bias.add_(1.0)
    reference = {k: v.clone() for k, v in model.pretrained_encoder.state_dict().items()}
    losses = losses_of(model, batch)
    frame = model.data_preprocessor(batch, training=True)['inputs'][:, 0]
    moved, kept = (net(frame)[-1] for net in (model.backbone, model.pretrained_encoder))
    expected = 0.01 * np.mean([np.linalg.norm(d.ravel()) for d in (moved - kept).detach().numpy()])
    assert losses['loss_feature_distance'].item() == pytest.approx(expected, rel=1e-5)
    state = model.pretrained_encoder.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in reference.items())
    assert not any(p.requires_grad for p in model.pretrained_encoder.parameters())


def test_feature_distance_to_random_weights_is_an_error():
    with pytest.raises(ValueError, match='model.backbone.init_cfg names none'):
        build(feature_distance_weight=0.01)


# -- prediction ------------------------------------------------------------------------------------


def test_prediction_is_inverse_depth_at_the_size_of_the_file():
    model = build().eval()
    inputs = torch.rand(2, 3, *SIZE)
    samples = [SegDataSample(metainfo=dict(ori_shape=(128, 192))) for _ in range(2)]
    with torch.no_grad():
        disparity = model(inputs)
        predictions = model(inputs, samples, mode='predict')
    assert disparity.shape == (2, 1, *SIZE)
    for sample, values in zip(predictions, 0.01 + 9.99 * disparity, strict=True):
        expected = F.interpolate(values[None], (128, 192), mode='bilinear', align_corners=False)
        torch.testing.assert_close(sample.pred_depth_map.data, expected[0])
        assert sample.pred_depth_map.data.dtype == torch.float32


def test_padding_is_cut_off_before_the_resize():
    model = build().eval()
    inputs = torch.rand(1, 3, *SIZE)
    meta = dict(ori_shape=(48, 80), img_padding_size=(0, 16, 0, 16))
    with torch.no_grad():
        values = 0.01 + 9.99 * model(inputs)
        (sample,) = model(inputs, [SegDataSample(metainfo=meta)], mode='predict')
        (plain,) = model(inputs, mode='predict')
    torch.testing.assert_close(sample.pred_depth_map.data, values[0, :, :48, :80])
    torch.testing.assert_close(plain.pred_depth_map.data, values[0])


@pytest.mark.parametrize(('mode', 'message'), [('draw', 'predict'), ('loss', 'frame_offsets')])
def test_what_a_call_must_say(mode, message):
    with pytest.raises(ValueError, match=message):
        build()(torch.rand(1, 3, *SIZE), mode=mode)


# -- the street world ------------------------------------------------------------------------------


def test_the_loss_prefers_the_true_depth():
    """A scene and its right image: the exact depth has a smaller loss than any constant depth."""
    scene = StreetScene(seed=0, domain='real', index=1, size=(128, 64))
    left, right = scene.view(), scene.view(right=True)
    images = torch.from_numpy(np.stack([left.image, right.image])).permute(0, 3, 1, 2)[None] / 255
    pose = torch.eye(4)[None]
    pose[0, 0, 3] = -left.camera.baseline
    matrix = torch.from_numpy(left.camera.matrix).float()[None]
    model = build(pose_net=None)

    def loss(depth):
        disparity = ((1 / depth.clamp(0.1, 100) - 0.01) / 9.99)[None, None]
        losses = model._view_synthesis_losses([disparity], [pose], images, matrix)
        return losses['loss_photometric'].item()

    torch.manual_seed(0)
    exact = loss(torch.from_numpy(left.depth))
    constant = [loss(torch.full((64, 128), float(depth))) for depth in (3, 6, 10, 15, 25, 50, 100)]
    assert exact < 0.9 * min(constant)
