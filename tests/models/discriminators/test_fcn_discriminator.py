# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmseg_depthuda.models.discriminators import DiscriminatorDict


def build(in_channels=5, base_channels=4, seed=0):
    torch.manual_seed(seed)
    config = dict(type='FCNDiscriminator', in_channels=in_channels, base_channels=base_channels)
    return MODELS.build(config)


def plain_forward(discriminator, x):
    """A second implementation: functions of the parameters by name."""
    p = dict(discriminator.named_parameters())
    for index in (0, 2, 4, 6, 8):
        x = F.conv2d(x, p[f'layers.{index}.weight'], p[f'layers.{index}.bias'], 2, 1)
        if index < 8:
            x = torch.where(x > 0, x, 0.2 * x)
    return x


def test_published_layers():
    discriminator = MODELS.build(dict(type='FCNDiscriminator', in_channels=19))
    shapes = {name: tuple(p.shape) for name, p in discriminator.named_parameters()}
    widths = [19, 64, 128, 256, 512, 1]
    expected = {}
    for layer in range(5):
        expected[f'layers.{2 * layer}.weight'] = (widths[layer + 1], widths[layer], 4, 4)
        expected[f'layers.{2 * layer}.bias'] = (widths[layer + 1],)
    assert shapes == expected
    assert not any('norm' in type(m).__name__.lower() for m in discriminator.modules())


@pytest.mark.parametrize('size', [(32, 32), (63, 96), (64, 130)])
def test_one_decision_per_patch_of_32_pixels(size):
    discriminator = build().double()
    maps = torch.randn(2, 5, *size, dtype=torch.float64)
    logits = discriminator(maps)
    assert logits.shape == (2, 1, size[0] // 32, size[1] // 32)
    torch.testing.assert_close(logits, plain_forward(discriminator, maps))
    assert logits.std() > 0


def test_gradients_reach_every_weight_and_the_maps():
    discriminator = build(in_channels=1)
    maps = torch.randn(1, 1, 64, 64, requires_grad=True)
    discriminator(maps).square().sum().backward()
    assert all(p.grad.any() for p in discriminator.parameters())
    assert maps.grad.count_nonzero() > 0.9 * maps.numel()


@pytest.mark.parametrize('shape', [(1, 4, 64, 64), (1, 5, 31, 64), (1, 5, 64, 31)])
def test_refuses_other_channels_and_small_maps(shape):
    with pytest.raises(ValueError, match='5 channels and at least 32x32 pixels'):
        build()(torch.zeros(shape))


def test_a_dictionary_of_discriminators_gives_each_its_map():
    parts = dict(main=build(3), depth=build(1, seed=1))
    discriminators = DiscriminatorDict(parts)
    maps = dict(depth=torch.randn(2, 1, 32, 64), main=torch.randn(2, 3, 64, 32))
    logits = discriminators(maps)
    assert set(logits) == {'main', 'depth'}
    for name, one in logits.items():
        torch.testing.assert_close(one, plain_forward(parts[name], maps[name]))
    assert 'main.layers.0.weight' in dict(discriminators.named_parameters())
