# Licensed under the Apache License 2.0, see LICENSE.
"""Adversarial adaptation: segmentor and discriminators trained in turn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, OptSampleList, SampleList
from torch import Tensor, nn

from mmseg_depthuda.models.decode_heads.head_contract import Predictions, require_tasks
from mmseg_depthuda.models.discriminators import DiscriminatorDict, Space
from mmseg_depthuda.registry import SPACES
from mmseg_depthuda.structures import branch_of

from .branch_training import train_passes
from .uda_segmentor import UDASegmentor

SOURCE, TARGET = 0.0, 1.0  # labels of the domains

Maps = dict[str, Tensor]
"""What is aligned at input resolution, (N, channels, H, W), by name of its discriminator."""


class Alignment(NamedTuple):
    """What a discriminator looks at, and how much it counts."""

    head: str
    space: Space
    source: str
    target: str
    adversarial_weight: float
    discriminator_weight: float


@MODELS.register_module()
class AdversarialSegmentor(UDASegmentor):
    """Encoder-decoder whose target predictions learn to pass for source predictions.

    In each iteration the segmentor learns what the heads learn on every labelled branch and,
    against frozen discriminators, to have its target predictions taken for source predictions; then
    the discriminators learn to tell the two apart. At most one graph of the segmentor is in memory.

    What is aligned decides the method: ``'self_information'`` is ADVENT, ``'depth_aware'`` (the
    product of self-information and inverse depth) DADA, ``'depth'`` an ablation of DADA. Every
    backbone, every head of :mod:`~mmseg_depthuda.models.decode_heads.head_contract` that predicts
    what the space is made of, and every branch that a hook makes can be used.

    Args:
        alignments (Mapping[str, Mapping]): By name, each with

            * ``discriminator`` (dict): defaults to ``dict(type='FCNDiscriminator')``; its
              ``in_channels`` are those of what it looks at;
            * ``space`` (str | dict): a name of the registry ``SPACES``, or its config;
            * ``head`` (str): ``'decode_head'`` (default) or ``'auxiliary_head'``;
            * ``source``, ``target`` (str): branches that it tells apart, by default those names;
            * ``adversarial_weight`` (float): weight of the loss of being recognized (default
              0.001);
            * ``discriminator_weight`` (float): weight of the discriminator's own losses, on either
              domain (default 1; ADVENT takes 0.5).
        **kwargs: Arguments of :class:`UDASegmentor`.

    Raises:
        ValueError: There is no alignment, an alignment has a wrong space or head, its discriminator
            another number of channels than what it looks at, or there are several auxiliary heads.

    Source: Vu et al., "ADVENT", CVPR 2019; Vu et al., "DADA", ICCV 2019, eq. 6 and 7.
    """

    parts = dict(discriminator=('discriminators',))
    training_only = ('^discriminators',)  # for StrictLoadHook

    def __init__(self, alignments: Mapping[str, Mapping], **kwargs):
        super().__init__(**kwargs)
        if not alignments:
            raise ValueError('alignments is empty: name at least one discriminator')
        if isinstance(getattr(self, 'auxiliary_head', None), nn.ModuleList):
            raise ValueError('AdversarialSegmentor takes one auxiliary_head, not a list of them')
        self.alignments: dict[str, Alignment] = {}
        discriminators = {}
        for name, settings in alignments.items():
            settings = dict(settings)
            discriminator = settings.pop('discriminator', dict(type='FCNDiscriminator'))
            self.alignments[name] = self._alignment(name, **settings)
            discriminators[name] = self._build_discriminator(name, discriminator)
        self.discriminators = DiscriminatorDict(discriminators)
        self._seen: dict[str, Maps] = {}

    def _alignment(
        self,
        name: str,
        space: str | dict,
        head: str = 'decode_head',
        source: str = 'source',
        target: str = 'target',
        adversarial_weight: float = 0.001,
        discriminator_weight: float = 1.0,
    ) -> Alignment:
        where = f'alignments.{name}'
        config = dict(type=space) if isinstance(space, str) else dict(space)
        if SPACES.get(config.get('type', '')) is None:
            raise ValueError(
                f'{where}.space must be one of {sorted(SPACES.module_dict)}, got {space!r}'
            )
        heads = {head_name: module for head_name, _, module in self.named_heads()}
        if head not in heads:
            raise ValueError(
                f"{where}.head must be 'decode_head' or 'auxiliary_head', and the model have it; "
                f'got {head!r}'
            )
        built = SPACES.build(config)
        try:
            require_tasks(heads[head], built.tasks)
        except ValueError as error:
            raise ValueError(f'{where}.space={space!r}: {error}') from error
        return Alignment(head, built, source, target, adversarial_weight, discriminator_weight)

    def _build_discriminator(self, name: str, discriminator: ConfigType) -> nn.Module:
        alignment = self.alignments[name]
        channels = alignment.space.channels(getattr(self, alignment.head))
        discriminator = dict(discriminator)
        if discriminator.setdefault('in_channels', channels) != channels:
            raise ValueError(
                f'alignments.{name}.discriminator has in_channels={discriminator["in_channels"]}, '
                f'but {type(alignment.space).__name__} of {alignment.head} has {channels} channels'
                + ('' if channels == 1 else ', one per class')
                + '. Leave in_channels out to have it follow the head.'
            )
        return MODELS.build(discriminator)

    @property
    def unsupervised(self) -> tuple[str, ...]:
        """tuple[str, ...]: The targets of the alignments, and where the heads need no labels."""
        targets = (alignment.target for alignment in self.alignments.values())
        return tuple(dict.fromkeys((*super().unsupervised, *targets)))

    # -- training --------------------------------------------------------------------------------

    def train_on_branches(
        self, model: nn.Module, data: dict, optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One step of the segmentor on all branches, then one of the discriminators.

        Args:
            model (nn.Module): What is called: this model or its distributed wrapper.
            data (dict): Batch with the branches of the alignments, and perhaps others.
            optim_wrapper (OptimWrapperDict): ``segmentor`` and ``discriminator``, as
                :class:`PartsOptimWrapperConstructor` builds them.

        Returns:
            dict[str, Tensor]: ``BRANCH.loss_NAME``, ``target.loss_adversarial_NAME`` and their sum
            ``loss``; ``discriminator.loss_NAME_DOMAIN``; and ``discriminator.acc_NAME_DOMAIN``, the
            percentage of patches whose domain is recognized.

        Raises:
            ValueError: A branch or an optimizer is missing.
        """
        self._check_step(data, optim_wrapper)
        self._seen = {}
        with _frozen(self.discriminators):
            log = super().train_on_branches(model, data, optim_wrapper['segmentor'])
        maps, self._seen = self._seen, {}
        passes = {
            domain: dict(inputs=maps[domain], data_samples=None, mode=f'discriminate_{domain}')
            for domain in ('source', 'target')
        }
        own = train_passes(model, self, passes, optim_wrapper['discriminator'])
        own.pop('loss')
        return log | {f'discriminator.{k.partition(".")[2]}': v for k, v in own.items()}

    def forward(self, inputs, data_samples: OptSampleList = None, mode: str = 'tensor'):
        """As in MMSeg, with one more mode for the discriminators.

        Args:
            inputs (Tensor | dict[str, Tensor]): Images; or maps by name of their discriminator.
            data_samples (list[SegDataSample], optional): Samples.
            mode (str): Of MMSeg; or ``'discriminate_source'`` and ``'discriminate_target'``.

        Returns:
            As in MMSeg; in the modes of the discriminators their losses.
        """
        if mode.startswith('discriminate_'):
            return self.discriminator_losses(inputs, mode.removeprefix('discriminate_'))
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (list[SegDataSample]): Their samples, with branch and domain.

        Returns:
            dict[str, Tensor]: Of a labelled branch as :meth:`UDASegmentor.loss`; of the target of
            an alignment ``loss_adversarial_NAME``, too.
        """
        branch = branch_of(data_samples)
        features = self.extract_feat(inputs)
        tasks = self._tasks_on(branch)
        if branch in self.unlabelled:
            losses, predictions = self.unsupervised_loss(
                features, data_samples, inputs.shape[2:], tasks
            )
        else:
            losses, predictions = self.supervised_loss(features, data_samples, tasks)
        with torch.no_grad():
            self._see('source', self._maps(predictions, 'source', branch))
        aligned = self._maps(predictions, 'target', branch)
        self._see('target', aligned)
        # Frozen discriminators; their gradient flows into the predictions.
        logits = self.discriminators(aligned)
        return losses | {
            f'loss_adversarial_{name}': self.alignments[name].adversarial_weight
            * _domain_loss(one, SOURCE)
            for name, one in logits.items()
        }

    def discriminator_losses(self, maps: Maps, domain: str) -> dict[str, Tensor]:
        """Losses of the discriminators on one domain.

        Args:
            maps (dict[str, Tensor]): By name, without gradient.
            domain (str): ``'source'`` or ``'target'``.

        Returns:
            dict[str, Tensor]: ``loss_NAME_DOMAIN`` and ``acc_NAME_DOMAIN``, in percent.
        """
        label = dict(source=SOURCE, target=TARGET)[domain]
        logits = self.discriminators(maps)
        losses = {
            f'loss_{name}_{domain}': self.alignments[name].discriminator_weight
            * _domain_loss(one, label)
            for name, one in logits.items()
        }
        with torch.no_grad():
            accuracy = {
                f'acc_{name}_{domain}': 100 * ((one > 0) == bool(label)).float().mean()
                for name, one in logits.items()
            }
        return losses | accuracy

    def _tasks_on(self, branch: str) -> dict[str, tuple[str, ...]]:
        """Predictions that the alignments need on a branch, by head."""
        tasks: dict[str, tuple[str, ...]] = {}
        for alignment in self.alignments.values():
            if branch in (alignment.source, alignment.target):
                known = tasks.get(alignment.head, ())
                tasks[alignment.head] = tuple(dict.fromkeys((*known, *alignment.space.tasks)))
        return tasks

    def _maps(self, predictions: Mapping[str, Predictions], side: str, branch: str) -> Maps:
        """What the discriminators whose source or target a branch is look at."""
        return {
            name: alignment.space(predictions[alignment.head])
            for name, alignment in self.alignments.items()
            if getattr(alignment, side) == branch
        }

    def _see(self, domain: str, maps: Maps) -> None:
        """Keep maps for the discriminators, without their graph."""
        detached = {name: one.detach() for name, one in maps.items()}
        self._seen.setdefault(domain, {}).update(detached)

    def _check_step(self, data: dict, optim_wrapper: OptimWrapper) -> None:
        alignments = self.alignments.values()
        needed = {branch for a in alignments for branch in (a.source, a.target)}
        if needed - set(data):
            raise ValueError(
                f'AdversarialSegmentor trains on batches with {" and ".join(sorted(needed))}, got '
                f'{sorted(data)}. Take SourceTargetDataset as the training dataset.'
            )
        is_dict = isinstance(optim_wrapper, OptimWrapperDict)
        optimizers = set(optim_wrapper.keys()) if is_dict else set()
        if not {'segmentor', 'discriminator'} <= optimizers:
            raise ValueError(
                'AdversarialSegmentor needs an optimizer for the segmentor and one for the '
                "discriminator. Set optim_wrapper.constructor='PartsOptimWrapperConstructor', "
                'optim_wrapper.segmentor and optim_wrapper.discriminator.'
            )


def _domain_loss(logits: Tensor, label: float) -> Tensor:
    """Binary cross entropy against one label for all patches."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let no parameter have a gradient; also where the block fails, they have one again."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
