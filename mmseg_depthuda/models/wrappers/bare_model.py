# Licensed under the Apache License 2.0, see LICENSE.
"""The segmentor without the wrappers that a runner may put around it."""

from typing import cast

from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn


def bare_model(model: nn.Module) -> nn.Module:
    """Take the wrappers of distributed training and test-time augmentation off a model.

    Args:
        model (nn.Module): The model of a runner.

    Returns:
        nn.Module: The model that is wrapped; ``model`` itself if nothing wraps it.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = cast(nn.Module, model.module)
    return model
