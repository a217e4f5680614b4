# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import numpy as np
import pytest

from mmseg_depthuda.datasets import CamVidDataset
from tests.datasets.conftest import PIPELINE

REAL = Path(__file__).resolve().parents[3] / 'shared' / 'data' / 'camvid'


@pytest.fixture
def camvid_root(files, image):
    labels = (np.arange(240) % 12).astype(np.uint8).reshape(12, 20)
    for split in ('train', 'val'):
        files.png(f'{split}/0001TP_000001.png', image)
        files.png(f'{split}annot/0001TP_000001.png', labels)
    return files.root


def test_labels_and_void(camvid_root):
    dataset = CamVidDataset(data_root=str(camvid_root), split='val', pipeline=PIPELINE)
    raw = (np.arange(240) % 12).reshape(12, 20)
    np.testing.assert_array_equal(dataset[0]['gt_seg_map'], np.where(raw == 11, 255, raw))
    assert 'gt_depth_map' not in dataset[0]


def test_pseudo_depth_in_a_folder_of_its_own(files, camvid_root, depth16):
    files.png('elsewhere/train/0001TP_000001.png', depth16)
    dataset = CamVidDataset(
        data_prefix=dict(
            img_path=f'{camvid_root}/train',
            seg_map_path=None,
            depth_map_path=f'{camvid_root}/elsewhere/train',
        ),
        pipeline=PIPELINE,
    )
    np.testing.assert_allclose(dataset[0]['gt_depth_map'], depth16 / 256 + 1, rtol=1e-7)
    assert 'gt_seg_map' not in dataset[0]


@pytest.mark.skipif(not REAL.is_dir(), reason='needs the real CamVid at ../shared/data/camvid')
@pytest.mark.parametrize(('split', 'count'), [('train', 123), ('val', 34)])
def test_real_frames(split, count):
    dataset = CamVidDataset(data_root=str(REAL), split=split, pipeline=PIPELINE)
    assert len(dataset) == count
    pixels = np.zeros(256, dtype=np.int64)
    for i in range(0, count, 8):
        sample = dataset[i]
        assert sample['img'].shape == (360, 480, 3)
        pixels += np.bincount(sample['gt_seg_map'].ravel(), minlength=256)
    assert pixels[11:255].sum() == 0
    road, building, pole = pixels[3], pixels[1], pixels[2]
    assert min(road, building) > 10 * pole > 0
