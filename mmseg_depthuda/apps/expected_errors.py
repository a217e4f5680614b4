# Licensed under the Apache License 2.0, see LICENSE.
"""Which errors the user can mend, and what to say of them in one message.

A file that cannot be read or a config that cannot be built is expected: the message is enough. Any
other error is a mistake in a program, and whoever mends it needs the traceback.
"""

from __future__ import annotations

import builtins
import re
import traceback
from concurrent.futures.process import BrokenProcessPool
from pickle import UnpicklingError
from types import FrameType

import torch
from mmengine.dataset import BaseDataset

from mmseg_depthuda.engine.hooks import InvalidLossError

EXPECTED = (
    OSError,
    ValueError,
    UnpicklingError,
    ImportError,
    SyntaxError,
    InvalidLossError,
    torch.cuda.OutOfMemoryError,
)
# A constructor that gets a wrong value from a config raises one of these.
OF_A_CONFIG_VALUE = (TypeError, KeyError, AssertionError)
# What these libraries refuse in so many words (`raise`, `assert`) comes from the user.
LIBRARIES = r'[\\/](?:mmengine|mmcv|mmseg)[\\/]'
# Functions of MMEngine's Config whose argument `filename` is the config, not a copy of it.
FILE_READERS = ('fromfile', '_file2dict', '_is_lazy_import', '_parse_lazy_import')
CONFIG_MODULE = 'mmengine.config.config'
BUILD_MODULE = 'mmengine.registry.build_functions'


def message_for_user(error: Exception) -> str | None:
    """What to tell the user of a command.

    Args:
        error: As caught, with its traceback.

    Returns:
        The message, without the name of the command. None for a mistake in a program, which should
        be shown with its traceback.
    """
    if isinstance(error, BrokenProcessPool):
        return (
            'a worker process was killed, perhaps for lack of memory. The same command goes on '
            'from here; try fewer --workers.'
        )
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    message = _of_worker(error) or _of_config(error, frames) or _of_build(error, frames)
    last = traceback.extract_tb(error.__traceback__)[-1]
    if message is None and _is_expected(type(error), last.filename, last.line or ''):
        message = _of_empty_dataset(error, frames) or _text(error)
    return message


def _is_expected(kind: type[Exception], module: str, code: str) -> bool:
    """Whether the user can mend an error, by its class and by the line that raised it."""
    # MMEngine has no class of its own for a dataset in which no image can be used.
    if issubclass(kind, EXPECTED) or kind is Exception:
        return True
    checks = re.search(LIBRARIES, module) and re.match(r'(?:raise|assert)\b', code)
    return bool(checks) and issubclass(kind, OF_A_CONFIG_VALUE)


def _text(error: BaseException) -> str:
    """Message of an error; the failed line of code if it has none."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f'line {error.lineno}: {error.msg}'
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f'{error.filename}: {error.strerror}'
    # `str` of a KeyError is the `repr` of its message.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error).strip()
    if text:
        return text
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f'{type(error).__name__} at `{last.line}` ({last.filename}, line {last.lineno})'


def _of_worker(error: Exception) -> str | None:
    """Message of an error in a worker of a data loader, which holds a traceback as text."""
    text = _text(error)
    if text.startswith('DataLoader worker (pid'):  # PyTorch's words for a worker that was killed
        killed = text.splitlines()[0].rstrip('. ')
        return (
            f'{killed}, perhaps killed for lack of memory: try a smaller num_workers or batch_size '
            'of the data loader'
        )
    caught = re.match(r'Caught (\w+) in \w+ (?:worker|process).*\nOriginal Traceback', text)
    if caught is None:
        return None
    kind = getattr(builtins, caught[1], type(error))
    # The last file of the traceback, the failed line of code, and after it the message.
    module, rest = re.split(r'^  File "(.+)", line .*\n', text, flags=re.M)[-2:]
    said = re.split(rf'^(?:\w+\.)*{caught[1]}(?:: |$)', rest, maxsplit=1, flags=re.M)[1:]
    code = rest.partition('\n')[0].strip()
    if not said or not _is_expected(kind, module, code):
        return None
    return said[0].strip() or f'{caught[1]} at `{code}` ({module})'


def _of_config(error: Exception, frames: list[FrameType]) -> str | None:
    """Message of an error in reading a config or taking a value from it."""
    reading = [frame for frame in frames if frame.f_globals.get('__name__') == CONFIG_MODULE]
    importing = any(frame.f_code.co_name == 'import_modules_from_strings' for frame in frames)
    if not reading or (importing and not isinstance(error, ImportError)):
        return None
    missing = re.search(r"^'Config(?:Dict)?' object has no attribute '(\w+)'$", str(error))
    if missing is None and isinstance(error, KeyError):
        missing = re.fullmatch(r"'(\w+)'", str(error))
    if missing:
        return f'the config has no `{missing[1]}`, which is needed here'
    text = _text(_first_import_error(error))
    # Of a config and its bases, the innermost is the one with the error.
    readers = [frame for frame in reading if frame.f_code.co_name in FILE_READERS]
    files = [str(frame.f_locals['filename']) for frame in readers]
    has_file = isinstance(error, OSError) and error.filename
    if not files or has_file or files[-1] in text:
        return text
    lines = [frame.f_lineno for frame in frames if frame.f_code.co_filename == files[-1]]
    line = f', line {lines[-1]}' if lines else ''
    hint = ''
    if isinstance(error, ImportError):
        hint = '. Let PYTHONPATH hold the folder of your own module, or install the package'
    return f'config {files[-1]}{line}: {" ".join(text.split())}{hint}'


def _first_import_error(error: BaseException) -> BaseException:
    """The error of the import itself, which MMEngine replaces twice by less exact ones."""
    while isinstance(error, ImportError) and isinstance(error.__context__, ImportError):
        error = error.__context__
    return error


def _of_build(error: Exception, frames: list[FrameType]) -> str | None:
    """Message of a class that cannot be built from the values of a config."""
    building = [frame for frame in frames if frame.f_globals.get('__name__') == BUILD_MODULE]
    if not building or not isinstance(error, OF_A_CONFIG_VALUE):
        return None
    text = _text(error).partition(' Please check whether the value of')[0]
    kind = building[-1].f_locals.get('obj_cls')
    if kind is None:  # no such type
        return text
    return (
        f'{kind.__name__} cannot be built from the values of the config: {type(error).__name__}: '
        f'{text} (MMSEG_DEPTHUDA_TRACEBACK=1 shows where)'
    )


def _of_empty_dataset(error: Exception, frames: list[FrameType]) -> str | None:
    """Message of MMEngine's datasets without an image, in which NumPy joins an empty list."""
    if 'need at least one array' not in str(error):
        return None
    datasets = [frame.f_locals.get('self') for frame in frames]
    found = [dataset for dataset in datasets if isinstance(dataset, BaseDataset)]
    if not found:
        return None
    dataset = found[-1]
    folder = dataset.data_prefix.get('img_path') or dataset.data_root
    listed = f' or its list {dataset.ann_file} is empty' if dataset.ann_file else ''
    suffix = getattr(dataset, 'img_suffix', None)
    return (
        f'{type(dataset).__name__} finds no image: {folder} has none'
        f'{f" that ends in {suffix}" if suffix else ""}{listed}. Check data_root, '
        'data_prefix.img_path, img_suffix and ann_file of the dataset.'
    )
