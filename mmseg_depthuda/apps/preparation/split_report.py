# Licensed under the Apache License 2.0, see LICENSE.
"""What a converter found, as text for people and as JSON for scripts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmseg_depthuda.datasets.depth_values import SAMPLED_FILES, STREET_METRES, check_sample

from .label_preparation import SplitResult, recorded_settings


def report(results: Sequence[SplitResult], name: str, protocol: str) -> dict:
    """Everything that was found, as plain JSON values.

    Args:
        results: One per split.
        name: Name of the dataset.
        protocol: Classes of the labels.

    Returns:
        ``dataset``, ``protocol``, ``complete`` (whether every image can be used) and ``splits``:
        by name (``all`` where the dataset has none) the numbers of images, the problems, the share
        of every class in the labeled pixels, and per kind of depth how much of it is valid, its
        median in meters, and what is wrong with the unit of all, if anything.
    """
    splits = {result.split.name or 'all': _split_report(result) for result in results}
    units = [depth['wrong_unit'] for split in splits.values() for depth in split['depth'].values()]
    return dict(
        dataset=name,
        protocol=protocol,
        complete=not any(result.skipped for result in results) and not any(units),
        splits=splits,
    )


def _split_report(result: SplitResult) -> dict:
    inspections = result.inspections
    return dict(
        images=len(inspections),
        usable=len(inspections) - len(result.skipped),
        converted=sum(item.converted is not None for item in inspections) - result.reused,
        up_to_date=result.reused,
        skipped={
            item.name: [problem._asdict() for problem in item.problems] for item in result.skipped
        },
        class_shares=_class_shares(result),
        depth={kind: _depth_report(result, kind) for kind in result.split.depth},
        settings=recorded_settings(result.split),
    )


def _class_shares(result: SplitResult) -> dict[str, float]:
    classes = result.split.labeled.metainfo['classes']
    counts = [item.class_pixels for item in result.inspections if item.class_pixels is not None]
    pixels = np.sum(counts, axis=0) if counts else np.zeros(len(classes))
    return dict(zip(classes, (pixels / max(pixels.sum(), 1)).tolist(), strict=True))


def _depth_report(result: SplitResult, kind: str) -> dict:
    shares = {
        item.name: item.valid_depth[kind] for item in result.inspections if kind in item.valid_depth
    }
    medians = {
        item.name: item.median_metres[kind]
        for item in result.inspections
        if kind in item.median_metres
    }
    return dict(
        median_metres=float(np.median(list(medians.values()))) if medians else None,
        wrong_unit=_wrong_unit(medians, result, kind),
        valid_maps=len(shares),
        mean_valid_share=float(np.mean(list(shares.values()))) if shares else None,
        least_valid=min(shares, key=shares.__getitem__) if shares else None,
        least_valid_share=min(shares.values()) if shares else None,
        other_resolution=[item.name for item in result.inspections if kind in item.resized_depth],
    )


def _wrong_unit(medians: dict[str, float], result: SplitResult, kind: str) -> str | None:
    """What training will say of the first files, here of all of them."""
    if len(medians) >= SAMPLED_FILES:
        try:
            check_sample(medians, result.split.depth[kind].depth_file, STREET_METRES)
        except ValueError as error:
            return str(error)
    return None


def summary(content: dict) -> str:
    """A report as text, every file named that was skipped.

    Args:
        content: As :func:`report` returns it.
    """
    lines = []
    for name, split in content['splits'].items():
        where = '' if name == 'all' else f' {name}'
        lines.append(f'{content["dataset"]}{where}: {split["images"]} images')
        lines += [f'  {line}' for line in _summary_of_split(split, content['protocol'])]
    lines.append(
        'Every file can be used.'
        if content['complete']
        else 'Some files cannot be used, see above.'
    )
    return '\n'.join(lines)


def _summary_of_split(split: dict, protocol: str) -> list[str]:
    lines = [
        f'labels ({protocol}): {split["converted"]} converted, {split["up_to_date"]} up to date',
    ]
    absent = [name for name, share in split['class_shares'].items() if share == 0]
    if absent:
        lines.append(f'classes without a pixel: {", ".join(absent)}')
    for kind, depth in split['depth'].items():
        lines.append(f'depth {kind}: {depth["valid_maps"]} good maps' + _valid_shares(depth))
        if depth['wrong_unit']:
            lines.append(f'depth {kind}: {depth["wrong_unit"]}')
        if depth['other_resolution']:
            lines.append(
                f'depth {kind}: {len(depth["other_resolution"])} maps have another resolution than '
                'their image, to which they are brought on loading'
            )
    if split['skipped']:
        lines.append(f'skipped: {len(split["skipped"])} of {split["images"]} images')
        for image, problems in split['skipped'].items():
            lines.append(f'  {image}')
            lines += [f'    {problem["kind"]}: {problem["reason"]}' for problem in problems]
    return lines


def _valid_shares(depth: dict) -> str:
    if not depth['valid_maps']:
        return ''
    return (
        f', {depth["mean_valid_share"]:.1%} of the pixels valid on average, at least '
        f'{depth["least_valid_share"]:.1%} ({depth["least_valid"]})'
        + (f', median {depth["median_metres"]:.3g} m' if depth['median_metres'] else '')
    )
