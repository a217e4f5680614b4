# Licensed under the Apache License 2.0, see LICENSE.
import pytest
from mmseg.datasets import CityscapesDataset, MapillaryDataset_v1

from mmseg_depthuda.datasets.label_protocols import (
    CITYSCAPES_13,
    CITYSCAPES_16,
    CITYSCAPES_19,
    LABELLINGS,
    PROTOCOLS,
    TRAIN_ID_LABELLINGS,
    label_map,
    label_suffix,
)

# Typed from the published protocols, independently of the tables under test.
CITYSCAPES_TO_19 = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
    26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip
SYNTHIA_TO_19 = {
    3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 16: 9, 1: 10, 10: 11, 17: 12, 8: 13,
    18: 14, 19: 15, 20: 16, 12: 17, 11: 18,
}  # fmt: skip
SYNTHIA_TO_16 = {
    3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 1: 9, 10: 10, 17: 11, 8: 12, 19: 13,
    12: 14, 11: 15,
}  # fmt: skip
CITYSCAPES_TO_CAMVID = {
    23: 0, 11: 1, 12: 1, 17: 2, 7: 3, 8: 4, 21: 5, 22: 5, 19: 6, 20: 6, 13: 7, 26: 8, 27: 8, 28: 8,
    31: 8, 24: 9, 25: 10, 32: 10, 33: 10,
}  # fmt: skip
CITYSCAPES_TO_7 = {
    7: 0, 8: 0, 11: 1, 12: 1, 13: 1, 17: 2, 19: 2, 20: 2, 21: 3, 22: 3, 23: 4, 24: 5, 25: 5,
    26: 6, 27: 6, 28: 6, 29: 6, 30: 6, 31: 6, 32: 6, 33: 6,
}  # fmt: skip
SYNTHIA_TO_7 = {
    3: 0, 4: 0, 22: 0, 2: 1, 5: 1, 7: 2, 9: 2, 15: 2, 6: 3, 1: 4, 10: 5, 8: 6, 11: 6,
}  # fmt: skip
VISTAS_TO_7 = {
    7: 0, 8: 0, 9: 0, 10: 0, 11: 0, 12: 0, 13: 0, 14: 0, 15: 0, 23: 0, 24: 0, 29: 0,
    2: 1, 3: 1, 4: 1, 5: 1, 6: 1, 16: 1, 17: 1, 18: 1,
    43: 2, 44: 2, 45: 2, 46: 2, 47: 2, 48: 2, 49: 2, 50: 2,
    30: 3, 27: 4,
    19: 5, 20: 5, 21: 5, 22: 5,
    52: 6, 53: 6, 54: 6, 55: 6, 56: 6, 57: 6, 58: 6, 59: 6, 60: 6, 61: 6, 62: 6,
}  # fmt: skip


def trained(mapping: dict[int, int]) -> dict[int, int]:
    return {raw: train for raw, train in mapping.items() if train != 255}


@pytest.mark.parametrize(
    ('labelling', 'protocol', 'expected', 'raw_values'),
    [
        ('cityscapes_ids', 'cityscapes19', CITYSCAPES_TO_19, range(35)),
        ('cityscapes_train_ids', 'cityscapes19', {i: i for i in range(19)}, range(19)),
        ('synthia_ids', 'cityscapes19', SYNTHIA_TO_19, range(23)),
        ('synthia_ids', 'synthia16', SYNTHIA_TO_16, range(23)),
        ('camvid_ids', 'camvid11', {i: i for i in range(11)}, range(12)),
        ('cityscapes_ids', 'camvid11', CITYSCAPES_TO_CAMVID, range(35)),
        ('cityscapes_ids', 'categories7', CITYSCAPES_TO_7, range(35)),
        ('synthia_ids', 'categories7', SYNTHIA_TO_7, range(23)),
        ('vistas_ids', 'categories7', VISTAS_TO_7, range(66)),
    ],
)
def test_label_map_is_the_published_one(labelling, protocol, expected, raw_values):
    mapping = label_map(labelling, protocol)
    assert trained(mapping) == expected
    assert set(mapping) == {*raw_values, 255}
    assert mapping[255] == 255


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_train_indices_are_their_own_labelling(protocol):
    mapping = label_map(TRAIN_ID_LABELLINGS[protocol], protocol)
    assert mapping == {**{i: i for i in range(len(PROTOCOLS[protocol].classes))}, 255: 255}


def test_train_indices_of_19_classes_serve_other_protocols():
    """Converted once, then reduced on loading: the same as reducing the original labels."""
    to_19 = label_map('cityscapes_ids', 'cityscapes19')
    reduced = label_map('cityscapes_train_ids', 'camvid11')
    assert {raw: reduced[train] for raw, train in to_19.items()} == label_map(
        'cityscapes_ids', 'camvid11'
    )


@pytest.mark.parametrize(
    ('labelling', 'suffix'),
    [
        ('cityscapes_ids', '.png'),
        ('cityscapes_train_ids', '_labelTrainIds.png'),
        ('synthia16_train_ids', '_synthia16TrainIds.png'),
    ],
)
def test_names_of_label_files(labelling, suffix):
    assert label_suffix(labelling, '.png') == suffix


def test_cityscapes_protocol_is_mmsegs():
    assert list(CITYSCAPES_19) == list(CityscapesDataset.METAINFO['classes'])
    metainfo = PROTOCOLS['cityscapes19'].metainfo
    assert metainfo['palette'] == CityscapesDataset.METAINFO['palette']


def test_vistas_ids_are_mmsegs():
    classes = MapillaryDataset_v1.METAINFO['classes']
    assert tuple(LABELLINGS['vistas_ids'].items()) == tuple(enumerate(classes))


def test_order_and_colors_of_the_categories():
    metainfo = PROTOCOLS['categories7'].metainfo
    assert metainfo['classes'] == (
        'flat', 'construction', 'object', 'nature', 'sky', 'human', 'vehicle',
    )  # fmt: skip
    assert metainfo['palette'][4] == [70, 130, 180]  # the sky stays Cityscapes'


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_merged_names_exist(protocol):
    """A misspelt name would be ignored in silence."""
    protocol = PROTOCOLS[protocol]
    everywhere = {name for names in LABELLINGS.values() for name in names.values()}
    assert protocol.merged.keys() <= everywhere
    for labelling, merged in protocol.merged_from.items():
        assert merged.keys() <= set(LABELLINGS[labelling].values())
        assert {*merged.values(), *protocol.merged.values()} <= set(protocol.classes)


def test_evaluation_subsets():
    assert set(CITYSCAPES_19) - set(CITYSCAPES_16) == {'terrain', 'truck', 'train'}
    assert set(CITYSCAPES_16) - set(CITYSCAPES_13) == {'wall', 'fence', 'pole'}
    assert (len(CITYSCAPES_16), len(CITYSCAPES_13)) == (16, 13)


def test_cityscapes13_maps_by_name():
    mapping = trained(label_map('cityscapes_ids', 'cityscapes13'))
    classes = PROTOCOLS['cityscapes13'].classes
    by_name = {raw: CITYSCAPES_19[train] for raw, train in CITYSCAPES_TO_19.items()}
    assert {raw: classes[train] for raw, train in mapping.items()} == {
        raw: name for raw, name in by_name.items() if name in classes
    }


def test_every_protocol_has_distinct_colors():
    for protocol in PROTOCOLS.values():
        assert len(set(protocol.palette.values())) == len(protocol.classes)


@pytest.mark.parametrize(
    ('labelling', 'protocol', 'message'),
    [
        ('camvid_ids', 'cityscapes19', r"cannot express the classes .*'truck'"),
        ('cityscapes_ids', 'cityscapes7', 'cityscapes7'),
        ('vistas_ids', 'cityscapes19', r"'vistas_ids' cannot express the classes .*'road'"),
        ('kitti_ids', 'cityscapes19', "labelling='kitti_ids' is unknown"),
        # Its terrain may be Cityscapes' (nature) or SYNTHIA's (ignored).
        ('cityscapes_train_ids', 'categories7', r"cannot express the classes .*'nature'"),
    ],
)
def test_impossible_combinations_are_errors(labelling, protocol, message):
    with pytest.raises(ValueError, match=message):
        label_map(labelling, protocol)
