# Licensed under the Apache License 2.0, see LICENSE.
"""Datasets with depth, their label protocols, cameras, transforms and samplers."""

from .camvid import CamVidDataset
from .cityscapes import CityscapesDepthDataset
from .class_statistics import (
    RareClassSampling,
    balanced_class_weights,
    count_classes,
    source_dataset_config,
    target_dataset_config,
    write_class_statistics,
    write_class_weights,
)
from .domains import DomainsDataset, DomainsIndex, SourceTargetDataset, datasets_by_domain
from .folder import FolderDepthDataset
from .geometry_matching import GeometryMatching
from .gta5 import GTA5DepthDataset
from .label_protocols import (
    CITYSCAPES_13,
    CITYSCAPES_16,
    CITYSCAPES_19,
    LABELLINGS,
    PROTOCOLS,
    label_map,
)
from .samplers import DomainsSampler, SourceTargetSampler
from .sequences import CityscapesSequenceDataset, FolderSequenceDataset
from .synthia import SYNTHIADepthDataset
from .transforms import (
    CutPadding,
    LoadInverseDepth,
    LoadLabels,
    LoadPseudoLabels,
    LoadSequence,
    MatchOriShapeToLabels,
    NormalizeDepth,
    PackSequenceInputs,
    ResizeAndPad,
    ResizeSequence,
    ResizeWithDepth,
)
from .vistas import MapillaryDepthDataset

__all__ = [
    'balanced_class_weights',
    'CITYSCAPES_13',
    'CITYSCAPES_16',
    'CITYSCAPES_19',
    'LABELLINGS',
    'PROTOCOLS',
    'CamVidDataset',
    'CityscapesDepthDataset',
    'CityscapesSequenceDataset',
    'CutPadding',
    'DomainsDataset',
    'DomainsIndex',
    'DomainsSampler',
    'FolderDepthDataset',
    'FolderSequenceDataset',
    'GTA5DepthDataset',
    'GeometryMatching',
    'LoadInverseDepth',
    'LoadLabels',
    'LoadPseudoLabels',
    'LoadSequence',
    'MapillaryDepthDataset',
    'MatchOriShapeToLabels',
    'NormalizeDepth',
    'PackSequenceInputs',
    'RareClassSampling',
    'ResizeAndPad',
    'ResizeSequence',
    'ResizeWithDepth',
    'SYNTHIADepthDataset',
    'SourceTargetDataset',
    'SourceTargetSampler',
    'count_classes',
    'datasets_by_domain',
    'label_map',
    'source_dataset_config',
    'target_dataset_config',
    'write_class_statistics',
    'write_class_weights',
]
