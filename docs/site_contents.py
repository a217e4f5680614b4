# Licensed under the Apache License 2.0, see LICENSE.
"""What the site shows and GitHub does not: navigation, and the reference out of docstrings."""

import importlib
import pkgutil
import re
from itertools import groupby

import mmseg.registry
from mmengine.registry import Registry

import mmseg_depthuda
import mmseg_depthuda.registry
from mmseg_depthuda.structures import SAMPLE_FIELDS

EVAL_RST = '```{{eval-rst}}\n{}\n```\n'


def with_navigation(page: str) -> str:
    """Add a table of contents to each section of the front page: the pages that it links to.

    Args:
        page (str): Markdown with lists of relative links below ``##`` headings.

    Returns:
        str: The page, each section followed by a hidden ``toctree``.
    """
    first, *sections = re.split(r'^## ', page, flags=re.M)
    for index, section in enumerate(sections):
        title = section.partition('\n')[0]
        entries = '\n'.join(re.findall(r'^- \[[^]]+\]\(([\w/]+)\.md\)', section, re.M))
        tree = f'```{{toctree}}\n:hidden:\n:caption: {title}\n\n{entries}\n```\n\n'
        sections[index] = f'## {section.rstrip()}\n\n{tree}' if entries else f'## {section}'
    return first + ''.join(sections)


def with_links_out(page: str) -> str:
    """Make links to Markdown files above ``docs/`` downloads: the site has no page of them.

    Args:
        page (str): Markdown with links as GitHub follows them, such as ``[x](../CHANGELOG.md)``.

    Returns:
        str: The page with links as MyST follows them.
    """
    return re.sub(r'\]\((\.\./[\w.-]+\.md)\)', r'](path:\1)', page)


def registered_classes(registry: str) -> list[type]:
    """Classes of the package in a registry, sorted by module and name.

    Args:
        registry (str): Name in ``mmseg.registry`` or ``mmseg_depthuda.registry``, as in
            ``'MODELS'``.

    Returns:
        list[type]: The classes.

    Raises:
        ValueError: If there is no such registry, or the package has nothing in it.
    """
    own = getattr(mmseg_depthuda.registry, registry, None)
    found = getattr(mmseg.registry, registry, own)
    if not isinstance(found, Registry):
        raise ValueError(
            f'neither mmseg.registry nor mmseg_depthuda.registry has a registry {registry!r}'
        )
    classes = {cls for cls in found.module_dict.values() if _is_ours(cls)}
    if not classes:
        raise ValueError(f'{registry} holds nothing of {mmseg_depthuda.__name__}')
    return sorted(classes, key=_full_name)


def _is_ours(cls: type) -> bool:
    return cls.__module__.startswith(f'{mmseg_depthuda.__name__}.')


def _full_name(cls: type) -> str:
    return f'{cls.__module__}.{cls.__qualname__}'


def class_reference(registry: str) -> str:
    """Markdown that documents the package's classes in a registry, and the bases they refer to.

    Args:
        registry (str): As in :func:`registered_classes`.

    Returns:
        str: An ``autoclass`` per class, below one heading per subpackage if there are several.
    """

    def package(cls: type) -> str:
        return cls.__module__.split('.')[2 if registry == 'MODELS' else 1]

    registered = registered_classes(registry)
    documented = {base for cls in registered for base in cls.__mro__ if _is_ours(base)}
    groups = [
        (name, list(classes))
        for name, classes in groupby(sorted(documented, key=_full_name), key=package)
    ]
    lines = []
    for name, classes in groups:
        if len(groups) > 1:
            lines.append(f'### {name.replace("_", " ").capitalize()}\n')
        lines.extend(EVAL_RST.format(f'.. autoclass:: {_full_name(cls)}') for cls in classes)
    return '\n'.join(lines)


def function_reference(package: str) -> str:
    """Markdown that documents the functions of every module of a package.

    Args:
        package (str): Importable name.

    Returns:
        str: A heading and an ``automodule`` per module.
    """
    path = importlib.import_module(package).__path__
    return '\n'.join(
        f'## {module.name.replace("_", " ").capitalize()}\n\n'
        + EVAL_RST.format(f'.. automodule:: {package}.{module.name}\n   :members:')
        for module in pkgutil.iter_modules(path)
    )


def sample_table() -> str:
    """Markdown table of the maps on a sample, ``mmseg_depthuda.structures.SAMPLE_FIELDS``.

    Returns:
        str: One row per field.
    """
    title = ('field', 'dtype', 'values', 'written by', 'read by', 'padding')
    rows = [title, ('---',) * len(title)]
    for field in SAMPLE_FIELDS.values():
        padding = '-' if field.padding is None else f'{field.padding:g}'
        texts = (field.values, field.written_by, field.read_by, padding)
        rows.append((f'`{field.name}`', field.dtype, *texts))
    cells = [[cell.replace('|', r'\|') for cell in row] for row in rows]
    return '\n'.join(f'| {" | ".join(row)} |' for row in cells) + '\n'
