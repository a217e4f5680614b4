# Licensed under the Apache License 2.0, see LICENSE.
"""Shows how strongly each task pulls at the layers that tasks share, and whether they agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from typing import cast

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from torch import Tensor, nn

from mmseg_depthuda.models.segmentors import UDASegmentor
from mmseg_depthuda.models.wrappers import bare_model
from mmseg_depthuda.structures import is_batch_of_branches

from .loop_arguments import DataBatch, batch_dict


@HOOKS.register_module()
class TaskGradientsHook(Hook):
    """Logs norm and cosine of the gradients of tasks, layer by layer.

    A depth loss of weight 0.001 may not reach the backbone at all, or may pull against the
    segmentation. Every ``interval`` iterations, before the step, the hook takes the gradient of
    each task's losses over all branches of the batch, and logs

    - ``gradient.LAYER.TASK``: its norm in a layer;
    - ``gradient.LAYER.TASK_OTHER.cosine``: the cosine between the gradients of two tasks, -1
      (opposed) .. 1 (the same direction), where both are not 0.

    Losses of a task are those whose name ends with it: ``loss_initial_depth`` is one of depth.
    Layers are the stages of the backbone. The training stays as it is, bit by bit: random numbers
    and BatchNorm statistics are put back. A measurement costs about as much as an iteration and a
    half. It is made in full precision, and by the main process alone, on its own images.

    Args:
        interval (int): Iterations between two measurements. Defaults to 100.
        tasks (Sequence[str]): Tasks to compare. Defaults to ``('seg', 'depth')``.

    Raises:
        ValueError: ``interval`` is not positive, or there are fewer than two tasks.
    """

    priority = 'LOW'  # after the hook that makes branches

    def __init__(self, interval: int = 100, tasks: Sequence[str] = ('seg', 'depth')):
        if interval < 1 or len(set(tasks)) < 2:
            raise ValueError(
                f'interval must be positive and tasks at least two, got {interval} and {tasks}'
            )
        self.interval = interval
        self.tasks = tuple(tasks)

    def before_train(self, runner: Runner) -> None:
        """Refuse a model without branches.

        Raises:
            TypeError: The model is no UDASegmentor.
        """
        model = bare_model(runner.model)
        if not isinstance(model, UDASegmentor):
            raise TypeError(
                f'TaskGradientsHook looks at the losses of a UDASegmentor, not of '
                f'{type(model).__name__}: remove it from custom_hooks.'
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DataBatch = None
    ) -> None:
        """Measure and log every ``interval`` iterations, the first one included.

        Args:
            runner (Runner): The runner.
            batch_idx (int): Index of the batch.
            data_batch (dict): Branches by name.
        """
        if runner.iter % self.interval or not is_main_process():
            return
        model = cast(UDASegmentor, bare_model(runner.model))
        scalars = gradient_scalars(task_gradients(model, batch_dict(data_batch), self.tasks))
        text = '  '.join(f'{name}: {value:.3g}' for name, value in scalars.items())
        runner.logger.info(f'Iter(train) [{runner.iter + 1}/{runner.max_iters}]  {text}')
        runner.visualizer.add_scalars(scalars, step=runner.iter + 1)


def task_gradients(
    model: UDASegmentor, batch: Mapping[str, dict], tasks: Sequence[str]
) -> dict[str, dict[str, Tensor]]:
    """Gradients of the losses of each task with respect to the layers of the backbone.

    Args:
        model (UDASegmentor): In training mode. Its state and the random generators stay as they
            are.
        batch (Mapping[str, dict]): Branches by name, from the data loader or preprocessed.
        tasks (Sequence[str]): Names that losses end with.

    Returns:
        dict[str, dict[str, Tensor]]: Layer -> task -> gradient of all parameters of the layer, one
        vector. A task without a loss has zeros.
    """
    parameters = {
        name: parameter
        for name, parameter in model.named_parameters()
        if name.startswith('backbone.') and parameter.requires_grad
    }
    gradients = {task: [torch.zeros_like(p) for p in parameters.values()] for task in tasks}
    with unchanged(model), torch.enable_grad():
        branches = model.data_preprocessor(dict(batch), training=True)
        if not is_batch_of_branches(branches):
            branches = dict(source=branches)
        for name in model.trained_branches(branches):
            losses = model.loss(branches[name]['inputs'], branches[name]['data_samples'])
            for task in tasks:
                own = [v for k, v in losses.items() if 'loss' in k and k.endswith(task)]
                if not own or not any(value.requires_grad for value in own):
                    continue
                found = torch.autograd.grad(
                    torch.stack([value.sum() for value in own]).sum(),
                    list(parameters.values()),
                    retain_graph=True,
                    allow_unused=True,
                )
                for total, gradient in zip(gradients[task], found, strict=True):
                    if gradient is not None:
                        total += gradient
    layers: dict[str, dict[str, Tensor]] = {}
    indices: dict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(parameters):
        indices[layer_of(name)].append(index)
    for layer, own_indices in indices.items():
        layers[layer] = {
            task: torch.cat([gradients[task][i].flatten() for i in own_indices]) for task in tasks
        }
    return layers


def layer_of(name: str) -> str:
    """Stage of a backbone that a parameter belongs to.

    Args:
        name (str): As ``backbone.layer1.0.conv1.weight`` or ``backbone.stages.2.0.expand.weight``.

    Returns:
        str: ``backbone.layer1``, ``backbone.stages.2``.
    """
    parts = name.split('.')
    numbered = len(parts) > 2 and parts[2].isdigit() and not parts[1][-1].isdigit()
    return '.'.join(parts[: 3 if numbered else 2])


def gradient_scalars(layers: Mapping[str, Mapping[str, Tensor]]) -> dict[str, float]:
    """Norms and cosines by name, as :class:`TaskGradientsHook` logs them.

    Args:
        layers (Mapping[str, Mapping[str, Tensor]]): Of :func:`task_gradients`.

    Returns:
        dict[str, float]: A cosine is left out where one of the gradients is 0.
    """
    scalars: dict[str, float] = {}
    for layer, gradients in layers.items():
        norms = {task: float(gradient.norm()) for task, gradient in gradients.items()}
        scalars |= {f'gradient.{layer}.{task}': norm for task, norm in norms.items()}
        for first, second in combinations(gradients, 2):
            if norms[first] and norms[second]:
                product = float(torch.dot(gradients[first], gradients[second]))
                cosine = product / norms[first] / norms[second]
                scalars[f'gradient.{layer}.{first}_{second}.cosine'] = cosine
    return scalars


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Put back buffers of a model and random generators after the block."""
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    devices = [buffer.device for buffer in buffers.values() if buffer.device.type == 'cuda']
    try:
        with torch.random.fork_rng(devices=list(dict.fromkeys(devices))):
            yield
    finally:
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
