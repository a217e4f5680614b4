# Licensed under the Apache License 2.0, see LICENSE.
"""What the tensors of released checkpoints are called there, and what they are called here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


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
    """

    title: str
    config: str
    signature: str
    prefixes: Mapping[str, str]
    other_configs: Mapping[int, str] = field(default_factory=dict)
    unused: Collection[str] = ()
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

DEEPLAB_INIT_PREFIX = 'Scale.'
"""Stands before every name of the ImageNet-only initialization."""
DEEPLAB_INIT_CLASSIFIER = tuple(
    f'layer5.conv2d_list.{branch}.{parameter}'
    for branch in range(4)
    for parameter in ('weight', 'bias')
)
"""The 21-class DeepLab classifier that initializations carry and that nothing here starts from."""
