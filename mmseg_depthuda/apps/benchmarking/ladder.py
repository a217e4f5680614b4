# Licensed under the Apache License 2.0, see LICENSE.
"""Several methods over several seeds: trained in parallel, resumed where they stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mmseg_depthuda.apps.comparison.comparison_pictures import draw_classes, draw_curves
from mmseg_depthuda.apps.comparison.comparison_tables import comparison_table, write_table
from mmseg_depthuda.apps.comparison.quickstart_report import TrainedRun, draw_report
from mmseg_depthuda.apps.comparison.run_results import read_run
from mmseg_depthuda.apps.comparison.transfers import draw_transfers, read_adapted, transfer_table
from mmseg_depthuda.engine.launch import config_folder, find_config
from mmseg_depthuda.fileio import AtomicBackend, latest_checkpoint

TOOLS = config_folder().parent / 'tools'


class Method(NamedTuple):
    """A rung of the ladder.

    Attributes:
        config: Its config, as on the command line of ``tools/train.py``.
        options: The ``--cfg-options`` that it is run with.
        labels_of: A rung whose last checkpoint labels the target once. This rung starts from that
            checkpoint and learns from these pseudo-labels.
        label_options: Arguments of ``tools/write_pseudo_labels.py``.
    """

    config: str
    options: tuple[str, ...] = ()
    labels_of: str | None = None
    label_options: tuple[str, ...] = ()


# Say how good the pseudo-labels are instead of drawing them; the training is the same.
WATCH_PSEUDO_LABELS = (
    'custom_hooks.1.type=PseudoLabelQualityHook',
    'custom_hooks.1.interval=100',
    'train_dataloader.dataset.target.data_prefix.seg_map_path=gtFine/train',
)
STREET_WORLD_LADDER = {
    'source_only': Method('source_only/source_only_r18_sim2real.py'),
    'dacs': Method('dacs/dacs_r18_sim2real.py', WATCH_PSEUDO_LABELS),
    'simple_aux': Method('simple_aux/simple_aux_r18_sim2real.py', WATCH_PSEUDO_LABELS),
    'corda_f': Method('corda/corda_r18_sim2real_f.py', WATCH_PSEUDO_LABELS),
    'corda_fd': Method('corda/corda_r18_sim2real.py', WATCH_PSEUDO_LABELS),
    'oracle': Method('source_only/oracle_r18_sim2real.py'),
}
"""The ladder of CorDA's Table 1 on the street world, between its lower and its upper bound."""
STREET_WORLD_ADVERSARIAL = {
    'source_only': STREET_WORLD_LADDER['source_only'],
    'minent': Method('advent/minent_r18_sim2real.py'),
    'advent': Method('advent/advent_r18_sim2real.py'),
    'dada': Method('dada/dada_r18_sim2real.py'),
}
"""The adversarial family on the street world, from its baseline to DADA."""
STREET_WORLD_DEPTH = {
    'corda_no_target_depth': Method(
        'corda/corda_r18_sim2real.py',
        (
            *WATCH_PSEUDO_LABELS,
            'train_dataloader.dataset.target.depth=None',
            'model.decode_head.predicted_depth=source',
        ),
    ),
    'corda_mono': Method('corda/corda_r18_sim2real_mono.py', WATCH_PSEUDO_LABELS),
    'corda_fd': STREET_WORLD_LADDER['corda_fd'],
}
"""CorDA (FD) by the depth of its target: none, monocular, stereo."""


def pretrained_ladder(pair: str) -> dict[str, Method]:
    """All methods on the small pretrained network, each depth method after its control.

    Args:
        pair (str): ``'sim2real'`` or ``'sim2camvid'``; CamVid has no target depth, so that CorDA
            is (F) there.

    Returns:
        dict[str, Method]: What needs the least explanation first, so that an interrupted ladder
        says something.
    """

    def method(name: str, variant: str = '', folder: str | None = None) -> Method:
        return Method(f'{folder or name}/{name}_effl0_{pair}{variant}.py')

    methods = {
        'source_only': method('source_only'),
        'dacs': method('dacs'),
        'corda': method('corda'),
        'corda_no_depth': method('corda', '_no_depth'),
        'dacs_corda_head': method('dacs', '_corda_head'),
        'simple_aux': method('simple_aux'),
        'simple_aux_no_depth': method('simple_aux', '_no_depth'),
    }
    if pair == 'sim2camvid':
        methods |= {
            'density': method('depth_distribution'),
            'density_no_depth': method('depth_distribution', '_no_depth'),
        }
    else:  # those of sim2real are in density_ladder
        methods |= {
            'corda_f': method('corda', '_f'),
            'corda_depthmix': method('corda', '_depthmix'),
            'no_distillation': method('corda', '_no_distillation'),
            'no_distillation_no_depth': method('corda', '_no_distillation_no_depth'),
        }
    return methods | {
        'dada': method('dada'),
        'dada_no_depth': method('dada', '_no_depth'),
        'advent': method('advent'),
        'minent': method('minent', folder='advent'),
        'oracle': method('oracle', folder='source_only'),
    }


def some_labels_ladder() -> dict[str, Method]:
    """Training with some labels of the target, alone and beside the source, on the small pretrained
    network.

    Returns:
        dict[str, Method]: By name, each after what it adds to.
    """
    alone = ('supervised', 'ema', 'classmix', 'depthmix')
    methods = {name: Method(f'semi_supervised/{name}_effl0_real.py') for name in alone}
    for name in ('classmix', 'depthmix'):
        path = f'semi_supervised/{name}_effl0_real_true_labels.py'
        methods[f'{name}_true_labels'] = Method(path)
    beside = ('supervised', 'classmix', 'depthmix')
    for name, variant in (
        *((name, '') for name in beside),
        *(('depthmix', f'_{part}') for part in ('within', 'across', 'matching')),
    ):
        path = f'semi_supervised_da/ssda_{name}_effl0_sim2real{variant}.py'
        methods[f'ssda_{name}{variant}'] = Method(path)
    return methods


def density_ladder() -> dict[str, Method]:
    """Depth distribution on the small pretrained network, with what it builds on. Each depth method
    is before its control.

    Returns:
        dict[str, Method]: Its parts one after the other, as in the paper's Table 3.
    """
    own = 'depth_distribution/depth_distribution_effl0_sim2real'
    mixtures = Path(os.environ.get('DEPTH_MIXTURES_ROOT', 'data/depth_mixtures'))
    prior = (
        *('--spatial-prior', str(mixtures / 'street_world_32x16.json')),
        *('--component-pixels', '2', '160'),  # the published 50 and 4950, scaled with the area
    )

    def second_stage(first: str) -> Method:
        return Method(f'{own}_self_training.py', (), first, prior)

    others = ('source_only', 'advent', 'dada', 'dada_no_depth')
    return {name: pretrained_ladder('sim2real')[name] for name in others} | {
        'density': Method(f'{own}.py'),
        'no_density': Method(f'{own}_no_density.py'),
        'density_no_depth': Method(f'{own}_no_depth.py'),
        'density_self_training': second_stage('density'),
        'density_self_training_no_depth': second_stage('density_no_depth'),
    }


@dataclass(frozen=True)
class Training:
    """One method with one seed.

    Attributes:
        method: How tables call it.
        config: Its config file, as on the command line of ``tools/train.py``.
        seed: MMEngine's ``randomness.seed``.
        work_dir: Where logs and checkpoints go; the result of the test goes to ``test/`` in it.
        options: Further settings for ``--cfg-options``, such as ``train_cfg.max_iters=100``.
        labels_of: The training whose pseudo-labels it learns from.
        label_options: How they are written.
    """

    method: str
    config: str
    seed: int
    work_dir: Path
    options: tuple[str, ...] = ()
    labels_of: Training | None = None
    label_options: tuple[str, ...] = ()

    @property
    def log(self) -> Path:
        """What the commands have printed."""
        return self.work_dir / 'output.log'

    @property
    def image_scores(self) -> Path:
        """Where the test writes what it reaches on each image."""
        return self.work_dir / 'test' / 'image_scores.csv'

    @property
    def is_finished(self) -> bool:
        """Whether it has been tested, which is done last."""
        return any(self.work_dir.glob('test/*/*.json'))

    @property
    def last_checkpoint(self) -> Path:
        path = latest_checkpoint(self.work_dir)
        if path is None:
            raise FileNotFoundError(f'{self.work_dir} holds no checkpoint: train it again')
        return Path(path)

    def run(self, threads: int) -> None:
        """Train, or go on training, and test the last checkpoint; nothing if that was done.

        Args:
            threads (int): Threads of PyTorch.

        Raises:
            RuntimeError: A command failed; the message names its log.
        """
        if self.is_finished:
            return
        options = [f'randomness.seed={self.seed}', *self.options]
        if self.labels_of is not None:
            options += self._label_target(threads, self.labels_of)
        self._call(threads, 'train.py', '--resume', '--work-dir', self.work_dir, options=options)
        checkpoint = latest_checkpoint(self.work_dir)
        self._call(
            threads,
            'test.py',
            checkpoint,
            '--work-dir',
            self.work_dir / 'test',
            options=[*options, f'test_evaluator.per_image_scores={self.image_scores}'],
        )

    def _label_target(self, threads: int, teacher: Training) -> list[str]:
        """Write the pseudo-labels of the training before; the settings that read them."""
        checkpoint, labels = teacher.last_checkpoint, self.work_dir / 'pseudo_labels'
        self._call(
            threads,
            'write_pseudo_labels.py',
            *(checkpoint, labels, *self.label_options),
            config=teacher.config,
            options=teacher.options,
        )
        return [
            f'load_from={checkpoint}',
            f'train_dataloader.dataset.target.data_prefix.pseudo_label_path={labels.resolve()}',
        ]

    def _call(
        self,
        threads: int,
        tool: str,
        *arguments: object,
        options: Sequence[str],
        config: str | None = None,
    ) -> None:
        command = [sys.executable, TOOLS / tool, config or self.config, *arguments]
        if options:
            command += ['--cfg-options', *options]
        self.work_dir.mkdir(parents=True, exist_ok=True)
        with self.log.open('a') as log:
            done = subprocess.run(
                [str(part) for part in command],
                env=os.environ | dict(OMP_NUM_THREADS=str(threads)),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        if done.returncode:
            raise RuntimeError(
                f'{self.method}, seed {self.seed}: {tool} failed with status {done.returncode}, '
                f'see the end of {self.log}'
            )


def plan_ladder(
    folder: str | Path,
    methods: Mapping[str, Method],
    seeds: Iterable[int],
    options: Sequence[str] = (),
) -> list[Training]:
    """All trainings of a ladder, seed by seed: what an interrupted ladder has trained is whole
    seeds.

    Args:
        folder (str | Path): Holds ``METHOD/seed_SEED`` per training.
        methods (Mapping[str, Method]): Rungs by name, one that learns from the pseudo-labels of
            another after it.
        seeds (Iterable[int]): Seeds.
        options (Sequence[str]): ``--cfg-options`` of all trainings, above those of the method.

    Returns:
        list[Training]: In the order in which to run them.
    """
    trainings: list[Training] = []
    for seed in seeds:
        of_seed: dict[str, Training] = {}
        for name, method in methods.items():
            of_seed[name] = Training(
                name,
                method.config,
                seed,
                Path(folder) / name / f'seed_{seed}',
                (*method.options, *options),
                None if method.labels_of is None else of_seed[method.labels_of],
                method.label_options,
            )
        trainings += of_seed.values()
    return trainings


def run_ladder(trainings: Sequence[Training], jobs: int, report=print) -> list[str]:
    """Run trainings side by side. One that fails does not keep the others from running.

    Side by side, with one thread each, small networks finish sooner than one after the other with
    all threads.

    Args:
        trainings (Sequence[Training]): What to run; what is finished is skipped.
        jobs (int): How many at a time; the processor cores are shared out among them.
        report (Callable[[str], None]): Called with a line when a training begins and ends.

    Returns:
        list[str]: What went wrong, a line for each failed training.
    """
    threads = max(1, (os.cpu_count() or 1) // jobs)
    ended = {id(training): threading.Event() for training in trainings}

    def run(training: Training) -> str | None:
        try:
            return run_after_its_teacher(training)
        finally:
            ended[id(training)].set()

    def run_after_its_teacher(training: Training) -> str | None:
        name = f'{training.method}, seed {training.seed}'
        teacher = training.labels_of
        if teacher is not None:
            ended[id(teacher)].wait()  # it has begun: trainings begin in their order
            if not teacher.is_finished:
                return f'{name}: not begun, because {teacher.method} has failed'
        if training.is_finished:
            report(f'{name}: finished before')
            return None
        report(f'{name}: training, log in {training.log}')
        try:
            training.run(threads)
        except RuntimeError as error:
            report(str(error))
            return str(error)
        report(f'{name}: finished')
        return None

    with ThreadPoolExecutor(jobs) as pool:
        try:
            return [error for error in pool.map(run, trainings) if error]
        except BaseException:  # Ctrl-C: begin nothing more
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def report_ladder(folder: str | Path, trainings: Sequence[Training]) -> str:
    """Tabulate what has been trained, and draw it.

    Writes ``comparison.csv``, ``classes.png``, ``curves.png``, and ``predictions.png`` of the first
    seed; and ``negative_transfer.png`` where source-only has the seeds of the other methods.

    Args:
        folder (str | Path): Where to write.
        trainings (Sequence[Training]): Those that are not finished are left out.

    Returns:
        str: Table of all methods, mean and standard deviation over the seeds, and the table of
        negative transfer.

    Raises:
        ValueError: None is finished.
    """
    folder = Path(folder)
    finished: dict[str, list[Training]] = {}
    for training in trainings:
        if training.is_finished:
            finished.setdefault(training.method, []).append(training)
    if not finished:
        raise ValueError(f'no training in {folder} is finished')
    runs = [read_run(name, [t.work_dir for t in own]) for name, own in finished.items()]
    write_table(folder / 'comparison.csv', runs)
    draw_classes(folder / 'classes.png', runs)
    draw_curves(folder / 'curves.png', runs)
    draw_report(
        [
            TrainedRun(name, find_config(own[0].config), own[0].last_checkpoint)
            for name, own in finished.items()
        ],
        folder / 'predictions.png',
    )
    return '\n'.join([comparison_table(runs), *_report_transfer(folder, finished)])


def _report_transfer(folder: Path, finished: Mapping[str, Sequence[Training]]) -> list[str]:
    """Negative transfer of the methods with the seeds of source-only."""
    baseline = finished.get('source_only', [])
    seeds = [training.seed for training in baseline]
    adapted = [
        read_adapted(name, [t.image_scores for t in baseline], [t.image_scores for t in own])
        for name, own in finished.items()
        if name != 'source_only' and [training.seed for training in own] == seeds
    ]
    if not adapted:
        return []
    draw_transfers(folder / 'negative_transfer.png', adapted)
    return ['Negative transfer, source-only before, the method after:', transfer_table(adapted)]


def claim_folder(folder: str | Path, methods: Mapping[str, Method], options: Sequence[str]) -> None:
    """Make sure that a folder holds the trainings of one setting.

    Args:
        folder (str | Path): Of the ladder; created if need be.
        methods (Mapping[str, Method]): Rungs by name.
        options (Sequence[str]): ``--cfg-options`` of all trainings.

    Raises:
        ValueError: What lies there was trained with other configs or options.
    """
    record = Path(folder) / 'ladder.json'
    known = json.loads(record.read_text()) if record.exists() else {}
    wanted = {
        name: [
            method.config,
            *method.options,
            *([f'labels_of={method.labels_of}'] if method.labels_of else []),
            *method.label_options,
            *options,
        ]
        for name, method in methods.items()
    }
    if any(known.get(name, settings) != settings for name, settings in wanted.items()):
        raise ValueError(
            f'{folder} holds trainings with other settings ({record}): name another folder, or '
            'remove this one'
        )
    AtomicBackend().put_text(json.dumps(known | wanted, indent=2) + '\n', record)
