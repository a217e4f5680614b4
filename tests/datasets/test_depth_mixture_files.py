# Licensed under the Apache License 2.0, see LICENSE.
import json
from dataclasses import replace

import pytest
import torch

from mmseg_depthuda.adaptation.depth_mixtures import DepthMixtures
from mmseg_depthuda.datasets.depth_mixture_files import (
    MixtureMeta,
    check_mixtures,
    load_mixtures,
    save_mixtures,
)

META = MixtureMeta(('road', 'sky'), (3, 5), 'dada', (40, 9), (30, 8), 2, 7)
TRAINING = dict(classes=['road', 'sky'], grid=[3, 5], encoding='dada')


@pytest.fixture
def mixtures():
    generator = torch.Generator().manual_seed(0)
    shape = dict(generator=generator, dtype=torch.float64)
    weights = torch.rand(2, 2, **shape)
    return DepthMixtures(
        weights / weights.sum(dim=1, keepdim=True),
        1000 * torch.rand(2, 2, 3, **shape),
        torch.rand(2, 2, 3, **shape) + 1e-6,
    )


@pytest.fixture
def path(tmp_path, mixtures):
    save_mixtures(tmp_path / 'new/mixtures.json', mixtures, META)
    return tmp_path / 'new/mixtures.json'


def test_every_number_is_kept(path, mixtures):
    loaded, meta = load_mixtures(path)
    assert meta == replace(META, path=str(path))
    for name in ('weights', 'means', 'variances'):
        assert torch.equal(getattr(loaded, name), getattr(mixtures, name))
    check_mixtures(meta, **TRAINING)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(classes=['sky', 'road']), r"classes \('road', 'sky'\), the training has \('sky', "),
        (dict(grid=(5, 3)), r'grid \(3, 5\), the training has \(5, 3\)'),
        (dict(encoding='corda'), 'encoding dada, the training has corda'),
    ],
)
def test_another_training_is_told_what_differs(path, change, message):
    _, meta = load_mixtures(path)
    with pytest.raises(ValueError, match=message) as error:
        check_mixtures(meta, **TRAINING | change)
    assert str(path) in str(error.value)
    assert 'fit_depth_mixtures.py' in str(error.value)
    assert str(error.value).count('the training has') == 1  # names only what differs


def test_unreadable_files(path):
    text = path.read_text()
    other = json.loads(text)
    lacking = {key: value for key, value in other.items() if key != 'grid'}
    for wrong in (
        text[: len(text) // 2],
        '[]',
        json.dumps(dict(other, kind='x')),
        json.dumps(lacking),
    ):
        path.write_text(wrong)
        with pytest.raises(
            ValueError, match=r'mixtures\.json is no whole file.*fit_depth_mixtures'
        ):
            load_mixtures(path)
    with pytest.raises(FileNotFoundError, match='absent.*fit_depth_mixtures'):
        load_mixtures('absent.json')


def test_refuses_counts_of_other_classes(tmp_path, mixtures):
    with pytest.raises(ValueError, match='do not fit 2 classes of 2 components'):
        save_mixtures(tmp_path / 'mixtures.json', mixtures, replace(META, samples=(1,)))
