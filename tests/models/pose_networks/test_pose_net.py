# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from scipy.spatial.transform import Rotation

BACKBONE = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)


def build(**options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(type='PoseNet', backbone=BACKBONE | options, in_channels=64, channels=16)
    )


def test_pose_is_the_scaled_mean_of_the_last_convolution():
    model = build().eval()
    seen = []
    model.pose[-1].register_forward_hook(lambda module, inputs, output: seen.append(output))
    first, second = torch.rand(2, 2, 3, 64, 96)
    poses = model(first, second).detach()
    for pose, output in zip(poses, seen[0].detach(), strict=True):
        vector = 0.01 * output.double().mean((1, 2)).numpy()
        np.testing.assert_allclose(
            pose[:3, :3], Rotation.from_rotvec(vector[:3]).as_matrix(), atol=1e-6
        )
        np.testing.assert_allclose(pose[:3, 3], vector[3:], atol=1e-7)
        assert pose[3].tolist() == [0, 0, 0, 1]
    assert not torch.allclose(poses, model(second, first))


def test_pretrained_weights_of_single_images_see_a_pair_of_equal_ones_as_one(tmp_path):
    single = MODELS.build(BACKBONE)
    single.init_weights()
    checkpoint = tmp_path / 'single.pth'
    torch.save(single.state_dict(), checkpoint)
    model = build(init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))
    model.init_weights()
    model.eval(), single.eval()
    image = torch.rand(1, 3, 64, 96)
    features = model.backbone(torch.cat([image, image], dim=1))
    for feature, reference in zip(features, single(image), strict=True):
        torch.testing.assert_close(feature, reference, rtol=1e-4, atol=1e-5)


def test_a_missing_checkpoint_is_an_error():
    model = build(init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth'))
    with pytest.raises(FileNotFoundError, match='nowhere'):
        model.init_weights()
