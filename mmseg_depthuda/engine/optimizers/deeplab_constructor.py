# Licensed under the Apache License 2.0, see LICENSE.
"""Parameter groups of the DeepLab-v2 schedule that DACS, CorDA, AdvEnt and DADA train with."""

from __future__ import annotations

import inspect

from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn

from mmseg_depthuda.models.wrappers.bare_model import bare_model


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DeepLabOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Backbone at the base learning rate, everything else at a multiple; few, large groups.

    ``paramwise_cfg`` takes two keys:

    * ``head_lr_mult`` (float, default 10): learning rate of whatever is not in ``model.backbone``,
      relative to the optimizer's ``lr``.
    * ``repeat_backbone`` (bool, default True): update each backbone parameter once per module of
      the backbone that contains it, as the released implementations do by listing it that often. In
      a ResNet: ``conv1`` 1, a convolution or normalization of a bottleneck 3 (stage, block, layer),
      ``downsample`` 4; heads 1. Needs :class:`RepeatedSGD`. False is the reading of the papers and
      works with any optimizer.

    Frozen parameters are left out. Groups are formed by learning rate and repeats (a ResNet under a
    head gives four), so that the optimizer's multi-tensor path has long lists to work on.

    Args:
        optim_wrapper_cfg (dict): Config of the optimizer wrapper with its ``optimizer``.
        paramwise_cfg (dict, optional): See above.

    Raises:
        ValueError: An unknown key in ``paramwise_cfg``, or an optimizer without an ``lr``.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        unknown = set(self.paramwise_cfg) - {'head_lr_mult', 'repeat_backbone'}
        if unknown:
            raise ValueError(
                f'optim_wrapper.paramwise_cfg has the unknown keys {sorted(unknown)}; '
                'DeepLabOptimWrapperConstructor takes head_lr_mult and repeat_backbone'
            )
        if self.base_lr is None:
            raise ValueError('optim_wrapper.optimizer must set lr, which head_lr_mult multiplies')
        self.head_lr_mult = float(self.paramwise_cfg.get('head_lr_mult', 10.0))
        self.repeat_backbone = bool(self.paramwise_cfg.get('repeat_backbone', True))

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer over a model and wrap it.

        Args:
            model (nn.Module): Segmentor with a ``backbone``, possibly in a distributed wrapper.

        Returns:
            OptimWrapper: Wrapper of the type that ``optim_wrapper_cfg`` names.

        Raises:
            AttributeError: The model has no ``backbone``.
            ValueError: The optimizer has no repeats but should, or no parameter is trainable.
        """
        model = bare_model(model)
        optimizer = OPTIMIZERS.build(dict(self.optimizer_cfg, params=self._param_groups(model)))
        wrapper_cfg = dict(self.optim_wrapper_cfg)
        wrapper_cfg.setdefault('type', 'OptimWrapper')
        return OPTIM_WRAPPERS.build(wrapper_cfg, default_args={'optimizer': optimizer})

    def _param_groups(self, model: nn.Module) -> list[dict]:
        """Group the trainable parameters by learning rate and repeats, in order of appearance."""
        if not hasattr(model, 'backbone'):
            raise AttributeError(
                f'{type(model).__name__} has no `backbone`, by which '
                'DeepLabOptimWrapperConstructor tells the two learning rates apart'
            )
        if self.repeat_backbone:
            self._require_repeats()
        groups: dict[tuple[float, int], list[nn.Parameter]] = {}
        for name, param in model.named_parameters():
            if not param.requires_grad:
                continue
            in_backbone = name.startswith('backbone.')
            lr = self.base_lr * (1.0 if in_backbone else self.head_lr_mult)
            # Each dot after `backbone.` is a module of the backbone that contains the parameter.
            repeats = name.count('.') - 1 if in_backbone and self.repeat_backbone else 1
            groups.setdefault((lr, max(repeats, 1)), []).append(param)
        if not groups:
            raise ValueError(f'no parameter of {type(model).__name__} is trainable')
        for (lr, repeats), params in groups.items():
            count = sum(param.numel() for param in params)
            print_log(f'Optimizer group: lr {lr:g}, repeats {repeats}, {count} weights', 'current')
        return [
            dict(params=params, lr=lr, **({'repeats': repeats} if self.repeat_backbone else {}))
            for (lr, repeats), params in groups.items()
        ]

    def _require_repeats(self) -> None:
        """Refuse an optimizer that would ignore the repeats, and so train at another rate."""
        name = self.optimizer_cfg['type']
        optimizer = OPTIMIZERS.get(name) if isinstance(name, str) else name
        if optimizer is None or 'repeats' not in inspect.signature(optimizer).parameters:
            raise ValueError(
                f'repeat_backbone needs an optimizer with `repeats`, not {name}; '
                "use type='RepeatedSGD', or set optim_wrapper.paramwise_cfg.repeat_backbone=False"
            )
