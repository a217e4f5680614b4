# Licensed under the Apache License 2.0, see LICENSE.
"""Networks compared image by image: on which images adaptation helps, and on which it harms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from prettytable import PrettyTable

from mmseg_depthuda.evaluation import NegativeTransfer, negative_transfer, read_image_scores


@dataclass(frozen=True)
class AdaptedNetwork:
    """A method set beside the network that it starts from.

    Attributes:
        name: How tables and pictures call it.
        transfers: Per seed the images before and after.
    """

    name: str
    transfers: Sequence[NegativeTransfer]


def read_adapted(
    name: str, baselines: Sequence[str | Path], adapted: Sequence[str | Path]
) -> AdaptedNetwork:
    """Read the scores of a method, one file per seed.

    Args:
        name (str): How to call it.
        baselines (Sequence[str | Path]): Scores of the baseline: one file for all seeds, or one per
            seed in the order of ``adapted``.
        adapted (Sequence[str | Path]): Scores of the adapted network, written by
            ``PerClassIoUMetric`` as those of the baseline.

    Returns:
        AdaptedNetwork: The method.

    Raises:
        ValueError: A file holds no scores, two cannot be compared, or the numbers of seeds differ.
    """
    if len(baselines) == 1:
        baselines = [*baselines] * len(adapted)
    if len(baselines) != len(adapted):
        raise ValueError(
            f'{name} has {len(adapted)} seeds, the baseline {len(baselines)}: name one baseline '
            'for all seeds, or as many, in their order'
        )
    transfers = []
    for before, after in zip(baselines, adapted, strict=True):
        scores = read_image_scores(before), read_image_scores(after)
        try:
            transfers.append(negative_transfer(*scores))
        except ValueError as error:
            raise ValueError(f'baseline {before} and adapted network {after}: {error}') from error
    return AdaptedNetwork(name, transfers)


def transfer_table(networks: Sequence[AdaptedNetwork]) -> str:
    """Set methods below each other for a terminal.

    Args:
        networks (Sequence[AdaptedNetwork]): Methods.

    Returns:
        str: A row per method: negative transfer rate; how many images are worse and equal, and of
        how many, per seed; mean per-image mIoU before and after, and its gain. Of several seeds
        mean and standard deviation (N - 1).
    """
    table = PrettyTable(
        ['', 'negative transfer', 'worse', 'equal', 'images', 'before', 'after', 'gain'], align='r'
    )
    table.title = 'Per-image mIoU in %'
    table.align[''] = 'l'
    for network in networks:
        seeds = network.transfers
        table.add_row(
            [
                _heading(network),
                f'{_with_deviation([seed.rate for seed in seeds])} %',
                ', '.join(str(seed.worse.sum()) for seed in seeds),
                ', '.join(str(seed.num_equal) for seed in seeds),
                ', '.join(dict.fromkeys(str(len(seed.before)) for seed in seeds)),
                _with_deviation([seed.before.mean().item() for seed in seeds]),
                _with_deviation([seed.after.mean().item() for seed in seeds]),
                _with_deviation([seed.mean_gain for seed in seeds], sign='+'),
            ]
        )
    lines = [table.get_string()]
    unlabeled = max(seed.num_unlabelled for network in networks for seed in network.transfers)
    if unlabeled:
        lines.append(f'{unlabeled} images without a labeled pixel are left out.')
    return '\n'.join(lines)


def _heading(network: AdaptedNetwork) -> str:
    seeds = len(network.transfers)
    return network.name if seeds == 1 else f'{network.name} ({seeds} seeds)'


def _with_deviation(values: Sequence[float], sign: str = '') -> str:
    text = f'{mean(values):{sign}.1f}'
    return text if len(values) == 1 else f'{text} ± {stdev(values):.1f}'


def draw_transfers(path: str | Path, networks: Sequence[AdaptedNetwork]) -> None:
    """Draw per-image mIoU after adaptation over that before, a panel per method.

    Images below the diagonal are those of the negative transfer. The images of all seeds of a
    method are in one panel.

    Args:
        path (str | Path): Picture to write.
        networks (Sequence[AdaptedNetwork]): Methods.
    """
    columns = min(4, len(networks))
    rows = math.ceil(len(networks) / columns)
    figure = Figure((3.6 * columns, 3.8 * rows), dpi=100, layout='tight')
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    seeds = [seed for network in networks for seed in network.transfers]
    end = 1.05 * max(max(seed.before.max(), seed.after.max()) for seed in seeds) or 1
    for axis, network in zip(axes, networks, strict=False):
        _draw_images(axis, network, end)
    for axis in axes[len(networks) :]:
        axis.set_axis_off()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def _draw_images(axis: Axes, network: AdaptedNetwork, end: float) -> None:
    seeds = network.transfers
    rate = _with_deviation([seed.rate for seed in seeds])
    axis.set_title(f'{_heading(network)}: {rate} % negative transfer', fontsize=8)
    axis.axline((0, 0), slope=1, color='0.6', lw=0.8)
    for label, color, worse in (('not worse', 'C0', False), ('worse', 'C3', True)):
        shown = [(seed, seed.worse == worse) for seed in seeds]
        axis.scatter(
            [value for seed, chosen in shown for value in seed.before[chosen]],
            [value for seed, chosen in shown for value in seed.after[chosen]],
            s=8,
            color=color,
            alpha=0.6,
            lw=0,
            label=f'{label} ({sum(int(chosen.sum()) for _, chosen in shown)})',
        )
    axis.set(xlim=(0, end), ylim=(0, end), aspect='equal')
    axis.set_xlabel('mIoU of an image before, %', fontsize=8)
    axis.set_ylabel('after, %', fontsize=8)
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7, loc='upper left')
