# Licensed under the Apache License 2.0, see LICENSE.
"""Adversarial adaptation: segmentor and discriminators trained in turn."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner.checkpoint import get_state_dict
from mmseg.registry import MODELS
from mmseg.utils import ConfigType
from torch import Tensor, nn

from mmseg_depthuda.adaptation.self_information import fuse_with_depth, weighted_self_information
from mmseg_depthuda.models.decode_heads.seg_depth_head import TASKS
from mmseg_depthuda.models.discriminators import DiscriminatorDict
from mmseg_depthuda.models.wrappers.bare_model import bare_model
from mmseg_depthuda.structures import upsample

from .branch_training import add_gradient
from .uda_segmentor import UDASegmentor

SPACES = dict(self_information=('seg',), depth=('depth',), depth_aware=('seg', 'depth'))
"""What can be aligned -> the predictions that it is made of."""
HEADS = ('decode_head', 'auxiliary_head')
SOURCE, TARGET = 0.0, 1.0  # labels of the domains

Maps = dict[str, Tensor]
"""What is aligned at input resolution, (N, channels, H, W), by name of its discriminator."""


class Alignment(NamedTuple):
    """What a discriminator looks at, and how much it counts."""

    head: str
    space: str
    adversarial_weight: float
    discriminator_weight: float


@MODELS.register_module()
class AdversarialSegmentor(UDASegmentor):
    """Encoder-decoder whose target predictions learn to pass for source predictions.

    In each iteration the segmentor learns labels (and depth) on the source and, against frozen
    discriminators, to have its target predictions taken for source predictions; then the
    discriminators learn to tell the two apart. At most one graph of the segmentor is in memory.

    What is aligned decides the method: ``'self_information'`` is ADVENT, ``'depth_aware'`` (the
    product of self-information and inverse depth) DADA, ``'depth'`` an ablation of DADA. Every
    backbone can be used, and every head whose losses are ``loss_by_feat(forward(features))``; what
    involves depth needs a head with ``predicts_depth``, such as :class:`DADAHead`.

    Args:
        alignments (Mapping[str, Mapping]): By name, each with

            * ``discriminator`` (dict): defaults to ``dict(type='FCNDiscriminator')``; its
              ``in_channels`` are those of what it looks at;
            * ``space`` (str): ``'self_information'``, ``'depth'`` or ``'depth_aware'``;
            * ``head`` (str): ``'decode_head'`` (default) or ``'auxiliary_head'``;
            * ``adversarial_weight`` (float): weight of the loss of being recognised (default
              0.001);
            * ``discriminator_weight`` (float): weight of the discriminator's own losses, on either
              domain (default 1; ADVENT takes 0.5).
        **kwargs: Arguments of MMSeg's ``EncoderDecoder``.

    Raises:
        ValueError: There is no alignment, an alignment has a wrong space or head, its discriminator
            another number of channels than what it looks at, or there are several auxiliary heads.

    Source: Vu et al., "ADVENT", CVPR 2019; Vu et al., "DADA", ICCV 2019, eq. 6 and 7.
    """

    trained_branches = ('source', 'target')
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

    def _alignment(
        self,
        name: str,
        space: str,
        head: str = 'decode_head',
        adversarial_weight: float = 0.001,
        discriminator_weight: float = 1.0,
    ) -> Alignment:
        where = f'alignments.{name}'
        if space not in SPACES:
            raise ValueError(f'{where}.space must be one of {list(SPACES)}, got {space!r}')
        module = getattr(self, head, None) if head in HEADS else None
        if module is None:
            raise ValueError(
                f"{where}.head must be 'decode_head' or 'auxiliary_head', and the model have it; "
                f'got {head!r}'
            )
        if 'depth' in SPACES[space] and not _predicts_depth(module):
            raise ValueError(
                f'{where}.space={space!r} needs a head that predicts depth, such as DADAHead, not '
                f'{type(module).__name__}'
            )
        return Alignment(head, space, adversarial_weight, discriminator_weight)

    def _build_discriminator(self, name: str, discriminator: ConfigType) -> nn.Module:
        alignment = self.alignments[name]
        head = getattr(self, alignment.head)
        channels = head.out_channels if 'seg' in SPACES[alignment.space] else 1
        discriminator = dict(discriminator)
        if discriminator.setdefault('in_channels', channels) != channels:
            raise ValueError(
                f'alignments.{name}.discriminator has in_channels={discriminator["in_channels"]}, '
                f'but {alignment.space} of {alignment.head} has {channels} channels'
                + ('' if channels == 1 else ', one per class')
                + '. Leave in_channels out to have it follow the head.'
            )
        return MODELS.build(discriminator)

    # -- training --------------------------------------------------------------------------------

    def train_step(self, data: dict, optim_wrapper: OptimWrapperDict) -> dict[str, Tensor]:
        """One step of the segmentor, then one of the discriminators.

        Args:
            data (dict): Batch with the branches ``source`` and ``target``.
            optim_wrapper (OptimWrapperDict): ``segmentor`` and ``discriminator``, as
                :class:`AdversarialOptimWrapperConstructor` builds them.

        Returns:
            dict[str, Tensor]: ``source.loss_NAME``, ``target.loss_adversarial_NAME`` and their sum
            ``loss``; ``discriminator.loss_NAME_DOMAIN``; and ``discriminator.acc_NAME_DOMAIN``, the
            percentage of patches whose domain is recognised.

        Raises:
            ValueError: A branch or an optimiser is missing.
        """
        _check_step(data, optim_wrapper)
        for_segmentor = optim_wrapper['segmentor']
        branches = self.data_preprocessor(data, training=True)

        with _frozen(bare_model(self.discriminators)):
            source_log, source_maps = self._learn_source(branches['source'], for_segmentor)
            target_log, target_maps = self._fool(branches['target'], for_segmentor)
        discriminator_log = self._discriminate(
            source_maps, target_maps, optim_wrapper['discriminator']
        )

        total = source_log.pop('loss') + target_log.pop('loss')
        return {
            'loss': total,
            **{f'source.{key}': value for key, value in source_log.items()},
            **{f'target.{key}': value for key, value in target_log.items()},
            **{f'discriminator.{key}': value for key, value in discriminator_log.items()},
        }

    def _learn_source(
        self, branch: dict, optim_wrapper: OptimWrapper
    ) -> tuple[dict[str, Tensor], Maps]:
        """Gradient of the supervised losses; their log, and what the discriminators get to see."""
        heads = [name for name in HEADS if getattr(self, name, None) is not None]
        # Heads that the target does not pass through have all of their gradient here.
        complete = [getattr(self, name) for name in heads if name not in self._aligned_tasks()]
        with self._no_sync(exchanged=complete if optim_wrapper.should_sync() else []):
            with optim_wrapper.optim_context(self):
                predictions = self._predict(branch['inputs'], dict.fromkeys(heads, TASKS))
                losses = {}
                for name in heads:
                    head, own = bare_model(getattr(self, name)), predictions[name]
                    own = own if _predicts_depth(head) else own['seg']
                    prefix = 'aux.' if name == 'auxiliary_head' else ''
                    for key, value in head.loss_by_feat(own, branch['data_samples']).items():
                        losses[f'{prefix}{key}'] = value
                with torch.no_grad():
                    maps = _detached(self._maps(predictions))
            loss, log = self.parse_losses(losses)
            add_gradient(loss, optim_wrapper)
        return _detached(log), maps

    def _fool(self, branch: dict, optim_wrapper: OptimWrapper) -> tuple[dict[str, Tensor], Maps]:
        """Gradient of the adversarial losses, and the step; their log, and the target's maps."""
        with nullcontext() if optim_wrapper.should_sync() else self._no_sync():
            with optim_wrapper.optim_context(self):
                maps = self._maps(self._predict(branch['inputs'], self._aligned_tasks()))
                # Frozen and without a share in the exchange of gradients.
                logits = bare_model(self.discriminators)(maps)
                losses = {
                    f'loss_adversarial_{name}': self.alignments[name].adversarial_weight
                    * _domain_loss(one, SOURCE)
                    for name, one in logits.items()
                }
            loss, log = self.parse_losses(losses)
            optim_wrapper.update_params(loss)
        return _detached(log), _detached(maps)

    def _discriminate(
        self, source: Maps, target: Maps, optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        """Step of the discriminators on maps that carry no gradient."""
        log: dict[str, Tensor] = {}
        for domain, maps, label in (('source', source, SOURCE), ('target', target, TARGET)):
            is_last = domain == 'target'
            exchanges = is_last and optim_wrapper.should_sync()
            with nullcontext() if exchanges else _no_sync([self.discriminators]):
                with optim_wrapper.optim_context(self):
                    logits = self.discriminators(maps)
                    losses = {
                        f'loss_{name}_{domain}': self.alignments[name].discriminator_weight
                        * _domain_loss(one, label)
                        for name, one in logits.items()
                    }
                loss, own = self.parse_losses(losses)
                if is_last:
                    optim_wrapper.update_params(loss)
                else:
                    add_gradient(loss, optim_wrapper)
            own.pop('loss')
            log |= _detached(own)
            log |= {
                f'acc_{name}_{domain}': 100 * ((one > 0) == bool(label)).float().mean()
                for name, one in logits.items()
            }
        return log

    def _aligned_tasks(self) -> dict[str, set[str]]:
        """Predictions that the alignments need, by head."""
        tasks: dict[str, set[str]] = {}
        for alignment in self.alignments.values():
            tasks.setdefault(alignment.head, set()).update(SPACES[alignment.space])
        return tasks

    def _predict(
        self, inputs: Tensor, tasks: Mapping[str, Collection[str]]
    ) -> dict[str, dict[str, Tensor]]:
        """Predictions (N, channels, H, W) at input resolution, by head and task.

        Parts are called as modules, so that their distributed wrappers take part.
        """
        features = self.extract_feat(inputs)
        predictions = {}
        for name, wanted in tasks.items():
            module = getattr(self, name)
            head = bare_model(module)
            if _predicts_depth(head):
                low = module(features, tasks=wanted)
            else:
                low = dict(seg=module(features))
            predictions[name] = {
                task: upsample(one, inputs.shape[2:], head.align_corners)
                for task, one in low.items()
            }
        return predictions

    def _maps(self, predictions: Mapping[str, Mapping[str, Tensor]]) -> Maps:
        """What the discriminators look at."""
        return {
            name: _aligned_map(alignment.space, predictions[alignment.head])
            for name, alignment in self.alignments.items()
        }

    def _no_sync(self, exchanged: Collection[nn.Module] = ()):
        """Keep the gradients of the segmentor on their process, but for some parts."""
        others = {self.discriminators, *exchanged}
        return _no_sync([module for module in self.children() if module not in others])

    def state_dict(self, *args, **kwargs) -> dict[str, Tensor]:
        """Weights, by the names they have without distributed wrappers.

        MMEngine's runner saves what this gives, and its separate wrapper puts ``module.`` into the
        middle of every name: no single process could load the checkpoint.
        """
        return get_state_dict(self, *args, **kwargs)

    # -- inference -------------------------------------------------------------------------------

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits at image resolution, see MMSeg's ``EncoderDecoder``.

        MMEngine's separate wrapper puts each part into its own ``DistributedDataParallel``, which
        hides the head's ``predict``.
        """
        head = bare_model(self.decode_head)
        return head.predict(self.extract_feat(inputs), batch_img_metas, self.test_cfg)


def _predicts_depth(head: nn.Module) -> bool:
    return getattr(head, 'predicts_depth', False)


def _aligned_map(space: str, prediction: Mapping[str, Tensor]) -> Tensor:
    if space == 'depth':
        return prediction['depth']
    information = weighted_self_information(prediction['seg'])
    if space == 'self_information':
        return information
    return fuse_with_depth(information, prediction['depth'])


def _domain_loss(logits: Tensor, label: float) -> Tensor:
    """Binary cross entropy against one label for all patches."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))


def _detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in tensors.items()}


@contextmanager
def _no_sync(modules: Collection[nn.Module]) -> Iterator[None]:
    """Keep the gradients of modules, as far as they are wrapped, on their process.

    MMEngine's separate wrapper has a ``no_sync`` for all modules at once, which yields once per
    module and therefore fails.
    """
    with ExitStack() as stack:
        for module in modules:
            if hasattr(module, 'no_sync'):
                stack.enter_context(module.no_sync())
        yield


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Let no parameter have a gradient; also where the block fails, they have one again."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


def _check_step(data: ConfigType, optim_wrapper: OptimWrapper) -> None:
    missing = {'source', 'target'} - set(data)
    if missing:
        raise ValueError(
            f'AdversarialSegmentor trains on batches with source and target, got {sorted(data)}. '
            'Take SourceTargetDataset as the training dataset.'
        )
    optimisers = set(optim_wrapper.keys()) if isinstance(optim_wrapper, OptimWrapperDict) else set()
    if not {'segmentor', 'discriminator'} <= optimisers:
        raise ValueError(
            'AdversarialSegmentor needs an optimiser for the segmentor and one for the '
            "discriminator. Set optim_wrapper.constructor='AdversarialOptimWrapperConstructor', "
            'optim_wrapper.segmentor and optim_wrapper.discriminator.'
        )
