# Licensed under the Apache License 2.0, see LICENSE.
"""The generated files of the model zoo: metafiles and index for MIM, tables of the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mmengine.fileio import dump

from .zoo_entries import (
    METHODS,
    RESULTS,
    Experiment,
    Method,
    Result,
    read_experiments,
    read_methods,
)

PAGE = 'docs/model_zoo.md'
INDEX = 'model-index.yml'
COMMAND = 'python tools/model_zoo.py'
YAML_HEADER = f"""\
# Licensed under the Apache License 2.0, see LICENSE.
# Written by `{COMMAND}` from the configs, {RESULTS} and {METHODS}: do not edit.
"""
METAFILE_HEADER = f"""{YAML_HEADER}\
# "Reported by: paper" and "release" are published numbers, not ours; "this project" are our runs.
# No "Results": never published, and not trained by us.
"""
TABLE = re.compile(r'(<!-- table: (\w+) -->\n).*?(<!-- end of table -->\n)', re.DOTALL)


def zoo_files(root: Path) -> dict[str, str]:
    """Write the files of the zoo into memory.

    Args:
        root (Path): A checkout.

    Returns:
        dict[str, str]: Content by path, relative to ``root``.

    Raises:
        ValueError: The tables and the configs do not fit each other, or the page lacks a table.
    """
    methods, experiments = read_methods(root), read_experiments(root)
    for experiment in experiments:
        if experiment.prefix not in methods:
            raise ValueError(f'{METHODS} has no line for {experiment.prefix} ({experiment.path})')
    folders: dict[str, list[Experiment]] = {}
    for prefix in methods:
        for one in sorted(experiments, key=lambda one: one.name):
            if one.prefix == prefix:
                folders.setdefault(str(PurePosixPath(one.path).parent), []).append(one)
    files = {
        f'{folder}/metafile.yml': METAFILE_HEADER + _yaml(_metafile(content, methods))
        for folder, content in folders.items()
    }
    files[INDEX] = YAML_HEADER + _yaml({'Import': list(files)})
    files[PAGE] = fill_page((root / PAGE).read_text(encoding='utf-8'), experiments)
    return files


def stale_files(root: Path, files: dict[str, str]) -> list[str]:
    """Find which files on disk are not what would be written.

    Returns:
        list[str]: Their paths, relative to ``root``; metafiles that nothing writes, too.
    """
    changed = [
        path
        for path, text in files.items()
        if not (root / path).is_file() or (root / path).read_text(encoding='utf-8') != text
    ]
    found = {path.relative_to(root).as_posix() for path in root.glob('configs/*/metafile.yml')}
    return sorted([*changed, *(found - files.keys())])


# -- metafiles -------------------------------------------------------------------------------------


def _yaml(content: Any) -> str:
    return dump(content, file_format='yaml', sort_keys=False, width=100)


def _metafile(experiments: Sequence[Experiment], methods: dict[str, Method]) -> dict[str, Any]:
    used = dict.fromkeys(one.prefix for one in experiments)
    return {
        'Collections': [
            _collection(methods[prefix], [one for one in experiments if one.prefix == prefix])
            for prefix in used
        ],
        'Models': [_model(one, methods[one.prefix]) for one in experiments],
    }


def _collection(method: Method, experiments: Sequence[Experiment]) -> dict[str, Any]:
    parts = dict.fromkeys(part for one in experiments for part in one.parts)
    return {
        'Name': method.name,
        'License': 'Apache License 2.0',
        'Metadata': {'Architecture': list(parts)},
        'Paper': {'Title': method.paper, 'URL': method.paper_url},
        'README': method.guide,
        'Frameworks': ['PyTorch'],
        'Code': {'URL': method.code},
    }


def _model(one: Experiment, method: Method) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        'Training Data': one.training_data,
        'Architecture': [one.network, one.cfg.model.decode_head.type],
        'Batch Size': one.batch_size,
        'Iterations': one.cfg.train_cfg.max_iters,
        'Initialization': one.initialization,
    }
    if one.target_depth:
        metadata['Target Depth'] = one.target_depth
    model: dict[str, Any] = {
        'Name': one.name,
        'In Collection': method.name,
        'Config': one.path,
        'Metadata': metadata,
    }
    if one.results:
        model['Results'] = [_model_result(one, result) for result in one.results]
    return model


def _model_result(one: Experiment, result: Result) -> dict[str, Any]:
    return {
        'Task': 'Semantic Segmentation',
        'Dataset': one.evaluation_data,
        'Metrics': {metric: float(value) for metric, value in result.metrics.items()},
        'Evaluation Size': result.evaluation_size,
        'Reported by': result.reported_by,
        'Source': result.source,
    }


# -- page ------------------------------------------------------------------------------------------


def fill_page(page: str, experiments: Sequence[Experiment]) -> str:
    """Fill the tables of the page; everything else stays as it is.

    Args:
        page (str): Markdown with ``<!-- table: NAME -->`` and ``<!-- end of table -->`` around each
            table.
        experiments (Sequence[Experiment]): Each goes to the table it names.

    Returns:
        str: The page.

    Raises:
        ValueError: The page and the experiments name different tables.
    """
    wanted = {one.table for one in experiments}
    found = {match[2] for match in TABLE.finditer(page)}
    if wanted != found:
        raise ValueError(
            f'{PAGE} has the tables {sorted(found)}, the column table of {RESULTS} names '
            f'{sorted(wanted)}: mark a table by the lines <!-- table: NAME --> and '
            '<!-- end of table -->'
        )

    def filled(match: re.Match) -> str:
        return match[1] + _table([one for one in experiments if one.table == match[2]]) + match[3]

    return TABLE.sub(filled, page)


def _table(experiments: Sequence[Experiment]) -> str:
    # An empty line after the comment, or Markdown takes the table for part of it.
    measured = any(one.results for one in experiments)
    head = ['Config', 'Method', 'Variant', *(['mIoU', 'Source'] if measured else [])]
    rows = [head, ['---'] * len(head)]
    for one in experiments:
        file = one.path.removeprefix('configs/')
        row = [f'[`{file}`](../{one.path})', one.method, _variant(one)]
        rows.append([*row, *(_numbers(one) if measured else [])])
    return '\n' + ''.join(f'| {" | ".join(row)} |\n' for row in rows) + '\n'


def _variant(one: Experiment) -> str:
    """What the table of results says, or else the target depth and the initialization."""
    if one.variant:
        return one.variant
    return ', '.join(part for part in (one.target_depth, one.initialization) if part)


def _numbers(one: Experiment) -> tuple[str, str]:
    """The cells of numbers and sources, several reports separated by semicolons."""
    if not one.results:
        return '-', ''
    return (
        '; '.join(_percentages(one, result) for result in one.results),
        '; '.join(result.source for result in one.results),
    )


def _percentages(one: Experiment, result: Result) -> str:
    values = ' / '.join(
        f'{value} ({_num_classes(one, metric)})' for metric, value in result.metrics.items()
    )
    return f'release: {values}' if result.reported_by == 'release' else values


def _num_classes(one: Experiment, metric: str) -> int | str:
    """How many classes a metric averages over: those of the head, or N of ``mIoU_N``."""
    if metric == 'mIoU':
        return one.cfg.model.decode_head.num_classes
    return metric.removeprefix('mIoU_')
