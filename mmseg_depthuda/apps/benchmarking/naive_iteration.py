# Licensed under the Apache License 2.0, see LICENSE.
"""The training iteration as research releases write it, to measure the package against.

It computes the same update of student and teacher as :class:`DACSHook` with
:func:`train_passes` do, from the same draws, but

* adds the losses of both branches before one backward, so both graphs are alive at once;
* upsamples every output of the head, both depth decoders included, in every branch and in the
  teacher;
* updates parameters one by one, a repeated parameter repeatedly;
* averages the teacher in a Python loop over its parameters.

Mixing and augmentation are the package's own, since those of the releases cost no more on the same
device.
"""

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmseg.models.utils import resize
from torch import Tensor, nn
from torch.optim import Optimizer

from mmseg_depthuda.adaptation.ema import ema_alpha
from mmseg_depthuda.engine.hooks import DACSHook
from mmseg_depthuda.engine.optimizers import RepeatedSGD
from mmseg_depthuda.models.decode_heads.corda_head import CorDAHead, _by_pixel
from mmseg_depthuda.models.segmentors import UDASegmentor
from mmseg_depthuda.models.teachers import TeacherEMA
from mmseg_depthuda.structures import stack_pixel_data

from .instrumentation import Parts, replaced
from .stopwatch import Stopwatch

DECODERS = ('source', 'target')


class AllPredictions(NamedTuple):
    """Predictions at the size of the images; the depths by name of their decoder.

    Attributes:
        seg: Logits, ``(N, num_classes, H, W)``.
        initial_seg: The same; None for a head without them.
        depth: Inverse depth, ``(N, 1, H, W)`` each; empty for a head without it.
        initial_depth: The same.
    """

    seg: Tensor
    initial_seg: Tensor | None
    depth: dict[str, Tensor]
    initial_depth: dict[str, Tensor]


def naive_iteration(
    hook: DACSHook, optim_wrapper: OptimWrapper, batch: dict, watch: Stopwatch
) -> Tensor:
    """One iteration on a batch of the data loader.

    Args:
        hook: With student and teacher.
        optim_wrapper: Wrapper of the optimizer.
        batch: Branches ``source`` and ``target``.
        watch: Gets the parts of the iteration.

    Returns:
        Sum of all losses, detached.
    """
    model, teacher = hook.src_model, hook.ema_model
    if not isinstance(model, UDASegmentor):
        raise TypeError(f'model is a {type(model).__name__}, but must be a UDASegmentor.')
    label_with_all_outputs = partial(_pseudo_label_logits, teacher.module)
    with optim_wrapper.optim_context(model):
        with torch.no_grad():
            batch = model.data_preprocessor(batch, training=True)
            with replaced(
                teacher.module,
                'pseudo_label_logits',
                watch.timed(Parts.TEACHER, label_with_all_outputs),
            ):
                hook.add_branches(batch)
                mixed = batch['mixed']
        with watch.part(Parts.SOURCE):
            source_loss = _source_loss(model, **batch['source'])
        with watch.part(Parts.MIXED):
            loss = source_loss + _mixed_loss(model, **mixed)
    optimizer = optim_wrapper.optimizer
    with replaced(optimizer, 'step', partial(plain_step, optimizer)):
        optim_wrapper.update_params(loss)
    with watch.part(Parts.EMA):
        plain_ema_update(teacher, model)
    return loss.detach()


def all_predictions(model: UDASegmentor, inputs: Tensor) -> AllPredictions:
    """Every output of the head at the size of the images.

    Args:
        model: Segmentor with a :class:`CorDAHead`, or with a head that gives logits alone.
        inputs: Normalized images, (N, 3, H, W).
    """
    head, features = model.decode_head, model.extract_feat(inputs)
    upsample = partial(
        resize,
        size=inputs.shape[2:],
        mode='bilinear',
        align_corners=head.align_corners,
        warning=False,
    )
    if not isinstance(head, CorDAHead):
        return AllPredictions(upsample(head(features)), None, {}, {})
    tasks = head.forward_tasks(features, DECODERS)
    return AllPredictions(
        seg=upsample(tasks.seg),
        initial_seg=upsample(tasks.initial_seg),
        depth={domain: upsample(depth) for domain, depth in tasks.depth.items()},
        initial_depth={domain: upsample(depth) for domain, depth in tasks.initial_depth.items()},
    )


def _pseudo_label_logits(teacher: UDASegmentor, inputs: Tensor, initial: bool = False) -> Tensor:
    predictions = all_predictions(teacher, inputs)
    logits = predictions.initial_seg if initial else predictions.seg
    if logits is None:
        raise ValueError('initial_pseudo_labels needs a head with an initial segmentation.')
    return logits


def _source_loss(model: UDASegmentor, inputs: Tensor, data_samples: list) -> Tensor:
    head, predictions = model.decode_head, all_predictions(model, inputs)
    label = _stacked(data_samples, 'gt_sem_seg').squeeze(1)
    losses = [
        F.cross_entropy(logits, label, ignore_index=head.ignore_index)
        for logits in (predictions.seg, predictions.initial_seg)
        if logits is not None
    ]
    return torch.stack(losses).sum() + _depth_loss(head, predictions, data_samples, 'source')


def _mixed_loss(model: UDASegmentor, inputs: Tensor, data_samples: list) -> Tensor:
    head, predictions = model.decode_head, all_predictions(model, inputs)
    label = _stacked(data_samples, 'gt_sem_seg').squeeze(1)
    weight = _stacked(data_samples, 'seg_weight')
    if predictions.depth:
        gt_depth = stack_pixel_data(data_samples, 'gt_depth_map')
        weight = head._seg_weight(data_samples, predictions.depth, DECODERS, gt_depth)
    losses = [
        (
            weight.squeeze(1)
            * F.cross_entropy(logits, label, ignore_index=head.ignore_index, reduction='none')
        ).mean()
        for logits in (predictions.seg, predictions.initial_seg)
        if logits is not None
    ]
    return torch.stack(losses).sum() + _depth_loss(head, predictions, data_samples, 'mixed')


def _stacked(data_samples: list, field: str) -> Tensor:
    values = stack_pixel_data(data_samples, field)
    if values is None:
        raise ValueError(f'the samples lack {field}, which the naive iteration trains on.')
    return values


def _depth_loss(
    head: CorDAHead, predictions: AllPredictions, data_samples: list, branch: str
) -> Tensor | float:
    """Weighted depth losses of a branch; 0 without depth."""
    gt_depth = stack_pixel_data(data_samples, 'gt_depth_map')
    if gt_depth is None or not predictions.depth:
        return 0.0
    mask = stack_pixel_data(data_samples, 'mix_mask')
    loss: Tensor | float = 0.0
    for depth in (predictions.depth, predictions.initial_depth):
        decoders = DECODERS[:1] if mask is None else DECODERS
        prediction = _by_pixel(depth, decoders, mask)
        weight = head.loss_weight(branch, 'depth')
        loss = loss + weight * head.loss_depth(prediction, gt_depth)
    return loss


def plain_step(optimizer: Optimizer) -> None:
    """Step of an optimizer, one parameter after the other.

    Args:
        optimizer: :class:`RepeatedSGD`, or any optimizer of PyTorch; its state is used and updated.
    """
    if isinstance(optimizer, RepeatedSGD):
        _repeated_sgd_step(optimizer)
        return
    choices = [group.get('foreach') for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group['foreach'] = False
    type(optimizer).step(optimizer)
    for group, choice in zip(optimizer.param_groups, choices, strict=True):
        group['foreach'] = choice


@torch.no_grad()
def _repeated_sgd_step(optimizer: RepeatedSGD) -> None:
    """What SGD of PyTorch 1.7 did with a list that names a parameter ``repeats`` times."""
    for group in optimizer.param_groups:
        for param in group['params']:
            if param.grad is None:
                continue
            state = optimizer.state[param]
            for _ in range(group['repeats']):
                update = param.grad.add(param, alpha=group['weight_decay'])
                if 'momentum_buffer' not in state:
                    state['momentum_buffer'] = update.clone()
                else:
                    state['momentum_buffer'].mul_(group['momentum']).add_(update)
                param.add_(state['momentum_buffer'], alpha=-group['lr'])


@torch.no_grad()
def plain_ema_update(teacher: TeacherEMA, student: nn.Module) -> None:
    """Average the teacher one parameter after the other.

    Args:
        teacher: Its parameters and step counter are updated.
        student: What it follows.
    """
    alpha = ema_alpha(int(teacher.steps), teacher.alpha)
    for averaged, own in zip(teacher.module.parameters(), student.parameters(), strict=True):
        averaged.data[:] = alpha * averaged.data + (1 - alpha) * own.data
    teacher.steps += 1
