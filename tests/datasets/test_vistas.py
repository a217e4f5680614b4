# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import numpy as np
import pytest

from mmseg_depthuda.datasets import MapillaryDepthDataset
from tests.datasets.conftest import PIPELINE

NAME = '-0aEQ0wvw5c9CQHbxVtwTg'


@pytest.fixture
def ids() -> np.ndarray:
    return (np.arange(240) % 66).astype(np.uint8).reshape(12, 20)


@pytest.fixture
def vistas_root(files, image, ids) -> Path:
    for split, count in (('training', 2), ('validation', 1)):
        for i in range(count):
            files.png(f'{split}/images/{NAME}{i}.jpg', image)
            files.palette_png(f'{split}/labels/{NAME}{i}.png', ids)
    return files.root


@pytest.mark.parametrize(('split', 'count'), [('training', 2), ('validation', 1)])
def test_labels_of_both_splits(vistas_root, ids, split, count):
    dataset = MapillaryDepthDataset(data_root=str(vistas_root), split=split, pipeline=PIPELINE)
    assert len(dataset) == count
    sample = dataset[0]
    assert sample['img'].shape == (12, 20, 3)
    assert 'gt_depth_map' not in sample
    # Bird, Curb, Parking, Terrain, Pothole, Other Rider, Caravan, Unlabeled
    for raw, train in ((0, 255), (2, 1), (10, 0), (29, 0), (43, 2), (22, 5), (56, 6), (65, 255)):
        assert (sample['gt_seg_map'][ids == raw] == train).all()
    assert dataset.metainfo['classes'][3:6] == ('nature', 'sky', 'human')


def test_labels_of_the_archive_of_version_2(files, vistas_root, ids):
    files.palette_png(f'training/v1.2/labels/{NAME}0.png', ids[::-1].copy())
    files.palette_png(f'training/v1.2/labels/{NAME}1.png', ids)
    dataset = MapillaryDepthDataset(
        data_root=str(vistas_root),
        data_prefix=dict(seg_map_path='training/v1.2/labels'),
        pipeline=PIPELINE,
    )
    np.testing.assert_array_equal(dataset[0]['gt_seg_map'], dataset[1]['gt_seg_map'][::-1])


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(split='train'), r"split='train' is unknown.*\['training', 'validation'\]"),
        (dict(protocol='cityscapes19'), "'vistas_ids' cannot express the classes"),
    ],
)
def test_bad_arguments(vistas_root, arguments, message):
    with pytest.raises(ValueError, match=message):
        MapillaryDepthDataset(data_root=str(vistas_root), **arguments)
