# Licensed under the Apache License 2.0, see LICENSE.
"""The rooms of the package form layers: an import points down, never up."""

import ast
from pathlib import Path

import pytest

import mmseg_depthuda

PACKAGE = Path(mmseg_depthuda.__file__).parent
# From the ground up. Rooms of one tuple do not import each other.
LAYERS = (
    ('registry', 'stack', 'startup', 'version', 'checkpoint_types'),
    ('fileio', 'structures'),
    ('adaptation', 'view_synthesis'),
    ('datasets',),
    ('models',),
    ('evaluation', 'visualization'),
    ('engine',),
    ('apps',),
    ('commands',),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def imported_modules(path: Path) -> set[str]:
    """Absolute names of what a file of the package imports from the package."""
    parts = ('mmseg_depthuda', *path.relative_to(PACKAGE).with_suffix('').parts)
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(parts[: len(parts) - node.level]) if node.level else ''
            module = '.'.join(filter(None, (base, node.module)))
            names.add(module)
            if module == 'mmseg_depthuda':
                names |= {f'{module}.{alias.name}' for alias in node.names}
    return {name for name in names if name.startswith('mmseg_depthuda.')}


@pytest.mark.parametrize('room', sorted(LEVEL))
def test_imports_point_down(room):
    folder = PACKAGE / room
    files = folder.rglob('*.py') if folder.is_dir() else [folder.with_suffix('.py')]
    wrong = []
    for path in files:
        for name in imported_modules(path):
            other = name.split('.')[1]
            allowed = other == room or LEVEL[other] < LEVEL[room]
            if not allowed:
                wrong.append(f'{path.relative_to(PACKAGE)} imports {name}')
    assert not wrong


def test_every_room_has_a_level():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == '.py'}
    assert rooms - {'__init__', '__main__', '__pycache__', '.mim'} == set(LEVEL)


def test_file_names_tell_themselves_apart():
    """Three files named `conversion.py` would not tell a reader which is which."""
    names = [path.name for path in PACKAGE.rglob('*.py') if path.name != '__init__.py']
    repeated = sorted({name for name in names if names.count(name) > 1})
    assert not repeated
