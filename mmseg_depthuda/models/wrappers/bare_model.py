# Licensed under the Apache License 2.0, see LICENSE.
"""The segmentor under everything that a runner may wrap around it."""

from typing import cast

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn


def bare_model(model: nn.Module) -> nn.Module:
    """Take the wrappers of distributed training and test-time augmentation off a model.

    Args:
        model (nn.Module): The model of a runner.

    Returns:
        nn.Module: The segmentor itself.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = cast(nn.Module, model.module)
    return model
