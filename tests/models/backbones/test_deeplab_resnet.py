# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from mmseg_depthuda.models.backbones import DeepLabV2ResNet

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}


def build(depth=101, device='meta', **options):
    with torch.device(device):
        return MODELS.build(dict(type='DeepLabV2ResNet', depth=depth, **options))


@pytest.mark.parametrize(
    ('size', 'feature_size'), [((512, 512), (65, 65)), ((760, 1280), (96, 161))]
)
def test_published_feature_sizes(size, feature_size):
    features = build()(torch.empty(1, 3, *size, device='meta'))
    assert [f.shape[1] for f in features] == [256, 512, 1024, 2048]
    assert features[-1].shape[2:] == feature_size


@pytest.mark.parametrize('depth', [50, 101])
def test_bottlenecks_stride_in_the_first_convolution_and_dilate_in_every_block(depth):
    net = build(depth)
    for stage, (stride, dilation) in enumerate([(1, 1), (2, 1), (1, 2), (1, 4)], start=1):
        layer = getattr(net, f'layer{stage}')
        assert len(layer) == BLOCKS[depth][stage - 1]
        for index, block in enumerate(layer):
            assert block.conv1.stride == ((stride,) * 2 if index == 0 else (1, 1))
            assert block.conv2.stride == (1, 1)
            assert block.conv2.dilation == block.conv2.padding == (dilation, dilation)
            assert block.conv3.stride == (1, 1)


def test_basic_blocks_have_the_same_output_stride():
    net = build(18)
    features = net(torch.empty(1, 3, 512, 512, device='meta'))
    assert features[-1].shape == (1, 512, 65, 65)
    assert {block.conv1.dilation for block in net.layer3} == {(2, 2)}
    assert {block.conv1.dilation for block in net.layer4} == {(4, 4)}


def torchvision_names(depth):
    """State-dict keys of torchvision's ResNet without its classifier, in any order."""

    def norm(prefix):
        fields = ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')
        return {f'{prefix}.{field}' for field in fields}

    names = {'conv1.weight'} | norm('bn1')
    convolutions, expansion = (2, 1) if depth == 18 else (3, 4)
    channels = 64
    for stage, blocks in enumerate(BLOCKS[depth], start=1):
        planes = 64 * 2 ** (stage - 1)
        for block in range(blocks):
            prefix = f'layer{stage}.{block}'
            for i in range(1, convolutions + 1):
                names |= {f'{prefix}.conv{i}.weight'} | norm(f'{prefix}.bn{i}')
            if block == 0 and (stage > 1 or channels != planes * expansion):
                names |= {f'{prefix}.downsample.0.weight'} | norm(f'{prefix}.downsample.1')
            channels = planes * expansion
    return names


@pytest.mark.parametrize('depth', [18, 50, 101])
def test_parameters_are_named_as_torchvision_names_them(depth):
    assert set(build(depth).state_dict()) == torchvision_names(depth)


def test_frozen_affine_parameters_but_running_statistics():
    net = build(18, device='cpu', base_channels=8, stem_channels=8)
    net.train()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 20
    assert not any(p.requires_grad for norm in norms for p in norm.parameters())
    assert all(norm.training for norm in norms)

    torch.manual_seed(0)
    images = torch.randn(2, 3, 32, 48)
    net(images)[-1].sum().backward()
    stem = torch.nn.functional.conv2d(images, net.conv1.weight, stride=2, padding=3)
    torch.testing.assert_close(net.bn1.running_mean, 0.1 * stem.mean(dim=(0, 2, 3)))
    variance = stem.var(dim=(0, 2, 3), correction=1)
    torch.testing.assert_close(net.bn1.running_var, 0.9 + 0.1 * variance)
    assert net.conv1.weight.grad is not None
    assert all(norm.weight.grad is None for norm in norms)


@pytest.mark.parametrize('depth', [18, 50])
def test_from_scratch_every_convolution_learns(depth):
    torch.manual_seed(0)
    net = build(depth, device='cpu', base_channels=8, stem_channels=8)
    net.init_weights()
    net.train()
    net(torch.randn(2, 3, 32, 48))[-1].square().sum().backward()
    silent = [n for n, p in net.named_parameters() if p.requires_grad and not p.grad.any()]
    assert not silent


def test_pooling_differs_from_mmseg_only_in_rounding():
    ours = DeepLabV2ResNet(depth=18, base_channels=8, stem_channels=8, style='pytorch')
    theirs = MODELS.build(
        dict(
            type='ResNet',
            depth=18,
            base_channels=8,
            stem_channels=8,
            strides=(1, 2, 1, 1),
            dilations=(1, 1, 2, 4),
        )
    )
    theirs.load_state_dict(ours.state_dict())
    odd, even = torch.randn(1, 3, 61, 61), torch.randn(1, 3, 64, 64)
    # 61 -> 31 after the stem: the pooling has nothing to round, so both networks agree.
    ours.eval()
    theirs.eval()
    for a, b in zip(ours(odd), theirs(odd), strict=True):
        torch.testing.assert_close(a, b)
    assert ours(even)[0].shape[2:] == (17, 17)
    assert theirs(even)[0].shape[2:] == (16, 16)


# -- initialization from a file --------------------------------------------------------------------


def tiny(checkpoint=None):
    init_cfg = checkpoint and dict(type='Pretrained', checkpoint=str(checkpoint))
    return build(18, device='cpu', base_channels=8, stem_channels=8, init_cfg=init_cfg)


def test_starts_from_the_file(tmp_path):
    torch.manual_seed(0)
    state = {
        name: torch.rand_like(value)
        for name, value in tiny().state_dict().items()
        if 'num_batches_tracked' not in name
    }
    torch.save(state | {'fc.weight': torch.ones(3)}, tmp_path / 'init.pth')
    net = tiny(tmp_path / 'init.pth')
    net.init_weights()
    loaded = net.state_dict()
    assert state and all(torch.equal(loaded[name], value) for name, value in state.items())


def test_a_file_that_is_not_there_is_named_with_the_remedies(tmp_path):
    net = tiny(tmp_path / 'coco.pth')  # building alone needs no file
    net(torch.zeros(1, 3, 32, 32))
    message = r'no file .*coco\.pth.*deeplab_init_to_mmseg\.py.*DEEPLAB_INIT.*_imagenet'
    with pytest.raises(FileNotFoundError, match=message):
        net.init_weights()


@pytest.mark.parametrize('rename', [lambda n: f'Scale.{n}', lambda n: n.replace('layer4', 'top')])
def test_a_file_of_other_names_is_not_half_loaded(tmp_path, rename):
    state = {rename(name): value for name, value in tiny().state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'init.pth')
    net = tiny(tmp_path / 'init.pth')
    with pytest.raises(ValueError, match=r'init\.pth lacks \d+ tensors.*deeplab_init_to_mmseg'):
        net.init_weights()
