# Licensed under the Apache License 2.0, see LICENSE.
import pytest
from mmseg.datasets import CityscapesDataset

from mmseg_depthuda.datasets.label_protocols import (
    CITYSCAPES_13,
    CITYSCAPES_16,
    CITYSCAPES_19,
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


def test_every_protocol_has_distinct_colours():
    for protocol in PROTOCOLS.values():
        assert len(set(protocol.palette.values())) == len(protocol.classes)


@pytest.mark.parametrize(
    ('labelling', 'protocol', 'message'),
    [
        ('camvid_ids', 'cityscapes19', r"cannot express the classes .*'truck'"),
        ('cityscapes_ids', 'cityscapes7', 'cityscapes7'),
        ('vistas_ids', 'cityscapes19', 'vistas_ids'),
    ],
)
def test_impossible_combinations_are_errors(labelling, protocol, message):
    with pytest.raises(ValueError, match=message):
        label_map(labelling, protocol)
