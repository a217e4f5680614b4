# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import pytest

from mmseg_depthuda.fileio import path_below


@pytest.mark.parametrize(
    ('path', 'root', 'expected'),
    [
        ('data/val/a.png', 'data', Path('val/a.png')),
        ('data/val/a.png', Path('data/'), Path('val/a.png')),
        ('data/a.png', None, None),
        ('database/a.png', 'data', None),
        ('/data/a.png', 'data', None),
    ],
)
def test_path_below(path, root, expected):
    assert path_below(path, root) == expected
