# Licensed under the Apache License 2.0, see LICENSE.
"""Optimizers of models of several parts, such as a segmentor and its discriminators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmseg_depthuda.models.wrappers.bare_model import bare_model

SEGMENTOR = 'segmentor'
"""The part of all modules that belong to no other part."""


class CountedOptimWrapperDict(OptimWrapperDict):
    """MMEngine's wrappers by name, each of which knows how many iterations there are.

    MMEngine's own class leaves the count to its user. Without the count a resumed run accumulates
    gradients over other iterations than an unbroken one, and the gradients after the last whole
    group are lost.
    """

    def initialize_count_status(self, model: nn.Module, cur_iter: int, max_iters: int) -> None:
        """Tell every wrapper where the training stands.

        Args:
            model (nn.Module): The model in training.
            cur_iter (int): Iterations done.
            max_iters (int): Iterations of the whole training.
        """
        for optim_wrapper in self.values():
            optim_wrapper.initialize_count_status(model, cur_iter, max_iters)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(
    name=['PartsOptimWrapperConstructor', 'AdversarialOptimWrapperConstructor']
)
class PartsOptimWrapperConstructor:
    """Build an optimizer for each part of a model.

    A model names its parts in ``parts``, part -> names of its modules. All other modules are the
    part ``segmentor``. :class:`AdversarialSegmentor` has the part ``discriminator``.

    ``optim_wrapper.PART`` is a complete config of MMEngine, with an ``optimizer`` and perhaps a
    ``constructor`` and a ``paramwise_cfg``. Keys beside the parts (``type``,
    ``accumulative_counts``, ``clip_grad``, ``loss_scale``) are defaults of all parts. So MMSeg's
    ``--amp``, or one override on the command line, changes all parts.

    Args:
        optim_wrapper_cfg (dict): See above.
        paramwise_cfg (dict, optional): Must be None: it belongs to one of the parts.

    Raises:
        ValueError: ``paramwise_cfg`` is given.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        if paramwise_cfg is not None:
            raise ValueError(
                'optim_wrapper.paramwise_cfg is ambiguous here: set it in optim_wrapper.segmentor '
                'or in that of another part'
            )
        self.config = dict(optim_wrapper_cfg)

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build the optimizers of the parts of a model.

        Args:
            model (nn.Module): With ``parts``, possibly in a distributed wrapper.

        Returns:
            OptimWrapperDict: By part.

        Raises:
            ValueError: The model has no parts, or a part has no optimizer.
        """
        model = bare_model(model)
        names = getattr(model, 'parts', None)
        if not names:
            raise ValueError(
                f'{type(model).__name__} has one part alone, and needs one optimizer. Leave out '
                'optim_wrapper.constructor, and set optim_wrapper.optimizer.'
            )
        parts = _modules_by_part(model, names)
        missing = [part for part in parts if 'optimizer' not in (self.config.get(part) or {})]
        if missing:
            raise ValueError(
                f'optim_wrapper has no optimizer for the {" and the ".join(missing)}. '
                f'{type(model).__name__} has the parts {", ".join(parts)}: set '
                + ' and '.join(f'optim_wrapper.{part}.optimizer' for part in missing)
                + ', for example dict(type="Adam", lr=1e-4, betas=(0.9, 0.99)).'
            )
        shared = {key: value for key, value in self.config.items() if key not in parts}
        shared.setdefault('type', 'OptimWrapper')
        built: dict[str, OptimWrapper] = {
            part: build_optim_wrapper(module, shared | dict(self.config[part]))
            for part, module in parts.items()
        }
        return CountedOptimWrapperDict(**built)


def _modules_by_part(model: nn.Module, names: Mapping[str, Sequence[str]]) -> dict[str, nn.Module]:
    """Modules by part, the segmentor first.

    Names of parameters start inside the module if a part has a single one, else at the model.
    """
    rest = dict(model.named_children())
    others = {}
    for part, modules in names.items():
        own = {name: rest.pop(name) for name in modules}
        others[part] = next(iter(own.values())) if len(own) == 1 else _Parts(own)
    return {SEGMENTOR: _Parts(rest), **others}


class _Parts(nn.Module):
    """Some parts of a model under their own names."""

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, module in parts.items():
            self.add_module(name, module)
