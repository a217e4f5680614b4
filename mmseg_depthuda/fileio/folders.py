# Licensed under the Apache License 2.0, see LICENSE.
"""Where a file lies below a folder."""

from pathlib import Path


def path_below(path: str | Path, root: str | Path | None) -> Path | None:
    """Return the path of a file as seen from a folder above it.

    Args:
        path (str | Path): The file. Neither path is made absolute.
        root (str | Path, optional): The folder.

    Returns:
        Path, optional: Relative to ``root``; None if there is no root, or the file is not below it.

    Example:
        >>> path_below('data/val/a.png', 'data').as_posix()
        'val/a.png'
    """
    if root is None or not Path(path).is_relative_to(root):
        return None
    return Path(path).relative_to(root)
