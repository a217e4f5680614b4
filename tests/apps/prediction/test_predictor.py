# Licensed under the Apache License 2.0, see LICENSE.
"""Predictions out of a checkpoint alone are those of a test, to the pixel."""

import cv2
import numpy as np
import pytest
import torch

from mmseg_depthuda.apps.prediction import Predictor
from mmseg_depthuda.engine.launch import PACKAGE
from tests.apps.prediction.conftest import CLASSES, NAMES, PALETTE, PIPELINE, write_training
from tests.commands import exit_status_of

TEST = PACKAGE.parent / 'tools/test.py'


def labels_of_test(training, folder):
    """What ``tools/test.py --out`` writes, by the stem of the picture."""
    out = folder / 'tested'
    arguments = (training.config, training.checkpoint, '--work-dir', folder / 'work', '--out', out)
    assert exit_status_of(TEST, *arguments) == 0
    return {path.stem: cv2.imread(str(path), cv2.IMREAD_UNCHANGED) for path in out.rglob('*.png')}


@pytest.mark.parametrize('size', ['test', 'image'])
def test_labels_are_those_of_the_test_to_the_pixel(training, tmp_path, size):
    if size == 'image':  # labels of the size of the file: so the test compares at it
        load, labels, resize, _, pack = PIPELINE
        training = write_training(tmp_path, pipeline=[load, resize, labels, pack])
    tested = labels_of_test(training, tmp_path)
    predictor = Predictor(training.checkpoint, device='cpu', size=size)
    for name in NAMES:
        expected = tested[name.split('/')[-1][:-4]]
        assert len(np.unique(expected)) > 1
        labels = predictor(training.images / name).labels
        assert labels.shape == ((24, 40) if size == 'test' else (48, 80))
        np.testing.assert_array_equal(labels, expected)


def test_confidence_and_depth_are_those_of_the_network(training):
    predictor = Predictor(training.checkpoint, device='cpu')
    image = cv2.imread(str(training.images / NAMES[0]))
    found = predictor(image)
    np.testing.assert_array_equal(found.image, image[..., ::-1])
    data = {key: [value] for key, value in predictor.prepare(image).items()}
    with torch.no_grad():
        (sample,) = predictor.model.test_step(data)
    logits = sample.seg_logits.data.double().numpy()
    softmax = np.exp(logits) / np.exp(logits).sum(axis=0)
    np.testing.assert_allclose(found.confidence, softmax.max(axis=0), rtol=1e-5)
    depth = sample.pred_depth_map.data[0].numpy()
    np.testing.assert_array_equal(found.inverse_depth, depth)
    np.testing.assert_allclose(found.meters, 655.36 / np.maximum(depth, 1) - 0.01, rtol=1e-5)
    assert (list(found.classes), found.palette) == (list(CLASSES), PALETTE)
    assert found.pictures().keys() == {'overlay', 'depth', 'confidence'}


def test_depth_without_unit_and_without_depth(tmp_path):
    relative = write_training(tmp_path / 'a', depth_file='png_disparity')
    assert Predictor(relative.checkpoint, device='cpu')(relative.images / NAMES[0]).meters is None
    plain = write_training(tmp_path / 'b', type='DeepLabV2Head')
    found = Predictor(plain.checkpoint, device='cpu')(plain.images / NAMES[0])
    assert found.inverse_depth is None and 'depth' not in found.pictures()


def test_weights_of_another_network_are_refused(training, tmp_path):
    stored = torch.load(training.checkpoint, weights_only=True)
    stored['state_dict'].popitem()
    torch.save(stored, tmp_path / 'part.pth')
    with pytest.raises(ValueError, match='does not fit the model'):
        Predictor(tmp_path / 'part.pth', device='cpu')


def test_a_device_that_is_not_there(training):
    with pytest.raises(ValueError, match='--device cuda:99 cannot be used here'):
        Predictor(training.checkpoint, device='cuda:99')


def test_weights_without_config_take_one(training, tmp_path):
    stored = torch.load(training.checkpoint, weights_only=True)
    torch.save(stored['state_dict'], tmp_path / 'bare.pth')
    with pytest.raises(ValueError, match='holds no config'):
        Predictor(tmp_path / 'bare.pth', device='cpu')
    predictor = Predictor(tmp_path / 'bare.pth', training.config, device='cpu')
    assert predictor.classes == list(CLASSES)  # of the dataset
    whole = Predictor(training.checkpoint, device='cpu')
    image = training.images / NAMES[1]
    np.testing.assert_array_equal(predictor(image).labels, whole(image).labels)


def test_one_channel_for_two_classes(tmp_path):
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
    head = dict(type='FCNHead', channels=8, num_classes=2, out_channels=1, loss_decode=loss)
    training = write_training(tmp_path, **head, threshold=0.4)
    predictor = Predictor(training.checkpoint, device='cpu')
    found = predictor(training.images / NAMES[0])
    data = {key: [one] for key, one in predictor.prepare(training.images / NAMES[0]).items()}
    with torch.no_grad():
        share = predictor.model.test_step(data)[0].seg_logits.data[0].numpy()
    np.testing.assert_array_equal(found.labels, share > 0.4)
    expected = np.where(share > 0.4, share, 1 - share)
    np.testing.assert_allclose(found.confidence, expected, rtol=1e-6)
    # The five classes of the dataset are not those of this network.
    assert predictor.classes == ['class 0', 'class 1'] and len(predictor.palette) == 2


def test_more_classes_than_a_label_can_hold(tmp_path):
    training = write_training(tmp_path, type='DeepLabV2Head', num_classes=256)
    with pytest.raises(ValueError, match='256 classes'):
        Predictor(training.checkpoint, device='cpu')
