# Licensed under the Apache License 2.0, see LICENSE.
"""Configs by the name of their package: ``mmseg_depthuda::corda/corda_r18_sim2real.py``."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.utils import get_installed_path

PACKAGE = 'mmseg_depthuda'


def register_package_configs() -> None:
    """Let ``_base_`` and ``get_config`` of MMEngine take ``mmseg_depthuda::...``; done on import.

    MMEngine looks into packages that it knows, at ``.mim/`` within them.
    """
    MODULE2PACKAGE.setdefault(PACKAGE, PACKAGE)


def package_config(name: str) -> Path:
    """Where a config of an installed package would be.

    Args:
        name (str): ``PACKAGE::FOLDER/NAME.py``, of any package that keeps its configs in
            ``.mim/configs``, as those of OpenMMLab do.

    Returns:
        Path: The file, which may be missing.

    Raises:
        FileNotFoundError: The package is not installed.
    """
    package, _, inside = name.partition('::')
    try:
        folder = get_installed_path(package)
    except (PackageNotFoundError, ImportError) as error:
        raise FileNotFoundError(
            f'config {name}: the package {package} is not installed. Install it, or name the file.'
        ) from error
    return Path(folder, '.mim', 'configs', inside)
