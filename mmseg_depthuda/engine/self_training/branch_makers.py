# Licensed under the Apache License 2.0, see LICENSE.
"""Branches made of others: mixed images, masked images.

A branch maker is registered in :data:`~mmseg_depthuda.registry.BRANCH_MAKERS`. It is a thin class
over pure functions of :mod:`mmseg_depthuda.adaptation`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor
from mmseg.structures import SegDataSample
from mmseg.utils import SampleList
from torch import Tensor

from mmseg_depthuda.adaptation.augmentation import strong_augmentation
from mmseg_depthuda.adaptation.block_masks import block_mask
from mmseg_depthuda.adaptation.class_masks import class_mask
from mmseg_depthuda.adaptation.mixing import mix
from mmseg_depthuda.registry import BRANCH_MAKERS
from mmseg_depthuda.structures import domains_of, pack_pixel_data, stack_pixel_data, stack_required

from .class_samplers import ClassSampler, build_class_sampler


class BranchMaker(ABC):
    """Makes one branch of the preprocessed branches of a batch.

    Attributes:
        reads (tuple[str, ...]): Branches that it is made of; each needs labels or pseudo-labels.
    """

    reads: tuple[str, ...] = ()

    @abstractmethod
    def __call__(
        self, name: str, branches: Mapping[str, dict], preprocessor: SegDataPreProcessor
    ) -> dict:
        """Make the branch.

        Args:
            name (str): Its name, for the metainfo ``branch`` of its samples.
            branches (Mapping[str, dict]): Preprocessed branches by name. A branch that was
                pseudo-labeled has ``pseudo_label`` and ``pseudo_trust`` in its samples.
            preprocessor (SegDataPreProcessor): Knows the normalization of the images.

        Returns:
            dict: ``inputs`` and ``data_samples``.
        """

    def know_classes(self, names: Sequence[str]) -> None:  # noqa: B027
        """Learn the names of the classes; called before a training whose dataset names them.

        Args:
            names (Sequence[str]): In the order of their indices.
        """


def labels_and_trust(branch: Mapping) -> tuple[Tensor, Tensor | None]:
    """Get the labels of a branch: pseudo-labels if it has them, else the true labels.

    Args:
        branch (Mapping): Preprocessed.

    Returns:
        tuple[Tensor, Tensor, optional]: int64 (N, 1, H, W); weights of the labels, float
        (N, 1, H, W): the trust in pseudo-labels, or the ``seg_weight`` of a made branch; None for
        true labels.

    Raises:
        ValueError: The branch has neither.
    """
    samples = branch['data_samples']
    label = stack_pixel_data(samples, 'pseudo_label')
    if label is not None:
        return label, stack_pixel_data(samples, 'pseudo_trust')
    label = stack_pixel_data(samples, 'gt_sem_seg')
    if label is None:
        raise ValueError(f'{samples[0].metainfo.get("img_path")} has no labels to make a branch of')
    return label, stack_pixel_data(samples, 'seg_weight')


def new_samples(name: str, domains: tuple[str, ...], *made_of: SampleList) -> SampleList:
    """Samples of a made branch, without maps.

    Args:
        name (str): Name of the branch.
        domains (tuple[str, ...]): Domains of its pixels, one or two, see
            :func:`~mmseg_depthuda.structures.domains_of`.
        *made_of (list[SegDataSample]): Samples that each is made of, N of each branch.

    Returns:
        list[SegDataSample]: N samples with ``branch``, ``domain``, ``img_shape`` and ``img_path``,
        the paths of all images where there are several.
    """
    samples, domain = [], domains if len(domains) > 1 else domains[0]
    for parts in zip(*made_of, strict=True):
        paths = [part.metainfo.get('img_path') for part in parts]
        shape = parts[-1].metainfo.get('img_shape')
        metainfo = dict(branch=name, domain=domain, img_shape=shape)
        metainfo['img_path'] = paths if len(paths) > 1 else paths[0]
        samples.append(SegDataSample(metainfo=metainfo))
    return samples


def augmented(images: Tensor, preprocessor: SegDataPreProcessor) -> Tensor:
    """Strong augmentation of normalized images (N, 3, H, W)."""
    return strong_augmentation(images, preprocessor.mean, preprocessor.std, rgb=preprocessor.is_rgb)


@BRANCH_MAKERS.register_module()
class ClassMix(BranchMaker):
    """Classes of one branch pasted onto the images of another.

    Labels are mixed alike, and so is depth where both branches have it. Pixels with a
    pseudo-label weigh as much as it is trusted, others 1. The classes that were taken stand in the
    metainfo ``pasted_classes`` of each sample.

    Args:
        paste (str): Branch whose classes are cut out. Defaults to 'source'.
        onto (str): Branch onto which they are pasted. Defaults to 'target'.
        classes (Sequence[int | str] | dict | Callable, optional): Which classes. Their indices or
            names; the config of a sampler in the registry ``CLASS_SAMPLERS``; or a function of the
            labels (N, 1, H, W) that gives the indices of each image. Defaults to None, which is
            ``dict(type='HalfOfClasses')``: half of those of each image, drawn at random.
        augment (bool): Strongly augment the mixed images. Defaults to True.

    Raises:
        ValueError: ``paste`` and ``onto`` are the same branch, or ``classes`` is empty.

    Source: Olsson et al., "ClassMix", WACV 2021; Tranheden et al., "DACS", WACV 2021.
    """

    def __init__(
        self,
        paste: str = 'source',
        onto: str = 'target',
        classes: Sequence[int | str] | Mapping[str, Any] | ClassSampler | None = None,
        augment: bool = True,
    ):
        if paste == onto:
            raise ValueError(f'paste and onto are the same branch, {paste!r}')
        self.reads = (paste, onto)
        self.classes = build_class_sampler(classes)
        self.augment = augment

    def know_classes(self, names: Sequence[str]) -> None:
        """Tell the sampler the names of the classes, see :meth:`BranchMaker.know_classes`."""
        if hasattr(self.classes, 'know_classes'):
            self.classes.know_classes(names)

    def __call__(
        self, name: str, branches: Mapping[str, dict], preprocessor: SegDataPreProcessor
    ) -> dict:
        """Mix the two branches; see :class:`BranchMaker`.

        Raises:
            ValueError: A branch has no labels, or the pixels would be of three domains.
        """
        cut_from, base = (branches[branch] for branch in self.reads)
        pasted_label, pasted_trust = labels_and_trust(cut_from)
        label, trust = labels_and_trust(base)
        classes = self.classes(pasted_label)
        mask = class_mask(pasted_label, classes)
        pasted_samples, samples_below = cut_from['data_samples'], base['data_samples']
        domains = tuple(dict.fromkeys(domains_of(pasted_samples) + domains_of(samples_below)))
        if len(domains) > 2:
            raise ValueError(
                f'branches.{name} would have pixels of the domains {", ".join(domains)}, but a '
                'sample can tell two apart. Mix branches of two domains.'
            )
        samples = new_samples(name, domains, pasted_samples, samples_below)
        pasted_weight, weight = _same_dtype(pasted_trust, trust, mask)
        maps = dict(
            gt_sem_seg=mix(pasted_label, label, mask),
            seg_weight=mix(pasted_weight, weight, mask),
            # Where both have one domain, each pixel's domain is known without the mask.
            mix_mask=mask
            if len(domains) == 1
            else mix(
                _pixels_of(domains[0], pasted_samples, mask),
                _pixels_of(domains[0], samples_below, mask),
                mask,
            ),
        )
        pasted_depth = stack_pixel_data(pasted_samples, 'gt_depth_map')
        depth = stack_pixel_data(samples_below, 'gt_depth_map')
        if pasted_depth is not None and depth is not None:
            maps['gt_depth_map'] = mix(pasted_depth, depth, mask)
        pack_pixel_data(samples, maps)
        for sample, taken in zip(samples, classes, strict=True):
            sample.set_metainfo(dict(pasted_classes=sorted(torch.as_tensor(taken).tolist())))
        inputs = mix(cut_from['inputs'], base['inputs'], mask)
        inputs = augmented(inputs, preprocessor) if self.augment else inputs
        return dict(inputs=inputs, data_samples=samples)


@BRANCH_MAKERS.register_module()
class MaskImage(BranchMaker):
    """Images of a branch of which most blocks are hidden.

    Labels and their trust stay those of the whole image, so that the network has to infer what is
    hidden from its surroundings. Hidden pixels have the mean color. Depth, if there is any, stays.

    Args:
        of (str): Branch whose images are masked. Defaults to 'target'.
        block_size (int): Side of a block in pixels. Defaults to 64; MIC takes 32 at half size.
        ratio (float): Share of hidden blocks, in 0..1. Defaults to 0.7.
        augment (bool): Strongly augment the images before they are masked. Defaults to True.

    Source: Hoyer et al., "MIC", CVPR 2023, and its release.
    """

    def __init__(
        self, of: str = 'target', block_size: int = 64, ratio: float = 0.7, augment: bool = True
    ):
        block_mask(1, (1, 1), block_size, ratio)  # refuses wrong arguments
        self.reads = (of,)
        self.block_size = block_size
        self.ratio = ratio
        self.augment = augment

    def __call__(
        self, name: str, branches: Mapping[str, dict], preprocessor: SegDataPreProcessor
    ) -> dict:
        """Mask the images; see :class:`BranchMaker`."""
        branch = branches[self.reads[0]]
        inputs, made_of = branch['inputs'], branch['data_samples']
        label, trust = labels_and_trust(branch)
        maps = dict(gt_sem_seg=label)
        if trust is not None:
            maps['seg_weight'] = trust
        depth = stack_pixel_data(made_of, 'gt_depth_map')
        if depth is not None:
            maps['gt_depth_map'] = depth
        domains = domains_of(made_of)
        if len(domains) > 1:
            maps['mix_mask'] = stack_required(made_of, 'mix_mask')
        samples = new_samples(name, domains, made_of)
        pack_pixel_data(samples, maps)
        inputs = augmented(inputs, preprocessor) if self.augment else inputs
        kept = block_mask(len(inputs), inputs.shape[2:], self.block_size, self.ratio)
        return dict(inputs=inputs * kept.to(inputs.device), data_samples=samples)


def _pixels_of(domain: str, samples: SampleList, like: Tensor) -> Tensor:
    """Bool mask of the shape of ``like`` (N, 1, H, W): the pixels that come from a domain."""
    domains = domains_of(samples)
    if len(domains) == 1:
        return torch.full_like(like, domains[0] == domain)
    mask = stack_required(samples, 'mix_mask')
    return mask if domains[0] == domain else ~mask


def _same_dtype(pasted: Tensor | None, onto: Tensor | None, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of two branches, 1 for those with true labels, in the dtype of the others."""
    known = next((weight for weight in (pasted, onto) if weight is not None), None)
    dtype = torch.get_default_dtype() if known is None else known.dtype
    ones = torch.ones(mask.shape, dtype=dtype, device=mask.device)
    return ones if pasted is None else pasted, ones if onto is None else onto
