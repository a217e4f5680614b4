# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.datasets import GTA5DepthDataset, LoadInverseDepth, LoadLabels, label_map

CITYSCAPES = label_map('cityscapes_ids', 'cityscapes19')


def results(shape=(12, 20), **info) -> dict:
    return dict(img_path='image.png', ori_shape=shape, seg_fields=[], **info)


def test_sample_without_labels_or_depth_passes():
    sample = results()
    assert LoadInverseDepth()(LoadLabels()(sample)) == results()


def test_labels_and_depth_become_seg_fields(files, label_ids, depth16):
    sample = results(
        seg_map_path=str(files.png('l.png', label_ids)),
        depth_map_path=str(files.png('d.png', depth16)),
        label_map=CITYSCAPES,
        depth_file='png_disparity',
    )
    sample = LoadInverseDepth()(LoadLabels()(sample))
    assert sample['seg_fields'] == ['gt_seg_map', 'gt_depth_map']
    assert sample['gt_depth_map'].dtype == np.float32


def test_size_mismatch_is_an_error_by_default(files, label_ids):
    path = files.png('l.png', label_ids)
    sample = results((24, 40), seg_map_path=str(path), label_map=CITYSCAPES)
    with pytest.raises(ValueError, match=r'l.png is 20x12, but its image image.png is 40x24'):
        LoadLabels()(sample)


def test_size_mismatch_resized(files, label_ids):
    path = files.png('l.png', label_ids)
    sample = results((24, 40), seg_map_path=str(path), label_map=CITYSCAPES)
    labels = LoadLabels(on_size_mismatch='resize')(sample)['gt_seg_map']
    expected = np.vectorize(CITYSCAPES.get)(label_ids).repeat(2, axis=0).repeat(2, axis=1)
    np.testing.assert_array_equal(labels, expected)


def test_size_mismatch_skipped_and_logged_once(files, gta_root, label_ids, monkeypatch):
    files.palette_png('gta/labels/00002.png', label_ids[:6])
    messages = []
    monkeypatch.setattr(
        'mmseg_depthuda.datasets.transforms.loading.print_log',
        lambda message, **kwargs: messages.append(message),
    )
    dataset = GTA5DepthDataset(
        data_root=str(gta_root),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadLabels', on_size_mismatch='skip'),
        ],
    )
    for _ in range(3):
        assert not dataset[1]['seg_map_path'].endswith('00002.png')
    assert len(messages) == 1
    assert '00002.png is 20x6' in messages[0]


@pytest.mark.parametrize(
    ('transform', 'argument'),
    [(LoadLabels, dict(on_size_mismatch='ignore')), (LoadInverseDepth, dict(encoding='metres'))],
)
def test_unknown_options_are_errors(transform, argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        transform(**argument)


def test_depth_of_half_the_resolution_is_brought_to_the_images_size(files, depth16):
    path = files.png('d.png', depth16)
    sample = results((24, 40), depth_map_path=str(path), depth_file='png_disparity')
    depth = LoadInverseDepth()(sample)['gt_depth_map']
    np.testing.assert_array_equal(depth[::2, ::2], (depth16 / 256 + 1).astype(np.float32))
    assert depth.shape == (24, 40)


def test_depth_of_an_odd_size_halved_is_accepted(files, depth16):
    path = files.png('d.png', depth16)  # 20x12, of an image of 39x23
    sample = results((23, 39), depth_map_path=str(path), depth_file='png_disparity')
    assert LoadInverseDepth()(sample)['gt_depth_map'].shape == (23, 39)


def test_depth_of_another_shape_is_an_error(files, depth16):
    path = files.png('d.png', depth16)
    sample = results((200, 200), depth_map_path=str(path), depth_file='png_disparity')
    with pytest.raises(ValueError, match=r'd.png is 20x12.*image.png, 200x200'):
        LoadInverseDepth()(sample)
