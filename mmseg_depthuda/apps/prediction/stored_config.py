# Licensed under the Apache License 2.0, see LICENSE.
"""The config that a checkpoint holds, read as data: no code of the checkpoint is run.

MMEngine stores the text of the config, which is a Python program, and would run it. The text that
it writes consists of literals and of ``dict(...)``, so it can be parsed instead. What is built from
it are registered classes alone: MMEngine would import and call any function that a ``type`` names.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry
from mmseg.registry import MODELS, TRANSFORMS

REMEDY = 'If you trust whoever made the checkpoint, name its config: --config CONFIG.'


def parse_config(text: str) -> dict[str, Any]:
    """Read the text of a config without running it.

    Args:
        text (str): Assignments of literals and ``dict(...)``, as MMEngine writes a config.

    Returns:
        dict: Value by name.

    Raises:
        ValueError: The text has anything else. The message names the line.
    """
    try:
        statements = ast.parse(text).body
    except SyntaxError as error:
        raise ValueError(f'line {error.lineno} is no Python') from error
    values = {}
    for statement in statements:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
            raise ValueError(f'line {statement.lineno} is no assignment to a name')
        values[statement.targets[0].id] = _value(statement.value)
    return values


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        first = [_value(argument) for argument in node.args]  # dict({1: 2}), of other keys
        if all(isinstance(one, dict) for one in first) and all(one.arg for one in node.keywords):
            return dict(*first, **{str(one.arg): _value(one.value) for one in node.keywords})
    elif isinstance(node, ast.Dict) and None not in node.keys:
        return {
            _value(key): _value(value)  # type: ignore[arg-type]
            for key, value in zip(node.keys, node.values, strict=True)
        }
    elif isinstance(node, ast.List):
        return [_value(element) for element in node.elts]
    elif isinstance(node, ast.Tuple):
        return tuple(_value(element) for element in node.elts)
    elif isinstance(node, ast.Name) and node.id in ('inf', 'nan'):
        return float(node.id)
    elif (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Name)
    ):
        return -_value(node.operand)
    else:
        try:
            return ast.literal_eval(node)
        except ValueError:
            pass
    raise ValueError(f'line {node.lineno} is no literal: {ast.unparse(node)[:60]}')


def stored_config(checkpoint: Mapping[str, Any], name: str) -> Config:
    """The config in a checkpoint, as far as prediction needs it.

    Args:
        checkpoint (Mapping): As MMEngine writes it.
        name (str): What to call it in a message.

    Returns:
        Config: Its ``model`` and pipelines name registered classes alone.

    Raises:
        ValueError: There is no config, it is more than data, or it names a class that is not
            registered.
    """
    text = checkpoint.get('meta', {}).get('cfg')
    if not isinstance(text, str):
        raise ValueError(
            f'the checkpoint {name} holds no config, as converted weights do: name it, --config '
            'CONFIG.'
        )
    try:
        cfg = Config(parse_config(text))
    except ValueError as error:
        raise ValueError(
            f'the config in the checkpoint {name} is more than data: {error}. {REMEDY}'
        ) from error
    if 'model' not in cfg:
        raise ValueError(f'the config in the checkpoint {name} has no model. {REMEDY}')
    _check_types(cfg.model, MODELS, name)
    _check_types(pipeline_of_test(cfg), TRANSFORMS, name)
    return cfg


def pipeline_of_test(cfg: Config) -> list[dict]:
    """The transforms of the images of a test.

    Raises:
        ValueError: There are none.
    """
    loader = cfg.get('test_dataloader') or {}
    pipeline = (loader.get('dataset') or {}).get('pipeline') or cfg.get('test_pipeline')
    if not pipeline:
        raise ValueError('the config has no test_dataloader.dataset.pipeline and no test_pipeline')
    return list(pipeline)


def _check_types(part: Any, registry: Registry, name: str) -> None:
    """Refuse classes that are not registered: MMEngine would import what a dotted name says."""
    for kind in _types(part):
        if not is_registered(kind, registry) and kind not in _OTHER_TYPES:
            raise ValueError(
                f'the config in the checkpoint {name} has the type {kind!r}, which is not '
                f'registered. If it is yours, or you trust whoever made the checkpoint, name the '
                'config, whose custom_imports register it: --config CONFIG.'
            )


def is_registered(kind: Any, registry: Registry | None) -> bool:
    """Whether a ``type`` is the name of a class that a registry, or one of its parents, has.

    Args:
        kind (Any): As in a config: ``'ResNet'``, ``'mmseg.ResNet'``; anything else is refused.
        registry (Registry): Where it is built from.

    Returns:
        bool: False also for what is not registered, but can be imported.
    """
    scope, _, name = kind.rpartition('.') if isinstance(kind, str) else ('', '', '')
    if scope not in ('', 'mmseg', 'mmengine', 'mmcv'):
        return False
    while registry is not None:
        registry.import_from_location()
        if name in registry.module_dict:
            return True
        registry = registry.parent
    return False


# Named within a model, but built by no registry, or dropped before the model is built.
_OTHER_TYPES = {'Pretrained', 'Constant', 'Xavier', 'Normal', 'TruncNormal', 'Uniform', 'Kaiming'}


def _types(part: Any) -> Iterator[Any]:
    if isinstance(part, Mapping):
        if 'type' in part:
            yield part['type']
        part = list(part.values())
    if isinstance(part, list | tuple):
        for inner in part:
            yield from _types(inner)
