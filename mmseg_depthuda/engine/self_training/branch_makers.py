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
from torch.utils.data import Dataset

from mmseg_depthuda.adaptation.augmentation import draw_strong_augmentation, strong_augmentation
from mmseg_depthuda.adaptation.block_masks import block_mask
from mmseg_depthuda.adaptation.class_masks import class_mask
from mmseg_depthuda.adaptation.depth_masks import depth_mix_mask, draw_margins, draw_thresholds
from mmseg_depthuda.adaptation.mixing import mix
from mmseg_depthuda.adaptation.pseudo_labels import confident_share
from mmseg_depthuda.datasets.data_check import images_without_depth
from mmseg_depthuda.datasets.label_protocols import IGNORE_INDEX
from mmseg_depthuda.registry import BRANCH_MAKERS
from mmseg_depthuda.structures import (
    domains_of,
    pack_pixel_data,
    sample_field,
    stack_pixel_data,
    stack_required,
)

from .class_samplers import ClassSampler, HalfOfClasses, build_class_sampler


class BranchMaker(ABC):
    """Makes one branch of the preprocessed branches of a batch.

    Attributes:
        reads (tuple[str, ...]): Branches that it is made of; each needs labels or pseudo-labels.
        online_field (str, optional): Map that the student itself writes into the samples of these
            branches before.
    """

    reads: tuple[str, ...] = ()
    online_field: str | None = None

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

    def check_data(self, name: str, domains: Mapping[str, Dataset]) -> None:  # noqa: B027
        """Refuse data that the branch cannot be made of; called before a training.

        Args:
            name (str): Name of the branch, for the message.
            domains (Mapping[str, Dataset]): Datasets of the training by their domains.

        Raises:
            ValueError: The data lack something; the message says what, and how to mend it.
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


def augmented(images: Tensor, preprocessor: SegDataPreProcessor, one_sigma: bool = False) -> Tensor:
    """Strong augmentation of normalized images.

    Args:
        images (Tensor): (N, 3, H, W).
        preprocessor (SegDataPreProcessor): Has normalized them.
        one_sigma (bool): Blur all images alike. Defaults to False: each has its own sigma.

    Returns:
        Tensor: (N, 3, H, W).
    """
    mean, std, rgb = preprocessor.mean, preprocessor.std, preprocessor.is_rgb
    if one_sigma:
        draws = draw_strong_augmentation(len(images), one_sigma=True)
        return strong_augmentation(images, mean, std, draws=draws, rgb=rgb)
    return strong_augmentation(images, mean, std, rgb=rgb)


class ImageMix(BranchMaker):
    """Pixels of the images of one branch pasted onto those of another, or of the same one.

    Labels are mixed alike, and so is depth where both branches have it. Pixels with a pseudo-label
    weigh as much as it is trusted, others 1.

    Where ``paste`` and ``onto`` are one branch, each image is pasted onto another one of its batch:
    image ``k`` onto image ``k + N // 2``, counted modulo N. So of an even number of images each two
    are mixed in both directions, and several processes mix the pairs that one would.

    A subclass chooses the pixels, in :meth:`choose_pixels`.

    Args:
        paste (str): Branch whose pixels are cut out.
        onto (str): Branch onto which they are pasted; may be the same.
        augment (bool): Strongly augment the mixed images.
        one_sigma (bool, optional): Whether the strong augmentation blurs all images with the same
            sigma. None: within one branch, as released.
        confidence_threshold (float, optional): With a number, in 0..1, every pixel weighs q, those
            with true labels as well. q is the share of the pixels of the *mixed* batch whose
            confidence reaches the threshold. The confidence of a true label is 1, that of an
            ignored pixel 0. A pixel whose pseudo-label is not trusted at all (``ignore_top``) keeps
            the weight 0. None: the weights are those of the labels.

    Raises:
        ValueError: The threshold is outside 0..1.

    Source: Olsson et al., "ClassMix", WACV 2021; within a branch, and q of the mix: Hoyer et al.,
        CVPR 2021, and their releases.
    """

    def __init__(
        self,
        paste: str,
        onto: str,
        augment: bool,
        one_sigma: bool | None,
        confidence_threshold: float | None,
    ):
        if confidence_threshold is not None and not 0 <= confidence_threshold <= 1:
            raise ValueError(f'confidence_threshold must be in 0..1, got {confidence_threshold}')
        self.reads = (paste, onto)
        self.augment = augment
        self.one_sigma = paste == onto if one_sigma is None else one_sigma
        self.confidence_threshold = confidence_threshold

    @abstractmethod
    def choose_pixels(self, pasted: Mapping, onto: Mapping) -> tuple[Tensor, list[dict]]:
        """Choose what is pasted.

        Args:
            pasted (Mapping): Preprocessed images that are cut out, N.
            onto (Mapping): Those below, N.

        Returns:
            tuple[Tensor, list[dict]]: bool (N, 1, H, W), true where the pixel is pasted; what the
            metainfo of each mixed image says about the choice.
        """

    def __call__(
        self, name: str, branches: Mapping[str, dict], preprocessor: SegDataPreProcessor
    ) -> dict:
        """Mix the two branches; see :class:`BranchMaker`.

        Raises:
            ValueError: A branch has no labels, the pixels would be of three domains, the branches
                have different numbers of images, or a single one has no other to be mixed with.
        """
        cut_from, base = self._pairs(name, branches)
        pasted_samples, samples_below = cut_from['data_samples'], base['data_samples']
        domains = tuple(dict.fromkeys(domains_of(pasted_samples) + domains_of(samples_below)))
        if len(domains) > 2:
            raise ValueError(
                f'branches.{name} would have pixels of the domains {", ".join(domains)}, but a '
                'sample can tell two apart. Mix branches of two domains.'
            )
        pasted_label, pasted_trust = labels_and_trust(cut_from)
        label, trust = labels_and_trust(base)
        mask, choices = self.choose_pixels(cut_from, base)
        samples = new_samples(name, domains, pasted_samples, samples_below)
        weights = mix(*_same_dtype(pasted_trust, trust, mask), mask)
        if self.confidence_threshold is not None:
            confidence = mix(
                _confidence(cut_from, weights.dtype), _confidence(base, weights.dtype), mask
            )
            share = confident_share(confidence, self.confidence_threshold)
            weights = torch.where(weights > 0, share, 0)
        maps = dict(
            gt_sem_seg=mix(pasted_label, label, mask),
            seg_weight=weights,
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
        for sample, choice in zip(samples, choices, strict=True):
            sample.set_metainfo(choice)
        inputs = mix(cut_from['inputs'], base['inputs'], mask)
        inputs = augmented(inputs, preprocessor, self.one_sigma) if self.augment else inputs
        return dict(inputs=inputs, data_samples=samples)

    def _pairs(self, name: str, branches: Mapping[str, dict]) -> tuple[Mapping, Mapping]:
        """The images that are cut out and those below, one for one."""
        paste, onto = self.reads
        cut_from, base = branches[paste], branches[onto]
        counts = len(cut_from['inputs']), len(base['inputs'])
        if counts[0] != counts[1]:
            raise ValueError(
                f'branches.{name} mixes {paste} and {onto} image by image, but the batch has '
                f'{counts[0]} and {counts[1]} of them: set the same per_draw for both domains.'
            )
        if paste != onto:
            return cut_from, base
        if counts[0] < 2:
            raise ValueError(
                f'branches.{name} mixes the images of {paste} with one another, but the batch has '
                'a single one: set train_dataloader.batch_size=2, or per_draw=2 of this domain.'
            )
        half, samples = counts[0] // 2, base['data_samples']
        others = dict(
            inputs=base['inputs'].roll(-half, 0), data_samples=samples[half:] + samples[:half]
        )
        return cut_from, others


@BRANCH_MAKERS.register_module()
class ClassMix(ImageMix):
    """Classes of one branch pasted onto the images of another, or of the same one.

    The classes that were taken stand in the metainfo ``pasted_classes`` of each sample.

    Args:
        paste (str): Branch whose classes are cut out. Defaults to 'source'.
        onto (str): Branch onto which they are pasted. If it is ``paste``, each image is pasted onto
            another one of the batch, see :class:`ImageMix`. Defaults to 'target'.
        classes (Sequence[int | str] | dict | Callable, optional): Which classes. Their indices or
            names; the config of a sampler in the registry ``CLASS_SAMPLERS``; or a function of the
            labels (N, 1, H, W) that gives the indices of each image. Defaults to None: half of
            those of each image, drawn at random, ``dict(type='HalfOfClasses')``. Within a branch
            the half is rounded down, and ignored pixels count as class 0:
            ``dict(type='HalfOfClasses', rounding='down', ignored_as=0)``.
        augment (bool): Strongly augment the mixed images. Defaults to True.
        one_sigma (bool, optional): See :class:`ImageMix`. Defaults to None.
        confidence_threshold (float, optional): See :class:`ImageMix`. Defaults to None.

    Raises:
        ValueError: ``classes`` is empty, or the threshold is outside 0..1.

    Source: Olsson et al., "ClassMix", WACV 2021; Tranheden et al., "DACS", WACV 2021; within a
        branch: Hoyer et al., CVPR 2021, its release.
    """

    def __init__(
        self,
        paste: str = 'source',
        onto: str = 'target',
        classes: Sequence[int | str] | Mapping[str, Any] | ClassSampler | None = None,
        augment: bool = True,
        one_sigma: bool | None = None,
        confidence_threshold: float | None = None,
    ):
        super().__init__(paste, onto, augment, one_sigma, confidence_threshold)
        if classes is None and paste == onto:
            classes = HalfOfClasses(rounding='down', ignored_as=0)
        self.classes = build_class_sampler(classes)

    def know_classes(self, names: Sequence[str]) -> None:
        """Tell the sampler the names of the classes, see :meth:`BranchMaker.know_classes`."""
        if hasattr(self.classes, 'know_classes'):
            self.classes.know_classes(names)

    def choose_pixels(self, pasted: Mapping, onto: Mapping) -> tuple[Tensor, list[dict]]:
        """Choose the pixels of some classes, see :meth:`ImageMix.choose_pixels`."""
        label = labels_and_trust(pasted)[0]
        classes = self.classes(label)
        names = [sorted(torch.as_tensor(taken).tolist()) for taken in classes]
        return class_mask(label, classes), [dict(pasted_classes=taken) for taken in names]


@BRANCH_MAKERS.register_module()
class DepthMix(ImageMix):
    """What is in front in one branch pasted onto the images of another, or of the same one.

    See :func:`~mmseg_depthuda.adaptation.depth_masks.depth_mix_mask`. A pixel without depth counts
    as infinitely far. Each sample's metainfo has its ``depth_margin`` and ``depth_threshold``.

    Args:
        paste (str): Branch whose foreground is cut out. Defaults to 'source'.
        onto (str): Branch onto which it is pasted. If it is ``paste``, each image is pasted onto
            another one of the batch, see :class:`ImageMix`. Defaults to 'target'.
        margin (float): A pasted pixel may be this much farther than the one that it covers.
            Defaults to 0.03.
        flip_margin (bool, optional): Whether the sign of the margin changes with probability 0.5,
            for each image. Defaults to None: between two branches, as released.
        threshold (float | Sequence[float]): Only what is nearer than this is pasted. Of a range
            ``(low, high)`` a number is drawn for each image. Defaults to 0.
        depth (str): Map of the samples that is compared. Defaults to 'gt_depth_map', the depth that
            the dataset loads; 'online_disparity' is the student's own.
        normalize (bool): Scale the map of each image to 0..1 before. Otherwise ``margin`` and
            ``threshold`` are in the unit of the map. Defaults to True.
        augment (bool): Strongly augment the mixed images. Defaults to True.
        one_sigma (bool, optional): See :class:`ImageMix`. Defaults to None.
        confidence_threshold (float, optional): See :class:`ImageMix`. Defaults to None.

    Raises:
        ValueError: ``margin`` is negative, ``threshold`` is no range, or the confidence threshold
            is outside 0..1.
        KeyError: ``depth`` is no field of a sample.

    Source: Hoyer et al., "Three Ways to Improve Semantic Segmentation with Self-Supervised Depth
        Estimation", CVPR 2021; between two domains: Hoyer et al., IJCV 2023; and their releases.
    """

    def __init__(
        self,
        paste: str = 'source',
        onto: str = 'target',
        margin: float = 0.03,
        flip_margin: bool | None = None,
        threshold: float | Sequence[float] = 0.0,
        depth: str = 'gt_depth_map',
        normalize: bool = True,
        augment: bool = True,
        one_sigma: bool | None = None,
        confidence_threshold: float | None = None,
    ):
        super().__init__(paste, onto, augment, one_sigma, confidence_threshold)
        if margin < 0:
            raise ValueError(f'margin must not be negative, got {margin}')
        thresholds = (threshold, threshold) if isinstance(threshold, int | float) else threshold
        if len(thresholds) != 2 or thresholds[0] > thresholds[1]:
            raise ValueError(f'threshold must be a number or (low, high), got {threshold!r}')
        sample_field(depth)  # refuses a misspelled name
        self.margin = margin
        self.flip_margin = paste != onto if flip_margin is None else flip_margin
        self.thresholds = float(thresholds[0]), float(thresholds[1])
        self.depth = depth
        if depth == 'online_disparity':
            self.online_field = depth
        self.normalize = normalize

    def check_data(self, name: str, domains: Mapping[str, Dataset]) -> None:
        """Refuse images without stored depth, see :meth:`BranchMaker.check_data`."""
        for domain in dict.fromkeys(self.reads):
            if self.depth != 'gt_depth_map' or domain not in domains:
                continue
            missing = images_without_depth(domains[domain])
            if missing:
                raise ValueError(
                    f'branches.{name}: DepthMix compares the depth of the {domain} images, but '
                    f'{len(missing)} of them load none, such as {missing[0]}. Set '
                    f'data_prefix.depth_map_path of the {domain} dataset, and put LoadInverseDepth '
                    'into its pipeline.'
                )

    def choose_pixels(self, pasted: Mapping, onto: Mapping) -> tuple[Tensor, list[dict]]:
        """Choose the pixels in front, see :meth:`ImageMix.choose_pixels`."""
        near, below = (stack_required(b['data_samples'], self.depth) for b in (pasted, onto))
        low, high = self.thresholds
        margins = draw_margins(len(near), self.margin, self.flip_margin)
        thresholds = draw_thresholds(len(near), low, high)
        mask = depth_mix_mask(near, below, margins, thresholds, self.normalize)
        drawn = zip(margins.flatten().tolist(), thresholds.flatten().tolist(), strict=True)
        return mask, [dict(depth_margin=m, depth_threshold=t) for m, t in drawn]


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


def _confidence(branch: Mapping, dtype: torch.dtype) -> Tensor:
    """Confidence of the labels of a branch, (N, 1, H, W): 1 for true labels, 0 where ignored."""
    label, trust = labels_and_trust(branch)
    labelled = (label != IGNORE_INDEX).to(dtype)
    if trust is None:
        return labelled
    return labelled * stack_required(branch['data_samples'], 'pseudo_confidence').to(dtype)


def _same_dtype(pasted: Tensor | None, onto: Tensor | None, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of two branches, 1 for those with true labels, in the dtype of the others."""
    known = next((weight for weight in (pasted, onto) if weight is not None), None)
    dtype = torch.get_default_dtype() if known is None else known.dtype
    ones = torch.ones(mask.shape, dtype=dtype, device=mask.device)
    return ones if pasted is None else pasted, ones if onto is None else onto
