# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS


def build(**options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='UNetDepthHead', **options)).double().eval()


def features(channels, size=(64, 96), first_stride=2):
    torch.manual_seed(1)
    return [
        torch.rand(2, c, size[0] // (first_stride << i), size[1] // (first_stride << i)).double()
        for i, c in enumerate(channels)
    ]


def convolved(module, x):
    """3x3 convolution with reflected borders."""
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode='reflect'), module.weight, module.bias)


@pytest.mark.parametrize('has_stem', [True, False])
def test_decoder_against_its_description(has_stem):
    """Monodepth2's five stages, written out."""
    channels = (3, 4, 5, 6, 7) if has_stem else (4, 5, 6, 7)
    head = build(in_channels=channels, channels=(2, 3, 4, 5, 6))
    encoded = features(channels, first_stride=2 if has_stem else 4)
    x, expected = encoded[-1], []
    for stage in range(5):
        x = F.elu(convolved(head.before[stage][0], x))
        x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
        if stage < len(channels) - 1:
            x = torch.cat([x, encoded[-2 - stage]], 1)
        x = F.elu(convolved(head.after[stage][0], x))
        if stage:
            expected.insert(0, torch.sigmoid(convolved(head.disparity[stage - 1], x)))
    disparities = head(encoded)
    assert [tuple(d.shape[2:]) for d in disparities] == [(64, 96), (32, 48), (16, 24), (8, 12)]
    for disparity, reference in zip(disparities, expected, strict=True):
        torch.testing.assert_close(disparity, reference)


def normalized(module, x):
    """Convolution, BatchNorm with the running statistics, ReLU."""
    conv, norm = module.conv, module.bn
    x = F.conv2d(x, conv.weight, padding=conv.padding, dilation=conv.dilation)
    mean, variance, weight, bias = (
        values.view(1, -1, 1, 1)
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return torch.relu((x - mean) / torch.sqrt(variance + norm.eps) * weight + bias)


def test_dec6_has_an_aspp_in_place_of_the_first_convolution():
    """Features of a dilated encoder: two of them are at stride 16."""
    channels = (3, 4, 5, 6, 7)
    head = build(
        in_channels=channels, channels=(64, 128, 128, 256, 256), aspp_dilations=(6, 12, 18)
    )
    assert [module[0].out_channels for module in head.after] == [256, 256, 128, 128, 64]
    aspp = head.before[0]
    kernels = [branch.conv for branch in aspp.branches]
    assert [k.kernel_size[0] for k in kernels] == [1, 3, 3, 3]
    assert [k.dilation[0] for k in kernels] == [1, 6, 12, 18]
    assert aspp.project[1].p == 0.5

    encoded = features(channels)
    encoded[4] = torch.rand(2, 7, *encoded[3].shape[2:]).double()
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    x = encoded[4]
    pooled = normalized(aspp.image_pooling[1], x.mean((2, 3), keepdim=True)).expand(-1, -1, 4, 6)
    branches = [normalized(branch, x) for branch in aspp.branches]
    expected = normalized(aspp.project[0], torch.cat([*branches, pooled], dim=1))
    seen = []
    head.after[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    assert head(encoded)[0].shape == (2, 1, 64, 96)
    torch.testing.assert_close(seen[0], torch.cat([expected, encoded[3]], dim=1))


def test_dec6_cannot_be_trained_with_one_image_per_process():
    head = build(in_channels=(4, 5), channels=(2, 2, 2, 2, 2), aspp_dilations=(1,)).train()
    with pytest.raises(ValueError, match='train_dataloader.batch_size to 2'):
        head([feature[:1] for feature in features((4, 5))])
    head.eval()([feature[:1] for feature in features((4, 5))])


def test_sizes_that_are_no_multiple_of_32():
    """Sizes such as 1920x1080, where the encoder rounds the size of its features."""
    channels = (3, 4, 5, 6, 7)
    head = build(in_channels=channels, channels=(2, 3, 4, 5, 6))
    sizes = [(50, 65), (25, 33), (13, 17), (7, 9), (4, 5)]
    encoded = [torch.rand(1, c, *size).double() for c, size in zip(channels, sizes, strict=True)]
    assert [tuple(d.shape[2:]) for d in head(encoded)] == [(100, 130), *sizes[:3]]


def test_too_small_images_are_an_error():
    head = build(in_channels=(3, 4, 5, 6, 7))
    with pytest.raises(ValueError, match='3x1.*at least 64x64'):
        head(features((3, 4, 5, 6, 7), size=(32, 96)))


@pytest.mark.parametrize('options', [dict(in_channels=(3,)), dict(channels=(1, 2, 3, 4))])
def test_wrong_arguments(options):
    with pytest.raises(ValueError, match='fine to coarse'):
        build(**(dict(in_channels=(3, 4, 5, 6, 7)) | options))


def test_the_disparity_to_begin_with():
    head = build(in_channels=(32, 32, 64, 128, 256), initial_disparity=0.01)
    head.init_weights()
    for disparity in head(features((32, 32, 64, 128, 256))):
        assert disparity.min() > 0.005 and disparity.max() < 0.02
    with pytest.raises(ValueError, match='initial_disparity'):
        build(in_channels=(32, 32, 64, 128, 256), initial_disparity=1.0)


def test_the_sigmoid_is_not_saturated_at_the_start():
    """In a saturated sigmoid nothing is learned: the gradient of the disparity is d (1 - d)."""
    head = build(in_channels=(32, 32, 64, 128, 256))
    head.init_weights()
    for disparity in head(features((32, 32, 64, 128, 256))):
        assert disparity.min() > 0.2 and disparity.max() < 0.8
