# Licensed under the Apache License 2.0, see LICENSE.
"""The ResNet of DeepLab-v2, which DACS, CorDA, AdvEnt and DADA use."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader
from mmseg.models.backbones import ResNet
from mmseg.registry import MODELS


@MODELS.register_module()
class DeepLabV2ResNet(ResNet):
    """MMSeg's ResNet in the Caffe layout of DeepLab-v2.

    It differs from MMSeg's ``ResNet`` in four ways:

    * A bottleneck has its stride in its first 1x1 convolution.
    * *Every* block of stages 3 and 4 is dilated, by 2 and 4. The output stride is 8.
    * The affine parameters of BatchNorm are frozen; its running statistics are updated.
    * The max pooling rounds up: a 512x512 image gives 65x65 features, not 64x64.

    Parameters have torchvision's names.

    Args:
        depth (int): Depth of the network. Defaults to 101.
        strides (Sequence[int]): Stride of each stage. Defaults to (1, 2, 1, 1).
        dilations (Sequence[int]): Dilation of each stage. Defaults to (1, 1, 2, 4).
        style (str): ``'caffe'`` strides in the first 1x1 convolution, ``'pytorch'`` in the 3x3.
            Defaults to 'caffe'.
        norm_cfg (dict): Normalization. Defaults to BatchNorm with frozen affine parameters.
        zero_init_residual (bool): Start the last normalization of every block at 0. Defaults to
            False. Its parameters are frozen here: at 0 the convolutions of a block would never have
            an effect in a network trained from scratch.
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
        """Initialize the network, from the checkpoint if ``init_cfg`` names one.

        It is not called for inference or when a run is resumed.

        Raises:
            FileNotFoundError: If the checkpoint is a local path at which there is no file.
            ValueError: If tensors of the backbone are missing in the local checkpoint. MMEngine
                would leave their random values.
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
        if prefix is not None:  # MMEngine itself checks the names after a prefix
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
                f'backbone, such as {missing[0]}; it has {sorted(found)[:3]} and so on. Convert a '
                'released initialization with tools/model_converters/deeplab_init_to_mmseg.py.'
            )
