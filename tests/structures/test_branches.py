# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
from mmseg.structures import SegDataSample

from mmseg_depthuda.structures import (
    branch_of,
    domains_of,
    is_batch_of_branches,
    is_preprocessed,
)


def one(**metainfo):
    return [SegDataSample(metainfo=metainfo)]


@pytest.mark.parametrize(
    ('metainfo', 'branch', 'domains'),
    [
        ({}, 'source', ('source',)),  # as MMSeg's own training has them
        (dict(branch='night', domain='night'), 'night', ('night',)),
        (dict(branch='mixed', domain=('source', 'rain')), 'mixed', ('source', 'rain')),
        (dict(branch='mixed', domain=['source', 'rain']), 'mixed', ('source', 'rain')),
        (dict(branch='masked', domain='target'), 'masked', ('target',)),
    ],
)
def test_names(metainfo, branch, domains):
    assert branch_of(one(**metainfo)) == branch
    assert domains_of(one(**metainfo)) == domains


def test_batches_of_branches():
    ordinary = dict(inputs=[torch.zeros(3, 2, 2)], data_samples=one())
    assert is_batch_of_branches(dict(source=ordinary))
    assert not is_batch_of_branches(ordinary)


def test_preprocessed_is_stacked_and_named():
    images = torch.zeros(1, 3, 2, 2)
    assert is_preprocessed(dict(inputs=images, data_samples=one(branch='mixed')))
    assert not is_preprocessed(dict(inputs=images, data_samples=one()))
    assert not is_preprocessed(dict(inputs=[images[0]], data_samples=one(branch='mixed')))
    some = one(branch='mixed') + one()
    assert not is_preprocessed(dict(inputs=images.expand(2, -1, -1, -1), data_samples=some))
