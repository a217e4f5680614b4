# Licensed under the Apache License 2.0, see LICENSE.
"""An exported network predicts what PyTorch predicts, from RGB pixels on."""

import json

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.prediction import Predictor, onnx_export
from mmseg_depthuda.apps.prediction.onnx_export import export_onnx
from tests.apps.prediction.conftest import CLASSES, NAMES, write_training


@pytest.fixture
def predictor(training):
    return Predictor(training.checkpoint, device='cpu', size='test')


@pytest.mark.parametrize('head', [{}, dict(type='DeepLabV2Head')])
def test_the_file_says_what_pytorch_says(tmp_path, head):
    runtime = pytest.importorskip('onnxruntime')
    training = write_training(tmp_path / 'training', **head)
    predictor = Predictor(training.checkpoint, device='cpu', size='test')
    report = export_onnx(predictor, training.images / NAMES[0], tmp_path / 'a/model.onnx')
    assert '(N, 3, 24, 40)' in report
    session = runtime.InferenceSession(tmp_path / 'a/model.onnx')
    pictures = [cv2.imread(str(training.images / name)) for name in NAMES]
    images = np.stack([cv2.resize(one, (40, 24))[..., ::-1] for one in pictures])
    logits, *depth = session.run(None, dict(images=images.transpose(0, 3, 1, 2).astype('f4')))
    for index, picture in enumerate(pictures):
        expected = predictor(picture)
        assert (logits[index].argmax(axis=0) == expected.labels).mean() > 0.999
        assert len(depth) == (expected.inverse_depth is not None)
        if depth:
            np.testing.assert_allclose(depth[0][index, 0], expected.inverse_depth, atol=1e-4)
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties['classes']) == list(CLASSES)


def test_a_file_that_differs_is_not_kept(training, predictor, tmp_path, monkeypatch):
    pytest.importorskip('onnxruntime')
    monkeypatch.setattr(onnx_export, 'TOLERANCE', -1.0)
    with pytest.raises(ValueError, match='differs from PyTorch'):
        export_onnx(predictor, training.images / NAMES[0], tmp_path / 'model.onnx')
    assert not list(tmp_path.iterdir())


def test_without_its_libraries(training, predictor, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name=name)

    monkeypatch.setattr(onnx_export, 'import_module', missing)
    with pytest.raises(ImportError, match=r'--onnx needs onnx, .*mmseg-depthuda\[onnx\]'):
        export_onnx(predictor, training.images / NAMES[0], tmp_path / 'model.onnx')
