# Licensed under the Apache License 2.0, see LICENSE.
"""IoU of each class against counts by hand."""

import math

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample


def sample(prediction, label):
    return SegDataSample(
        pred_sem_seg=PixelData(data=torch.tensor([prediction])),
        gt_sem_seg=PixelData(data=torch.tensor([label])),
    ).to_dict()


def test_areas_are_summed_over_images_before_they_are_divided():
    """road: 3 of 4 + 1 of 2 pixels; sky: 1 of 3; car predicted nowhere, train nowhere at all."""
    metric = METRICS.build(dict(type='PerClassIoUMetric', iou_metrics=['mIoU']))
    metric.dataset_meta = dict(classes=('road', 'sky', 'car', 'train'))
    metric.process(None, [sample([[0, 0, 0], [0, 1, 255]], [[0, 0, 0], [1, 1, 255]])])
    metric.process(None, [sample([[0, 0, 1]], [[0, 2, 255]])])
    metrics = metric.evaluate(size=2)
    assert metrics['IoU.road'] == pytest.approx(100 * 4 / 6)
    assert metrics['IoU.sky'] == pytest.approx(100 * 1 / 2)
    assert metrics['IoU.car'] == 0.0
    assert math.isnan(metrics['IoU.train'])
    assert metrics['mIoU'] == pytest.approx(100 * (4 / 6 + 1 / 2 + 0) / 3, abs=0.01)
