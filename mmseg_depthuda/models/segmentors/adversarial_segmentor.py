# Licensed under the Apache License 2.0, see LICENSE.
"""Adversarial adaptation: segmentor and discriminators are trained in turn."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmseg.registry import MODELS
from mmseg.utils import ConfigType, ForwardResults, OptSampleList, SampleList
from torch import Tensor, nn

from mmseg_depthuda.models.decode_heads.head_contract import Predictions, require_tasks
from mmseg_depthuda.models.discriminators import DiscriminatorDict, Space
from mmseg_depthuda.registry import SPACES
from mmseg_depthuda.structures import branch_of

from .branch_training import train_passes
from .uda_segmentor import UDASegmentor

SOURCE, TARGET = 0.0, 1.0  # labels of the domains

Maps = dict[str, Tensor]
"""Input of each discriminator by its name, (N, channels, H, W), at the size of the images."""


class Alignment(NamedTuple):
    """What one discriminator compares, and the weights of its losses."""

    head: str
    space: Space
    source: str
    target: str
    adversarial_weight: float
    discriminator_weight: float


@MODELS.register_module()
class AdversarialSegmentor(UDASegmentor):
    """Encoder-decoder that aligns its predictions on the target with those on the source.

    Each iteration has two steps:

    1. The segmentor is trained by the losses of its heads on the labeled branches, and by the
       adversarial loss: it learns to make target predictions that frozen discriminators take for
       source predictions.
    2. The discriminators are trained to tell source predictions from target predictions.

    At most one graph of the segmentor is in memory.

    The space, which is the input of the discriminators, decides the method: ``'self_information'``
    is ADVENT; ``'depth_aware'``, the product of self-information and inverse depth, is DADA;
    ``'depth'`` is an ablation of DADA. Every backbone can be used, every branch that a hook makes,
    and every head that predicts the tasks of the space (see
    :mod:`~mmseg_depthuda.models.decode_heads.head_contract`).

    Args:
        alignments (Mapping[str, Mapping]): Name of an alignment -> its settings:

            * ``discriminator`` (dict): its config, by default ``dict(type='FCNDiscriminator')``.
              ``in_channels`` are by default the channels of the space.
            * ``space`` (str | dict): a name of the registry ``SPACES``, or its config.
            * ``head`` (str): ``'decode_head'`` (default) or ``'auxiliary_head'``.
            * ``source``, ``target`` (str): the two branches that the discriminator tells apart, by
              default ``'source'`` and ``'target'``.
            * ``adversarial_weight`` (float): weight of the adversarial loss of the segmentor,
              by default 0.001.
            * ``discriminator_weight`` (float): weight of the discriminator's loss on each domain,
              by default 1. ADVENT has 0.5.
        **kwargs: Arguments of :class:`UDASegmentor`.

    Raises:
        ValueError: There is no alignment; an alignment has a wrong space or head; its discriminator
            has another number of channels than its space; or there are several auxiliary heads.

    Source: Vu et al., "ADVENT", CVPR 2019; Vu et al., "DADA", ICCV 2019, eq. 6 and 7.
    """

    parts = dict(discriminator=('discriminators',))
    training_only = ('^discriminators',)  # for StrictLoadHook

    def __init__(self, alignments: Mapping[str, Mapping], **kwargs: Any):
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
                f'{where}.head must be a head of the model, {" or ".join(map(repr, heads))}, got '
                f'{head!r}'
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
        """tuple[str, ...]: The target branches of the alignments, and those whose heads need no
        labels."""
        targets = (alignment.target for alignment in self.alignments.values())
        return tuple(dict.fromkeys((*super().unsupervised, *targets)))

    # -- training --------------------------------------------------------------------------------

    def train_on_branches(
        self, model: nn.Module, data: dict, optim_wrapper: OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One step of the segmentor on all branches, then one step of the discriminators.

        Args:
            model (nn.Module): What is called: this model or its distributed wrapper.
            data (dict): Batch with the branches of the alignments. It may have other branches.
            optim_wrapper (OptimWrapperDict): ``segmentor`` and ``discriminator``, as
                :class:`PartsOptimWrapperConstructor` builds them.

        Returns:
            dict[str, Tensor]: ``BRANCH.loss_NAME`` and ``target.loss_adversarial_NAME``, and their
            sum ``loss``. Of the discriminators ``discriminator.loss_NAME_DOMAIN``, and
            ``discriminator.acc_NAME_DOMAIN``, the percentage of patches whose domain is recognized.

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

    def forward(
        self, inputs: Tensor | Maps, data_samples: OptSampleList = None, mode: str = 'tensor'
    ) -> ForwardResults:
        """As in MMSeg, with two more modes for the discriminators.

        Args:
            inputs (Tensor | dict[str, Tensor]): Images. For the discriminators, their inputs by
                name.
            data_samples (list[SegDataSample], optional): Samples of the images.
            mode (str): A mode of MMSeg, or ``'discriminate_source'`` or ``'discriminate_target'``.

        Returns:
            As in MMSeg; or :meth:`discriminator_losses`.
        """
        if mode.startswith('discriminate_'):
            domain = mode.removeprefix('discriminate_')
            return self.discriminator_losses(cast(Maps, inputs), domain)
        return super().forward(inputs, data_samples, mode)

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (list[SegDataSample]): Their samples, with branch and domain.

        Returns:
            dict[str, Tensor]: Of a labeled branch those of :meth:`UDASegmentor.loss`. Of the target
            of an alignment also ``loss_adversarial_NAME``.
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
        # The discriminators are frozen. The gradient goes through them into the predictions.
        logits = self.discriminators(aligned)
        return losses | {
            f'loss_adversarial_{name}': self.alignments[name].adversarial_weight
            * _domain_loss(one, SOURCE)
            for name, one in logits.items()
        }

    def discriminator_losses(self, maps: Maps, domain: str) -> dict[str, Tensor]:
        """Losses of the discriminators on one domain.

        Args:
            maps (dict[str, Tensor]): Inputs by name of the discriminator, without gradient.
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
        """Inputs of the discriminators for which a branch is the ``side``: source or target."""
        return {
            name: alignment.space(predictions[alignment.head])
            for name, alignment in self.alignments.items()
            if getattr(alignment, side) == branch
        }

    def _see(self, domain: str, maps: Maps) -> None:
        """Keep maps, without their graph, for the step of the discriminators."""
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
    """Binary cross entropy with the same label for all patches."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Switch the gradients of a module off, and on again at the end, also after an error."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)
