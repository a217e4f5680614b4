# Licensed under the Apache License 2.0, see LICENSE.
"""The diagram of docs/design.md names what there is, in the order in which it is called."""

import ast
import re

from mmengine.config import Config

from mmseg_depthuda import registry
from mmseg_depthuda.datasets import DomainsDataset
from mmseg_depthuda.engine.hooks import InvalidLossHook, MeanTeacherHook, SelfTrainingHook
from mmseg_depthuda.engine.self_training import ClassMix, ConfidentShare
from mmseg_depthuda.models.data_preprocessors import UDADataPreProcessor
from mmseg_depthuda.models.segmentors import AdversarialSegmentor, UDASegmentor
from tests.docs.pages import DOCS, ROOT, checkout, code_blocks
from tests.test_configs import train_one_iteration

(DIAGRAM,) = (b.code for b in code_blocks(DOCS / 'design.md') if 'train_passes' in b.code)
STEPS = {
    DomainsDataset: '__getitem__',
    SelfTrainingHook: 'before_train_iter',
    UDADataPreProcessor: 'forward',
    ConfidentShare: '__call__',
    ClassMix: '__call__',
    UDASegmentor: 'train_on_branches',
    AdversarialSegmentor: 'loss',
    InvalidLossHook: 'after_train_iter',
    MeanTeacherHook: 'after_train_iter',
}


def definitions():
    """Names of the classes, methods (``Class.method``) and functions of the package."""
    names = set()
    for path in (ROOT / 'mmseg_depthuda').rglob('*.py'):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            if isinstance(node, ast.ClassDef):
                names |= {name for inner in node.body for name in methods(node.name, inner)}
    return names


def methods(cls, node):
    return (f'{cls}.{node.name}', node.name) if isinstance(node, ast.FunctionDef) else ()


def test_the_diagram_names_what_there_is():
    named = set(re.findall(r'\b[A-Z]+[a-z]\w+[A-Z]\w+(?:\.\w+)?|\b[a-z]+_[a-z_]+', DIAGRAM))
    assert {'train_passes', 'MinEntSegmentor.loss', 'TeacherEMA'} <= named
    assert named <= definitions()
    registries = set(re.findall(r'\b[A-Z_]{5,}\b', DIAGRAM))
    assert registries == set(registry.__all__) - {'TASKS'}


def test_an_iteration_takes_the_way_of_the_diagram(tmp_path, street_world, monkeypatch):
    called = []

    def record(cls, method):
        original = getattr(cls, method)

        def wrapper(*args, **kwargs):
            called.append(cls.__name__)
            return original(*args, **kwargs)

        monkeypatch.setattr(cls, method, wrapper)

    checkout(tmp_path)
    monkeypatch.setenv('STREET_WORLD_ROOT', str(street_world))
    page = code_blocks(DOCS / 'add_a_method.md')
    (config,) = (b.code for b in page if b.file and 'dacs_advent' in b.file)
    (tmp_path / 'mine').mkdir()
    file = tmp_path / 'mine/way.py'
    file.write_text(config)
    for cls, method in STEPS.items():
        record(cls, method)
    train_one_iteration(Config.fromfile(file), tmp_path, 'way')
    assert list(dict.fromkeys(called)) == sorted((cls.__name__ for cls in STEPS), key=DIAGRAM.index)
