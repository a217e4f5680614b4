# Licensed under the Apache License 2.0, see LICENSE.
"""The ResNet that DeepLab-v2, and with it DACS, CorDA, AdvEnt and DADA, are built on."""

from mmseg.models.backbones import ResNet
from mmseg.registry import MODELS


@MODELS.register_module()
class DeepLabV2ResNet(ResNet):
    """MMSeg's ResNet in the Caffe layout of DeepLab-v2.

    The stride of a bottleneck sits in its first 1x1 convolution, stages 3 and 4 are dilated by 2
    and 4 in *every* block (output stride 8), the affine parameters of BatchNorm are frozen while
    its running statistics are updated, and the max pooling rounds up: a 512x512 image gives 65x65
    features, where MMSeg's ``ResNet`` gives 64x64. Parameter names are torchvision's.

    Args:
        depth (int): Depth of the network. Defaults to 101.
        strides (Sequence[int]): Stride of each stage. Defaults to (1, 2, 1, 1).
        dilations (Sequence[int]): Dilation of each stage. Defaults to (1, 1, 2, 4).
        style (str): ``'caffe'`` strides in the first 1x1 convolution, ``'pytorch'`` in the 3x3.
            Defaults to 'caffe'.
        norm_cfg (dict): Normalisation. Defaults to BatchNorm with frozen affine parameters.
        zero_init_residual (bool): Start the last normalisation of every block at 0. Defaults to
            False: frozen there, it would silence every block of a network trained from scratch.
        **kwargs: The other arguments of :class:`mmseg.models.backbones.ResNet`.

    Source: Chen et al., "DeepLab", TPAMI 2017; released implementations of DACS and CorDA.
    """

    def __init__(
        self,
        depth=101,
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        style='caffe',
        norm_cfg=dict(type='BN', requires_grad=False),
        zero_init_residual=False,
        **kwargs,
    ):
        super().__init__(
            depth=depth,
            strides=strides,
            dilations=dilations,
            style=style,
            norm_cfg=norm_cfg,
            contract_dilation=False,
            zero_init_residual=zero_init_residual,
            **kwargs,
        )
        self.maxpool.ceil_mode = True
