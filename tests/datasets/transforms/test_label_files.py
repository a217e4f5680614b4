# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from mmseg_depthuda.datasets import label_map
from mmseg_depthuda.datasets.transforms import read_labels
from mmseg_depthuda.datasets.transforms.label_files import label_map_remedy

CITYSCAPES = label_map('cityscapes_ids', 'cityscapes19')
TWO = {0: 0, 1: 1, 255: 255}


@given(labels=arrays(np.uint8, (5, 7), elements=st.sampled_from(sorted(CITYSCAPES))))
def test_labels_are_mapped_pixel_by_pixel(tmp_path_factory, labels):
    path = str(tmp_path_factory.getbasetemp() / 'labels.png')
    assert cv2.imwrite(path, labels)
    expected = [[CITYSCAPES[raw] for raw in row] for row in labels.tolist()]
    np.testing.assert_array_equal(read_labels(path, CITYSCAPES), expected)


@pytest.mark.parametrize('kind', ['gray', 'palette', 'gray16', 'three', 'first of three'])
def test_all_kinds_of_label_files(files, label_ids, kind):
    other = np.full_like(label_ids, 99)
    path = {
        'gray': lambda: files.png('a.png', label_ids),
        'palette': lambda: files.palette_png('a.png', label_ids),
        'gray16': lambda: files.png('a.png', label_ids.astype(np.uint16)),
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


def test_colors_are_an_error(files, label_ids):
    green = np.zeros((*label_ids.shape, 3), dtype=np.uint8)
    green[2:5, :, 1] = 255
    with pytest.raises(ValueError, match='a.png holds colors'):
        read_labels(str(files.png('a.png', green)), {0: 0, 1: 1, 255: 255})


def test_float_labels_are_an_error(files, label_ids):
    path = files.png('a.tiff', label_ids.astype(np.float32))
    with pytest.raises(ValueError, match='a.tiff holds float32'):
        read_labels(str(path), CITYSCAPES)


@pytest.mark.parametrize('mapping', [{0: 0, 255: 1}, {0: 255, 255: 0}, {255: 255, 0: 1}])
def test_255_is_a_value_like_any_other(files, mapping):
    mask = np.zeros((4, 6), np.uint8)
    mask[2:] = 255
    labels = read_labels(str(files.png('a.png', mask)), mapping)
    np.testing.assert_array_equal(labels[:, 0], [mapping[0]] * 2 + [mapping[255]] * 2)


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tiff'])
@pytest.mark.parametrize('mode', ['1', 'P'])
def test_bits_and_indices_are_the_ids(tmp_path, mode, suffix):
    mask = np.eye(4, 6, dtype=np.uint8)
    image = Image.fromarray(mask.astype(bool) if mode == '1' else mask)
    if mode == 'P':
        image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / f'a.{suffix}')
    np.testing.assert_array_equal(read_labels(str(tmp_path / f'a.{suffix}'), TWO), mask)


@pytest.mark.parametrize('dtype', [np.int8, np.int16, np.int32])
def test_wide_integers(files, dtype):
    ids = np.eye(4, 6).astype(dtype)
    np.testing.assert_array_equal(read_labels(str(files.png('a.tiff', ids)), TWO), ids)
    ids[0, 5] = -1
    with pytest.raises(ValueError, match=r'holds the label values \[-1\]'):
        read_labels(str(files.png('b.tiff', ids)), TWO)


def test_opaque_alpha_is_ignored_and_transparency_refused(files):
    mask = np.eye(4, 6, dtype=np.uint8)
    pixels = np.stack([mask, mask, mask, np.full_like(mask, 255)], axis=-1)
    np.testing.assert_array_equal(read_labels(str(files.png('a.png', pixels)), TWO), mask)
    pixels[0, 5, 3] = 0
    with pytest.raises(ValueError, match='a.png has transparent pixels'):
        read_labels(str(files.png('a.png', pixels)), TWO)


@pytest.mark.parametrize('suffix', ['.jpg', '.webp'])
def test_lossy_files_are_refused_under_any_name(tmp_path, suffix):
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(tmp_path / f'a{suffix}')
    path = (tmp_path / f'a{suffix}').rename(tmp_path / 'labels.png')
    with pytest.raises(ValueError, match=r"labels.png is a (JPEG|WebP).*seg_map_suffix='.png'"):
        read_labels(str(path), TWO)


def test_webp_without_loss_is_read(tmp_path):
    mask = np.eye(4, 6, dtype=np.uint8)
    Image.fromarray(np.stack([mask] * 3, -1)).save(tmp_path / 'a.webp', lossless=True)
    np.testing.assert_array_equal(read_labels(str(tmp_path / 'a.webp'), TWO), mask)


@pytest.mark.parametrize(
    ('found', 'mapping', 'line'),
    [
        ([0, 254], TWO, 'label_map={0: 0, 254: 1}'),
        ([1, 2, 255], TWO, 'label_map={1: 0, 2: 1}'),
        ([0, 255], TWO, 'label_map={0: 0, 255: 1}'),
        ([0, 1, 2], TWO, 'label_map={0: 255, 1: 0, 2: 1}'),  # as reduce_zero_label
        ([0, 70, 1000], TWO, 'label_map={raw value: train index}'),
        (range(200), TWO, 'resized with interpolation'),
        ([99], CITYSCAPES, 'protocol or labeling'),
    ],
)
def test_remedy(found, mapping, line):
    assert line in label_map_remedy(found, mapping)
