# Licensed under the Apache License 2.0, see LICENSE.
"""From raw measurements to a report."""

from statistics import mean

from prettytable import PrettyTable

from .instrumentation import Parts
from .loop import NAIVE, PACKAGE, Measurement

OUTSIDE_NETWORK_BAR = 0.05
PEAK_MEMORY_BAR = 0.65


def summarize(
    setting: dict,
    batch_size: int,
    measurements: dict[str, Measurement],
    peaks: dict[str, int | None],
) -> dict:
    """Average the iterations and compare the variants.

    Args:
        setting: What was run, and on what; copied to the report.
        batch_size: Images per domain in an iteration.
        measurements: Iterations by variant (``'package'``, ``'naive'``).
        peaks: Peak memory in bytes by variant; empty or None where not measured.

    Returns:
        dict: ``setting``; per variant ``seconds`` and ``cpu_seconds`` (means of the iterations, by
        the clock and of the processor), ``images_per_second`` (source and target images), ``parts``
        (mean seconds), ``outside_network`` (share of the iteration that is no pass through the
        network), ``peak_memory`` (bytes or None) and ``iteration_seconds``; and the ``ratios``
        package / naive of ``seconds``, ``cpu_seconds`` and ``peak_memory`` (None where not
        measured).
    """
    report = dict(setting=setting)
    for variant, measured in measurements.items():
        iterations = measured.iterations
        parts = {
            part: mean(parts.get(part, 0.0) for parts in iterations)
            for part in Parts.ALL
            if any(part in parts for parts in iterations)
        }
        seconds = sum(parts.values())
        outside = sum(time for part, time in parts.items() if part not in Parts.NETWORK)
        report[variant] = dict(
            seconds=seconds,
            cpu_seconds=mean(measured.cpu_seconds),
            images_per_second=2 * batch_size / seconds,
            parts=parts,
            outside_network=outside / seconds,
            peak_memory=peaks.get(variant),
            iteration_seconds=[sum(parts.values()) for parts in iterations],
        )
    package, naive = report[PACKAGE], report[NAIVE]
    memory_measured = package['peak_memory'] is not None and naive['peak_memory'] is not None
    report['ratios'] = dict(
        seconds=package['seconds'] / naive['seconds'],
        cpu_seconds=package['cpu_seconds'] / naive['cpu_seconds'],
        peak_memory=package['peak_memory'] / naive['peak_memory'] if memory_measured else None,
    )
    return report


def format_report(report: dict) -> str:
    """Table of a report of :func:`summarize`, and how it stands against the bars.

    Args:
        report: The report.

    Returns:
        Text of several lines.
    """
    package, naive = report[PACKAGE], report[NAIVE]
    table = PrettyTable(['', PACKAGE, 'share', NAIVE, 'share '])
    table.align = 'r'
    for part in Parts.ALL:
        if part in package['parts'] or part in naive['parts']:
            table.add_row([f'{part} (s)', *_cells(package, part), *_cells(naive, part)])
    table.add_row(['iteration (s)', f'{package["seconds"]:.3f}', '', f'{naive["seconds"]:.3f}', ''])
    cpu = [f'{variant["cpu_seconds"]:.3f}' for variant in (package, naive)]
    table.add_row(['processor time (s)', cpu[0], '', cpu[1], ''])
    rates = [f'{variant["images_per_second"]:.2f}' for variant in (package, naive)]
    table.add_row(['images/s', rates[0], '', rates[1], ''])
    peaks = [_gibibytes(variant['peak_memory']) for variant in (package, naive)]
    table.add_row(['peak memory (GiB)', peaks[0], '', peaks[1], ''])

    lines = [', '.join(f'{key} {value}' for key, value in report['setting'].items())]
    lines.append(table.get_string())
    lines.append(
        f'Outside the network: {package["outside_network"]:.1%} of the iteration '
        f'(bar at ResNet-101, 512x512: under {OUTSIDE_NETWORK_BAR:.0%})'
    )
    ratios = report['ratios']
    lines.append(
        f'Time, package / naive: {ratios["seconds"]:.3f} (bar: under 1); '
        f'processor time: {ratios["cpu_seconds"]:.3f}'
    )
    if ratios['peak_memory'] is not None:
        lines.append(
            f'Peak memory, package / naive: {ratios["peak_memory"]:.3f} '
            f'(bar: at most {PEAK_MEMORY_BAR})'
        )
    return '\n'.join(lines)


def _cells(variant: dict, part: str) -> tuple[str, str]:
    if part not in variant['parts']:
        return '', ''
    seconds = variant['parts'][part]
    return f'{seconds:.4f}', f'{seconds / variant["seconds"]:.1%}'


def _gibibytes(peak: int | None) -> str:
    return '' if peak is None else f'{peak / 2**30:.2f}'
