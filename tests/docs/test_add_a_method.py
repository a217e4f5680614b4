# Licensed under the Apache License 2.0, see LICENSE.
"""The worked example of docs/add_a_method.md: short, trainable, and its loss is what it says."""

import json

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from tests.docs.pages import DOCS, checkout, code_blocks, follow

PAGE = DOCS / 'add_a_method.md'


@pytest.fixture(scope='module')
def example():
    """The names that the example defines."""
    (code,) = (block.code for block in code_blocks(PAGE) if block.file and 'class ' in block.code)
    names = {'__name__': 'flip_consistency_of_the_page'}
    registration = code.index('@MODELS')  # once per process, by the training below
    exec(compile(code[:registration], str(PAGE), 'exec'), names)
    return names


def test_the_example_is_short():
    lines = [line for b in code_blocks(PAGE) if b.file for line in b.code.splitlines()]
    assert 30 < len(lines) <= 60


def test_the_loss_is_the_cross_entropy_of_the_mirrored_prediction(example):
    rng = np.random.default_rng(0)
    logits, mirrored = rng.normal(size=(2, 3, 4, 5, 6))
    mask = rng.random((3, 1, 5, 6)) < 0.5
    truth = softmax(logits, axis=1)
    cross_entropy = -(truth * log_softmax(mirrored[..., ::-1], axis=1)).sum(1)
    expected = cross_entropy[mask[:, 0]].mean()
    found = example['flip_disagreement'](*map(torch.tensor, (logits, mirrored, mask)))
    assert found.item() == pytest.approx(expected)


def test_no_target_pixel_gives_no_loss(example):
    logits = torch.randn(1, 3, 4, 4)
    loss = example['flip_disagreement'](logits, logits, torch.zeros(1, 1, 4, 4, dtype=bool))
    assert loss == 0


def test_the_example_trains(tmp_path, monkeypatch, street_world):
    checkout(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/street_world').symlink_to(street_world)
    assert len(follow(PAGE, tmp_path, monkeypatch)) == 1
    (scalars,) = tmp_path.glob('work_dirs/dacs_flip_r18_sim2real/*/vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    rows = [row for row in rows if 'loss' in row]
    assert len(rows) == 2
    for row in rows:
        assert row['mixed.loss_flip'] > 0
        parts = row['source.loss_seg'] + row['mixed.loss_seg'] + row['mixed.loss_flip']
        assert row['loss'] == pytest.approx(parts)
        assert 'source.loss_flip' not in row
