# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmseg_depthuda.datasets import GTA5DepthDataset, LoadInverseDepth, LoadLabels, label_map
from mmseg_depthuda.datasets.transforms import read_labels

CITYSCAPES = label_map('cityscapes_ids', 'cityscapes19')


def results(shape=(12, 20), **info) -> dict:
    return dict(img_path='image.png', ori_shape=shape, seg_fields=[], **info)


@given(labels=arrays(np.uint8, (5, 7), elements=st.sampled_from(sorted(CITYSCAPES))))
def test_labels_are_mapped_pixel_by_pixel(tmp_path_factory, labels):
    path = str(tmp_path_factory.getbasetemp() / 'labels.png')
    assert cv2.imwrite(path, labels)
    expected = [[CITYSCAPES[raw] for raw in row] for row in labels.tolist()]
    np.testing.assert_array_equal(read_labels(path, CITYSCAPES), expected)


@pytest.mark.parametrize('kind', ['grey', 'palette', 'grey16', 'three', 'first of three'])
def test_all_kinds_of_label_files(files, label_ids, kind):
    other = np.full_like(label_ids, 99)
    path = {
        'grey': lambda: files.png('a.png', label_ids),
        'palette': lambda: files.palette_png('a.png', label_ids),
        'grey16': lambda: files.png('a.png', label_ids.astype(np.uint16)),
        'three': lambda: files.png('a.png', np.stack([label_ids] * 3, axis=-1)),
        'first of three': lambda: files.png(
            'a.png', np.stack([other, other, label_ids], axis=-1).astype(np.uint16)
        ),
    }[kind]()
    labels = read_labels(str(path), CITYSCAPES)
    assert labels.dtype == np.uint8
    assert labels.flags.c_contiguous
    np.testing.assert_array_equal(labels, np.vectorize(CITYSCAPES.get)(label_ids))


@pytest.mark.parametrize(('dtype', 'value'), [(np.uint8, 77), (np.uint16, 77), (np.uint16, 333)])
def test_value_outside_the_protocol_is_an_error(files, label_ids, dtype, value):
    labels = label_ids.astype(dtype)
    labels[3, 4] = value
    path = files.png('a.png', labels)
    with pytest.raises(ValueError, match=rf'seg_map_path: .*a.png .* values \[{value}\]'):
        read_labels(str(path), CITYSCAPES)


def test_colours_are_an_error(files, label_ids):
    green = np.zeros((*label_ids.shape, 3), dtype=np.uint8)
    green[2:5, :, 1] = 255
    with pytest.raises(ValueError, match='a.png holds colours'):
        read_labels(str(files.png('a.png', green)), {0: 0, 1: 1, 255: 255})


def test_float_labels_are_an_error(files, label_ids):
    path = files.png('a.tiff', label_ids.astype(np.float32))
    with pytest.raises(ValueError, match='a.tiff holds float32'):
        read_labels(str(path), CITYSCAPES)


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
