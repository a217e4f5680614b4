# Licensed under the Apache License 2.0, see LICENSE.
import json

import pytest

from mmseg_depthuda.apps.pseudo_label_writing.prior_files import read_component_thresholds
from mmseg_depthuda.datasets.class_statistics import save_class_statistics
from mmseg_depthuda.datasets.depth_mixture_files import KIND

CLASSES = ['road', 'car', 'sky']


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'prior.json'


def write(path, **content):
    path.write_text(json.dumps(content))


def test_thresholds_as_they_are(path):
    write(path, classes=CLASSES, thresholds=[9, 0, 2.5])
    assert read_component_thresholds(path, CLASSES, 50, 100) == [9, 0, 2.5]


def test_thresholds_from_counts(path):
    save_class_statistics(path, CLASSES, {'a.png': [10, 5, 0], 'b.png': [10, 0, 10]})
    expected = [150, 50, 50 + 100 / 3]  # of 20, 5 and 10 pixels
    assert read_component_thresholds(path, CLASSES, 50, 100) == pytest.approx(expected)
    rows = [dict(name=n, pixels=p) for n, p in zip(CLASSES, (20, 5, 10), strict=True)]
    write(path, kind=KIND, classes=rows)
    assert read_component_thresholds(path, CLASSES, 50, 100) == pytest.approx(expected)


def test_bad_files(path):
    with pytest.raises(FileNotFoundError, match=r'no file .*prior\.json.*fit_depth_mixtures'):
        read_component_thresholds(path, CLASSES, 50, 100)
    for text in ('{', '[]', '{"classes": []}', '{"classes": [], "thresholds": ["x"]}'):
        path.write_text(text)
        with pytest.raises(ValueError, match=r'prior\.json tells no thresholds.*class_statistics'):
            read_component_thresholds(path, CLASSES, 50, 100)
    write(path, classes=CLASSES[::-1], thresholds=[1, 2, 3])
    with pytest.raises(ValueError, match=r"about the classes \['sky', 'car', 'road'\]"):
        read_component_thresholds(path, CLASSES, 50, 100)
    write(path, classes=CLASSES, thresholds=[1, 2])
    with pytest.raises(ValueError, match=r'\(2 numbers\)'):
        read_component_thresholds(path, CLASSES, 50, 100)
    write(path, classes=CLASSES, thresholds=[1, -2, 3])
    with pytest.raises(ValueError, match='negative thresholds'):
        read_component_thresholds(path, CLASSES, 50, 100)
