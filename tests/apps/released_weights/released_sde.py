# Licensed under the Apache License 2.0, see LICENSE.
"""The released networks of self-supervised depth as plain PyTorch, independent of the package and
of MMSeg, with the names of the released files. ``width`` scales the ResNet, as in
:mod:`.released_networks`."""

import torch
import torch.nn.functional as F
from torch import nn

from tests.apps.released_weights.released_networks import RESNET_101

DEC6 = dict(channels=(256, 256, 128, 128, 64), rates=(6, 12, 18), norm=False)
DEC9 = dict(channels=(256, 128, 128, 64, 64), rates=(6, 12, 18), norm=True)
DEC11 = dict(channels=(256, 128, 64, 32, 16), rates=(3, 6, 9), norm=False)
FIRST = {4: 0, 3: 3, 2: 6, 1: 9, 0: 12}  # number of block a by stage
SECOND = {4: 2, 3: 5, 2: 8, 1: 11, 0: 13}


class Residual(nn.Module):
    """A block of torchvision's ResNet; with a bottleneck the stride is in the 3x3."""

    def __init__(self, in_channels, channels, stride, dilation, bottleneck):
        super().__init__()
        out = 4 * channels if bottleneck else channels
        threes = dict(stride=stride, padding=dilation, dilation=dilation, bias=False)
        if bottleneck:
            self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
            self.conv2 = nn.Conv2d(channels, channels, 3, **threes)
            self.conv3 = nn.Conv2d(channels, out, 1, bias=False)
            self.bn3 = nn.BatchNorm2d(out)
        else:
            self.conv1 = nn.Conv2d(in_channels, channels, 3, **threes)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)
        if stride > 1 or in_channels != out:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out, 1, stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        if hasattr(self, 'conv3'):
            y = self.bn3(self.conv3(F.relu(y)))
        return F.relu(y + (self.downsample(x) if hasattr(self, 'downsample') else x))


class ResNet(nn.Module):
    """Five features: stem, then the stages. ``dilated``: output stride 16."""

    def __init__(self, width=64, blocks=RESNET_101, bottleneck=True, dilated=True, images=1):
        super().__init__()
        self.conv1 = nn.Conv2d(3 * images, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.channels = [width]
        for stage, number in enumerate(blocks):
            wide = dilated and stage == 3
            stride = 2 if stage and not wide else 1
            planes = width * 2**stage
            out = planes * (4 if bottleneck else 1)
            first = Residual(self.channels[-1], planes, stride, 1, bottleneck)
            others = [
                Residual(out, planes, 1, 2 if wide else 1, bottleneck) for _ in range(number - 1)
            ]
            layers = [first, *others]
            setattr(self, f'layer{stage + 1}', nn.Sequential(*layers))
            self.channels.append(out)

    def forward(self, image):
        features = [F.relu(self.bn1(self.conv1(image)))]
        x = F.max_pool2d(features[0], 3, 2, 1)
        for stage in range(1, 5):
            x = getattr(self, f'layer{stage}')(x)
            features.append(x)
        return features


class Conv3x3(nn.Module):
    def __init__(self, in_channels, channels):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3)

    def forward(self, x):
        return self.conv(F.pad(x, (1, 1, 1, 1), mode='reflect'))


class Block(nn.Module):
    def __init__(self, in_channels, channels, norm):
        super().__init__()
        norms = [nn.BatchNorm2d(channels)] if norm else []
        self.block = nn.Sequential(Conv3x3(in_channels, channels), *norms, nn.ELU())

    def forward(self, x):
        return self.block(x)


class ASPP(nn.Module):
    """DeepLab-v3's, without its dropout, which a comparison cannot have."""

    def __init__(self, in_channels, channels, rates):
        super().__init__()

        def layers(kernel=1, rate=1, inputs=in_channels):
            padding = 0 if kernel == 1 else rate
            conv = nn.Conv2d(inputs, channels, kernel, 1, padding, rate, bias=False)
            return conv, nn.BatchNorm2d(channels), nn.ReLU()

        branches = [layers(), *(layers(3, rate) for rate in rates)]
        pooling = nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers())
        self.convs = nn.ModuleList([*(nn.Sequential(*one) for one in branches), pooling])
        self.project = nn.Sequential(*layers(inputs=5 * channels))

    def forward(self, x):
        *maps, pooled = [branch(x) for branch in self.convs]
        pooled = F.interpolate(pooled, x.shape[2:], mode='bilinear', align_corners=False)
        return self.project(torch.cat([*maps, pooled], 1))


class Decoder(nn.Module):
    def __init__(self, encoder_channels, channels, rates, norm):
        super().__init__()
        self.decoder = nn.ModuleList(nn.Identity() for _ in range(18))
        width = encoder_channels[-1]
        for stage, out in zip((4, 3, 2, 1, 0), channels, strict=True):
            first = ASPP(width, out, rates) if stage == 4 else Block(width, out, norm)
            skip = encoder_channels[stage - 1] if stage else 0
            self.decoder[FIRST[stage]] = first
            self.decoder[SECOND[stage]] = Block(out + skip, out, norm)
            width = out
            if stage < 4:
                self.decoder[14 + stage] = Conv3x3(out, 1)

    def stages(self, features, numbers, x):
        outputs = {}
        for stage in numbers:
            x = self.decoder[FIRST[stage]](x)
            if stage == 0 or x.shape[3] < features[stage - 1].shape[3]:
                x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            if stage:
                x = torch.cat([x, features[stage - 1]], 1)
            x = outputs[stage] = self.decoder[SECOND[stage]](x)
        return outputs

    def disparity(self, scale, x):
        return torch.sigmoid(self.decoder[14 + scale](x))


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.attention = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        return self.conv(x) * torch.sigmoid(self.attention(x))


class MultiTask(nn.Module):
    def __init__(self, encoder_channels, num_classes, **decoder):
        super().__init__()
        self.depth_dec = Decoder(encoder_channels, **decoder)
        self.seg_dec = Decoder(encoder_channels, **decoder)
        *_, exchanged, _, last = decoder['channels']
        self.sa_depth, self.sa_seg = Attention(exchanged), Attention(exchanged)
        self.seg_intermediate_head = nn.Sequential(nn.Conv2d(exchanged, num_classes, 1))
        self.seg_final_head = nn.Sequential(nn.Conv2d(last, num_classes, 1))

    def forward(self, features):
        depth = self.depth_dec.stages(features, (4, 3, 2), features[-1])
        seg = self.seg_dec.stages(features, (4, 3, 2), features[-1])
        old_depth, old_seg = depth[2], seg[2]
        new_seg = old_seg + self.sa_depth(old_depth)
        new_depth = old_depth + self.sa_seg(old_seg)
        depth |= self.depth_dec.stages(features, (1, 0), new_depth)
        seg |= self.seg_dec.stages(features, (1, 0), new_seg)
        outputs = {f'disparity_{s}': self.depth_dec.disparity(s, depth[s]) for s in range(4)}
        side = self.seg_intermediate_head(old_seg)
        return outputs | dict(seg=self.seg_final_head(seg[0]), side_seg=side)


class Segmentation(nn.Module):
    def __init__(self, encoder_channels, num_classes, student, **decoder):
        super().__init__()
        self.student = student
        self.unet_dec = Decoder(encoder_channels, **decoder)
        width = decoder['channels'][3 if student else 4]
        project = nn.Sequential(nn.Conv2d(width, width, 1, bias=False))
        self.project = nn.ModuleDict({'seg8' if student else 'seg9': project})
        classifier = nn.Conv2d(width, num_classes, 1)
        layers = [nn.Identity(), nn.Identity(), classifier]
        if student:
            three = nn.Conv2d(width, width, 3, padding=1, bias=False)
            norm = nn.BatchNorm2d(width)
            layers = [nn.Identity(), three, norm, nn.ReLU(), nn.Identity(), classifier]
        self.head = nn.Sequential(*layers)

    def forward(self, features):
        outputs = self.unet_dec.stages(features, (4, 3, 2, 1, 0), features[-1])
        if not self.student:
            return dict(seg=self.head(self.project['seg9'](outputs[0])))
        logits = self.head(self.project['seg8'](outputs[1]))
        size = [2 * side for side in logits.shape[2:]]
        return dict(seg=F.interpolate(logits, size, mode='bilinear', align_corners=False))


class Pose(nn.Module):
    def __init__(self, in_channels, channels=256):
        super().__init__()
        sizes = ((in_channels, channels, 1), *[(channels, channels, 3)] * 2, (channels, 12, 1))
        self.net = nn.ModuleList(nn.Conv2d(i, o, k, padding=k // 2) for i, o, k in sizes)

    def forward(self, x):
        for conv in self.net[:3]:
            x = F.relu(conv(x))
        return 0.01 * self.net[3](x).mean((2, 3))


class Nested(nn.Module):
    """What puts ``encoder.`` before the names of a ResNet."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder


class Released(nn.Module):
    """``kind``: 'depth', 'depth_dec11', 'seg', 'student' or 'multi_task'."""

    def __init__(self, kind, num_classes=19, width=64, blocks=None, divided_by=1):
        super().__init__()
        student = kind == 'student'
        decoder = dict(student=DEC9, depth_dec11=DEC11).get(kind, DEC6)
        decoder = decoder | dict(channels=tuple(c // divided_by for c in decoder['channels']))
        blocks = blocks or ((3, 4, 6, 3) if student else RESNET_101)
        resnet = ResNet(width, blocks, dilated=kind != 'depth_dec11')
        self.encoder = Nested(resnet)
        if kind in ('seg', 'student'):
            self.segmentation = Segmentation(resnet.channels, num_classes, student, **decoder)
        elif kind == 'multi_task':
            self.mtl_decoder = MultiTask(resnet.channels, num_classes, **decoder)
        else:
            self.depth = Decoder(resnet.channels, **decoder)
        if kind not in ('seg', 'student'):
            pair = ResNet(width, (2, 2, 2, 2), bottleneck=False, dilated=False, images=2)
            self.pose_encoder = Nested(pair)
            self.pose = Pose(pair.channels[-1], 256 // divided_by)

    def forward(self, image):
        features = self.encoder.encoder(image)
        if hasattr(self, 'segmentation'):
            return self.segmentation(features)
        if hasattr(self, 'mtl_decoder'):
            return self.mtl_decoder(features)
        outputs = self.depth.stages(features, (4, 3, 2, 1, 0), features[-1])
        return {f'disparity_{s}': self.depth.disparity(s, outputs[s]) for s in range(4)}

    def motion(self, first, second):
        return self.pose(self.pose_encoder.encoder(torch.cat([first, second], 1))[-1])
