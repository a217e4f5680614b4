# Licensed under the Apache License 2.0, see LICENSE.
"""IoU of each class and over subsets against counts by hand, and the size they hold at."""

import logging
import math

import cv2
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample

from mmseg_depthuda.datasets.label_protocols import CITYSCAPES_13, CITYSCAPES_16, CITYSCAPES_19

CLASSES = ('road', 'sky', 'car', 'train')


def sample(prediction, label):
    return SegDataSample(
        metainfo=dict(img_path='a/frame.png'),
        pred_sem_seg=PixelData(data=torch.tensor([prediction])),
        gt_sem_seg=PixelData(data=torch.tensor([label])),
    ).to_dict()


def build(classes=CLASSES, **options):
    metric = METRICS.build(dict(type='PerClassIoUMetric', iou_metrics=['mIoU']) | options)
    metric.dataset_meta = dict(classes=classes)
    return metric


# road: 3 of 4 + 1 of 2 pixels; sky: 1 of 2; car predicted nowhere, train nowhere at all.
FRAMES = (
    sample([[0, 0, 0], [0, 1, 255]], [[0, 0, 0], [1, 1, 255]]),
    sample([[0, 0, 1], [0, 0, 0]], [[0, 2, 255], [255, 255, 255]]),
)


@pytest.fixture
def log_lines():
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    yield lines
    logger.removeHandler(handler)


def test_areas_are_summed_over_images_before_they_are_divided():
    metric = build()
    metric.process(None, FRAMES[:1])
    metric.process(None, FRAMES[1:])
    metrics = metric.evaluate(size=2)
    assert metrics['IoU.road'] == pytest.approx(100 * 4 / 6)
    assert metrics['IoU.sky'] == pytest.approx(100 * 1 / 2)
    assert metrics['IoU.car'] == 0.0
    assert math.isnan(metrics['IoU.train'])
    assert metrics['mIoU'] == pytest.approx(100 * (4 / 6 + 1 / 2 + 0) / 3, abs=0.01)


def test_means_over_subsets_leave_absent_classes_out():
    subsets = dict(mIoU_2=['sky', 'train'], mIoU_3=['car', 'road', 'sky'])
    metric = build(class_subsets=subsets)
    metric.process(None, FRAMES)
    metrics = metric.evaluate(size=2)
    assert metrics['mIoU_2'] == pytest.approx(50)
    assert metrics['mIoU_3'] == pytest.approx(100 * (4 / 6 + 1 / 2) / 3)


def test_absent_classes_count_as_nan_to_num_says():
    metric = build(class_subsets=dict(mIoU_2=['sky', 'train']), nan_to_num=0)
    metric.process(None, FRAMES)
    metrics = metric.evaluate(size=2)
    assert metrics['IoU.train'] == 0.0
    assert metrics['mIoU_2'] == pytest.approx(25)


def test_one_evaluation_gives_19_16_and_13_classes_in_the_papers_order():
    """Class i is right on i + 1 of 20 pixels and confused with no class that is scored."""
    metric = build(CITYSCAPES_19, class_subsets=dict(mIoU_16='synthia16', mIoU_13='cityscapes13'))
    label = torch.arange(19).view(19, 1).expand(19, 20)
    wrong = torch.arange(20) > label
    # Shifting the wrong pixels by one class adds 20 - i of them to the union of the next class.
    prediction = torch.where(wrong, (label + 1) % 19, label)
    metric.process(None, [sample(prediction.tolist(), label.tolist())])
    metrics = metric.evaluate(size=1)
    hits = [i + 1 for i in range(19)]
    misses = [20 - hit for hit in hits]
    iou = {
        name: 100 * hits[i] / (20 + misses[(i - 1) % 19]) for i, name in enumerate(CITYSCAPES_19)
    }
    assert [key.removeprefix('IoU.') for key in metrics if key.startswith('IoU.')] == list(iou)
    for name, subset in dict(mIoU_16=CITYSCAPES_16, mIoU_13=CITYSCAPES_13).items():
        expected = sum(iou[class_name] for class_name in subset) / len(subset)
        assert metrics[name] == pytest.approx(expected)
    assert metrics['mIoU'] == pytest.approx(sum(iou.values()) / 19, abs=0.01)
    # Tables 2 and 3 of the CorDA paper.
    assert ' '.join(CITYSCAPES_16) == (
        'road sidewalk building wall fence pole traffic light traffic sign vegetation sky person '
        'rider car bus motorcycle bicycle'
    )
    assert ' '.join(CITYSCAPES_13) == (
        'road sidewalk building traffic light traffic sign vegetation sky person rider car bus '
        'motorcycle bicycle'
    )


def test_numbers_come_with_the_size_that_was_compared(log_lines):
    metric = build(class_subsets=dict(mIoU_1=['sky']))
    metric.process(None, FRAMES)
    metrics = metric.evaluate(size=2)
    assert (metrics['eval_width'], metrics['eval_height']) == (3, 2)
    assert 'compared at 3x2: mIoU 38.89, mIoU_1 50.00' in log_lines


def test_images_of_several_sizes_are_named(log_lines):
    metric = build()
    metric.process(None, [*FRAMES, sample([[0]], [[0]])])
    metrics = metric.evaluate(size=3)
    assert not {'eval_width', 'eval_height'} & metrics.keys()
    assert any(
        line.startswith('compared at 3x2 (2 images), 1x1 (1 images): ') for line in log_lines
    )


def test_prediction_and_label_of_different_sizes_are_refused():
    with pytest.raises(ValueError, match=r'frame.png: pred_sem_seg is 2x1, gt_sem_seg 3x1. Load'):
        build().process(None, [sample([[0, 0]], [[0, 0, 1]])])


def test_formatting_alone_needs_no_labels(tmp_path):
    metric = build(format_only=True, output_dir=str(tmp_path))
    frame = sample([[0, 2]], [[0, 1]])
    del frame['gt_sem_seg']
    metric.process(None, [frame])
    assert metric.evaluate(size=1) == {}
    assert (tmp_path / 'frame.png').exists()


def test_files_have_the_folders_of_their_images(tmp_path):
    """Frames of one name in two drives; a flat folder stays flat."""
    metric = build(output_dir=str(tmp_path / 'out'), image_root='data/images')
    names = ('a/1', 'a/2', 'b/c/1', '1')
    for value, name in enumerate(names):
        one = sample([[value, value]], [[value, value]])
        metric.process({}, [one | dict(img_path=f'data/images/{name}.png')])
    files = {str(p.relative_to(tmp_path / 'out')) for p in (tmp_path / 'out').rglob('*.png')}
    assert files == {f'{name}.png' for name in names}
    for value, name in enumerate(names):
        written = cv2.imread(str(tmp_path / f'out/{name}.png'), cv2.IMREAD_UNCHANGED)
        assert written.ravel().tolist() == [value, value]
    assert metric.output_dir == str(tmp_path / 'out')
    assert metric.evaluate(size=len(names))['aAcc'] == 100


def test_an_image_elsewhere_has_no_file(tmp_path):
    metric = build(output_dir=str(tmp_path), image_root='data/images')
    with pytest.raises(ValueError, match=r'data/other/1.png is not below image_root'):
        metric.process({}, [sample([[1, 1]], [[1, 1]]) | dict(img_path='data/other/1.png')])


def test_images_without_a_labelled_pixel_have_no_share_in_the_mean(log_lines):
    metric = build()
    ignored = sample([[0, 1]], [[255, 255]])
    metric.process(None, [*FRAMES, ignored])
    # road 3/4, sky 1/2; road 1/2, car 0/1.
    assert metric.evaluate(size=3)['image_mIoU'] == pytest.approx((62.5 + 25) / 2)
    assert any(line.startswith('1 of 3 images have no labeled pixel') for line in log_lines)
    metric.process(None, [ignored])
    assert math.isnan(metric.evaluate(size=1)['image_mIoU'])


def test_scores_of_single_images_do_not_depend_on_nan_to_num():
    metric = build(nan_to_num=0)
    metric.process(None, FRAMES)
    assert metric.evaluate(size=2)['image_mIoU'] == pytest.approx((62.5 + 25) / 2)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(per_image_scores=True), 'must name a CSV file to write, got True'),
        (dict(per_image_scores='.'), r"must name a CSV file to write, got '\.'"),
        (dict(per_image_scores='a.csv', format_only=True, output_dir='out'), 'format_only compare'),
    ],
)
def test_a_file_of_scores_that_cannot_be_is_refused(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_scores_of_images_without_names_are_refused(tmp_path):
    nameless = FRAMES[0] | dict(img_path=None)
    build().process(None, [nameless])
    with pytest.raises(ValueError, match='leave img_path in the meta_keys of PackSegInputs'):
        build(per_image_scores=tmp_path / 'a.csv').process(None, [nameless])


@pytest.mark.parametrize(
    ('subset', 'message'),
    [
        (['road', 'tram'], r"mIoU_x.*\['tram'\], which the dataset does not have.*'road', 'sky'"),
        ('cityscapes13', r'which the dataset does not have'),
        ('cityscapes12', r"protocol='cityscapes12' is unknown"),
        ([], r'must name classes once each'),
        (['road', 'road'], r'must name classes once each'),
    ],
)
def test_wrong_subsets_are_refused_before_anything_is_evaluated(subset, message):
    with pytest.raises(ValueError, match=message):
        build(class_subsets=dict(mIoU_x=subset))


def areas(label, prediction, *counted):
    """IoU in percent of each class, by sets of pixels; NaN of a class that is nowhere."""
    pixels = [(t, p) for t, p in zip(label, prediction, strict=True) if t in counted]
    for c in range(3):
        union = sum(c in pair for pair in pixels)
        yield 100 * sum(pair == (c, c) for pair in pixels) / union if union else float('nan')


@pytest.mark.parametrize('kinds', ['mIoU', ['mIoU', 'mDice', 'mFscore']])
def test_an_ignored_class_is_in_no_mean_and_255_stays_ignored(kinds):
    label, prediction = [0, 0, 1, 1, 1, 2, 255, 255], [0, 1, 1, 0, 1, 2, 2, 0]
    metric = METRICS.build(dict(type='PerClassIoUMetric', ignore_index=0, iou_metrics=kinds))
    metric.dataset_meta = dict(classes=CLASSES[:3])
    metric.process(None, [sample([prediction], [label])])
    metrics = metric.evaluate(size=1)
    _, sky, car = areas(label, prediction, 1, 2)
    assert math.isnan(metrics['IoU.road'])
    assert metrics['IoU.sky'] == pytest.approx(sky) == pytest.approx(200 / 3)
    assert metrics['mIoU'] == pytest.approx((sky + car) / 2, abs=0.01)
    assert metrics['image_mIoU'] == pytest.approx((sky + car) / 2)
    assert metrics['mAcc'] == pytest.approx(100 * (2 / 3 + 1) / 2, abs=0.01)
    if kinds != 'mIoU':
        assert metrics['mDice'] == pytest.approx(100 * (4 / 5 + 1) / 2, abs=0.01)
        assert metrics['mRecall'] == pytest.approx(metrics['mAcc'])


def test_a_label_that_is_no_class_is_refused_with_its_file():
    metric = build()
    with pytest.raises(ValueError, match=r'a/frame.png: .*values \[4, 254\], .*4 classes, 0 to 3'):
        metric.process(None, [sample([[0, 0, 0, 0]], [[254, 4, 255, 3]])])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(ignore_indx=0), 'no argument ignore_indx; did you mean ignore_index?'),
        (dict(class_subset={}), 'did you mean class_subsets?'),
        (dict(xyz=1), 'it takes beta, class_subsets, '),
        (dict(reduce_zero_label=True), r'label_map=\{0: 255, 1: 0, 2: 1, ...\}'),
        (dict(iou_metrics=['miou']), r"some of mIoU, mDice, mFscore, got \['miou'\]"),
        (dict(ignore_index=[0, 255]), r'one integer, got \[0, 255\].*label_map'),
        (dict(ignore_index=0, nan_to_num=0), "count the class 'road', which ignore_index=0"),
    ],
)
def test_arguments_that_would_be_ignored_end_the_run(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_out_of_test_py_sets_an_argument_without_meaning():
    assert build(keep_results=True).ignore_index == 255
