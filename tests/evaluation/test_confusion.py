# Licensed under the Apache License 2.0, see LICENSE.
"""The confusion matrix against counts by hand; values that are no class are refused."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_depthuda.evaluation.confusion import confusion_matrix, count_confusions


def test_rows_are_true_and_columns_predicted_classes():
    labels, predictions = np.array([0, 0, 1, 2, 255]), np.array([0, 2, 1, 1, 200])
    np.testing.assert_array_equal(
        count_confusions(labels.astype(np.uint8), predictions.astype(np.uint8), 3),
        [[1, 0, 1], [0, 1, 0], [0, 1, 0]],
    )


@pytest.mark.parametrize(
    ('labels', 'predictions', 'message'),
    [
        ([3, 1], [0, 0], r'labels have the values \[3\], but there are 3 classes, 0 to 2'),
        ([-1, 1], [0, 0], r'labels have the values \[-1\]'),
        ([0, 1], [0, 3], r'predictions have the values \[3\]'),
    ],
)
def test_values_that_are_no_class_are_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        count_confusions(np.array(labels), np.array(predictions), 3)


class Dataset:
    """One image of four pixels, as MMSeg's datasets give it."""

    data_prefix: dict = {}

    metainfo, ignore_index = dict(classes=('a', 'b')), 255

    def __init__(self, labels, **meta):
        self.sample = SegDataSample(
            metainfo=dict(img_path='frame.jpg', **meta), gt_sem_seg=PixelData(data=labels)
        )

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return dict(data_samples=self.sample)


def test_predictions_are_shifted_back_where_mmseg_wrote_them_from_1_on(tmp_path):
    labels = torch.tensor([[[0, 0, 1, 255]]])
    Image.fromarray(np.array([[1, 2, 2, 1]], np.uint8)).save(tmp_path / 'frame.png')
    matrix = confusion_matrix(Dataset(labels, reduce_zero_label=True), tmp_path)
    np.testing.assert_array_equal(matrix, [[1, 1], [0, 1]])
    with pytest.raises(ValueError, match=r'frame.jpg and .*frame.png: the predictions .*\[2\]'):
        confusion_matrix(Dataset(labels), tmp_path)
