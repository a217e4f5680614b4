# Licensed under the Apache License 2.0, see LICENSE.
import torch
from torch import nn

from mmseg_depthuda.fileio import compare_shapes, tensor_shapes


def test_shapes_of_tensors_alone():
    state = nn.Linear(3, 2).state_dict()
    assert tensor_shapes({**state, 'epoch': 7}) == {'weight': (2, 3), 'bias': (2,)}


def test_each_name_stands_in_one_list():
    wanted = tensor_shapes(nn.BatchNorm1d(4).state_dict())
    assert compare_shapes(wanted, wanted) == ([], [], [])
    found = {**wanted, 'weight': (5,), 'more': (1,), 'also': ()}
    del found['running_mean'], found['num_batches_tracked']
    assert compare_shapes(found, wanted) == (
        ['num_batches_tracked', 'running_mean'],
        ['also', 'more'],
        ['weight'],
    )


def test_a_scalar_is_not_a_vector_of_one():
    found = tensor_shapes({'a': torch.zeros(1)})
    assert compare_shapes(found, {'a': torch.Size([])}).reshaped == ['a']
