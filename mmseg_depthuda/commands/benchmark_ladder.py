# Licensed under the Apache License 2.0, see LICENSE.
"""Train methods on the street world over several seeds and tabulate them.

Renders the street world, trains source-only, DACS, SimpleAux, CorDA (F), CorDA (FD) and the oracle
with every seed, or other methods, tests them, and writes table and pictures with mean and standard
deviation. Called again, it goes on where it stopped.

Examples:
    mmseg-depthuda benchmark ladder work_dirs/ladder --seeds 1 2 3 --jobs 2
    mmseg-depthuda benchmark ladder work_dirs/adversarial --jobs 2 \
        --methods source_only minent advent dada
    mmseg-depthuda benchmark ladder work_dirs/effl0/sim2real --ladder sim2real --seeds 1
    mmseg-depthuda benchmark ladder work_dirs/effl0/density --ladder density --jobs 2
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmseg_depthuda.apps.benchmarking.ladder import Method

LADDERS = ('random_weights', 'sim2real', 'sim2camvid', 'density', 'some_labels')
LAYOUTS = ('gta', 'synthia', 'cityscapes')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('folder', type=Path, help='of the trainings, METHOD/seed_SEED, and tables')
    parser.add_argument('--seeds', type=int, nargs='+', default=[1, 2, 3])
    parser.add_argument(
        '--ladder',
        choices=LADDERS,
        default='random_weights',
        help='experiments to choose from; all but random_weights start from a pretrained network',
    )
    parser.add_argument(
        '--methods',
        nargs='+',
        help="methods to train; default: all of the ladder, of random_weights CorDA's",
    )
    parser.add_argument('--jobs', type=int, default=1, help='trainings at a time')
    parser.add_argument(
        '--cfg-options', nargs='+', default=[], help='settings of all trainings, see tools/train.py'
    )


def choose_methods(args: argparse.Namespace) -> dict[str, Method]:
    """The experiments of the ladder that the user has named, or its usual ones."""
    from mmseg_depthuda.apps.benchmarking.ladder import (
        STREET_WORLD_ADVERSARIAL,
        STREET_WORLD_DEPTH,
        STREET_WORLD_LADDER,
        density_ladder,
        pretrained_ladder,
        some_labels_ladder,
    )

    if args.ladder == 'random_weights':
        known = STREET_WORLD_LADDER | STREET_WORLD_ADVERSARIAL | STREET_WORLD_DEPTH
        names = args.methods or list(STREET_WORLD_LADDER)
    else:
        ladders = dict(density=density_ladder, some_labels=some_labels_ladder)
        own = ladders.get(args.ladder)
        known = pretrained_ladder(args.ladder) if own is None else own()
        names = args.methods or list(known)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f'--methods {unknown[0]}: {args.ladder} has {", ".join(known)}')
    for name in names:
        teacher = known[name].labels_of
        if teacher is not None and teacher not in names[: names.index(name)]:
            raise ValueError(
                f'--methods {name} learns from pseudo-labels: name {teacher} before it'
            )
    return {name: known[name] for name in names}


def fit_mixtures(config: str) -> None:
    """The depth mixtures that a config reads, if it does; those that are there are kept."""
    from mmseg_depthuda.apps.benchmarking.ladder import TOOLS
    from mmseg_depthuda.engine.launch import read_config

    out = read_config(config).model.decode_head.get('mixtures')
    if out is not None and not Path(out).exists():
        subprocess.run([sys.executable, TOOLS / 'fit_depth_mixtures.py', config, out], check=True)


def render_world() -> None:
    """The street world of the benchmarks, where the configs look for it; a complete one is kept."""
    from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate

    root = Path(os.environ.get('STREET_WORLD_ROOT', 'data/street_world'))
    world = WorldConfig(source_images=600, train_images=600, val_images=100, layouts=LAYOUTS)
    generate(root, world, workers=2)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status, same_command

    return exit_status('street_world_ladder', lambda: work(args), same_command)


def work(args: argparse.Namespace) -> None:
    from mmseg_depthuda.apps.benchmarking.ladder import (
        claim_folder,
        plan_ladder,
        report_ladder,
        run_ladder,
    )

    methods = choose_methods(args)
    claim_folder(args.folder, methods, args.cfg_options)
    render_world()
    for method in methods.values():
        fit_mixtures(method.config)
    trainings = plan_ladder(args.folder, methods, args.seeds, args.cfg_options)
    errors = run_ladder(trainings, args.jobs)
    if any(training.is_finished for training in trainings):
        print(report_ladder(args.folder, trainings))
        print(f'Tables and pictures are in {args.folder}.')
    if errors:
        raise ChildProcessError('\n'.join(errors))
