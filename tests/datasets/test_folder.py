# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.datasets import FolderDepthDataset
from tests.datasets.conftest import PIPELINE

TWO_CLASSES = dict(classes=['background', 'road'])
LABELED = dict(img_path='images', seg_map_path='labels')


@pytest.fixture
def build(files):
    def build(**options):
        common = dict(metainfo=TWO_CLASSES, data_prefix=LABELED, pipeline=PIPELINE)
        return FolderDepthDataset(**{**common, 'data_root': str(files.root), **options})

    return build


@pytest.fixture
def masks(files, image) -> np.ndarray:
    """Four images of mixed kinds and folders with binary labels."""
    labels = (np.arange(240) % 2).astype(np.uint8).reshape(12, 20)
    labels[0] = 255
    for name in ('a.png', 'b.jpg', 'drive/c.JPG', 'drive/d.jpeg'):
        files.png(f'images/{name}', image)
        files.png(f'labels/{name.rsplit(".")[0]}.png', labels)
    return labels


def test_images_only(build, masks):
    dataset = build(metainfo=None, data_prefix=dict(img_path='images'))
    assert len(dataset) == 4
    assert 'gt_seg_map' not in dataset[0]
    assert 'classes' not in dataset.metainfo


def test_two_classes_with_labels_and_depth(files, build, masks, depth16):
    for name in ('a', 'b', 'drive/c', 'drive/d'):
        files.png(f'depth/{name}.png', depth16 // 20)  # a median of 16 m
    prefix = dict(LABELED, depth_map_path='depth')
    dataset = build(data_prefix=prefix, depth_file='png_centimetres')
    for sample in dataset:
        np.testing.assert_array_equal(sample['gt_seg_map'], masks)
        assert sample['gt_depth_map'].shape == masks.shape
    assert dataset.metainfo['classes'] == ('background', 'road')
    assert len(dataset.metainfo['palette']) == 2


def test_label_map_of_the_user(files, build, image):
    raw = np.tile(np.array([0, 7, 200, 255], dtype=np.uint8), (12, 5))
    files.png('images/a.png', image)
    files.png('labels/a.png', raw)
    dataset = build(label_map={0: 255, 7: 1, '200': 0})  # YAML and JSON configs have text keys
    np.testing.assert_array_equal(dataset[0]['gt_seg_map'][0, :4], [255, 1, 0, 255])


def test_label_value_beyond_the_classes_is_an_error(files, build, image):
    files.png('images/a.png', image)
    files.png('labels/a.png', np.full(image.shape[:2], 2, dtype=np.uint8))
    with pytest.raises(ValueError, match=r'labels/a.png holds the label values \[2\]'):
        build()[0]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(data_prefix=LABELED), r'metainfo=dict\(classes'),
        (dict(metainfo=dict(classes=['one'])), '2 to 254'),
        (dict(metainfo=dict(classes=['a', 'a'])), '2 to 254'),
        (dict(metainfo=dict(classes='road')), '2 to 254'),
        (dict(metainfo=dict(classes=[0, 1])), r"must be names.*classes=\['0', '1'\]"),
        (dict(metainfo=dict(classes=[str(i) for i in range(255)])), '2 to 254'),
        (dict(metainfo=TWO_CLASSES, label_map={3: 2}), r'label_map .*\{3: 2\}'),
        (dict(metainfo=TWO_CLASSES, label_map={256: 1}), r'label_map .*\{256: 1\}'),
        (dict(metainfo=TWO_CLASSES, label_map={1.5: 1}), r'label_map .*integers.*\{1.5: 1\}'),
    ],
)
def test_wrong_classes_and_label_maps_are_errors(files, masks, arguments, message):
    with pytest.raises(ValueError, match=message):
        FolderDepthDataset(
            **{'data_root': str(files.root), 'data_prefix': dict(img_path='images')} | arguments
        )


def test_images_that_differ_in_suffix_only_are_an_error(files, masks, image):
    files.png('images/a.jpg', image)
    with pytest.raises(ValueError, match='a.jpg and a.png'):
        FolderDepthDataset(data_root=str(files.root), data_prefix=dict(img_path='images'))


def test_largest_number_of_classes(files, build, image):
    raw = np.arange(240, dtype=np.uint8).reshape(12, 20)
    raw[-1, -1] = 253
    files.png('images/a.png', image)
    files.png('labels/a.png', raw)
    dataset = build(metainfo=dict(classes=[str(i) for i in range(254)]))
    np.testing.assert_array_equal(dataset[0]['gt_seg_map'], raw)


def test_suffixes_of_labels_in_other_letters(files, build, masks):
    (files.root / 'labels/a.png').rename(files.root / 'labels/a.PNG')
    dataset = build()
    label = str(files.root / 'labels/a.PNG')
    assert dataset.get_data_info(0)['seg_map_path'] == label
    assert dataset.companion_path('seg_map_path', 'a') == label
    np.testing.assert_array_equal(dataset[0]['gt_seg_map'], masks)
