# Licensed under the Apache License 2.0, see LICENSE.
"""What happens before anything large is imported.

``import mmseg_depthuda`` registers everything, for which it imports PyTorch and MMSegmentation,
which takes seconds. A command of the package reads its options first, so that ``--help`` and a
mistake in the options need not wait; it registers everything afterwards.
"""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

COMMAND = 'MMSEG_DEPTHUDA_COMMAND'
"""A main module with a variable of this name is a command of the package, as are ``tools/*.py``."""
CONSOLE_SCRIPT = 'mmseg-depthuda'

NOTICES = ('Could not import OneDL',)
"""What other packages print on import about parts of theirs that nobody has asked for."""

FOREIGN_WARNINGS = (
    'Fail to import ``MultiScaleDeformableAttention``',
    'The draw is False, it means that the hook',
    'When align_corners=True, the output would more aligned',
    'Default ``avg_non_ignore`` is False',
    'The shape of value will convert from',
    'For binary segmentation, we suggest using',
    '`torch.jit.(script|interface)` is deprecated',
    'The distutils package is deprecated',
    '`broadcast_buffers` is deprecated',
    'torch.cuda.amp.GradScaler is enabled, but CUDA is not',
)
"""How warnings begin, as regular expressions, by which other packages speak of their own code."""


def is_command() -> bool:
    """Whether this process is a command of the package, which has not read its options yet.

    Returns:
        bool: True in ``mmseg-depthuda``, ``python -m mmseg_depthuda`` and ``python tools/NAME.py``;
        False in their child processes, whose main module has another name.
    """
    main = sys.modules.get('__main__')
    if main is None or main.__name__ != '__main__':
        return False
    if sys.argv[:1] == ['-m']:  # Python looks for the module, and imports its package meanwhile
        position = sys.orig_argv.index('-m') if '-m' in sys.orig_argv else len(sys.orig_argv)
        return sys.orig_argv[position + 1 : position + 2] == ['mmseg_depthuda']
    script = Path(getattr(main, '__file__', None) or '').name
    return hasattr(main, COMMAND) or script == CONSOLE_SCRIPT


@contextmanager
def quiet_imports() -> Iterator[None]:
    """Leave out the notices of other packages about optional parts; everything else is passed on.

    Yields:
        None: While other packages are imported.
    """
    said = io.StringIO()
    try:
        with redirect_stdout(said), warnings.catch_warnings():
            ignore_foreign_warnings()
            yield
    finally:
        for line in said.getvalue().splitlines():
            if line not in NOTICES:
                print(line)


def ignore_foreign_warnings() -> None:
    """Leave out the warnings that no user of a command can do anything about."""
    for message in FOREIGN_WARNINGS:
        warnings.filterwarnings('ignore', message)
