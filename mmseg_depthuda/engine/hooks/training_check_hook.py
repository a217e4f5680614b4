# Licensed under the Apache License 2.0, see LICENSE.
"""Model, data and optimiser compared before the first batch is read."""

from __future__ import annotations

from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import nn
from torch.utils.data import Dataset

from mmseg_depthuda.datasets.transforms import LoadInverseDepth
from mmseg_depthuda.models.wrappers import bare_model


@HOOKS.register_module()
class TrainingCheckHook(Hook):
    """Refuse, before a training begins, parts of a config that do not go together.

    * A head has another number of classes than the training data, or validation data other classes
      than the training data: MMSegmentation would train and score garbage, or stop within
      the first loss.
    * The head needs the depth of source images (:class:`DADAHead`), and the source has none.
    * The model learns from target images (AdvEnt, DADA, MinEnt), and the data have none.
    * The model has discriminators, and no optimiser is theirs.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Compare.

        Args:
            runner (Runner): Whose model, data and optimisers have been built.

        Raises:
            ValueError: Something does not fit; the message says what, and how to mend it.
        """
        model = bare_model(runner.model)
        heads = _heads(model)
        dataset = runner.train_dataloader.dataset
        classes = _classes(dataset)
        for name, head in heads:
            if classes and len(classes) != head.num_classes:
                raise ValueError(
                    f'model.{name}.num_classes is {head.num_classes}, but the training data have '
                    f'{len(classes)} classes: {list(classes)}. Set num_classes of all heads, or '
                    'the `protocol` of the datasets.'
                )
        if runner.val_loop is not None:
            validated = _classes(runner.val_loop.dataloader.dataset)
            if classes and validated and list(classes) != list(validated):
                raise ValueError(
                    f'training and validation have different classes, {list(classes)} and '
                    f'{list(validated)}. Give all datasets the same `protocol`.'
                )
        for _, head in heads:
            _check_depth(head, getattr(dataset, 'source', dataset))
        is_dict = isinstance(runner.optim_wrapper, OptimWrapperDict)
        if hasattr(model, 'discriminators') and not is_dict:
            raise ValueError(
                f'{type(model).__name__} has discriminators, but optim_wrapper builds a single '
                "optimiser. Set optim_wrapper.constructor='AdversarialOptimWrapperConstructor', "
                'optim_wrapper.segmentor and optim_wrapper.discriminator.'
            )
        learns_target = 'target' in getattr(model, 'trained_branches', ())
        if learns_target and isinstance(dataset, BaseDataset):
            raise ValueError(
                f'{type(model).__name__} learns from target images, but {type(dataset).__name__} '
                'has none. Take SourceTargetDataset as the training dataset.'
            )


def _heads(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Decode and auxiliary heads; MMSeg keeps several of a kind in a list."""
    named = []
    for name in ('decode_head', 'auxiliary_head'):
        part = bare_model(getattr(model, name, None))
        if part is not None:
            several = isinstance(part, nn.ModuleList)
            named += [(name, head) for head in (part if several else [part])]
    return named


def _classes(dataset: Dataset) -> tuple[str, ...]:
    return (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()


def _check_depth(head: nn.Module, source: Dataset) -> None:
    if not getattr(head, 'needs_source_depth', False) or not hasattr(source, 'get_data_info'):
        return
    steps = getattr(getattr(source, 'pipeline', None), 'transforms', [])
    loads = not steps or any(isinstance(step, LoadInverseDepth) for step in steps)
    if 'depth_map_path' not in source.get_data_info(0) or not loads:
        raise ValueError(
            f'{type(head).__name__} learns depth on the source, but {type(source).__name__} loads '
            'none. Set data_prefix.depth_map_path of the source dataset and put LoadInverseDepth '
            'into its pipeline.'
        )
