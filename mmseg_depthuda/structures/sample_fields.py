# Licensed under the Apache License 2.0, see LICENSE.
"""The table of all pixel maps that a sample of a training batch can have.

A sample is MMSeg's ``SegDataSample``. Its pixel maps are ``PixelData`` of shape (1, H, W), stacked
to (N, 1, H, W); ``source_views`` alone has more channels. The documentation prints this table.
:func:`stack_pixel_data` and :func:`pack_pixel_data` refuse a name that is not in it: no sample has
a map of a misspelled name, so that its loss would be left out, and nobody would notice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType


@dataclass(frozen=True)
class SampleField:
    """One kind of pixel map.

    Attributes:
        name: Key in the sample.
        dtype: ``'int64'``, ``'float'`` (float32, or float64 in a model of float64), ``'bool'`` or
            ``'uint8'``.
        values: Range and meaning of the values.
        written_by: What writes it.
        read_by: What uses it.
        padding: Value where the data preprocessor pads the image. None for maps that are made
            after the padding.
    """

    name: str
    dtype: str
    values: str
    written_by: str
    read_by: str
    padding: float | None = None


_FIELDS = (
    SampleField(
        'gt_sem_seg',
        'int64',
        'class index; 255: ignored',
        'LoadLabels, LoadPseudoLabels; in a made branch, its maker',
        'the segmentation losses of every head; makers that paste classes',
        padding=255,
    ),
    SampleField(
        'gt_depth_map',
        'float',
        'inverse depth, larger is nearer; 0: none',
        'LoadInverseDepth; in a made branch, its maker',
        'the depth losses; the agreement of depth decoders; DepthMix; matching geometry',
        padding=0,
    ),
    SampleField(
        'online_disparity',
        'float',
        "the student's own inverse depth, without gradient, larger is nearer; 0: none",
        'the segmentor that learns depth from video, on plain images that are mixed',
        "DepthMix(depth='online_disparity')",
    ),
    SampleField(
        'source_views',
        'uint8',
        'neighboring frames, (3 V, H, W): BGR of the first of V frames, of the second, ...',
        'PackSegInputs, after LoadNeighboringFrames',
        'MultiTaskUDASegmentor',
    ),
    SampleField(
        'seg_weight',
        'float',
        '0..1 (any positive number): weight of the segmentation loss',
        'branch makers',
        'SegWeightMixin, with which the loss is a mean over all pixels',
    ),
    SampleField(
        'mix_mask',
        'bool',
        'true where the pixel is pasted; of two domains, pasted pixels are of the first',
        'branch makers that mix two images',
        'heads with a depth decoder for each domain',
    ),
    SampleField(
        'pseudo_label',
        'int64',
        'class index; 255 in the padding, of StoredLabels also where none is kept',
        'the pseudo-labeler, on the images that it labels',
        'branch makers; PseudoLabelQualityHook',
    ),
    SampleField(
        'pseudo_confidence',
        'float',
        '0..1: largest softmax of the teacher',
        'the pseudo-labeler',
        'PseudoLabelQualityHook; mixes that are weighted by their own share of confident pixels',
    ),
    SampleField(
        'pseudo_trust',
        'float',
        '0..1: weight of the pseudo-label in a loss',
        'the pseudo-labeler',
        'branch makers, for seg_weight',
    ),
    SampleField(
        'depth_agreement',
        'float',
        '0..1: agreement of the depth decoders of CorDAHead; 1: they agree',
        'CorDAHead; UDAVisualizationHook in tests',
        'PseudoLabelQualityHook; DepthLocalVisualizer',
    ),
    SampleField(
        'adaptation_weight',
        'float',
        'not negative, mean 1: weight by agreement',
        "CorDAHead with difficulty='release'",
        'UDAVisualizationHook',
    ),
)

_TABLE: dict[str, SampleField] = {field.name: field for field in _FIELDS}
SAMPLE_FIELDS: Mapping[str, SampleField] = MappingProxyType(_TABLE)
"""Name of a field -> the field. :func:`register_sample_field` adds to it."""


def register_sample_field(field: SampleField) -> None:
    """Add a field of your own to the table.

    Args:
        field: The field. To register an equal one again changes nothing.

    Raises:
        ValueError: The name is taken by another field.
    """
    if _TABLE.setdefault(field.name, field) != field:
        raise ValueError(
            f'the sample field {field.name!r} exists already: {_TABLE[field.name]}. Take another '
            'name.'
        )


def sample_field(name: str) -> SampleField:
    """Look up a field of the table.

    Args:
        name: Its key in the sample.

    Returns:
        SampleField: The field.

    Raises:
        KeyError: There is no such field; the message names the nearest one.
    """
    if name not in _TABLE:
        near = get_close_matches(name, _TABLE, n=1)
        hint = f'Did you mean {near[0]!r}? ' if near else ''
        raise KeyError(
            f'{name!r} is no field of a sample. {hint}The fields are {", ".join(_TABLE)}; '
            'mmseg_depthuda.structures.register_sample_field adds one.'
        )
    return _TABLE[name]
