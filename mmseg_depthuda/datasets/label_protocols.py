# Licensed under the Apache License 2.0, see LICENSE.
"""Label protocols: which classes a network is trained on, and how raw label files map to them.

Two tables are the only source of truth: ``LABELLINGS`` names what each value of a label *file*
means, and ``PROTOCOLS`` names the classes a network is *trained* on. Every map between the two is
derived from the names.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

IGNORE_INDEX = 255

_CITYSCAPES_PALETTE = {
    'road': (128, 64, 128),
    'sidewalk': (244, 35, 232),
    'building': (70, 70, 70),
    'wall': (102, 102, 156),
    'fence': (190, 153, 153),
    'pole': (153, 153, 153),
    'traffic light': (250, 170, 30),
    'traffic sign': (220, 220, 0),
    'vegetation': (107, 142, 35),
    'terrain': (152, 251, 152),
    'sky': (70, 130, 180),
    'person': (220, 20, 60),
    'rider': (255, 0, 0),
    'car': (0, 0, 142),
    'truck': (0, 0, 70),
    'bus': (0, 60, 100),
    'train': (0, 80, 100),
    'motorcycle': (0, 0, 230),
    'bicycle': (119, 11, 32),
}

_CAMVID_PALETTE = {
    'sky': (128, 128, 128),
    'building': (128, 0, 0),
    'pole': (192, 192, 128),
    'road': (128, 64, 128),
    'sidewalk': (60, 40, 222),
    'tree': (128, 128, 0),
    'sign': (192, 128, 128),
    'fence': (64, 64, 128),
    'car': (64, 0, 128),
    'pedestrian': (64, 64, 0),
    'bicyclist': (0, 128, 192),
}

# Each category in the color of its most frequent class.
_CATEGORY_PALETTE = {
    'flat': _CITYSCAPES_PALETTE['road'],
    'construction': _CITYSCAPES_PALETTE['building'],
    'object': _CITYSCAPES_PALETTE['pole'],
    'nature': _CITYSCAPES_PALETTE['vegetation'],
    'sky': _CITYSCAPES_PALETTE['sky'],
    'human': _CITYSCAPES_PALETTE['person'],
    'vehicle': _CITYSCAPES_PALETTE['car'],
}

CITYSCAPES_19 = tuple(_CITYSCAPES_PALETTE)
CITYSCAPES_16 = tuple(c for c in CITYSCAPES_19 if c not in ('terrain', 'truck', 'train'))
"""The 16 of the 19 classes over which SYNTHIA results are reported (mIoU)."""
CITYSCAPES_13 = tuple(c for c in CITYSCAPES_16 if c not in ('wall', 'fence', 'pole'))
"""The 13 of the 19 classes over which SYNTHIA results are also reported (mIoU*)."""


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(',')]


def _raw(names: str) -> Mapping[int, str]:
    return MappingProxyType(dict(enumerate(_names(names))))


def _merged(**raw_names: str) -> Mapping[str, str]:
    """Raw name -> class, from the raw names of each class."""
    return MappingProxyType({raw: name for name, text in raw_names.items() for raw in _names(text)})


_FILE_LABELLINGS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {
        # Cityscapes `labelIds`, which GTA5 uses too.
        'cityscapes_ids': _raw(
            'unlabeled, ego vehicle, rectification border, out of roi, static, dynamic, ground, '
            'road, sidewalk, parking, rail track, building, wall, fence, guard rail, bridge, '
            'tunnel, pole, polegroup, traffic light, traffic sign, vegetation, terrain, sky, '
            'person, rider, car, truck, bus, caravan, trailer, train, motorcycle, bicycle, '
            'license plate'
        ),
        'synthia_ids': _raw(
            'void, sky, building, road, sidewalk, fence, vegetation, pole, car, traffic sign, '
            'person, bicycle, motorcycle, parking, road work, traffic light, terrain, rider, '
            'truck, bus, train, wall, lane marking'
        ),
        # Mapillary Vistas v1.2, in the order of its `config.json`.
        'vistas_ids': _raw(
            'Bird, Ground Animal, Curb, Fence, Guard Rail, Barrier, Wall, Bike Lane, '
            'Crosswalk - Plain, Curb Cut, Parking, Pedestrian Area, Rail Track, Road, '
            'Service Lane, Sidewalk, Bridge, Building, Tunnel, Person, Bicyclist, Motorcyclist, '
            'Other Rider, Lane Marking - Crosswalk, Lane Marking - General, Mountain, Sand, Sky, '
            'Snow, Terrain, Vegetation, Water, Banner, Bench, Bike Rack, Billboard, Catch Basin, '
            'CCTV Camera, Fire Hydrant, Junction Box, Mailbox, Manhole, Phone Booth, Pothole, '
            'Street Light, Pole, Traffic Sign Frame, Utility Pole, Traffic Light, '
            'Traffic Sign (Back), Traffic Sign (Front), Trash Can, Bicycle, Boat, Bus, Car, '
            'Caravan, Motorcycle, On Rails, Other Vehicle, Trailer, Truck, Wheeled Slow, '
            'Car Mount, Ego Vehicle, Unlabeled'
        ),
        'camvid_ids': _raw(','.join(_CAMVID_PALETTE) + ', void'),
    }
)


@dataclass(frozen=True)
class LabelProtocol:
    """The classes of a training run.

    Attributes:
        palette: Class name -> RGB color, in training order.
        merged: Raw name -> class name, for raw names that are not themselves a class of the
            protocol, in every labeling.
        merged_from: Labeling -> raw name -> class name, for protocols that treat the same name
            differently by dataset.
    """

    palette: Mapping[str, tuple[int, int, int]]
    merged: Mapping[str, str] = field(default_factory=dict)
    merged_from: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.palette)

    @property
    def metainfo(self) -> dict:
        """``classes`` and ``palette`` as MMSeg's ``METAINFO`` has them."""
        return dict(classes=self.classes, palette=[list(color) for color in self.palette.values()])


def _cityscapes_subset(names: tuple[str, ...]) -> LabelProtocol:
    return LabelProtocol({name: _CITYSCAPES_PALETTE[name] for name in names})


PROTOCOLS: Mapping[str, LabelProtocol] = MappingProxyType(
    {
        'cityscapes19': _cityscapes_subset(CITYSCAPES_19),
        'cityscapes13': _cityscapes_subset(CITYSCAPES_13),
        # The training order of DADA and of depth-distribution methods: motorcycle and bicycle keep
        # the last two places.
        'synthia16': _cityscapes_subset(CITYSCAPES_16),
        # The grouping with which CamVid's 32 original classes became 11: walls count as building,
        # grass and bushes as tree, lights as sign, every larger vehicle and train as car, and
        # motorcycles, like riders, as bicyclist.
        'camvid11': LabelProtocol(
            _CAMVID_PALETTE,
            merged={
                'wall': 'building',
                'vegetation': 'tree',
                'terrain': 'tree',
                'traffic light': 'sign',
                'traffic sign': 'sign',
                'truck': 'car',
                'bus': 'car',
                'train': 'car',
                'person': 'pedestrian',
                'rider': 'bicyclist',
                'motorcycle': 'bicyclist',
                'bicycle': 'bicyclist',
            },
        ),
        # DADA's 7 classes. What a dataset's row does not name is ignored there: the rows differ in
        # terrain, wall, parking, rider, motorcycle and more.
        'categories7': LabelProtocol(
            _CATEGORY_PALETTE,
            merged_from={
                'cityscapes_ids': _merged(
                    flat='road, sidewalk',
                    construction='building, wall, fence',
                    object='pole, traffic light, traffic sign',
                    nature='vegetation, terrain',
                    human='person, rider',
                    vehicle='car, truck, bus, caravan, trailer, train, motorcycle, bicycle',
                ),
                'synthia_ids': _merged(
                    flat='road, sidewalk, lane marking',
                    construction='building, fence',
                    object='pole, traffic light, traffic sign',
                    nature='vegetation',
                    human='person',
                    vehicle='car, bicycle',
                ),
                'vistas_ids': _merged(
                    flat='Road, Sidewalk, Crosswalk - Plain, Curb Cut, Parking, '
                    'Lane Marking - Crosswalk, Lane Marking - General, Bike Lane, '
                    'Pedestrian Area, Rail Track, Service Lane, Terrain',
                    construction='Building, Wall, Fence, Curb, Guard Rail, Barrier, Bridge, Tunnel',
                    object='Pole, Traffic Light, Traffic Sign (Front), Traffic Sign (Back), '
                    'Traffic Sign Frame, Street Light, Utility Pole, Pothole',
                    nature='Vegetation',
                    sky='Sky',
                    human='Person, Bicyclist, Motorcyclist, Other Rider',
                    vehicle='Bicycle, Boat, Bus, Car, Caravan, Motorcycle, On Rails, '
                    'Other Vehicle, Trailer, Truck, Wheeled Slow',
                ),
            },
        ),
    }
)


TRAIN_ID_LABELLINGS: Mapping[str, str] = MappingProxyType(
    {
        protocol: f'{"cityscapes" if protocol == "cityscapes19" else protocol}_train_ids'
        for protocol in PROTOCOLS
    }
)
"""Protocol -> labeling of files that hold its train indices, as the converters write them."""

LABELLINGS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    dict(_FILE_LABELLINGS)
    | {
        labelling: MappingProxyType(dict(enumerate(PROTOCOLS[protocol].classes)))
        for protocol, labelling in TRAIN_ID_LABELLINGS.items()
    }
)
"""Raw label value -> name, for each labeling found in files. 255 means "ignore" in all of them."""


def label_suffix(labelling: str, raw_suffix: str) -> str:
    """How the names of the label files of a labeling end.

    Files of train indices lie beside those that they were converted from: ``_labelTrainIds.png``
    for Cityscapes' 19 classes, as Cityscapes' own scripts name them, or ``_PROTOCOLTrainIds.png``.

    Args:
        labelling: Key of ``LABELLINGS``.
        raw_suffix: Suffix of the dataset's own labels.
    """
    for protocol, train_ids in TRAIN_ID_LABELLINGS.items():
        if labelling == train_ids:
            return f'_{"label" if protocol == "cityscapes19" else protocol}TrainIds.png'
    return raw_suffix


def get_protocol(name: str) -> LabelProtocol:
    """Look up a protocol by name.

    Raises:
        ValueError: If there is none of that name.
    """
    if name not in PROTOCOLS:
        raise ValueError(f'protocol={name!r} is unknown. Choose one of {sorted(PROTOCOLS)}.')
    return PROTOCOLS[name]


def label_map(labelling: str, protocol: str) -> dict[int, int]:
    """Map raw label values to train indices.

    Args:
        labelling: Key of ``LABELLINGS``: what the values of the label files mean.
        protocol: Key of ``PROTOCOLS``: the classes to train on.

    Returns:
        For every raw value that may occur, the train index, or 255 where the protocol ignores it.

    Raises:
        ValueError: If a name is unknown, or if some class of the protocol has no raw value in the
            labeling, so that it could never be learned or scored.
    """
    if labelling not in LABELLINGS:
        raise ValueError(f'labelling={labelling!r} is unknown. Choose one of {sorted(LABELLINGS)}.')
    target = get_protocol(protocol)
    index = {name: i for i, name in enumerate(target.classes)}
    merged = {**target.merged, **target.merged_from.get(labelling, {})}
    index.update({raw: index[name] for raw, name in merged.items()})
    mapping = {raw: index.get(name, IGNORE_INDEX) for raw, name in LABELLINGS[labelling].items()}
    absent = [name for i, name in enumerate(target.classes) if i not in mapping.values()]
    if absent:
        raise ValueError(
            f'Labels of kind {labelling!r} cannot express the classes {absent} of protocol '
            f'{protocol!r}. Choose another protocol, or another labeling.'
        )
    return {IGNORE_INDEX: IGNORE_INDEX} | mapping
