# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch

from mmseg_depthuda.engine.hooks.invalid_loss_hook import InvalidLossHook
from mmseg_depthuda.engine.hooks.loop_arguments import batch_dict


def test_the_batch_is_the_same_object():
    batch = dict(inputs=[], data_samples=[])
    assert batch_dict(batch) is batch


@pytest.mark.parametrize('batch', [None, [dict(inputs=[])]])
def test_a_batch_that_is_no_dict_is_refused(batch):
    with pytest.raises(TypeError, match=f'type {type(batch).__name__}, but a dict .*collate_fn'):
        InvalidLossHook().after_train_iter(None, 0, batch, dict(loss=torch.tensor(torch.nan)))


def test_outputs_that_are_not_given():
    with pytest.raises(TypeError, match='outputs=None'):
        InvalidLossHook().after_train_iter(None, 0, {})
