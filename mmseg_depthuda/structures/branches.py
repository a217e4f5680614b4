# Licensed under the Apache License 2.0, see LICENSE.
"""Branches of a batch, and the domains that their images come from.

A **domain** is where images come from: ``source``, ``target``, and any name that a config gives. A
**branch** is the input of one forward pass with a loss: the images of a domain, or images made from
them (``mixed``). The metainfo of every sample has both. The ``domain`` of a mixed image is a pair:
the domain of the pasted pixels, and the domain of the others.
"""

from collections.abc import Mapping

from mmseg.utils import SampleList
from torch import Tensor

DEFAULT_BRANCH = 'source'
"""Branch and domain of samples whose metainfo has none, as in MMSeg's own training."""


def branch_of(data_samples: SampleList) -> str:
    """Name of the branch that some samples belong to.

    Args:
        data_samples (list[SegDataSample]): Samples of one branch.

    Returns:
        str: Their metainfo ``branch``, ``'source'`` if absent.
    """
    return data_samples[0].metainfo.get('branch', DEFAULT_BRANCH)


def domains_of(data_samples: SampleList) -> tuple[str, ...]:
    """Names of the domains that the pixels of some samples come from.

    Args:
        data_samples (list[SegDataSample]): Samples of one branch.

    Returns:
        tuple[str, ...]: One name. For mixed images two: the domain where ``mix_mask`` is true, and
        the domain elsewhere.
    """
    domain = data_samples[0].metainfo.get('domain', DEFAULT_BRANCH)
    return (domain,) if isinstance(domain, str) else tuple(domain)


def is_batch_of_branches(batch: Mapping) -> bool:
    """Whether a batch has branches by name, unlike an ordinary batch of MMSeg.

    Args:
        batch (Mapping): What the data loader gives.

    Returns:
        bool: True if its values are branches.
    """
    return 'inputs' not in batch


def is_preprocessed(branch: Mapping) -> bool:
    """Whether a branch has been through the data preprocessor.

    Args:
        branch (Mapping): With ``inputs`` and ``data_samples``.

    Returns:
        bool: True if its images are stacked and its samples name their branch.
    """
    return isinstance(branch['inputs'], Tensor) and all(
        'branch' in sample.metainfo for sample in branch['data_samples']
    )
