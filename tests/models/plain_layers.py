# Licensed under the Apache License 2.0, see LICENSE.
"""A second implementation of the layers of the two-task heads: functions of parameters by name."""

import torch.nn.functional as F


def norm_shapes(prefix, channels):
    return {f'{prefix}.weight': (channels,), f'{prefix}.bias': (channels,)}


def aspp_shapes(prefix, channels, out):
    shapes = {}
    for i in range(4):
        shapes[f'{prefix}.conv2d_list.{i}.weight'] = (out, channels, 3, 3)
        shapes[f'{prefix}.conv2d_list.{i}.bias'] = (out,)
    return shapes


def trunk_shapes(prefix, in_channels, channels):
    planes, shapes = channels // 4, {}
    for block, width_in in ((0, in_channels), (1, channels)):
        shapes[f'{prefix}.{block}.conv1.weight'] = (planes, width_in, 1, 1)
        shapes[f'{prefix}.{block}.conv2.weight'] = (planes, planes, 3, 3)
        shapes[f'{prefix}.{block}.conv3.weight'] = (channels, planes, 1, 1)
        for i, width in ((1, planes), (2, planes), (3, channels)):
            shapes |= norm_shapes(f'{prefix}.{block}.bn{i}', width)
    shapes[f'{prefix}.0.downsample.0.weight'] = (channels, in_channels, 1, 1)
    return shapes | norm_shapes(f'{prefix}.0.downsample.1', channels)


def norm(x, p, prefix):
    return F.batch_norm(x, None, None, p[f'{prefix}.weight'], p[f'{prefix}.bias'], True)


def bottleneck(x, p, prefix, project):
    y = F.relu(norm(F.conv2d(x, p[f'{prefix}.conv1.weight']), p, f'{prefix}.bn1'))
    y = F.relu(norm(F.conv2d(y, p[f'{prefix}.conv2.weight'], padding=1), p, f'{prefix}.bn2'))
    y = norm(F.conv2d(y, p[f'{prefix}.conv3.weight']), p, f'{prefix}.bn3')
    if project:
        x = norm(F.conv2d(x, p[f'{prefix}.downsample.0.weight']), p, f'{prefix}.downsample.1')
    return F.relu(x + y)


def trunk(x, p, prefix):
    return bottleneck(bottleneck(x, p, f'{prefix}.0', True), p, f'{prefix}.1', False)


def aspp(x, p, prefix, num_summed):
    return sum(
        F.conv2d(
            x,
            p[f'{prefix}.conv2d_list.{i}.weight'],
            p[f'{prefix}.conv2d_list.{i}.bias'],
            padding=dilation,
            dilation=dilation,
        )
        for i, dilation in enumerate((6, 12, 18, 24)[:num_summed])
    )


def pointwise(x, p, prefix):
    return F.conv2d(x, p[f'{prefix}.weight'], p[f'{prefix}.bias'])
