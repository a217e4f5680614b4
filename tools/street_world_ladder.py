# Licensed under the Apache License 2.0, see LICENSE.
"""Train methods on the street world over several seeds and tabulate them.

Renders the street world, trains source-only, DACS, SimpleAux, CorDA (F), CorDA (FD) and the oracle
with every seed, or other methods, tests them, and writes table and pictures with mean and standard
deviation. Called again, it goes on where it stopped.

Examples:
    python tools/street_world_ladder.py work_dirs/ladder --seeds 1 2 3 --jobs 2
    python tools/street_world_ladder.py work_dirs/adversarial --jobs 2 \\
        --methods source_only minent advent dada
    python tools/street_world_ladder.py work_dirs/effl0/sim2real --ladder sim2real --seeds 1
    python tools/street_world_ladder.py work_dirs/effl0/density --ladder density --jobs 2
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from mmseg_depthuda.apps.benchmarking.ladder import (
    STREET_WORLD_ADVERSARIAL,
    STREET_WORLD_DEPTH,
    STREET_WORLD_LADDER,
    claim_folder,
    density_ladder,
    plan_ladder,
    pretrained_ladder,
    report_ladder,
    run_ladder,
)
from mmseg_depthuda.apps.exit_status import exit_status, same_command
from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate
from mmseg_depthuda.engine.launch import read_config

LADDERS = {
    'random_weights': STREET_WORLD_LADDER | STREET_WORLD_ADVERSARIAL | STREET_WORLD_DEPTH,
    'sim2real': pretrained_ladder('sim2real'),
    'sim2camvid': pretrained_ladder('sim2camvid'),
    'density': density_ladder(),
}
LAYOUTS = ('gta', 'synthia', 'cityscapes')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    args = parser.parse_args(argv)
    methods = LADDERS[args.ladder]
    if args.methods is None:
        args.methods = list(STREET_WORLD_LADDER if args.ladder == 'random_weights' else methods)
    unknown = [name for name in args.methods if name not in methods]
    if unknown:
        parser.error(f'--methods {unknown[0]}: {args.ladder} has {", ".join(methods)}')
    for name in args.methods:
        teacher = methods[name].labels_of
        if teacher is not None and teacher not in args.methods[: args.methods.index(name)]:
            parser.error(f'--methods {name} learns from pseudo-labels: name {teacher} before it')
    return args


def fit_mixtures(config: str) -> None:
    """The depth mixtures that a config reads, if it does; those that are there are kept."""
    out = read_config(config).model.decode_head.get('mixtures')
    if out is not None and not Path(out).exists():
        tool = Path(__file__).with_name('fit_depth_mixtures.py')
        subprocess.run([sys.executable, tool, config, out], check=True)


def render_world() -> None:
    """The street world of the benchmarks, where the configs look for it; a complete one is kept."""
    root = Path(os.environ.get('STREET_WORLD_ROOT', 'data/street_world'))
    world = WorldConfig(source_images=600, train_images=600, val_images=100, layouts=LAYOUTS)
    generate(root, world, workers=2)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    methods = {name: LADDERS[args.ladder][name] for name in args.methods}
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


if __name__ == '__main__':
    sys.exit(exit_status('street_world_ladder', main, same_command))
