# Licensed under the Apache License 2.0, see LICENSE.
import json
from pathlib import Path

import numpy as np
import pytest
from mmseg.models.losses import CrossEntropyLoss

from mmseg_depthuda.datasets import (
    FolderDepthDataset,
    RareClassSampling,
    balanced_class_weights,
    count_classes,
    source_dataset_config,
    write_class_statistics,
    write_class_weights,
)
from tests.commands import exit_status_of

TOOL = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'class_statistics.py'
CLASSES = ['road', 'car', 'rider', 'train']
# Pixels of each class in each of four images of 10x10; what is left is ignored. No train anywhere.
PIXELS = np.array([[90, 10, 0, 0], [60, 30, 5, 0], [100, 0, 0, 0], [50, 0, 2, 0]])


@pytest.fixture
def folder(files) -> Path:
    for i, counts in enumerate(PIXELS):
        labels = np.full(100, 255, dtype=np.uint8)
        labels[: counts.sum()] = np.repeat(np.arange(4), counts)
        files.png(f'labels/{i}.png', labels.reshape(10, 10))
        files.png(f'images/{i}.png', np.zeros((10, 10, 3), dtype=np.uint8))
    return files.root


def build(folder, **kwargs) -> FolderDepthDataset:
    return FolderDepthDataset(
        metainfo=dict(classes=kwargs.pop('classes', CLASSES)),
        data_root=str(folder),
        data_prefix=kwargs.pop('data_prefix', dict(img_path='images', seg_map_path='labels')),
        **kwargs,
    )


@pytest.fixture
def statistics(folder) -> Path:
    write_class_statistics(build(folder), folder / 'statistics.json')
    return folder / 'statistics.json'


@pytest.mark.parametrize('num_workers', [1, 2])
def test_counts(folder, num_workers):
    np.testing.assert_array_equal(count_classes(build(folder), num_workers), PIXELS)


def test_counting_needs_labels(folder):
    with pytest.raises(ValueError, match='no labels'):
        count_classes(build(folder, data_prefix=dict(img_path='images')))


def test_file_holds_counts_by_image(statistics):
    assert json.loads(statistics.read_text()) == {
        'classes': CLASSES,
        'pixels': {f'{i}.png': counts.tolist() for i, counts in enumerate(PIXELS)},
    }


def test_class_probabilities_are_the_closed_form(folder, statistics):
    """Eq. 5 of DAFormer over road, car and rider, which some image shows."""
    sampling = RareClassSampling(build(folder), statistics, temperature=0.3, min_pixels=1)
    frequency = np.array([300, 40, 7]) / 347
    expected = np.exp((1 - frequency) / 0.3)
    np.testing.assert_allclose(sampling.class_probabilities[:3], expected / expected.sum())
    assert sampling.class_probabilities[3] == 0


def test_small_temperature_does_not_overflow(folder, statistics):
    sampling = RareClassSampling(build(folder), statistics, temperature=1e-4, min_pixels=1)
    np.testing.assert_allclose(sampling.class_probabilities, [0, 0, 1, 0], atol=1e-12)


def test_min_pixels_decides_what_an_image_shows(folder, statistics):
    images = RareClassSampling(build(folder), statistics, min_pixels=5).images_of_class
    assert [list(image) for image in images] == [[0, 1, 2, 3], [0, 1], [1], []]


def test_classes_that_min_pixels_excludes_are_named(folder, statistics, monkeypatch):
    """The train, which no image shows at all, has nothing to do with min_pixels."""
    warnings = []
    monkeypatch.setattr(
        'mmseg_depthuda.datasets.class_statistics.print_log',
        lambda message, logger, level: warnings.append(message),
    )
    RareClassSampling(build(folder), statistics, min_pixels=5)
    assert not warnings
    RareClassSampling(build(folder), statistics, min_pixels=31)
    assert len(warnings) == 1
    assert 'min_pixels=31 excludes 2 of 4 classes' in warnings[0]
    assert 'car (at most 30 pixels in an image), rider (at most 5' in warnings[0]
    lowered = RareClassSampling(build(folder), statistics, min_pixels=5)
    assert 'min_pixels=5)' in warnings[0] and all(map(len, lowered.images_of_class[:3]))


def test_drawn_images_have_the_expected_frequencies(folder, statistics):
    """P(image) = sum over classes of P(class) / number of images that show it."""
    sampling = RareClassSampling(build(folder), statistics, temperature=0.5, min_pixels=1)
    road, car, rider, _ = sampling.class_probabilities
    expected = np.array(
        [road / 4 + car / 2, road / 4 + car / 2 + rider / 2, road / 4, road / 4 + rider / 2]
    )
    generator = np.random.default_rng(0)
    drawn = np.bincount([sampling.draw(generator) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(drawn, expected, atol=4 * np.sqrt(0.25 / 4000))


def test_subset_of_the_counted_images_is_enough(folder, statistics):
    sampling = RareClassSampling(build(folder, indices=[3, 1]), statistics, min_pixels=1)
    np.testing.assert_array_equal(sampling.images_of_class[1], [1])


def test_statistics_of_another_dataset_are_an_error(folder, files, statistics):
    with pytest.raises(ValueError, match=r"counts the classes .*'train'.* but the dataset has"):
        RareClassSampling(build(folder, classes=['a', 'b', 'c', 'd']), statistics)
    files.png('images/9.png', np.zeros((10, 10, 3), dtype=np.uint8))
    files.png('labels/9.png', np.zeros((10, 10), dtype=np.uint8))
    with pytest.raises(ValueError, match=r'statistics.json lacks 1 of 5 images: 9.png'):
        RareClassSampling(build(folder), statistics)


@pytest.mark.parametrize('content', ['', '{"classes": []}', '[1]', '{"classes": ['])
def test_broken_statistics_are_an_error(folder, content):
    (folder / 'broken.json').write_text(content)
    with pytest.raises(ValueError, match=r'broken.json is not a file of class statistics.*tools'):
        RareClassSampling(build(folder), folder / 'broken.json')


def test_missing_statistics_are_an_error(folder):
    with pytest.raises(FileNotFoundError, match=r'no file .*gone.json.*class_statistics.py'):
        RareClassSampling(build(folder), folder / 'gone.json')


@pytest.mark.parametrize('argument', [dict(temperature=0), dict(min_pixels=101)])
def test_useless_arguments_are_an_error(folder, statistics, argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        RareClassSampling(build(folder), statistics, **argument)


def test_balanced_weights():
    """Every class gets a third of the weight, and a pixel 1 on average."""
    pixels = np.array([300, 40, 7])
    weights = balanced_class_weights(pixels, CLASSES[:3])
    np.testing.assert_allclose(weights * pixels / pixels.sum(), [1 / 3] * 3)
    with pytest.raises(ValueError, match='no image has a pixel of rider, train: .* `protocol`'):
        balanced_class_weights([1, 1, 0, 0], CLASSES)


def test_source_of_a_pair_is_found():
    source, target = dict(type='Source'), dict(type='Target')
    pair = dict(type='SourceTargetDataset', source=source, target=target)
    assert source_dataset_config(dict(train_dataloader=dict(dataset=pair))) == source
    assert source_dataset_config(dict(train_dataloader=dict(dataset=target))) == target
    pair = dict(pair, source=dict(source, per_draw=2, match=dict(to='target')))
    assert source_dataset_config(dict(train_dataloader=dict(dataset=pair))) == source
    assert pair['source']['per_draw'] == 2


def test_tool_writes_the_statistics_of_a_config(folder, statistics):
    config = folder / 'config.py'
    config.write_text(
        'train_dataloader = dict(dataset=dict(type="SourceTargetDataset", target=None, '
        f'source=dict(type="FolderDepthDataset", data_root={str(folder)!r}, '
        f'metainfo=dict(classes={CLASSES}), '
        'data_prefix=dict(img_path="images", seg_map_path="labels"))))'
    )
    out = folder / 'new' / 'out.json'
    assert exit_status_of(TOOL, config, out, '--workers', '1') == 0
    assert out.read_text() == statistics.read_text()
    weights = folder / 'weights.json'
    assert exit_status_of(TOOL, config, out, '--class-weights', weights) == 2  # no train anywhere
    assert not weights.exists()


def test_written_weights_are_those_of_mmsegs_cross_entropy(folder):
    present = dict(classes=CLASSES[:3], pixels=dict(a=[30, 8, 1], b=[0, 0, 1]))
    (folder / 'statistics.json').write_text(json.dumps(present))
    write_class_weights(folder / 'statistics.json', folder / 'weights.json')
    loss = CrossEntropyLoss(class_weight=str(folder / 'weights.json'))
    assert loss.class_weight == pytest.approx([40 / 90, 40 / 24, 40 / 6], abs=1e-6)
