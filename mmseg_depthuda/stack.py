# Licensed under the Apache License 2.0, see LICENSE.
"""Check of the OpenMMLab libraries found at import.

MMSegmentation, MMEngine and MMCV are published twice under the same import names: the maintained
line (``onedl-mmsegmentation`` and its companions) and the original one. Both are supported; a
mixture of the two is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

SUPPORTED_LINES: dict[str, dict[str, str]] = {
    'maintained': {'mmseg': '>=1.4.2,<1.5', 'mmengine': '>=0.10.8,<0.11', 'mmcv': '>=2.3,<2.4'},
    'original': {'mmseg': '>=1.2.2,<1.3', 'mmengine': '>=0.10.7,<0.10.8', 'mmcv': '>=2.1,<2.2'},
}
"""Version ranges (PEP 440) of each line, by import name."""

REMEDY = (
    'Install the maintained line with `pip install "onedl-mmsegmentation>=1.4.2,<1.5" '
    '"onedl-mmengine>=0.10.8,<0.11" "onedl-mmcv>=2.3,<2.4"` (in an environment that does not hold '
    'the original one: uninstall mmsegmentation, mmengine, mmcv and mmcv-lite first), or keep the '
    'original line as requirements/original-line.txt of mmseg_depthuda describes.'
)


def installed_versions() -> dict[str, str]:
    """Import ``mmcv``, ``mmengine`` and ``mmseg`` and read their versions.

    Returns:
        dict[str, str]: Version by import name.

    Raises:
        ImportError: A library, or PyTorch below them, cannot be imported.
    """
    try:
        import_module('torch')
    except ImportError as error:
        raise ImportError(
            f'mmseg_depthuda needs PyTorch, which cannot be imported ({error}). Install the build '
            'for your machine as https://pytorch.org/get-started/locally describes.'
        ) from error
    versions = {}
    for name in ('mmcv', 'mmengine', 'mmseg'):
        try:
            versions[name] = import_module(name).__version__
        except ImportError as error:
            raise ImportError(
                f'mmseg_depthuda needs {name}, which cannot be imported ({error}). {REMEDY}'
            ) from error
    return versions


def check_versions(versions: Mapping[str, str]) -> str:
    """Name the line that a set of versions belongs to.

    Args:
        versions (Mapping[str, str]): Version of ``mmcv``, ``mmengine`` and ``mmseg``.

    Returns:
        str: ``'maintained'`` or ``'original'``.

    Raises:
        ImportError: The versions are not all within the ranges of one line.
    """
    from packaging.specifiers import SpecifierSet  # a requirement of MMEngine: there by now

    for line, ranges in SUPPORTED_LINES.items():
        if all(
            SpecifierSet(ranges[name]).contains(version, prereleases=True)
            for name, version in versions.items()
        ):
            return line
    found = ', '.join(f'{name} {version}' for name, version in versions.items())
    wanted = '; or '.join(
        f'{line} line: ' + ', '.join(f'{name} {ranges[name]}' for name in versions)
        for line, ranges in SUPPORTED_LINES.items()
    )
    raise ImportError(f'mmseg_depthuda found {found}, but works with ({wanted}). {REMEDY}')
