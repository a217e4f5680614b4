# Licensed under the Apache License 2.0, see LICENSE.
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mmseg_depthuda.models.discriminators import Space
from mmseg_depthuda.registry import SPACES

HEAD = SimpleNamespace(out_channels=4)
RNG = np.random.default_rng(0)
SEG, DEPTH, DENSITY = (RNG.normal(size=(2, channels, 3, 5)) for channels in (4, 1, 1))


def information():
    """-p log p of each class, divided by the logarithm of the number of classes."""
    probability = np.exp(SEG) / np.exp(SEG).sum(axis=1, keepdims=True)
    return -probability * np.log(probability) / np.log(4)


@pytest.mark.parametrize(
    ('name', 'tasks', 'expected'),
    [
        ('self_information', ('seg',), information()),
        ('depth', ('depth',), DEPTH),
        ('depth_aware', ('seg', 'depth'), information() * DEPTH),
        ('density', ('density',), DENSITY),
        ('density_aware', ('seg', 'density'), information() * DENSITY),
    ],
)
def test_against_numpy(name, tasks, expected):
    space = SPACES.build(dict(type=name))
    maps = dict(seg=SEG, depth=DEPTH, density=DENSITY)
    predictions = {task: torch.from_numpy(values) for task, values in maps.items()}
    found = space({task: predictions[task] for task in tasks})
    assert space.tasks == tasks
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert space.channels(HEAD) == expected.shape[1]


def test_the_base_class_says_nothing():
    with pytest.raises(NotImplementedError):
        Space()({})


def test_depth_of_another_size_is_refused():
    predictions = dict(seg=torch.from_numpy(SEG), depth=torch.zeros(2, 1, 1, 1))
    with pytest.raises(ValueError, match=r'must be \(2, 1, 3, 5\), got \(2, 1, 1, 1\)'):
        SPACES.build(dict(type='depth_aware'))(predictions)
