# Licensed under the Apache License 2.0, see LICENSE.
"""Turns a command line into a configured run, for the commands ``train`` and ``test``."""

from __future__ import annotations

import argparse
import ast
import inspect
import logging
import os
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger, print_log
from mmengine.registry import OPTIMIZERS as ENGINE_OPTIMIZERS
from mmengine.runner import Runner
from mmengine.utils import import_modules_from_strings
from mmseg.registry import OPTIMIZERS
from yapf.yapflib import yapf_api

from mmseg_depthuda.evaluation.metric_arguments import check_evaluator
from mmseg_depthuda.fileio import checkpoint_damage, latest_checkpoint
from mmseg_depthuda.fileio.package_configs import package_config

PACKAGE = Path(__file__).resolve().parents[1]

READ_KEYS = {
    *inspect.signature(Runner.__init__).parameters,
    *('custom_imports', 'tta_model', 'tta_pipeline', 'model_wrapper_cfg', 'sync_bn', 'compile'),
    *('activation_checkpointing', 'efficient_conv_bn_eval', 'find_unused_parameters'),
} - {'self', 'cfg'}
"""Top-level keys of a config that the runner or a tool reads."""
POSITIVE = {'batch_size', 'crop_size', 'max_iters', 'max_epochs', 'val_interval', 'num_classes'}
"""Settings whose numbers must be above 0, wherever they stand in a config."""
LOG_FILE_ONLY = (
    '\n' + 60 * '-' + '\nSystem environment',
    'Config:\n',
    'Hooks will be executed in the following order',
    'paramwise_options -- ',
    'The prefix is not set in metric class',
    '"FileClient" will be deprecated',
    '"HardDiskBackend" is the alias',
)
"""How those messages of MMEngine begin that go to the log file, but not to the console."""
REMEDIES = {
    'max_iters': 'train_cfg.max_iters',
    'val_interval': 'train_cfg.val_interval',
    'lr': 'optim_wrapper.optimizer.lr',
    'batch_size': 'train_dataloader.batch_size',
    'num_workers': 'train_dataloader.num_workers',
    'data_preprocessor': 'model.data_preprocessor',
}
"""For a key that has no effect at the top level: the key that is read."""


class QuietRunner(Runner):
    """MMEngine's runner, which says hundreds of lines less before the first iteration.

    Config, environment and hooks are in the log file alone. The config is formatted once, not at
    each of the four places that store it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        format_each_text_once()
        super().__init__(*args, **kwargs)

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Build MMEngine's logger, with a console that leaves out :data:`LOG_FILE_ONLY`.

        Args:
            *args (Any): As for MMEngine's method.
            **kwargs (Any): As for MMEngine's method.

        Returns:
            MMLogger: The logger.
        """
        logger = super().build_logger(*args, **kwargs)
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                handler.addFilter(lambda record: not record.getMessage().startswith(LOG_FILE_ONLY))
        logger.info(f'Config, environment and all messages: {logger.log_file}')
        return logger


def format_each_text_once() -> None:
    """Let yapf, by which MMEngine formats a config, remember the last text and its result.

    MMEngine formats the same text whenever it stores or shows the config, in 0.3 s each time.
    """
    if hasattr(yapf_api.FormatCode, 'cache_info'):
        return
    format_code = yapf_api.FormatCode

    @lru_cache(maxsize=2)
    def formatted(text: str, options: str) -> Any:
        return format_code(text, **ast.literal_eval(options))

    def format_once(text: str, **options: Any) -> Any:
        return formatted(text, repr(options))

    format_once.cache_info = formatted.cache_info  # type: ignore[attr-defined]
    yapf_api.FormatCode = format_once


def config_folder() -> Path:
    """Locate the configs of the package.

    Returns:
        Path: ``.mim/configs`` of the package; in a checkout this is a link to ``configs/``.
    """
    return (PACKAGE / '.mim' / 'configs').resolve()


def find_config(name: str | Path) -> Path:
    """Find a config by its path, or by its path within the configs of the package.

    Args:
        name (str | Path): As typed: ``my/config.py``, ``configs/corda/corda_r101_gta2cs.py``,
            ``corda/corda_r101_gta2cs.py`` or ``mmseg_depthuda::corda/corda_r101_gta2cs.py``.

    Returns:
        Path: The existing file.

    Raises:
        FileNotFoundError: There is no such config; the message lists similar names.
    """
    path = package_config(str(name)) if '::' in str(name) else Path(name)
    folder = config_folder()
    inside = Path(*path.parts[1:]) if path.parts[:1] == ('configs',) else path
    for candidate in (path, folder / inside):
        if candidate.is_file():
            return candidate
    known = {
        config.name: str(config.relative_to(folder))
        for config in folder.glob('*/*.py')
        if config.parent.name != '_base_'
    }
    similar = [known[match] for match in get_close_matches(path.name, known, n=3, cutoff=0.5)]
    hint = f' Did you mean {", ".join(similar)}?' if similar else ''
    raise FileNotFoundError(
        f'config {name}: neither a file here ({Path.cwd()}) nor in {folder}.{hint}'
    )


def read_config(
    name: str | Path, options: Mapping[str, Any] | None = None, also_read: Collection[str] = ()
) -> Config:
    """Read a config with all its ``custom_imports``, and change settings of it.

    Args:
        name (str | Path): As :func:`find_config` takes it.
        options (Mapping[str, Any], optional): Values by dotted keys, as ``--cfg-options`` gives
            them. Defaults to None.
        also_read (Collection[str]): Top-level keys that the caller reads, in addition to those of
            the runner. Defaults to none.

    Returns:
        Config: The changed config.

    Raises:
        FileNotFoundError: The config does not exist.
        ValueError: An option would change nothing.
    """
    path = find_config(name)
    cfg = Config.fromfile(path)
    add_base_imports(cfg, path)
    report_misspelled_keys(cfg)
    if options:
        own = {k: v for k, v in options.items() if k.split('.')[0] not in also_read}
        refuse_unread_options(cfg, own)
        cfg.merge_from_dict(dict(options))
    return cfg


def load_config(args: argparse.Namespace) -> Config:
    """Read the config of a command line and apply its options.

    Args:
        args (argparse.Namespace): ``config`` and the options of ``commands/arguments.py``.

    Returns:
        Config: With ``work_dir`` and ``launcher`` set.

    Raises:
        FileNotFoundError: The config does not exist.
        ValueError: An option of the command line would change nothing, a number must be above 0,
            or an evaluator has an argument that its metric does not know.
    """
    cfg = read_config(args.config, args.cfg_options)
    check_positive(cfg)
    check_optimizers(cfg)
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None and not isinstance(seed, int):
        raise ValueError(f'randomness.seed={seed!r} must be an integer, or None for a random one.')
    stop_idle_workers(cfg)
    for key in ('val_evaluator', 'test_evaluator'):
        check_evaluator(cfg.get(key))
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    cfg.launcher = args.launcher
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if args.launcher == 'pytorch' and not torch.cuda.is_available():
        join_cpu_processes()
        wrapper = cfg.get('model_wrapper_cfg') or dict(type='MMDistributedDataParallel')
        cfg.model_wrapper_cfg = dict(wrapper, device_ids=None)
    return cfg


def add_base_imports(cfg: Config, path: Path) -> None:
    """Let the ``custom_imports`` of a config add to those of its bases, and import them.

    MMEngine replaces the list of a base by that of the config that inherits from it.

    Args:
        cfg (Config): As read from ``path``; its ``custom_imports`` is changed.
        path (Path): The file of the config.
    """
    if 'custom_imports' not in cfg:
        return
    imports = cfg.custom_imports.get('imports') or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    missing = [name for name in _base_imports(path) if name not in imports]
    if missing:
        import_modules_from_strings(missing)
        cfg.custom_imports.imports = missing + imports


def _base_imports(path: Path) -> list[str]:
    """What the bases of a Python config import, the most distant first."""
    if path.suffix != '.py':
        return []
    names: dict[str, None] = {}
    for base in _bases(path):
        names.update(dict.fromkeys(_base_imports(base)))
        if 'custom_imports' not in base.read_text(encoding='utf-8'):
            continue
        imports = Config.fromfile(base, import_custom_modules=False).get('custom_imports') or {}
        found = imports.get('imports') or []
        names.update(dict.fromkeys([found] if isinstance(found, str) else found))
    return list(names)


def _bases(path: Path) -> list[Path]:
    """The files that a Python config names in ``_base_``."""
    for node in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '_base_':
            bases = eval(compile(ast.Expression(node.value), str(path), 'eval'))  # as MMEngine does
            bases = [bases] if isinstance(bases, str) else bases
            return [_base_path(base, path.parent) for base in bases]
    return []


def _base_path(base: str, folder: Path) -> Path:
    return package_config(base) if '::' in base else folder / base


def report_misspelled_keys(cfg: Config) -> None:
    """Warn of top-level keys that nothing reads and that look like one that is read.

    Other keys are variables of the config.

    Args:
        cfg (Config): As read from its file.
    """
    known = READ_KEYS - {'tta_pipeline'}  # test_pipeline is a usual variable
    for key in cfg:
        similar = get_close_matches(key, known, n=1, cutoff=0.88) if key not in READ_KEYS else []
        if similar:
            print_log(
                f'{key} at the top level of {cfg.filename} is not read. Did you mean {similar[0]}?',
                'current',
                logging.WARNING,
            )


def check_positive(cfg: Config) -> None:
    """Refuse sizes, lengths and intervals that are zero or negative.

    ``interval`` may be -1, MMEngine's way to switch a hook off.

    Args:
        cfg (Config): With all options.

    Raises:
        ValueError: A number must be above 0; the message names its key.
    """
    for key, value in _numbers(cfg.to_dict(), ''):
        name = next(part for part in reversed(key.split('.')) if not part.isdigit())
        if (name in POSITIVE and value <= 0) or (name == 'interval' and value == 0):
            hint = ', or -1 for never' if name == 'interval' else ''
            raise ValueError(f'{key}={value} must be above 0. Set {key} to 1 or more{hint}.')


def check_optimizers(cfg: Config) -> None:
    """Refuse optimizers that are not registered, which MMEngine would call as None.

    Args:
        cfg (Config): With all options; what its ``custom_imports`` register is known.

    Raises:
        ValueError: Names the key, the type and the nearest registered ones.
    """
    optim_wrapper = cfg.get('optim_wrapper') or {}
    parts = {'optim_wrapper': optim_wrapper} | {
        f'optim_wrapper.{name}': own for name, own in optim_wrapper.items() if isinstance(own, dict)
    }
    for key, part in parts.items():
        kind = (part.get('optimizer') or {}).get('type')
        if isinstance(kind, str) and OPTIMIZERS.get(kind) is None:
            known = OPTIMIZERS.module_dict.keys() | ENGINE_OPTIMIZERS.module_dict.keys()
            near = get_close_matches(kind, known, n=3)
            raise ValueError(
                f'{key}.optimizer.type={kind!r} is no optimizer. '
                + (f'Did you mean {", ".join(near)}? ' if near else '')
                + 'Name one of PyTorch or of this package, or let custom_imports register yours.'
            )


def _numbers(value: object, key: str) -> Iterator[tuple[str, float]]:
    """The numbers of a config with their dotted keys."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from _numbers(inner, f'{key}.{name}' if key else str(name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield key, value


def refuse_unread_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Refuse options whose top-level key nothing reads, such as a variable of a config file.

    A variable has been used when the file was read; a new value comes too late.

    Args:
        cfg (Config): As read from its file, without the options.
        options (Mapping[str, Any]): Values by dotted keys, as ``--cfg-options`` gives them.

    Raises:
        ValueError: An option would change nothing. The message names the key to set.
    """
    in_model = 'data_preprocessor' in (cfg.get('model') or {})  # the model's own comes first
    for option in options:
        key = option.split('.')[0]
        shadowed = key == 'data_preprocessor' and in_model
        if key in READ_KEYS and not shadowed:
            continue
        similar = get_close_matches(key, READ_KEYS, n=1)
        remedy = REMEDIES.get(key) or (similar[0] if similar and similar[0] != key else None)
        hint = f' Set {remedy} instead.' if remedy else ' Set the keys that use it instead.'
        raise ValueError(f'--cfg-options {option} changes nothing: {key} is not read.{hint}')


def stop_idle_workers(cfg: Config) -> None:
    """Remove the settings of worker processes from loaders without worker processes.

    PyTorch refuses ``persistent_workers`` and ``prefetch_factor`` with ``num_workers=0``.

    Args:
        cfg (Config): Its loaders are changed in place.
    """
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name)
        if isinstance(loader, dict) and loader.get('num_workers') == 0:
            loader['persistent_workers'] = False
            loader.pop('prefetch_factor', None)


def join_cpu_processes() -> None:
    """Connect the processes of ``torchrun`` by gloo on a machine without CUDA.

    MMEngine would call ``torch.cuda.set_device``, which fails in a PyTorch without CUDA. It keeps a
    process group that exists already. With CUDA, without ``torchrun``, or in a process that is
    connected, this function does nothing.
    """
    distributed = torch.distributed
    launched = distributed.is_available() and distributed.is_torchelastic_launched()
    if launched and not torch.cuda.is_available() and not distributed.is_initialized():
        distributed.init_process_group('gloo')


def use_mixed_precision(cfg: Config) -> None:
    """Turn a config's optimizer wrapper into MMEngine's automatic mixed precision.

    Args:
        cfg (Config): Its ``optim_wrapper`` is changed in place.

    Raises:
        ValueError: The wrapper is of a type that has no mixed-precision counterpart.
    """
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(f'--amp works with optim_wrapper.type OptimWrapper, the config has {kind}')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def resume_from(cfg: Config, checkpoint: str | None) -> None:
    """Tell a config which checkpoint to resume from.

    Args:
        cfg (Config): Its ``resume`` and ``load_from`` are set.
        checkpoint (str | None): ``auto`` for the latest in ``work_dir`` (a run without one starts
            anew), a path, or None to leave the config as it is.

    Raises:
        FileNotFoundError: The checkpoint that was named does not exist.
        ValueError: It is damaged, or all in ``work_dir`` are.
    """
    if checkpoint is None:
        return
    if checkpoint == 'auto':
        checkpoint = latest_checkpoint(cfg.work_dir)
        if checkpoint is None:
            print_log(f'No checkpoint in {cfg.work_dir}: the training starts anew', 'current')
            return
        cfg.resume, cfg.load_from = True, checkpoint
        return
    cfg.resume = True
    cfg.load_from = existing_checkpoint(checkpoint)
    damage = checkpoint_damage(checkpoint) if '://' not in checkpoint else None
    if damage is not None:
        raise ValueError(
            f'checkpoint {checkpoint} is damaged: {damage}. Resume from another one; --resume '
            'without a value takes the last intact one of the work dir.'
        )


def existing_checkpoint(path: str) -> str:
    """Check that a checkpoint named by the user can be there.

    Args:
        path (str): A local path, or an address with a scheme (``https://``), which is not checked.

    Returns:
        str: ``path``.

    Raises:
        FileNotFoundError: There is no such file.
    """
    if '://' not in path and not Path(path).is_file():
        folder = Path(path).parent
        others = sorted(file.name for file in folder.glob('*.pth'))
        raise FileNotFoundError(
            f'checkpoint {path} does not exist; {folder} holds '
            f'{", ".join(others[-5:]) or "no .pth file"}. Train first with tools/train.py, or '
            'check the path.'
        )
    return path


def save_predictions(cfg: Config, folder: str) -> None:
    """Let the IoU metric of a test write the segmentations that it compares.

    Args:
        cfg (Config): Its ``test_evaluator``, one metric or a list, is changed in place.
        folder (str): Where the label PNGs go.

    Raises:
        ValueError: The config does not test with an IoU metric.
    """
    evaluators = cfg.test_evaluator
    for evaluator in evaluators if isinstance(evaluators, list) else [evaluators]:
        if evaluator.type in ('IoUMetric', 'PerClassIoUMetric'):
            evaluator.update(output_dir=folder, keep_results=True)
            return
    raise ValueError('--out needs an IoUMetric or PerClassIoUMetric in test_evaluator')
