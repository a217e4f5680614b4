# Licensed under the Apache License 2.0, see LICENSE.
"""The released networks as plain PyTorch, independent of the package and of MMSeg.

Attributes are named so that the state dicts have the names of the released checkpoints. ``width``
scales the channels, ``blocks`` the depth; the defaults are the released ResNet-101.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

RESNET_101 = (3, 4, 23, 3)


class Bottleneck(nn.Module):
    """Caffe style: the stride sits in the first 1x1 convolution."""

    def __init__(self, in_channels, channels, stride=1, dilation=1, project=False):
        super().__init__()
        out_channels = 4 * channels
        self.conv1 = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        if project:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + (self.downsample(x) if hasattr(self, 'downsample') else x))


class Classifier(nn.Module):
    """Four dilated convolutions, of which DACS and CorDA sum the first two."""

    def __init__(self, in_channels, out_channels, num_summed=2):
        super().__init__()
        self.num_summed = num_summed
        self.conv2d_list = nn.ModuleList(
            nn.Conv2d(in_channels, out_channels, 3, padding=d, dilation=d) for d in (6, 12, 18, 24)
        )

    def forward(self, x):
        return sum(conv(x) for conv in self.conv2d_list[: self.num_summed])


class ResNet(nn.Module):
    def __init__(self, width=64, blocks=RESNET_101):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        in_channels = width
        for stage, (stride, dilation) in enumerate([(1, 1), (2, 1), (1, 2), (1, 4)]):
            channels = width * 2**stage
            first = Bottleneck(in_channels, channels, stride, dilation, project=True)
            in_channels = 4 * channels
            others = [
                Bottleneck(in_channels, channels, 1, dilation) for _ in range(blocks[stage] - 1)
            ]
            setattr(self, f'layer{stage + 1}', nn.Sequential(first, *others))
        self.out_channels = in_channels

    def stage_3(self, image):
        x = F.relu(self.bn1(self.conv1(image)))
        x = F.max_pool2d(x, 3, 2, 1, ceil_mode=True)
        return self.layer3(self.layer2(self.layer1(x)))

    def features(self, image):
        return self.layer4(self.stage_3(image))


class DACS(ResNet):
    def __init__(self, num_classes=19, **options):
        super().__init__(**options)
        self.layer5 = Classifier(self.out_channels, num_classes)

    def forward(self, image):
        return dict(seg=self.layer5(self.features(image)))


class AdvEnt(ResNet):
    def __init__(self, num_classes=16, multi_level=False, **options):
        super().__init__(**options)
        if multi_level:
            self.layer5 = Classifier(self.out_channels // 2, num_classes, num_summed=4)
        self.layer6 = Classifier(self.out_channels, num_classes, num_summed=4)

    def forward(self, image):
        low = self.stage_3(image)
        outputs = dict(seg=self.layer6(self.layer4(low)))
        if hasattr(self, 'layer5'):
            outputs['auxiliary_seg'] = self.layer5(low)
        return outputs


class DADA(ResNet):
    def __init__(self, num_classes=16, **options):
        super().__init__(**options)
        width = self.out_channels
        self.enc4_1 = nn.Conv2d(width, width // 4, 1)
        self.enc4_2 = nn.Conv2d(width // 4, width // 4, 3, padding=1)
        self.enc4_3 = nn.Conv2d(width // 4, width // 16, 1)
        self.dec4 = nn.Conv2d(width // 16, width, 1)
        self.layer6 = Classifier(width, num_classes, num_summed=4)

    def forward(self, image):
        features = self.features(image)
        encoding = self.enc4_3(F.relu(self.enc4_2(F.relu(self.enc4_1(features)))))
        return dict(
            seg=self.layer6(features * F.relu(self.dec4(encoding))),
            depth=encoding.mean(dim=1, keepdim=True),
        )


class DepthDistribution(ResNet):
    """``enc4`` is density here, ``enc5`` depth; ``enc4_4`` and ``dec4`` are never run."""

    def __init__(self, num_classes=16, **options):
        super().__init__(**options)
        width = self.out_channels
        for name in ('enc4', 'enc5'):
            setattr(self, f'{name}_1', nn.Conv2d(width, width // 4, 1))
            setattr(self, f'{name}_2', nn.Conv2d(width // 4, width // 4, 3, padding=1))
            setattr(self, f'{name}_3', nn.Conv2d(width // 4, width // 16, 1))
        self.enc4_4 = nn.Conv2d(width // 16, width // 128, 1)
        self.dec4 = nn.Conv2d(width // 16, width, 1)
        self.layer6 = Classifier(width, num_classes, num_summed=4)

    def forward(self, image):
        features = self.features(image)
        density = self.enc4_3(F.relu(self.enc4_2(F.relu(self.enc4_1(features)))))
        depth = self.enc5_3(F.relu(self.enc5_2(F.relu(self.enc5_1(features)))))
        return dict(
            seg=self.layer6(features),
            depth=depth.mean(dim=1, keepdim=True),
            density=density.mean(dim=1, keepdim=True),
        )


class DistilledTask(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.attention = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv(x) * torch.sigmoid(self.attention(x))


class InitialHeads(nn.Module):
    def __init__(self, in_channels, channels, num_classes, variant):
        super().__init__()
        self.variant = variant
        planes = channels // 4
        self.layers = nn.ModuleDict(
            {
                task: nn.Sequential(
                    Bottleneck(in_channels, planes, project=True), Bottleneck(channels, planes)
                )
                for task in 'SD'
            }
        )
        self.conv_out = nn.ModuleDict(
            dict(
                S=Classifier(in_channels, num_classes)
                if variant == 'gta'
                else nn.Conv2d(channels, num_classes, 1),
                D=nn.Conv2d(channels, 1, 1),
                D_src=nn.Conv2d(channels, 1, 1),
            )
        )


class Distillation(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.self_attention = nn.ModuleDict(
            {task: nn.ModuleDict({other: DistilledTask(channels)}) for task, other in ('SD', 'DS')}
        )


class CorDA(ResNet):
    """``variant``: 'gta' or 'synthia'."""

    def __init__(self, variant, num_classes=19, channels=256, **options):
        super().__init__(**options)
        self.initial_task_prediction_heads = InitialHeads(
            self.out_channels, channels, num_classes, variant
        )
        self.multi_modal_distillation = Distillation(channels)
        self.heads = nn.ModuleDict(
            dict(
                S=Classifier(channels, num_classes),
                D=Classifier(channels, 1),
                D_src=Classifier(channels, 1),
            )
        )

    def forward(self, image):
        features = self.features(image)
        initial = self.initial_task_prediction_heads
        seg, depth = (initial.layers[task](features) for task in 'SD')
        attention = self.multi_modal_distillation.self_attention
        distilled_seg = seg + attention['S']['D'](depth)
        distilled_depth = depth + attention['D']['S'](seg)
        return dict(
            initial_seg=initial.conv_out['S'](features if initial.variant == 'gta' else seg),
            initial_depth_source=initial.conv_out['D_src'](depth),
            initial_depth_target=initial.conv_out['D'](depth),
            seg=self.heads['S'](distilled_seg),
            depth_source=self.heads['D_src'](distilled_depth),
            depth_target=self.heads['D'](distilled_depth),
        )


def released_network(kind, **options):
    """Network of a released checkpoint: ``'gta'`` and ``'synthia'`` of CorDA, or the others."""
    others = dict(
        dacs=DACS,
        advent=AdvEnt,
        advent_multi_level=partial(AdvEnt, multi_level=True),
        dada=DADA,
        depth_distribution=DepthDistribution,
    )
    return others[kind](**options) if kind in others else CorDA(kind, **options)


def randomize(network, seed=0):
    """Weights and running statistics of which each matters to the outputs; in place."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if name.endswith('num_batches_tracked'):
            value.fill_(int(torch.randint(1, 1000, (), generator=generator)))
        elif value.dim() == 4:
            deviation = (value[0].numel() / 2) ** -0.5
            value.copy_(deviation * torch.randn(value.shape, generator=generator))
        else:  # of BatchNorm, or a bias
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network
