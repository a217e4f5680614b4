# Licensed under the Apache License 2.0, see LICENSE.
"""Adversarial training of the tiny network: parts of configs, batches, and its two optimizers."""

from mmengine.optim import build_optim_wrapper

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
RATE, DISCRIMINATOR_RATE = 0.125, 0.25

ADVENT = head_config('DeepLabV2Head')
DADA = head_config('DADAHead', loss_weights=source_depth(0.01))
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
    for name, parameter in model.named_parameters():
        if 'auxiliary_block' in name and name.endswith('weight'):
            parameter.data *= 15
    return model


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
