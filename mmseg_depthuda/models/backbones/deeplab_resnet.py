# Licensed under the Apache License 2.0, see LICENSE.
"""The ResNet that DeepLab-v2, and with it DACS, CorDA, AdvEnt and DADA, are built on."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader
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
        norm_cfg (dict): Normalization. Defaults to BatchNorm with frozen affine parameters.
        zero_init_residual (bool): Start the last normalization of every block at 0. Defaults to
            False: frozen there, it would silence every block of a network trained from scratch.
        **kwargs: The other arguments of :class:`mmseg.models.backbones.ResNet`.

    Source: Chen et al., "DeepLab", TPAMI 2017; released implementations of DACS and CorDA.
    """

    def __init__(
        self,
        depth: int = 101,
        strides: Sequence[int] = (1, 2, 1, 1),
        dilations: Sequence[int] = (1, 1, 2, 4),
        style: str = 'caffe',
        norm_cfg: dict = dict(type='BN', requires_grad=False),
        zero_init_residual: bool = False,
        **kwargs: Any,
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

    def init_weights(self) -> None:
        """Initialize the network, by a checkpoint where ``init_cfg`` names one. Inference and
        resumed weights do not come through here.

        Raises:
            FileNotFoundError: If the checkpoint is a local path at which there is no file.
            ValueError: If the local checkpoint lacks tensors of the backbone; MMEngine would leave
                them at random.
        """
        init_cfg = self.init_cfg if isinstance(self.init_cfg, dict) else {}
        checkpoint = init_cfg.get('checkpoint', '')
        if checkpoint and '://' not in checkpoint:
            self._check_checkpoint(Path(checkpoint).expanduser(), init_cfg.get('prefix'))
        super().init_weights()

    def _check_checkpoint(self, path: Path, prefix: str | None) -> None:
        if not path.is_file():
            raise FileNotFoundError(
                f'model.backbone.init_cfg.checkpoint: there is no file {path}, with which the '
                'training of the backbone starts. Write it with `python '
                'tools/model_converters/deeplab_init_to_mmseg.py RELEASED_FILE OUT` and name it in '
                'the environment variable DEEPLAB_INIT; or take a config that ends in `_imagenet`, '
                'which downloads its weights; or, if load_from names all weights, set '
                'model.backbone.init_cfg=None.'
            )
        if prefix is not None:  # MMEngine checks the names behind a prefix itself
            return
        found = CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
        found = {name.removeprefix('module.') for name in found.get('state_dict', found)}
        missing = [
            name
            for name in self.state_dict()
            # BatchNorm's counter came with PyTorch 0.4.1: older files do not have it.
            if name not in found and not name.endswith('num_batches_tracked')
        ]
        if missing:
            raise ValueError(
                f'model.backbone.init_cfg.checkpoint: {path} lacks {len(missing)} tensors of the '
                f'backbone, {missing[0]} the first; it begins with {sorted(found)[:3]}. Convert a '
                'released initialization with tools/model_converters/deeplab_init_to_mmseg.py.'
            )
