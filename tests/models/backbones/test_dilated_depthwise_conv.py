# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_depthuda.models.backbones import DilatedDepthwiseConv2d

SIDES = st.integers(1, 9)


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.sampled_from([1, 3, 5]), st.integers(1, 4), st.booleans())
def test_equals_the_plain_convolution(height, width, kernel, dilation, bias):
    padding = dilation * (kernel // 2)
    arguments = dict(padding=padding, dilation=dilation, groups=3, bias=bias)
    layer = DilatedDepthwiseConv2d(3, 3, kernel, **arguments).double()
    x = torch.randn(2, 3, height, width, dtype=torch.float64, requires_grad=True)
    result = layer(x)
    expected = F.conv2d(x, layer.weight, layer.bias, 1, padding, dilation, 3)
    torch.testing.assert_close(result, expected)
    wanted = (x, *layer.parameters())
    direction = torch.randn_like(expected)
    for found, plain in zip(
        torch.autograd.grad(result, wanted, direction),
        torch.autograd.grad(expected, wanted, direction),
        strict=True,
    ):
        torch.testing.assert_close(found, plain)


@pytest.mark.parametrize(
    'arguments', [dict(groups=1), dict(groups=4, stride=2), dict(groups=4, padding=1)]
)
def test_refuses_what_would_change_the_size_or_mix_channels(arguments):
    with pytest.raises(ValueError, match='needs groups=4, stride=1 and padding=2'):
        DilatedDepthwiseConv2d(4, 4, 3, dilation=2, **{'padding': 2, **arguments})
