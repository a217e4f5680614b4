# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from mmseg.registry import DATASETS

from mmseg_depthuda.apps.annotation_selection.image_pool import ImagePool

from .conftest import LOAD, NAMES, PACK


def test_images_are_sorted_by_path_whatever_lists_them(cfg, images):
    dataset = cfg.train_dataloader.dataset
    assert ImagePool(cfg).names == tuple(NAMES)
    (images / 'listed.txt').write_text('b/3.png\na/8\na/0\n')
    dataset.ann_file, dataset.indices = 'listed.txt', [0, 2]
    pool = ImagePool(cfg)
    assert pool.names == ('a/0.png', 'b/3.png') and pool.stems == ('a/0', 'b/3')
    found = [sample['data_samples'] for sample in pool.images([*LOAD, PACK])]
    assert [sample.img_path for sample in found] == [f'{images}/images/{n}' for n in pool.names]
    assert not any('gt_depth_map' in sample for sample in found)
    assert 'gt_depth_map' in pool.images([*LOAD, PACK], with_depth=True)[0]['data_samples']


def test_a_student_trains_on_the_listed_images(cfg, images):
    cfg.train_dataloader.dataset.indices = [1, 2, 3]
    (images / 'chosen.txt').write_text('a/6.png\na/2.png\n')
    config = ImagePool(cfg).training_config(images / 'chosen.txt', with_labels=False)
    found = DATASETS.build(config)
    names = [found.get_data_info(i)['img_path'][-7:] for i in range(len(found))]
    assert names == ['a/6.png', 'a/2.png'] and 'depth_map_path' in found.get_data_info(0)


def test_which_images_have_labels(cfg, images):
    assert ImagePool(cfg).unlabeled([0, 2]) == ['a/0.png', 'a/4.png']
    dataset = cfg.train_dataloader.dataset
    dataset.data_prefix.seg_map_path = 'labels'
    dataset.metainfo = dict(classes=['x', 'y'])
    (images / 'labels/a').mkdir(parents=True)
    cv2.imwrite(str(images / 'labels/a/4.png'), np.zeros((64, 96), np.uint8))
    assert ImagePool(cfg).unlabeled([0, 2]) == ['a/0.png']


def test_depth_that_is_missing_or_taken_from_elsewhere(cfg, images):
    pool = ImagePool(cfg)
    assert pool.has_depth
    (images / 'depth/a/2.png').rename(images / 'depth/a/20.png')
    with pytest.raises(FileNotFoundError, match=r'1 of 9 files are missing.*a/2\.png'):
        pool.images([], with_depth=True)
    cfg.train_dataloader.dataset.data_prefix.depth_map_path = None
    pool = ImagePool(cfg)
    assert not pool.has_depth
    (images / 'depth').rename(images / 'predicted')
    (images / 'predicted/a/20.png').rename(images / 'predicted/a/2.png')
    pool.use_depth(images / 'predicted')
    assert pool.has_depth and len(pool.images([], with_depth=True)) == 9


def test_refuses_datasets_of_mmseg(cfg, images):
    cfg.train_dataloader.dataset = dict(
        type='BaseSegDataset', data_prefix=dict(img_path=str(images / 'images'))
    )
    with pytest.raises(ValueError, match='is a BaseSegDataset: take a dataset of this package'):
        ImagePool(cfg)
