# Licensed under the Apache License 2.0, see LICENSE.
"""Modules that start from those of another network, such as a depth network."""

from collections.abc import Mapping
from typing import Any

from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from mmseg_depthuda.fileio import compare_shapes, tensor_shapes


def transfer_modules(model: nn.Module, checkpoint: str, modules: Mapping[str, str]) -> int:
    """Load modules of a model from a checkpoint of another model, each of them whole.

    Unlike MMEngine's ``init_cfg=dict(type='Pretrained', prefix=...)`` this ends with an error if a
    tensor of a module is missing in the file, has another shape, is not finite, or has no place in
    the module. Nothing is loaded then. BatchNorm's counter ``num_batches_tracked`` may be missing.

    Args:
        model (nn.Module): The model, changed in place.
        checkpoint (str): File or address of an MMEngine checkpoint, or of a dictionary of tensors.
        modules (Mapping[str, str]): Name of a module of the model -> name that it has in the file,
            as in ``{'backbone': 'backbone', 'decode_head.decoder': 'decode_head'}``. Several
            modules may start from the same one.

    Returns:
        int: Number of tensors that were loaded.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file is no checkpoint, the model has no such module, or a tensor does not
            fit. The message names the file and the tensors.
    """
    content = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    where = f'model.transfer.checkpoint={checkpoint}'
    if not isinstance(content, Mapping):
        raise ValueError(f'{where} holds a {type(content).__name__}, no dictionary of weights')
    weights = content.get('state_dict', content)
    weights = {name.removeprefix('module.'): value for name, value in weights.items()}
    states = {
        name: _state_of(_module(model, name), weights, origin, f'{where}, {origin}, for {name}')
        for name, origin in modules.items()
    }
    for name, state in states.items():
        model.get_submodule(name).load_state_dict(state, strict=False)
    number = sum(map(len, states.values()))
    parts = ', '.join(f'{len(state)} of {modules[n]} for {n}' for n, state in states.items())
    print_log(f'transfer: {number} tensors of {checkpoint} ({parts})', logger='current')
    return number


def _module(model: nn.Module, name: str) -> nn.Module:
    try:
        return model.get_submodule(name)
    except AttributeError as error:
        found = ', '.join(own for own, _ in model.named_children())
        raise ValueError(
            f'model.transfer.modules names {name!r}, but the model has no such module: {error}. '
            f'Its modules are {found}.'
        ) from error


def _state_of(
    module: nn.Module, weights: Mapping[str, Any], origin: str, where: str
) -> dict[str, Tensor]:
    """State dict of one module out of the file, which fits it exactly."""
    state = {
        name.removeprefix(f'{origin}.'): value
        for name, value in weights.items()
        if name.startswith(f'{origin}.') and isinstance(value, Tensor)
    }
    if not state:
        found = ', '.join(sorted({name.split('.')[0] for name in weights}))
        raise ValueError(
            f'{where}: the file has nothing of this name; its names begin with {found}'
        )
    difference = compare_shapes(tensor_shapes(state), tensor_shapes(module.state_dict()))
    problems = {
        'missing': [n for n in difference.missing if not n.endswith('num_batches_tracked')],
        'without a place in the module': difference.unexpected,
        'of another shape': difference.reshaped,
        'not finite': sorted(n for n, value in state.items() if not value.isfinite().all()),
    }
    if any(problems.values()):
        lists = [
            f'{len(names)} {kind}: {", ".join(names[:5])}{", ..." if len(names) > 5 else ""}'
            for kind, names in problems.items()
            if names
        ]
        raise ValueError(
            f'{where}: the tensors do not fit; {"; ".join(lists)}. Take the checkpoint of a '
            'network with the same backbone and decoder, or mend model.transfer.modules.'
        )
    return state
