# Licensed under the Apache License 2.0, see LICENSE.
"""What a decode head can offer to training. All other code looks it up here.

Every head of MMSegmentation can be trained. A head of several tasks can have more attributes and
methods. All of them are optional:

* ``tasks``: names of what ``forward`` can predict. ``('seg',)`` if it is missing. ``'seg'`` are the
  logits, ``'initial_seg'`` the logits of an earlier stage of the head, and ``'depth'`` the inverse
  depth. Other names are free.
* ``forward(features, tasks=None, domain=None)``: without ``tasks`` it gives the logits, as in
  MMSeg. With ``tasks`` it gives a dictionary of predictions (N, channels, h, w) by task. ``domain``
  chooses the decoder if the head has one for each domain.
* ``loss_and_predict(features, data_samples, train_cfg, tasks)``: the losses of a branch, and the
  predictions of ``tasks`` in the same pass, at the size of the labels.
* ``unlabelled_tasks``: tasks that are learned without labels, on each unlabeled branch for which
  ``loss_weights`` names them. ``unlabelled_loss_and_predict(features, data_samples, tasks)`` gives
  the losses of such a branch, and the predictions of ``tasks`` in the same pass, at feature
  resolution.
* ``loss_and_disparities(features, data_samples)``: for segmentors that learn disparity from video.
  The losses of segmentation of a branch, those that ``loss_weights`` name, and in the same pass the
  disparity at four scales: a list of (N, 1, h, w) in 0 (far) .. 1 (near), fine to coarse, each at
  its own size. A branch whose ``loss_weights`` name neither task of segmentation needs no labels.
  The weight of the segmentor's own losses is that of the task ``'disparity'``.
* ``check_data(domains)``: refuses labeled datasets that the losses cannot use, before the first
  batch.
* ``predicted_tasks``: tasks of the registry ``TASKS``. ``predict`` gives their predictions as
  further channels after the logits.
* ``loss_weights``: weights by branch and task. None if every branch has weight 1.
* ``forward_depths(features)``: a dictionary of the inverse depth of each depth decoder. The first
  two are compared.
* ``judges_pseudo_labels`` and ``agreement(features, data_samples)``: trust in pseudo-labels,
  (N, 1, H, W) in 0..1. None if the samples have no depth to compare with.

Under ``torch.distributed`` a head may be wrapped; :func:`bare_model` finds it.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmseg_depthuda.models.wrappers.bare_model import bare_model
from mmseg_depthuda.structures import branch_of, domains_of, upsample

Predictions = dict[str, Tensor]
"""(N, channels, H, W) by task."""


def heads_of(model: nn.Module) -> dict[str, BaseDecodeHead]:
    """Decode heads and auxiliary heads of a model.

    Args:
        model (nn.Module): Any model; one without heads gives an empty dictionary.

    Returns:
        dict[str, BaseDecodeHead]: Head by its name in the model: ``decode_head`` and
        ``auxiliary_head``. Several heads of a kind are ``auxiliary_head.0`` and so on.
    """
    heads: dict[str, BaseDecodeHead] = {}
    for name in ('decode_head', 'auxiliary_head'):
        head = getattr(model, name, None)
        if head is None:
            continue
        several = bare_model(head)
        if isinstance(several, nn.ModuleList):
            heads |= {f'{name}.{index}': one for index, one in enumerate(several)}
        else:
            heads[name] = head
    return heads


def head_tasks(head: nn.Module) -> tuple[str, ...]:
    """Names of what a head can predict.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        tuple[str, ...]: ``('seg',)`` for a head of MMSeg.
    """
    return tuple(getattr(bare_model(head), 'tasks', ('seg',)))


def predicted_tasks(head: nn.Module) -> tuple[str, ...]:
    """Tasks whose predictions ``predict`` of a head gives after the logits.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        tuple[str, ...]: Empty for a head of MMSeg.
    """
    return tuple(getattr(bare_model(head), 'predicted_tasks', ()))


def judges_pseudo_labels(head: nn.Module) -> bool:
    """Whether a head weights pseudo-labels by its ``agreement``.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        bool: False for a head of MMSeg.
    """
    return bool(getattr(bare_model(head), 'judges_pseudo_labels', False))


def has_depth_decoders(head: nn.Module) -> bool:
    """Whether a head has several trained depth decoders. Adaptation is difficult where they
    disagree.

    A head that predicts by the decoder of the source, ``predicted_depth='source'``, says that
    nothing trains the others.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        bool: False for a head of MMSeg.
    """
    bare: Any = bare_model(head)
    is_trained = getattr(bare, 'predicted_depth', None) != 'source'
    return is_trained and hasattr(bare, 'forward_depths') and 'depth' in head_tasks(head)


def depths_by_decoder(head: nn.Module, features: Sequence[Tensor]) -> list[Tensor]:
    """Inverse depth of each depth decoder of a head that has several.

    Args:
        head (nn.Module): A head for which :func:`has_depth_decoders` is true.
        features (Sequence[Tensor]): Feature maps of the backbone.

    Returns:
        list[Tensor]: (N, 1, h, w) each, in the order of the decoders.
    """
    bare: BaseDecodeHead = bare_model(head)
    return list(bare.forward_depths(features).values())


def branch_weights(head: nn.Module) -> Mapping[str, Mapping[str, float]] | None:
    """Weights of the losses of a head.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        Mapping, optional: Branch -> task -> weight. None if every branch has weight 1.
    """
    return getattr(bare_model(head), 'loss_weights', None)


def check_head_data(head: nn.Module, domains: Mapping[str, Dataset]) -> None:
    """Let a head refuse data that its losses cannot use.

    Args:
        head (nn.Module): Any decode head.
        domains (Mapping[str, Dataset]): The labeled datasets of a training by domain.

    Raises:
        ValueError: The head refuses; it says why.
    """
    bare: BaseDecodeHead = bare_model(head)
    if hasattr(bare, 'check_data'):
        bare.check_data(domains)


def learns_unlabelled(head: nn.Module, branch: str) -> bool:
    """Whether a head has a loss on a branch without looking at its labels.

    Args:
        head (nn.Module): Any decode head.
        branch (str): Name of the branch.

    Returns:
        bool: False for a head of MMSeg.
    """
    weights = (branch_weights(head) or {}).get(branch, {})
    return any(task in weights for task in unlabelled_tasks(head))


def unlabelled_tasks(head: nn.Module) -> tuple[str, ...]:
    """Tasks that a head learns without labels.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        tuple[str, ...]: Empty for a head of MMSeg.
    """
    return tuple(getattr(bare_model(head), 'unlabelled_tasks', ()))


def predict_tasks(
    head: nn.Module,
    features: Sequence[Tensor],
    tasks: Collection[str],
    domain: str | None = None,
    size: Sequence[int] | None = None,
) -> Predictions:
    """Predictions of some tasks.

    Args:
        head (nn.Module): Any decode head.
        features (Sequence[Tensor]): Feature maps of the backbone.
        tasks (Collection[str]): Some of :func:`head_tasks`.
        domain (str, optional): Domain of the images, for heads with a decoder for each domain.
        size (Sequence[int], optional): Height and width of the result. Defaults to those of the
            features.

    Returns:
        dict[str, Tensor]: (N, channels, H, W) by task.

    Raises:
        ValueError: The head cannot predict one of the tasks.
    """
    require_tasks(head, tasks)
    bare: BaseDecodeHead = bare_model(head)
    if hasattr(bare, 'tasks'):
        predictions = head(features, tasks=tuple(tasks), domain=domain)
    else:
        predictions = dict(seg=head(features)) if tasks else {}
    if size is None:
        return predictions
    return {name: upsample(one, size, bare.align_corners) for name, one in predictions.items()}


def require_tasks(head: nn.Module, tasks: Collection[str]) -> None:
    """Raise an error for tasks that a head cannot predict.

    Args:
        head (nn.Module): Any decode head.
        tasks (Collection[str]): Predictions that are needed.

    Raises:
        ValueError: The head cannot predict some of them; the message names these.
    """
    missing = sorted(set(tasks) - set(head_tasks(head)))
    if missing:
        raise ValueError(
            f'{type(bare_model(head)).__name__} does not predict {", ".join(missing)}; it predicts '
            f'{", ".join(head_tasks(head))}. Take a head that does.'
        )


def loss_and_predict(
    head: nn.Module,
    features: Sequence[Tensor],
    data_samples: SampleList,
    train_cfg: ConfigType,
    tasks: Collection[str] = (),
) -> tuple[dict[str, Tensor], Predictions]:
    """Losses of a branch, and predictions of the same pass.

    Args:
        head (nn.Module): Any decode head. With ``tasks``, the losses of a head of MMSeg must be
            ``loss_by_feat(forward(features))``.
        features (Sequence[Tensor]): Feature maps of the backbone.
        data_samples (list[SegDataSample]): Samples of the branch.
        train_cfg (dict): MMSeg's.
        tasks (Collection[str]): Predictions to return; none by default.

    Returns:
        tuple[dict, dict]: Losses by name; predictions by task, at the size of the labels.
    """
    bare: BaseDecodeHead = bare_model(head)
    if hasattr(bare, 'loss_and_predict'):
        return bare.loss_and_predict(features, data_samples, train_cfg, tasks)
    if not tasks:
        return bare.loss(features, data_samples, train_cfg), {}
    size = data_samples[0].gt_sem_seg.shape
    logits = upsample(bare(features), size, bare.align_corners)
    return bare.loss_by_feat(logits, data_samples), dict(seg=logits)


def has_disparities(head: nn.Module) -> bool:
    """Whether a head gives disparities to learn from video.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        bool: False for a head of MMSeg, and for a head that is told not to learn depth.
    """
    return hasattr(bare_model(head), 'loss_and_disparities') and 'disparity' in head_tasks(head)


def loss_and_disparities(
    head: nn.Module, features: Sequence[Tensor], data_samples: SampleList
) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Losses of segmentation of a branch, and the disparities of the same pass.

    Args:
        head (nn.Module): A head for which :func:`has_disparities` is true.
        features (Sequence[Tensor]): Feature maps of the backbone.
        data_samples (list[SegDataSample]): Samples of the branch; with labels, if the head learns
            segmentation there.

    Returns:
        tuple[dict, list[Tensor]]: Weighted losses by name, maybe none; disparity in 0..1 at four
        scales, (N, 1, h, w), fine to coarse.
    """
    require_tasks(head, ['disparity'])
    bare: BaseDecodeHead = bare_model(head)
    return bare.loss_and_disparities(features, data_samples)


def unlabelled_loss_and_predict(
    head: nn.Module,
    features: Sequence[Tensor],
    data_samples: SampleList,
    tasks: Collection[str] = (),
) -> tuple[dict[str, Tensor], Predictions]:
    """Losses of a branch whose labels are not looked at, and predictions out of the same pass.

    Args:
        head (nn.Module): Any decode head.
        features (Sequence[Tensor]): Feature maps of the backbone.
        data_samples (list[SegDataSample]): Samples of the branch; the first of their domains
            chooses the decoder.
        tasks (Collection[str]): Predictions wanted; none by default.

    Returns:
        tuple[dict, dict]: Losses by name, none where the head does not learn there; predictions at
        feature resolution by task.
    """
    if learns_unlabelled(head, branch_of(data_samples)):
        bare: BaseDecodeHead = bare_model(head)
        return bare.unlabelled_loss_and_predict(features, data_samples, tasks)
    return {}, predict_tasks(head, features, tasks, domains_of(data_samples)[0]) if tasks else {}
