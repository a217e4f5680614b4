# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from tests.models.tiny_depth import ENCODER, WIDTHS

SIZE = (64, 96)


def build(**options):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='SupervisedDepth',
            data_preprocessor=dict(
                type='UDADataPreProcessor', mean=[114.75] * 3, std=[57.375] * 3, size_divisor=1
            ),
            backbone=dict(type='ResNetWithStem', **ENCODER),
            decode_head=dict(type='UNetDepthHead', in_channels=WIDTHS, channels=[4, 4, 8, 8, 8]),
        )
        | options
    )


def samples(depths):
    found = [SegDataSample(metainfo=dict(img_path=f'{i}.png')) for i in range(len(depths))]
    for sample, depth in zip(found, depths, strict=True):
        sample.gt_depth_map = PixelData(data=depth)
    return found


def test_loss_equals_a_plain_statement():
    model = build().double().eval()
    images = torch.rand(2, 3, *SIZE, dtype=torch.float64)
    rng = np.random.default_rng(0)
    target = rng.uniform(0.1, 1, (2, 1, *SIZE))
    target[rng.uniform(size=target.shape) < 0.1] = 0
    losses = model(images, samples(torch.from_numpy(target).float()), mode='loss')
    assert set(losses) == {'loss_depth'}

    prediction = model(images).detach().numpy()
    mask = target > 0
    mask[:, :, int(0.9 * SIZE[0]) :] = False
    error = np.abs(prediction - target) * mask
    c = 0.2 * error.max()
    expected = np.where(error <= c, error, (error**2 + c**2) / (2 * c)).mean()
    assert losses['loss_depth'].item() == pytest.approx(expected, rel=1e-5)

    losses['loss_depth'].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.backbone.parameters())


def test_pixels_without_depth_have_no_gradient():
    model = build(ignore_bottom=0.0).eval()
    depth = torch.zeros(1, 1, *SIZE)
    loss = model(torch.rand(1, 3, *SIZE), samples(depth), mode='loss')['loss_depth']
    loss.backward()
    assert loss == 0 and not any(p.grad.any() for p in model.backbone.parameters())


def test_prediction_has_the_size_of_the_file():
    model = build().eval()
    sample = SegDataSample(metainfo=dict(ori_shape=(30, 40), img_padding_size=(0, 16, 0, 4)))
    image = torch.rand(1, 3, *SIZE)
    with torch.no_grad():
        (found,) = model(image, [sample], mode='predict')
        cut = model(image)[:, :, :60, :80]
    assert found.pred_depth_map.data.shape == (1, 30, 40)
    expected = cut[0, 0, ::2, ::2] + cut[0, 0, 1::2, ::2] + cut[0, 0, ::2, 1::2]
    expected = (expected + cut[0, 0, 1::2, 1::2]) / 4  # half the size: the mean of 2x2
    torch.testing.assert_close(found.pred_depth_map.data[0], expected)


def test_refuses_what_it_cannot_learn_from():
    model, images = build(), torch.rand(2, 3, *SIZE)
    with pytest.raises(ValueError, match='its samples have none'):
        model(images, [SegDataSample()] * 2, mode='loss')
    depths = torch.full((2, 1, *SIZE), 0.5)
    depths[1] *= 30
    with pytest.raises(ValueError, match='depth of 1.png goes up to 15.*NormalizeDepth'):
        model(images, samples(depths), mode='loss')
    with pytest.raises(ValueError, match='mode must be'):
        model(images, mode='train')
    with pytest.raises(ValueError, match='ignore_bottom must be in 0..1'):
        build(ignore_bottom=2)
