# Licensed under the Apache License 2.0, see LICENSE.
"""What training asks of a decode head, and the one place that looks up what a head offers.

Every head of MMSegmentation can be trained. A head of several tasks offers more; all of it is
optional:

* ``tasks``: names of what ``forward`` can predict, ``('seg',)`` if absent. ``'seg'`` are the
  logits, ``'initial_seg'`` those of an earlier stage of the head, ``'depth'`` the inverse depth,
  and further names are free.
* ``forward(features, tasks=None, domain=None)``: without ``tasks`` the logits, as in MMSeg; with
  them a dictionary of predictions (N, channels, h, w) by task. ``domain`` chooses the decoder where
  a head has one for each domain.
* ``loss_and_predict(features, data_samples, train_cfg, tasks)``: the losses of a branch, and the
  predictions of ``tasks`` at the size of the labels that the same pass gave.
* ``unlabelled_tasks``: the tasks that are learned without labels, where ``loss_weights`` names
  them for an unlabelled branch; ``unlabelled_loss_and_predict(features, data_samples, tasks)``
  gives the losses of such a branch, and of the same pass the predictions of ``tasks`` at feature
  resolution.
* ``check_data(domains)``: refuse, before the first batch, labelled datasets that the losses cannot
  use.
* ``predicted_tasks``: the tasks, each in the registry ``TASKS``, whose prediction follows the
  logits in ``predict``, channel by channel.
* ``loss_weights``: weight by branch and task, None where every branch counts as 1.
* ``forward_depths(features)``: inverse depth by each of several depth decoders, of which the first
  two are compared.
* ``judges_pseudo_labels`` and ``agreement(features, data_samples)``: trust in pseudo-labels,
  (N, 1, H, W) in 0..1, or None where the samples do not allow it.

Under ``torch.distributed`` a head may be wrapped: :func:`bare_model` looks through.
"""

from collections.abc import Collection, Mapping, Sequence

from mmseg.utils import ConfigType, SampleList
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmseg_depthuda.models.wrappers.bare_model import bare_model
from mmseg_depthuda.structures import branch_of, domains_of, upsample

Predictions = dict[str, Tensor]
"""(N, channels, H, W) by task."""


def head_tasks(head: nn.Module) -> tuple[str, ...]:
    """Names of what a head can predict.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        tuple[str, ...]: ``('seg',)`` for a head of MMSeg.
    """
    return tuple(getattr(bare_model(head), 'tasks', ('seg',)))


def predicted_tasks(head: nn.Module) -> tuple[str, ...]:
    """Tasks whose prediction follows the logits when a head predicts.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        tuple[str, ...]: Empty for a head of MMSeg.
    """
    return tuple(getattr(bare_model(head), 'predicted_tasks', ()))


def judges_pseudo_labels(head: nn.Module) -> bool:
    """Whether a head weights pseudo-labels by an ``agreement``.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        bool: False for a head of MMSeg.
    """
    return bool(getattr(bare_model(head), 'judges_pseudo_labels', False))


def has_depth_decoders(head: nn.Module) -> bool:
    """Whether a head has two depth decoders, whose agreement says where adaptation is difficult.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        bool: False for a head of MMSeg.
    """
    return hasattr(bare_model(head), 'forward_depths')


def depths_by_decoder(head: nn.Module, features: Sequence[Tensor]) -> list[Tensor]:
    """Inverse depth by each depth decoder of a head that has several.

    Args:
        head (nn.Module): With :func:`has_depth_decoders`.
        features (Sequence[Tensor]): Feature maps of the backbone.

    Returns:
        list[Tensor]: (N, 1, h, w) each, in the order of the decoders.
    """
    return list(bare_model(head).forward_depths(features).values())


def branch_weights(head: nn.Module) -> Mapping[str, Mapping[str, float]] | None:
    """The weights of a head's losses.

    Args:
        head (nn.Module): Any decode head.

    Returns:
        Mapping, optional: Branch -> task -> weight; None where no branch is named and all count 1.
    """
    return getattr(bare_model(head), 'loss_weights', None)


def check_head_data(head: nn.Module, domains: Mapping[str, Dataset]) -> None:
    """Let a head refuse data that its losses cannot use.

    Args:
        head (nn.Module): Any decode head.
        domains (Mapping[str, Dataset]): The labelled datasets of a training by domain.

    Raises:
        ValueError: The head refuses; it says why.
    """
    bare = bare_model(head)
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
) -> Predictions:
    """Predictions of some tasks at feature resolution.

    Args:
        head (nn.Module): Any decode head.
        features (Sequence[Tensor]): Feature maps of the backbone.
        tasks (Collection[str]): Of :func:`head_tasks`.
        domain (str, optional): Domain of the images, for heads with a decoder for each.

    Returns:
        dict[str, Tensor]: By task.

    Raises:
        ValueError: The head cannot predict one of the tasks.
    """
    require_tasks(head, tasks)
    if not hasattr(bare_model(head), 'tasks'):
        return dict(seg=head(features)) if tasks else {}
    return head(features, tasks=tuple(tasks), domain=domain)


def require_tasks(head: nn.Module, tasks: Collection[str]) -> None:
    """Refuse tasks that a head cannot predict.

    Args:
        head (nn.Module): Any decode head.
        tasks (Collection[str]): What is wanted of it.

    Raises:
        ValueError: Names what is missing.
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
    """Losses of a branch, and predictions out of the same pass.

    Args:
        head (nn.Module): Any decode head. With ``tasks``, a head of MMSeg must have the losses
            ``loss_by_feat(forward(features))``.
        features (Sequence[Tensor]): Feature maps of the backbone.
        data_samples (list[SegDataSample]): Samples of the branch.
        train_cfg (dict): MMSeg's.
        tasks (Collection[str]): Predictions wanted; none by default.

    Returns:
        tuple[dict, dict]: Losses by name; predictions at the size of the labels by task.
    """
    bare = bare_model(head)
    if hasattr(bare, 'loss_and_predict'):
        return bare.loss_and_predict(features, data_samples, train_cfg, tasks)
    if not tasks:
        return bare.loss(features, data_samples, train_cfg), {}
    size = data_samples[0].gt_sem_seg.shape
    logits = upsample(bare(features), size, bare.align_corners)
    return bare.loss_by_feat(logits, data_samples), dict(seg=logits)


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
        return bare_model(head).unlabelled_loss_and_predict(features, data_samples, tasks)
    return {}, predict_tasks(head, features, tasks, domains_of(data_samples)[0]) if tasks else {}
