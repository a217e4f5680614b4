# Licensed under the Apache License 2.0, see LICENSE.
"""Optimisers of adversarial training: one for the segmentor, one for the discriminators."""

from __future__ import annotations

from mmengine.optim import OptimWrapper, OptimWrapperDict, build_optim_wrapper
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from mmseg_depthuda.models.wrappers.bare_model import bare_model

PARTS = ('segmentor', 'discriminator')


class CountedOptimWrapperDict(OptimWrapperDict):
    """MMEngine's wrappers by name, each of which knows how many iterations there are.

    MMEngine's own class leaves the count to its user. Without it a resumed run accumulates
    gradients over other iterations than an unbroken one, and those behind the last whole group are
    lost.
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


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class AdversarialOptimWrapperConstructor:
    """Build the optimisers of :class:`AdversarialSegmentor`.

    ``optim_wrapper.segmentor`` and ``optim_wrapper.discriminator`` are complete configs of
    MMEngine, each with an ``optimizer`` and perhaps a ``constructor`` and a ``paramwise_cfg``. What
    stands beside them (``type``, ``accumulative_counts``, ``clip_grad``, ``loss_scale``) is the
    default of both, so that MMSeg's ``--amp`` and overrides of one line reach both.

    Args:
        optim_wrapper_cfg (dict): See above.
        paramwise_cfg (dict, optional): Not taken here: it belongs to one of the two.

    Raises:
        ValueError: One of the two is missing or has no optimiser, or ``paramwise_cfg`` is given.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None) -> None:
        missing = [name for name in PARTS if 'optimizer' not in (optim_wrapper_cfg.get(name) or {})]
        if missing:
            raise ValueError(
                f'optim_wrapper has no optimiser for the {" and the ".join(missing)}. Adversarial '
                'training needs both: set '
                + ' and '.join(f'optim_wrapper.{name}.optimizer' for name in missing)
                + ', for example dict(type="Adam", lr=1e-4, betas=(0.9, 0.99)).'
            )
        if paramwise_cfg is not None:
            raise ValueError(
                'optim_wrapper.paramwise_cfg is ambiguous here: set it in optim_wrapper.segmentor '
                'or optim_wrapper.discriminator'
            )
        shared = {key: value for key, value in optim_wrapper_cfg.items() if key not in PARTS}
        shared.setdefault('type', 'OptimWrapper')
        self.configs = {name: shared | dict(optim_wrapper_cfg[name]) for name in PARTS}

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Build both over the parts of a model.

        Args:
            model (nn.Module): An :class:`AdversarialSegmentor`, possibly in MMEngine's separate
                distributed wrapper.

        Returns:
            OptimWrapperDict: ``segmentor`` for everything but the ``discriminators``,
            ``discriminator`` for those.

        Raises:
            ValueError: The model has no ``discriminators``.
        """
        model = bare_model(model)
        if not hasattr(model, 'discriminators'):
            raise ValueError(
                f'{type(model).__name__} has no discriminators: AdversarialOptimWrapperConstructor '
                'goes with AdversarialSegmentor'
            )
        # Parameter names without those of distributed wrappers, by which constructors choose rates.
        parts = {name: bare_model(module) for name, module in model.named_children()}
        discriminators = parts.pop('discriminators')
        built: dict[str, OptimWrapper] = dict(
            segmentor=build_optim_wrapper(_Parts(parts), self.configs['segmentor']),
            discriminator=build_optim_wrapper(discriminators, self.configs['discriminator']),
        )
        return CountedOptimWrapperDict(**built)


class _Parts(nn.Module):
    """Some parts of a model under their own names."""

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, module in parts.items():
            self.add_module(name, module)
