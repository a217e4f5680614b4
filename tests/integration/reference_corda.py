# Licensed under the Apache License 2.0, see LICENSE.
"""CorDA a second time: plain, slow, and independent of the package, for comparison only.

It imports nothing of ``mmseg_depthuda`` and nothing of MMSeg. Parameters carry the names of the
released checkpoints; every step stands where the method's description puts it.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

IGNORE = 255
NO_DEPTH = 0.0


@dataclass
class Options:
    """What differs between the published variants.

    Attributes:
        initial_segmentation: ``'aspp'`` (GTA: classifier on the backbone features) or ``'conv'``
            (SYNTHIA: 1x1 convolution on the segmentation features).
        branches: Number of classifier branches summed, 2 in the release, 4 in the paper.
        repeats: Whether backbone weights are updated several times per step, as the release does.
        difficulty: ``'release'``, ``'release_per_image'`` (the release without its broadcast
            over the batch), ``'paper'`` or ``None``.
        initial_pseudo_labels: Iterations at the start whose pseudo-labels are the teacher's initial
            segmentation.
        learning_rate: Of the backbone; everything else has ten times as much.
        max_iterations: Length of the schedule.
        weight_dtype: To which the weights of the segmentation loss are rounded.
    """

    initial_segmentation: str = 'aspp'
    branches: int = 2
    repeats: bool = True
    difficulty: str | None = 'release'
    initial_pseudo_labels: int = 0
    learning_rate: float = 2.5e-4
    momentum: float = 0.9
    weight_decay: float = 5e-4
    max_iterations: int = 250_000
    weight_dtype: torch.dtype = torch.float64


@dataclass
class Batch:
    """Two source and two target images, normalized, with what is drawn at random for them.

    Attributes:
        source_image: ``(N, 3, H, W)``.
        source_label: ``(N, H, W)`` int64.
        source_depth: ``(N, 1, H, W)`` inverse depth, 0 where there is none.
        target_image: ``(N, 3, H, W)``.
        target_depth: ``(N, 1, H, W)``.
        source_classes: Per image the classes ClassMix cuts out of the source.
        augment: The strong augmentation of the mixed images.
    """

    source_image: Tensor
    source_label: Tensor
    source_depth: Tensor
    target_image: Tensor
    target_depth: Tensor
    source_classes: Sequence[Sequence[int]]
    augment: Callable[[Tensor], Tensor] = lambda images: images


@dataclass
class Network:
    """Backbone and head; ``head`` maps the released names to parameters and buffers."""

    backbone: nn.Module
    head: dict[str, Tensor]
    momentum_buffers: dict[str, Tensor] = field(default_factory=dict)

    def clone(self) -> 'Network':
        head = {}
        for name, tensor in self.head.items():
            head[name] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
        return Network(copy.deepcopy(self.backbone), head)

    def parameters(self) -> dict[str, Tensor]:
        parameters = {f'backbone.{n}': p for n, p in self.backbone.named_parameters()}
        for name, tensor in self.head.items():
            if 'running_' not in name and 'num_batches' not in name:
                parameters[f'head.{name}'] = tensor
        return parameters


def convolution(head, name, x, padding=0, dilation=1):
    weight, bias = head[f'{name}.weight'], head.get(f'{name}.bias')
    return F.conv2d(x, weight, bias, padding=padding, dilation=dilation)


def batch_norm(head, name, x):
    """In training mode: batch statistics; the running ones are updated on the way."""
    return F.batch_norm(
        x,
        head[f'{name}.running_mean'],
        head[f'{name}.running_var'],
        head[f'{name}.weight'],
        head[f'{name}.bias'],
        training=True,
        momentum=0.1,
        eps=1e-5,
    )


def bottleneck(head, name, x):
    out = F.relu(batch_norm(head, f'{name}.bn1', convolution(head, f'{name}.conv1', x)))
    out = F.relu(batch_norm(head, f'{name}.bn2', convolution(head, f'{name}.conv2', out, 1)))
    out = batch_norm(head, f'{name}.bn3', convolution(head, f'{name}.conv3', out))
    if f'{name}.downsample.0.weight' in head:
        x = batch_norm(head, f'{name}.downsample.1', convolution(head, f'{name}.downsample.0', x))
    return F.relu(out + x)


def aspp(head, name, x, branches):
    total = 0
    for index, dilation in enumerate((6, 12, 18, 24)[:branches]):
        total = total + convolution(head, f'{name}.conv2d_list.{index}', x, dilation, dilation)
    return total


def forward(network, images, options):
    """All six outputs, upsampled to the images."""
    head = network.head
    features = network.backbone(images)
    trunk = {}
    for task in 'SD':
        trunk[task] = features
        for index in (0, 1):
            name = f'initial_task_prediction_heads.layers.{task}.{index}'
            trunk[task] = bottleneck(head, name, trunk[task])

    first = 'initial_task_prediction_heads.conv_out'
    if options.initial_segmentation == 'aspp':
        initial_segmentation = aspp(head, f'{first}.S', features, options.branches)
    else:
        initial_segmentation = convolution(head, f'{first}.S', trunk['S'])

    distilled = {}
    for task, other in ('SD', 'DS'):
        name = f'multi_modal_distillation.self_attention.{task}.{other}'
        gate = torch.sigmoid(convolution(head, f'{name}.attention.0', trunk[other], 1))
        distilled[task] = trunk[task] + convolution(head, f'{name}.conv', trunk[other], 1) * gate

    outputs = {
        'initial_segmentation': initial_segmentation,
        'initial_source_depth': convolution(head, f'{first}.D_src', trunk['D']),
        'initial_target_depth': convolution(head, f'{first}.D', trunk['D']),
        'final_segmentation': aspp(head, 'heads.S', distilled['S'], options.branches),
        'final_source_depth': aspp(head, 'heads.D_src', distilled['D'], options.branches),
        'final_target_depth': aspp(head, 'heads.D', distilled['D'], options.branches),
    }
    size = images.shape[2:]
    return {
        name: F.interpolate(output, size, mode='bilinear', align_corners=True)
        for name, output in outputs.items()
    }


def berhu(prediction, target):
    valid = target > NO_DEPTH
    if not valid.any():
        return 0 * prediction.sum()
    error = (prediction - target)[valid].abs()
    c = 0.2 * error.max().item()
    if c == 0:
        return 0 * prediction.sum()
    above = error > c
    return (error[~above].sum() + ((error[above] ** 2 + c**2) / (2 * c)).sum()) / len(error)


def source_losses(network, batch, options):
    out = forward(network, batch.source_image, options)
    label, depth = batch.source_label, batch.source_depth
    return {
        'source.final_segmentation': F.cross_entropy(
            out['final_segmentation'], label, ignore_index=IGNORE
        ),
        'source.initial_segmentation': F.cross_entropy(
            out['initial_segmentation'], label, ignore_index=IGNORE
        ),
        'source.initial_depth': 0.01 * berhu(out['initial_source_depth'], depth),
        'source.final_depth': 0.01 * berhu(out['final_source_depth'], depth),
    }


def agreement(outputs, reference):
    """Eq. 9 of the paper for every pixel; its own arithmetic in a loop over the images."""
    maps = []
    for source, target, depth in zip(
        outputs['final_source_depth'], outputs['final_target_depth'], reference, strict=True
    ):
        known = depth > NO_DEPTH
        relative = (source - target).detach().abs() / torch.where(known, depth, 1.0)
        maps.append((F.relu(1 - relative), known))
    return maps


def release_difficulty(outputs, mixed_depth, per_image):
    """Maps of all images, divided by their mean; their average weights every image."""
    maps = []
    for relative, known in agreement(outputs, mixed_depth):
        maps.append(torch.where(known, relative + 0.001, 1.0).clamp(0, 1))
    mean = torch.stack(maps).mean()
    maps = [one / mean for one in maps]
    return maps if per_image else [sum(maps) / len(maps)] * len(maps)


def paper_difficulty(outputs, target_depth, masks):
    """Each target image's own map, on the pixels that come from the target image."""
    maps = []
    for (relative, known), mask in zip(agreement(outputs, target_depth), masks, strict=True):
        weight = torch.where(known, relative, 1.0)
        maps.append(torch.where(mask, 1.0, weight))
    return maps


def mixed_losses(student, teacher, batch, iteration, options):
    """Losses of the mixed batch and what they were made of."""
    with torch.no_grad():
        teacher_out = forward(teacher, batch.target_image, options)
    from_initial = iteration < options.initial_pseudo_labels
    chosen = 'initial_segmentation' if from_initial else 'final_segmentation'
    probability, pseudo_label = teacher_out[chosen].softmax(dim=1).max(dim=1)
    share = (probability >= 0.968).double().mean().item()

    masks, images, labels, depths, weights = [], [], [], [], []
    for n, classes in enumerate(batch.source_classes):
        mask = torch.zeros_like(batch.source_label[n], dtype=torch.bool)
        for one in classes:
            mask |= batch.source_label[n] == one
        kept = mask.to(batch.source_image.dtype)
        masks.append(mask[None])
        images.append(kept * batch.source_image[n] + (1 - kept) * batch.target_image[n])
        labels.append(torch.where(mask, batch.source_label[n], pseudo_label[n]))
        depths.append(kept * batch.source_depth[n] + (1 - kept) * batch.target_depth[n])
        weights.append(kept + (1 - kept) * share)
    label, depth = torch.stack(labels), torch.stack(depths)

    out = forward(student, batch.augment(torch.stack(images)), options)

    if options.difficulty in ('release', 'release_per_image'):
        per_image = options.difficulty == 'release_per_image'
        difficulty = release_difficulty(out, depth, per_image)
    elif options.difficulty == 'paper':
        with torch.no_grad():
            target_out = forward(student, batch.target_image, options)
        difficulty = paper_difficulty(target_out, batch.target_depth, masks)
    else:
        difficulty = [torch.ones_like(depth[0])] * len(depth)

    losses = {}
    for stage in ('final', 'initial'):
        entropy = F.cross_entropy(
            out[f'{stage}_segmentation'], label, ignore_index=IGNORE, reduction='none'
        )
        weighted = 0
        for n in range(len(entropy)):
            weight = (weights[n] * difficulty[n][0]).to(options.weight_dtype)
            weighted = weighted + (entropy[n] * weight).sum()
        losses[f'mixed.{stage}_segmentation'] = weighted / entropy.numel()

        predictions = []
        for n, mask in enumerate(masks):
            kept = mask.to(depth.dtype)
            predictions.append(
                kept * out[f'{stage}_source_depth'][n]
                + (1 - kept) * out[f'{stage}_target_depth'][n]
            )
        losses[f'mixed.{stage}_depth'] = 0.001 * berhu(torch.stack(predictions), depth)
    return losses, {'share': share, 'difficulty': torch.stack(difficulty), 'label': label}


def number_of_updates(name, options):
    """How often the release lists a weight: once per module of the backbone that contains it."""
    if not options.repeats or not name.startswith('backbone.layer'):
        return 1
    return 4 if '.downsample.' in name else 3


@torch.no_grad()
def sgd_step(network, iteration, options):
    rate = options.learning_rate * (1 - iteration / options.max_iterations) ** 0.9
    for name, parameter in network.parameters().items():
        if parameter.grad is None:
            continue
        step = rate if name.startswith('backbone.') else 10 * rate
        for _ in range(number_of_updates(name, options)):
            gradient = parameter.grad + options.weight_decay * parameter
            if name in network.momentum_buffers:
                gradient = gradient + options.momentum * network.momentum_buffers[name]
            network.momentum_buffers[name] = gradient.clone()
            parameter -= step * gradient
        parameter.grad = None


@torch.no_grad()
def update_teacher(teacher, student, iteration):
    alpha = min(1 - 1 / (iteration + 1), 0.999)
    student_parameters = student.parameters()
    for name, parameter in teacher.parameters().items():
        parameter.copy_(alpha * parameter + (1 - alpha) * student_parameters[name])


def train_corda(
    backbone: nn.Module, head: dict[str, Tensor], batches: Sequence[Batch], options: Options
) -> tuple[list[dict[str, float]], list[dict[str, Tensor]], Network, Network]:
    """Train for one iteration per batch.

    Args:
        backbone: Maps ``(N, 3, H, W)`` to features, in training mode, parameters named as in
            torchvision's ResNet; copied. What does not require a gradient stays as it is.
        head: Parameters and buffers by their released names; copied.
        batches: One per iteration.
        options: The variant.

    Returns:
        The losses of every iteration, what the mixed losses were made of, the student, the teacher.
    """
    student = Network(backbone, head).clone()
    teacher = student.clone()
    losses_of, details_of = [], []
    for iteration, batch in enumerate(batches):
        losses = source_losses(student, batch, options)
        mixed, details = mixed_losses(student, teacher, batch, iteration, options)
        losses.update(mixed)
        sum(losses.values()).backward()
        sgd_step(student, iteration, options)
        update_teacher(teacher, student, iteration)
        losses_of.append({name: loss.item() for name, loss in losses.items()})
        details_of.append(details)
    return losses_of, details_of, student, teacher
