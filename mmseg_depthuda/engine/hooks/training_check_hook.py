# Licensed under the Apache License 2.0, see LICENSE.
"""Compares model, data and optimizer before the first batch is read."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import Runner
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import LoadAnnotations
from mmseg.registry import HOOKS
from torch import nn
from torch.utils.data import Dataset

from mmseg_depthuda.datasets import datasets_by_domain
from mmseg_depthuda.datasets.data_check import find_transform
from mmseg_depthuda.datasets.transforms import LoadInverseDepth, LoadLabels, LoadPseudoLabels
from mmseg_depthuda.engine.branch_checks import (
    check_branches,
    reached_parameters,
    report_unreached,
)
from mmseg_depthuda.models.decode_heads.head_contract import (
    branch_weights,
    check_head_data,
    heads_of,
)
from mmseg_depthuda.models.segmentors import UDASegmentor
from mmseg_depthuda.models.wrappers import bare_model

from .loop_arguments import DataBatch


@HOOKS.register_module()
class TrainingCheckHook(Hook):
    """Refuse, before a training begins, parts of a config that do not go together.

    * A head has another number of classes than the training data, or validation data other classes
      than the training data. MMSegmentation would train and score garbage, or fail inside the
      first loss.
    * The head needs the depth of source images (:class:`DADAHead`), and the source has none. Or
      the head or the segmentor refuses the data for a reason of its own
      (:class:`DepthDistributionHead`, :class:`MultiTaskUDASegmentor`).
    * A part of the model, such as discriminators, has no optimizer.
    * Nothing is learned from a branch, or nothing reads what a hook makes, see
      :func:`~mmseg_depthuda.engine.branch_checks.check_branches`.

    After the first iteration it names the parts that no loss has reached.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self._watch: ExitStack | None = None
        self._reached: set[str] = set()

    def before_train(self, runner: Runner) -> None:
        """Compare model, data and optimizer.

        Args:
            runner (Runner): Whose model, data and optimizers have been built.

        Raises:
            ValueError: Something does not fit; the message says what, and how to mend it.
        """
        model = bare_model(runner.model)
        heads = {name: bare_model(head) for name, head in heads_of(model).items()}
        dataset = runner.train_dataloader.dataset
        classes = _classes(dataset)
        for name, head in heads.items():
            number = getattr(head, 'num_classes', None)  # a depth decoder has none
            if classes and number is not None and len(classes) != number:
                raise ValueError(
                    f'model.{name}.num_classes is {number}, but the training data have '
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
        domains = datasets_by_domain(dataset)
        for head in heads.values():
            _check_depth(head, domains)
            if is_readable(dataset):
                unlabelled = getattr(model, 'unlabelled', ())
                check_head_data(head, {n: d for n, d in domains.items() if n not in unlabelled})
        parts = getattr(model, 'parts', None) or {}
        if parts and not isinstance(runner.optim_wrapper, OptimWrapperDict):
            raise ValueError(
                f'{type(model).__name__} has the parts segmentor and {" and ".join(parts)}, but '
                'optim_wrapper builds a single optimizer. Set '
                "optim_wrapper.constructor='PartsOptimWrapperConstructor', and an optimizer for "
                'each, optim_wrapper.segmentor and so on.'
            )
        if isinstance(model, UDASegmentor) and is_readable(dataset):
            model.check_data(domains)
            labelled = [name for name, own in domains.items() if _is_labelled(own)]
            check_branches(model, domains, labelled, runner.hooks)
        self._watch = ExitStack()
        self._reached = self._watch.enter_context(reached_parameters(model))

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: DataBatch = None,
        outputs: dict | None = None,
    ) -> None:
        """After the first iteration, name the parts that its losses did not reach."""
        if self._watch is None:
            return
        self._watch.close()
        self._watch = None
        report = report_unreached(bare_model(runner.model), self._reached)
        if report:
            runner.logger.warning(report)


def _classes(dataset: Dataset) -> tuple[str, ...]:
    return (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()


def is_readable(dataset: Dataset) -> bool:
    """Whether a dataset tells which files it loads before it loads them."""
    return all(hasattr(own, 'get_data_info') for own in datasets_by_domain(dataset).values())


def _is_labelled(dataset: BaseSegDataset) -> bool:
    info = dataset.get_data_info(0)
    return ('seg_map_path' in info and _loads(dataset, LoadLabels, LoadAnnotations)) or (
        'pseudo_label_path' in info and _loads(dataset, LoadPseudoLabels)
    )


def _loads(dataset: Dataset, *kinds: type) -> bool:
    steps = getattr(getattr(dataset, 'pipeline', None), 'transforms', [])
    return not steps or find_transform(dataset, kinds) is not None


def _check_depth(head: nn.Module, domains: Mapping[str, Dataset]) -> None:
    if not getattr(head, 'needs_depth', False):
        return
    for name, dataset in domains.items():
        weights = branch_weights(head)
        learns_depth = weights is None or 'depth' in weights.get(name, {})
        if not learns_depth or not hasattr(dataset, 'get_data_info'):
            continue
        if 'depth_map_path' not in dataset.get_data_info(0) or not _loads(
            dataset, LoadInverseDepth
        ):
            raise ValueError(
                f'{type(head).__name__} learns depth on the {name}, but {type(dataset).__name__} '
                f'loads none. Set data_prefix.depth_map_path of the {name} dataset and put '
                'LoadInverseDepth into its pipeline.'
            )
