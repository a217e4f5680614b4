# Licensed under the Apache License 2.0, see LICENSE.
"""What MMSeg's visualiser cannot draw: other sizes, and depth on one side only."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample

from mmseg_depthuda.stack import check_versions, installed_versions

PALETTE = [[255, 0, 0], [0, 0, 255]]


@pytest.fixture
def drawn(monkeypatch):
    """Draw a sample over an image of one colour; alpha 1 paints the labels opaque."""

    def draw(image, sample, **options):
        visualizer = VISUALIZERS.build(
            dict(type='DepthLocalVisualizer', name='test', vis_backends=[], alpha=1.0)
        )
        visualizer.dataset_meta = dict(classes=('a', 'b'), palette=PALETTE)
        pictures = []
        monkeypatch.setattr(
            visualizer, 'add_image', lambda name, image, step: pictures.append(image)
        )
        visualizer.add_datasample('x', image, sample, with_labels=False, **options)
        return pictures[0]

    return draw


def make_sample(height, width, depth=()):
    labels = torch.zeros(1, height, width, dtype=torch.long)
    labels[..., width // 2 :] = 1
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=labels), pred_sem_seg=PixelData(data=1 - labels)
    )
    for name in depth:
        sample.set_data({name: PixelData(data=torch.rand(1, height, width))})
    return sample


@pytest.mark.parametrize('scale', [1, 2])
def test_ground_truth_and_prediction_in_the_size_of_the_labels(drawn, scale):
    image = np.full((8 * scale, 12 * scale, 3), 90, np.uint8)
    picture = drawn(image, make_sample(8, 12))
    assert picture.shape == (8, 24, 3)
    red, blue = PALETTE
    for column, colour in ((0, red), (11, blue), (12, blue), (23, red)):
        assert picture[:, column].tolist() == 8 * [colour]


def test_depth_of_the_prediction_alone_does_not_break_the_picture(drawn):
    sample = make_sample(8, 12, depth=['pred_depth_map'])
    assert drawn(np.zeros((16, 24, 3), np.uint8), sample).shape == (16, 24, 3)
    assert 'gt_depth_map' not in sample


def test_depth_of_both_is_drawn(drawn):
    sample = make_sample(8, 12, depth=['pred_depth_map', 'gt_depth_map'])
    assert drawn(np.zeros((8, 12, 3), np.uint8), sample).shape == (16, 24, 3)


def test_prediction_alone(drawn):
    image = np.full((8, 12, 3), 7, np.uint8)
    assert drawn(image, make_sample(8, 12), draw_gt=False)[0, 0].tolist() == PALETTE[1]


@pytest.mark.skipif(
    check_versions(installed_versions()) == 'original',
    reason='MMSeg 1.2.2 hands None to its back ends where there is nothing to draw on the image',
)
def test_image_alone(drawn):
    assert (drawn(np.full((8, 12, 3), 7, np.uint8), None) == 7).all()
