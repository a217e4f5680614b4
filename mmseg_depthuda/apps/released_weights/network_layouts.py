# Licensed under the Apache License 2.0, see LICENSE.
"""What the tensors of released checkpoints are called there, and what they are called here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any


def _renamed(name: str, prefixes: Mapping[str, str]) -> str:
    """``name`` with its prefix replaced."""
    for prefix, replacement in prefixes.items():
        if name.startswith(f'{prefix}.'):
            return replacement + name[len(prefix) :]
    raise ValueError(f'the layout has no name for {name}, its prefixes are {", ".join(prefixes)}')


@dataclass(frozen=True)
class ReleasedLayout:
    """Names of a released network's tensors.

    Attributes:
        title (str): What the network is, for messages.
        config (str): The matching config within ``configs/``.
        signature (str): A released name by which a file is recognized; converters try their layouts
            in order. The first dimension of this tensor is the number of classes.
        prefixes (Mapping[str, str]): Released prefix to prefix here; all tensors are covered, each
            by one prefix.
        other_configs (Mapping[int, str]): Number of classes to config, where that is not
            ``config``.
        unused (Collection[str]): Released prefixes of layers that the file has and the released
            network never runs.
        settings (Mapping[str, Any]): What the config must be changed by to be this network, as in
            ``--cfg-options``.
    """

    title: str
    config: str
    signature: str
    prefixes: Mapping[str, str]
    other_configs: Mapping[int, str] = field(default_factory=dict)
    unused: Collection[str] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    _inverse: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, '_inverse', {new: old for old, new in self.prefixes.items()})

    def mmseg_name(self, released_name: str) -> str:
        """Name in this package; a ValueError if the layout has no such tensor."""
        return _renamed(released_name, self.prefixes)

    def released_name(self, mmseg_name: str) -> str:
        """Name in the released checkpoint; a ValueError if the layout has no such tensor."""
        return _renamed(mmseg_name, self._inverse)


_BACKBONE = {
    stage: f'backbone.{stage}' for stage in ('conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4')
}

DACS = ReleasedLayout(
    title='DACS',
    config='dacs/dacs_r101_gta2cs.py',
    signature='layer5.conv2d_list.0.weight',
    prefixes={**_BACKBONE, 'layer5': 'decode_head.classifier'},
)

_INITIAL = 'initial_task_prediction_heads'
_ATTENTION = 'multi_modal_distillation.self_attention'
# S: segmentation. D: depth, where there is one decoder per domain that of the target, D_src that of
# the source. `self_attention.S.D` is what segmentation takes from depth.
_CORDA = {
    **_BACKBONE,
    f'{_INITIAL}.layers.S': 'decode_head.seg_trunk',
    f'{_INITIAL}.layers.D': 'decode_head.depth_trunk',
    f'{_INITIAL}.conv_out.S': 'decode_head.initial_seg',
    f'{_INITIAL}.conv_out.D_src': 'decode_head.initial_depth.source',
    f'{_INITIAL}.conv_out.D': 'decode_head.initial_depth.target',
    f'{_ATTENTION}.S.D.attention.0': 'decode_head.seg_from_depth.attention',
    f'{_ATTENTION}.S.D.conv': 'decode_head.seg_from_depth.conv',
    f'{_ATTENTION}.D.S.attention.0': 'decode_head.depth_from_seg.attention',
    f'{_ATTENTION}.D.S.conv': 'decode_head.depth_from_seg.conv',
    'heads.S': 'decode_head.final_seg',
    'heads.D_src': 'decode_head.final_depth.source',
    'heads.D': 'decode_head.final_depth.target',
}
CORDA_GTA = ReleasedLayout(
    title='CorDA, GTA5 variant',
    config='corda/corda_r101_gta2cs.py',
    signature=f'{_INITIAL}.conv_out.S.conv2d_list.0.weight',
    prefixes=_CORDA,
)
CORDA_SYNTHIA = ReleasedLayout(
    title='CorDA, SYNTHIA variant',
    config='corda/corda_r101_syn2cs.py',
    signature=f'{_INITIAL}.conv_out.S.weight',
    prefixes=_CORDA,
)

ADVENT = ReleasedLayout(
    title='AdvEnt, single level',
    config='advent/advent_r101_syn2cs_16.py',
    other_configs={19: 'advent/advent_r101_gta2cs.py', 7: 'advent/advent_r101_syn2cs_7.py'},
    signature='layer6.conv2d_list.0.weight',
    prefixes={**_BACKBONE, 'layer6': 'decode_head.classifier'},
)
ADVENT_MULTI_LEVEL = ReleasedLayout(
    title='AdvEnt, multi-level',
    config='advent/advent_r101_syn2cs_16_multi_level.py',
    signature='layer5.conv2d_list.0.weight',
    prefixes={**ADVENT.prefixes, 'layer5': 'auxiliary_head.classifier'},
)
_BLOCK = 'decode_head.auxiliary_block'
DADA = ReleasedLayout(
    title='DADA',
    config='dada/dada_r101_syn2cs_16.py',
    other_configs={7: 'dada/dada_r101_syn2cs_7.py'},
    signature='layer6.conv2d_list.0.weight',
    prefixes={
        **_BACKBONE,
        'enc4_1': f'{_BLOCK}.encoder.0',
        'enc4_2': f'{_BLOCK}.encoder.2',
        'enc4_3': f'{_BLOCK}.encoder.4',
        'dec4': f'{_BLOCK}.decoder',
        'layer6': 'decode_head.classifier',
    },
)

DEPTH_DISTRIBUTION = ReleasedLayout(
    title='Depth distribution',
    config='depth_distribution/depth_distribution_r101_syn2cs_16.py',
    other_configs={7: 'depth_distribution/depth_distribution_r101_syn2cs_7.py'},
    signature='layer6.conv2d_list.0.weight',
    prefixes={
        **_BACKBONE,
        # What is depth in DADA is density here.
        'enc4_1': 'decode_head.density_branch.encoder.0',
        'enc4_2': 'decode_head.density_branch.encoder.2',
        'enc4_3': 'decode_head.density_branch.encoder.4',
        'enc5_1': 'decode_head.depth_branch.encoder.0',
        'enc5_2': 'decode_head.depth_branch.encoder.2',
        'enc5_3': 'decode_head.depth_branch.encoder.4',
        'layer6': 'decode_head.classifier',
    },
    unused=('enc4_4', 'dec4'),
)

# Self-supervised depth: the files `encoder`, `depth`, `pose_encoder` and `pose` of a depth network,
# put together as `encoder.NAME` and so on; the same names stand in the one file of a segmentation
# network.
SDE_DEPTH_FILES = ('encoder', 'depth')
SDE_POSE_FILES = ('pose_encoder', 'pose')


def _resnet(released: str, ours: str) -> dict[str, str]:
    stages = ('conv1', 'bn1', 'layer1', 'layer2', 'layer3', 'layer4')
    return {f'{released}.encoder.{stage}': f'{ours}.{stage}' for stage in stages}


def _unet_decoder(released: str, ours: str) -> dict[str, str]:
    """Layers 1, 4, 7 and 10 of the released decoder are without weights."""
    names = {
        f'0.convs.{branch}.{layer}': f'before.0.branches.{branch}.{name}'
        for branch in range(4)
        for layer, name in enumerate(('conv', 'bn'))
    }
    for layer, name in enumerate(('conv', 'bn')):
        names[f'0.convs.4.{1 + layer}'] = f'before.0.image_pooling.1.{name}'
        names[f'0.project.{layer}'] = f'before.0.project.0.{name}'
    blocks = {2: 'after.0', 3: 'before.1', 5: 'after.1', 6: 'before.2', 8: 'after.2'}
    blocks |= {9: 'before.3', 11: 'after.3', 12: 'before.4', 13: 'after.4'}
    for number, block in blocks.items():
        names[f'{number}.block.0.conv'] = f'{block}.0'
        names[f'{number}.block.1'] = f'{block}.1'
    for scale in range(4):
        names[f'{14 + scale}.conv'] = f'disparity.{3 - scale}'
    return {f'{released}.decoder.{old}': f'{ours}.{new}' for old, new in names.items()}


SDE_POSE = {
    **_resnet('pose_encoder', 'pose_net.backbone'),
    **{f'pose.net.{number}': f'pose_net.pose.{2 * number}' for number in range(4)},
}
SDE_DEPTH = ReleasedLayout(
    title='Self-supervised depth, dec5 or dec6',
    config='monodepth2/monodepth2_r101_cs.py',
    signature='depth.decoder.14.conv.weight',
    prefixes={
        **_resnet('encoder', 'backbone'),
        **_unet_decoder('depth', 'decode_head'),
        **SDE_POSE,
    },
)
SDE_DEPTH_DEC11 = ReleasedLayout(
    title='Self-supervised depth, dec11',
    config=SDE_DEPTH.config,
    signature=SDE_DEPTH.signature,
    prefixes=SDE_DEPTH.prefixes,
    settings={
        'model.backbone.strides': (1, 2, 2, 2),
        'model.backbone.dilations': (1, 1, 1, 1),
        'model.backbone.contract_dilation': False,
        'model.decode_head.channels': [16, 32, 64, 128, 256],
        'model.decode_head.aspp_dilations': [3, 6, 9],
    },
)
SDE_SEG = ReleasedLayout(
    title='Segmentation with the decoder of a depth network',
    config='semi_supervised/supervised_r101_cs.py',
    signature='segmentation.head.2.bias',
    prefixes={
        **_resnet('encoder', 'backbone'),
        **_unet_decoder('segmentation.unet_dec', 'decode_head.decoder'),
        'segmentation.project.seg9.0': 'decode_head.project',
        'segmentation.head.2': 'decode_head.classifier.0',
    },
)
SDE_STUDENT = ReleasedLayout(
    title='Student of the selection of images for annotation',
    config=SDE_SEG.config,
    signature='segmentation.head.5.bias',
    prefixes={
        **_resnet('encoder', 'backbone'),
        **_unet_decoder('segmentation.unet_dec', 'decode_head.decoder'),
        'segmentation.project.seg8.0': 'decode_head.project',
        'segmentation.head.1': 'decode_head.classifier.0',
        'segmentation.head.2': 'decode_head.classifier.1',
        'segmentation.head.5': 'decode_head.classifier.3',
    },
    settings={
        'model.backbone.depth': 50,
        'model.decode_head.channels': [64, 64, 128, 128, 256],
        'model.decode_head.decoder_norm_cfg': dict(type='BN'),
        'model.decode_head.stage': 1,
    },
)
SDE_MULTI_TASK = ReleasedLayout(
    title='Multi-task network (PAD)',
    config='_base_/models/sde_pad_r101.py',
    signature='mtl_decoder.seg_final_head.0.bias',
    prefixes={
        **_resnet('encoder', 'backbone'),
        **_unet_decoder('mtl_decoder.seg_dec', 'decode_head.seg_decoder'),
        **_unet_decoder('mtl_decoder.depth_dec', 'decode_head.depth_decoder'),
        'mtl_decoder.sa_depth': 'decode_head.seg_from_depth',
        'mtl_decoder.sa_seg': 'decode_head.depth_from_seg',
        'mtl_decoder.seg_intermediate_head.0': 'decode_head.side_classifier',
        'mtl_decoder.seg_final_head.0': 'decode_head.classifier',
        **SDE_POSE,
    },
    # The losses of a training; the network does not depend on them.
    settings={'model.decode_head.loss_weights': dict(source=dict(seg=0.5, side_seg=0.5))},
)

DEEPLAB_INIT_PREFIX = 'Scale.'
"""Stands before every name of the ImageNet-only initialization."""
DEEPLAB_INIT_CLASSIFIER = tuple(
    f'layer5.conv2d_list.{branch}.{parameter}'
    for branch in range(4)
    for parameter in ('weight', 'bias')
)
"""The 21-class DeepLab classifier that initializations carry and that nothing here starts from."""
