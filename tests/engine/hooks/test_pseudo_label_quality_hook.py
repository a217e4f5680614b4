# Licensed under the Apache License 2.0, see LICENSE.
"""Quality of pseudo-labels against counts in NumPy, taken from the batches of a real training.
The hook does not change the training."""

import copy
import json
import random
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook

from mmseg_depthuda.engine.hooks import DACSHook, PseudoLabelQualityHook
from tests.gloo import gloo_rank, run_ranks
from tests.models.pair_training import Pairs, logged, make_runner
from tests.models.tiny_segmentor import IGNORE, head_config, segmentor_config, stacked

ITERATIONS, INTERVAL, NUM_BINS, THRESHOLD = 4, 2, 4, 0.22
HEADS = {
    'release': head_config(),
    'paper': head_config(difficulty='paper'),
    'no depth': head_config('DeepLabV2Head', num_summed=2),
}


class TargetLabels(Pairs):
    """Pairs whose target labels are kept, replaced or left out."""

    def __init__(self, labels):
        super().__init__()
        self.labels = labels

    def __getitem__(self, index):
        pair = super().__getitem__(index)
        sample = pair['target']['data_samples']
        if self.labels == 'other':
            sample.gt_sem_seg.data = (sample.gt_sem_seg.data + index) % 5
        elif self.labels == 'none':
            del sample.gt_sem_seg
        return pair


class Seed(Hook):
    """Makes the random numbers of an iteration depend only on its index."""

    priority = 'VERY_HIGH'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        torch.manual_seed(runner.iter)


class Recorder(Hook):
    """Runs last in every iteration."""

    priority = 'LOWEST'

    def __init__(self):
        self.batches = []

    def before_run(self, runner):
        torch.manual_seed(1)  # MMEngine 0.10.7 has started the loader by now, and that draws

    def before_train(self, runner):
        """Move the depth decoders apart, so that they agree on some pixels more than on others."""
        head = runner.model.decode_head
        if runner.iter == 0 and hasattr(head, 'final_depth'):
            for conv in head.final_depth['source'].conv2d_list:
                torch.nn.init.constant_(conv.bias, 5)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.batches.append(copy.deepcopy(data_batch))


def train(folder, name, watched=True, labels='true', head='release', hooks=(), **options):
    recorder, dacs = Recorder(), DACSHook(threshold=THRESHOLD)
    hooks = [recorder, dacs, *hooks]
    if watched:
        hooks.append(PseudoLabelQualityHook(interval=INTERVAL, num_bins=NUM_BINS))
    runner = make_runner(
        folder,
        name,
        hooks,
        iterations=options.pop('iterations', ITERATIONS),
        dataset=TargetLabels(labels),
        model=ConfigDict(segmentor_config(HEADS[head])),
        **options,
    )
    runner.train()
    drawn = random.random(), np.random.random(), torch.rand(1).item()  # noqa: NPY002
    return SimpleNamespace(
        batches=recorder.batches,
        model=runner.model.state_dict(),
        teacher=dacs.ema_model.state_dict(),
        drawn=drawn,
        folder=folder / name,
        checkpoint=folder / name / 'iter_3.pth',
    )


def scalars(run):
    """What the run has written for plotting, by iteration."""
    rows = []
    for path in sorted(run.folder.glob('*/vis_data/scalars.json')):
        rows += [json.loads(line) for line in path.read_text().splitlines()]
    steps = {row['step']: row for row in rows if any('pseudo_label' in key for key in row)}
    return {
        step: {key: value for key, value in row.items() if key != 'step'}
        for step, row in steps.items()
    }


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('quality')


@pytest.fixture(scope='module')
def watched(folder):
    return {
        'release': train(folder, 'release', log_level='INFO'),
        'paper': train(folder, 'paper', head='paper', iterations=INTERVAL),
        'no depth': train(folder, 'no_depth', head='no depth', iterations=INTERVAL),
    }


def percent(right, counted):
    return 100 * (right & counted).sum() / counted.sum()


def expected_scalars(batches, head):
    """The definitions, pixel by pixel in NumPy."""
    target = {
        name: np.stack([stacked(batch['target'], name) for batch in batches])
        for name in ('gt_sem_seg', 'pseudo_label', 'pseudo_confidence', 'gt_depth_map')
    }
    known = target['gt_sem_seg'] != IGNORE
    right = target['gt_sem_seg'] == target['pseudo_label']
    confident = target['pseudo_confidence'] >= THRESHOLD
    expected = {
        'accuracy': percent(right, known),
        'coverage': percent(confident, known),
        'confident_accuracy': percent(right, known & confident),
    }
    if head != 'no depth':
        branch = dict(release='mixed', paper='target')[head]
        maps = {
            name: np.stack([stacked(batch[branch], name) for batch in batches])
            for name in ('depth_agreement', 'gt_depth_map')
        }
        counted = known & (maps['gt_depth_map'] > 0)
        if head == 'release':
            counted &= ~np.stack([stacked(batch['mixed'], 'mix_mask') for batch in batches])
        bins = np.minimum(np.floor(maps['depth_agreement'] * NUM_BINS), NUM_BINS - 1)
        for index, name in enumerate(('0.00_0.25', '0.25_0.50', '0.50_0.75', '0.75_1.00')):
            in_bin = counted & (bins == index)
            expected[f'agreement_{name}.share'] = percent(in_bin, counted)
            if in_bin.any():
                expected[f'agreement_{name}.accuracy'] = percent(right, in_bin)
    return {f'pseudo_label.{name}': value for name, value in expected.items()}


@pytest.mark.parametrize('head', HEADS)
def test_values_are_those_of_the_definitions(watched, head):
    run = watched[head]
    steps = scalars(run)
    assert list(steps) == list(range(INTERVAL, len(run.batches) + 1, INTERVAL))
    for step, values in steps.items():
        batches = run.batches[step - INTERVAL : step]
        assert values == pytest.approx(expected_scalars(batches, head))


def test_the_samples_try_every_case(watched):
    """The training has right and wrong, confident and other, easy and difficult pixels."""
    values = scalars(watched['release'])[INTERVAL]
    assert 0 < values['pseudo_label.accuracy'] < 100
    assert 0 < values['pseudo_label.coverage'] < 100
    assert values['pseudo_label.confident_accuracy'] != values['pseudo_label.accuracy']
    assert 0 < values['pseudo_label.agreement_0.00_0.25.share'] < 100
    assert 0 < values['pseudo_label.agreement_0.75_1.00.share'] < 100


def test_values_are_also_in_the_log(watched):
    value = scalars(watched['release'])[4]['pseudo_label.accuracy']
    assert f'Iter(train) [4/4]  pseudo_label.accuracy: {value:.2f}  ' in logged(
        watched['release'].folder
    )


@pytest.mark.parametrize(('is_watched', 'labels'), [(False, 'none'), (True, 'other')])
def test_neither_hook_nor_labels_change_the_training(folder, watched, is_watched, labels):
    """Bit for bit: student, teacher, and what Python, NumPy and PyTorch draw next."""
    other = train(folder, f'unchanged_{labels}', is_watched, labels)
    run = watched['release']
    for ours, theirs in ((run.model, other.model), (run.teacher, other.teacher)):
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert run.drawn == other.drawn
    if is_watched:
        assert scalars(other) != scalars(run)


def test_resuming_goes_on_counting(folder, watched):
    """The checkpoint is written in the middle of an interval."""
    checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=3)
    default_hooks = dict(checkpoint=checkpoint, logger=None, timer=None, sampler_seed=None)
    unbroken = train(folder, 'unbroken', hooks=[Seed()], default_hooks=default_hooks)
    path = str(unbroken.checkpoint)
    resumed = train(folder, 'resumed', hooks=[Seed()], load_from=path, resume=True)
    assert len(resumed.batches) == 1
    assert scalars(resumed) == {4: scalars(unbroken)[4]}


def test_a_target_without_labels_is_refused(folder):
    with pytest.raises(ValueError, match=r'target.data_prefix.seg_map_path .*gtFine/train'):
        train(folder, 'unlabelled', labels='none')


def test_a_training_without_pseudo_labels_is_refused():
    with pytest.raises(ValueError, match='judges the pseudo-labels of a SelfTrainingHook'):
        PseudoLabelQualityHook().before_train(SimpleNamespace(hooks=[]))


@pytest.mark.parametrize('options', [dict(interval=0), dict(num_bins=0)])
def test_arguments_are_positive(options):
    with pytest.raises(ValueError, match='must be positive'):
        PseudoLabelQualityHook(**options)


# -- two processes ---------------------------------------------------------------------------------


def log_on_rank(folder):
    """Log what a hook has counted: 10 of 40 pixels right in process 0, 60 of 60 in process 1."""
    with gloo_rank(folder) as rank:
        hook = PseudoLabelQualityHook(num_bins=2)
        hook.counts = torch.tensor([[[30, 0], [0, 10]], [[0, 0], [0, 60]]][rank])
        hook.bin_counts = torch.tensor([[[5, 0], [0, 0]], [[0, 15], [0, 20]]][rank])
        written = []
        runner = SimpleNamespace(
            iter=9,
            max_iters=10,
            logger=SimpleNamespace(info=written.append),
            visualizer=SimpleNamespace(add_scalars=lambda values, step: written.append(values)),
        )
        hook._log(runner)
        assert not hook.counts.any() and not hook.bin_counts.any()
        Path(folder, f'rank{rank}.json').write_text(json.dumps(written[1]))


def test_processes_count_together(tmp_path):
    run_ranks(__file__, tmp_path)
    for rank in range(2):
        assert json.loads((tmp_path / f'rank{rank}.json').read_text()) == {
            'pseudo_label.accuracy': 70,
            'pseudo_label.coverage': 70,
            'pseudo_label.confident_accuracy': 100,
            'pseudo_label.agreement_0.00_0.50.share': 50,
            'pseudo_label.agreement_0.00_0.50.accuracy': 75,
            'pseudo_label.agreement_0.50_1.00.share': 50,
            'pseudo_label.agreement_0.50_1.00.accuracy': 100,
        }


if __name__ == '__main__':
    log_on_rank(sys.argv[1])
