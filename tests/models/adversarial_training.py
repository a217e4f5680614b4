# Licensed under the Apache License 2.0, see LICENSE.
"""Adversarial training of the tiny network: parts of configs, batches, and its two optimizers."""

import functools
import tempfile
from pathlib import Path

import numpy as np
import torch
from mmengine.optim import build_optim_wrapper

from mmseg_depthuda.adaptation.depth_mixtures import DepthMixtures
from mmseg_depthuda.datasets.depth_mixture_files import MixtureMeta, save_mixtures
from tests.models.tiny_segmentor import (
    MEAN,
    NUM_CLASSES,
    STD,
    head_config,
    make_branch,
    source_depth,
    tiny_segmentor,
)

SIZE = (32, 64)  # one row of two patches
GRID = (5, 9)  # its features
RATE, DISCRIMINATOR_RATE = 0.125, 0.25

ADVENT = head_config('DeepLabV2Head')
DADA = head_config('DADAHead', loss_weights=source_depth(0.01))
BLOCKS = ('auxiliary_block', 'depth_branch', 'density_branch')
_FOLDER = tempfile.TemporaryDirectory()
CLASS_NAMES = tuple(f'class {i}' for i in range(NUM_CLASSES))  # those of ``Pairs``


def random_mixtures(num_classes=NUM_CLASSES, components=3):
    """So wide that the density map is neither 0 nor 255 at depths of the tiny samples."""
    rng = np.random.default_rng(5)
    shape = (num_classes, components, 3)
    weights = rng.dirichlet(np.ones(components), num_classes)
    means = rng.uniform(0, 1, shape) * (30, 30, 40)
    variances = rng.uniform(400, 900, shape) * (1, 1, 10)
    return DepthMixtures(*(torch.from_numpy(a) for a in (weights, means, variances)))


@functools.cache
def mixtures_file(grid=GRID, encoding='dada', classes=CLASS_NAMES):
    """Of random mixtures, gone with the process."""
    path = str(Path(_FOLDER.name) / f'{hash((grid, encoding, classes))}.json')
    mixtures = random_mixtures(len(classes))
    counts = (9,) * len(classes)
    components = mixtures.weights.shape[1]
    save_mixtures(
        path, mixtures, MixtureMeta(classes, grid, encoding, counts, counts, components, 0)
    )
    return path


def depth_distribution(grid=GRID, **options):
    """Config of the head, with weights that show."""
    weights = dict(source=dict(seg=1.0, depth=0.01, density=0.02), target=dict(density=0.05))
    config = dict(mixtures=mixtures_file(grid), loss_weights=weights)
    return head_config('DepthDistributionHead', **(config | options))


PREPROCESSOR = dict(type='UDADataPreProcessor', mean=MEAN, std=STD, size=SIZE)
AUXILIARY = dict(
    type='DeepLabV2Head',
    in_channels=32,
    in_index=2,
    num_classes=NUM_CLASSES,
    loss_decode=dict(
        type='CrossEntropyLoss', loss_name='loss_seg', loss_weight=0.1, avg_non_ignore=True
    ),
)


def alignment(space='self_information', **options):
    """An alignment with a large weight. The published 0.001 would be lost in the tolerance."""
    discriminator = dict(type='FCNDiscriminator', base_channels=4)
    return dict(space=space, adversarial_weight=0.5, discriminator=discriminator) | options


def adversarial_segmentor(decode_head=ADVENT, alignments=None, **options):
    """Initialized network in float64 and training mode. Its depth is not near 0 everywhere."""
    model = tiny_segmentor(
        decode_head,
        type='AdversarialSegmentor',
        alignments=alignments or dict(main=alignment()),
        data_preprocessor=PREPROCESSOR,
        **options,
    )
    enlarge_branches(model)
    return model


def enlarge_branches(model):
    """Weights of N(0, 0.01) predict depths and densities near 0."""
    for name, parameter in model.decode_head.named_parameters():
        if name.split('.')[0] in BLOCKS and name.endswith('weight'):
            parameter.data *= 15


def make_batch(seed=0, batch_size=2, size=SIZE):
    """Only the source has depth."""
    return dict(
        source=make_branch(seed, batch_size, name='source', size=size),
        target=make_branch(seed + 1, batch_size, name='target', size=size, depth=False),
    )


def optimizers(model, **shared):
    """Plain SGD for both; ``shared`` are settings of both wrappers."""
    return build_optim_wrapper(
        model,
        dict(
            constructor='PartsOptimWrapperConstructor',
            segmentor=dict(optimizer=dict(type='SGD', lr=RATE)),
            discriminator=dict(optimizer=dict(type='SGD', lr=DISCRIMINATOR_RATE)),
            **shared,
        ),
    )


def watch_steps(model, optim_wrapper):
    """A list. Each step of an optimizer first adds its name, all gradients and all weights."""
    steps = []

    def remember(part):
        gradients = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        steps.append((part, gradients, weights_of(model)))

    for part, wrapper in optim_wrapper.items():
        wrapper.optimizer.register_step_pre_hook(lambda *_, part=part: remember(part))
    return steps


def weights_of(model):
    return {name: value.detach().clone() for name, value in model.named_parameters()}
