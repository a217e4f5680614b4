# Licensed under the Apache License 2.0, see LICENSE.
import torch

from mmseg_depthuda.apps.benchmarking.loop import fill_optimizer_state


def test_optimizer_state_is_allocated_for_every_parameter():
    parameters = [torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(3))]
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    fill_optimizer_state(optimizer)
    for parameter in parameters:
        assert optimizer.state[parameter]['momentum_buffer'].shape == parameter.shape
        assert parameter.grad is None
        assert parameter.tolist() == [1.0] * len(parameter)
