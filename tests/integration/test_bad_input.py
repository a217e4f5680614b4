# Licensed under the Apache License 2.0, see LICENSE.
"""Runs with bad input are refused; runs with input that is just good enough are trained."""

import json
import math

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook

from mmseg_depthuda.engine.hooks import InvalidLossError
from tests.models.pair_training import Pairs, loader, logged, make_runner
from tests.models.tiny_segmentor import (
    IGNORE,
    head_config,
    make_sample,
    segmentor_config,
    tiny_segmentor,
)

CORDA = head_config()
DACS = head_config('DeepLabV2Head', num_summed=2)


class Logs(Hook):
    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({name: float(value) for name, value in outputs.items()})


# -- losses ----------------------------------------------------------------------------------------


class PairsWithInfiniteDepth(Pairs):
    """Has an infinite depth in the third batch of two pairs."""

    def __getitem__(self, index):
        pair = super().__getitem__(index)
        if index == 5:
            pair['source']['data_samples'].gt_depth_map.data[0, 0, 0] = math.inf
        return pair


def test_an_infinite_loss_stops_the_run_and_is_written_down(tmp_path):
    runner = make_runner(
        tmp_path,
        'run',
        [dict(type='DACSHook'), dict(type='InvalidLossHook')],
        dataset=PairsWithInfiniteDepth(),
        iterations=6,
    )
    with pytest.raises(InvalidLossError) as error:
        runner.train()
    message, folder = str(error.value), tmp_path / 'run'
    names = [f'{b}.loss_{d}depth' for b in ('source', 'mixed') for d in ('', 'initial_')]
    images = ['source_4.png', 'source_5.png']
    pairs = [['source_4.png', 'target_4.png'], ['source_5.png', 'target_5.png']]
    terms = ', '.join(f'{name} = inf' for name in names)
    where = f'(rank 0, images {images + pairs})'
    assert f'The loss of iteration 3 is not finite: {terms} {where}.' in message
    assert f'Last checkpoint with finite weights: {folder / "iter_2.pth"}.' in message
    assert 'The loss of iteration 3 is not finite' in logged(tmp_path)
    assert not (folder / 'iter_3.pth').exists()

    written = json.loads((folder / 'invalid_loss_iter_3.json').read_text())
    assert written['iteration'] == 3
    assert written['learning_rate'] == dict(lr=[0.01])
    assert written['last_good_checkpoint'] == str(folder / 'iter_2.pth')
    (process,) = written['processes']
    assert process['rank'] == 0
    assert process['invalid_losses'] == names
    assert process['losses']['loss'] == process['losses']['source.loss_depth'] == 'inf'
    assert 0 < process['losses']['mixed.loss_seg'] < 10
    paths = {name: [p['img_path'] for p in files] for name, files in process['files'].items()}
    assert paths['source'] == images
    assert paths['mixed'] == pairs


class UnlabelledPairs(Pairs):
    """From the second batch on, no pixel has a label or a depth."""

    def __getitem__(self, index):
        pair = super().__getitem__(index)
        if index >= 2:
            for branch in pair.values():
                branch['data_samples'].gt_sem_seg.data.fill_(IGNORE)
                branch['data_samples'].gt_depth_map.data.zero_()
        return pair


@pytest.mark.parametrize(
    'head', [CORDA, CORDA | dict(difficulty='paper'), DACS], ids=['release', 'paper', 'DACS']
)
def test_batches_without_one_valid_label_or_depth_train_on(tmp_path, head):
    logs = Logs()
    runner = make_runner(
        tmp_path,
        'run',
        [dict(type='DACSHook'), logs],
        dataset=UnlabelledPairs(),
        model=ConfigDict(segmentor_config(head)),
        iterations=3,
    )
    runner.train()
    first, *others = logs.losses
    assert all(math.isfinite(value) for losses in logs.losses for value in losses.values())
    assert first['source.loss_seg'] > 0
    for losses in others:
        # ClassMix pastes the only "class" there is, the ignored one: nothing is labeled in the
        # mixed images either.
        assert all(value == 0 for name, value in losses.items() if 'loss' in name)
    assert all(p.isfinite().all() for p in runner.model.parameters())


# -- checkpoints -----------------------------------------------------------------------------------


class Images(torch.utils.data.Dataset):
    metainfo = Pairs().metainfo

    def __len__(self):
        return 1

    def __getitem__(self, index):
        image, sample = make_sample(np.random.default_rng(index))
        return dict(inputs=image, data_samples=sample)


def runner_of(tmp_path, head, checkpoint, test):
    options = dict(
        model=ConfigDict(segmentor_config(head)),
        load_from=str(checkpoint),
    )
    hooks = [dict(type='StrictLoadHook'), dict(type='DACSHook')]
    if not test:
        return make_runner(tmp_path, 'train', hooks, **options)
    return make_runner(
        tmp_path,
        'test',
        hooks,
        train_dataloader=None,
        train_cfg=None,
        optim_wrapper=None,
        test_dataloader=loader(Images(), 1),
        test_cfg=dict(type='TestLoop'),
        test_evaluator=dict(type='IoUMetric'),
        **options,
    )


@pytest.mark.parametrize('test', [False, True], ids=['train', 'test'])
@pytest.mark.parametrize(
    ('written', 'wanted', 'messages'),
    [
        (
            DACS | dict(num_classes=7),
            DACS,
            [
                'of another shape: decode_head.classifier.conv2d_list.0.bias (checkpoint (7,), '
                'model (5,))'
            ],
        ),
        (
            DACS,
            CORDA,
            [
                'missing in the checkpoint: decode_head.depth_from_seg',
                'without a place in the model: decode_head.classifier',
            ],
        ),
        (
            CORDA,
            DACS,
            [
                'missing in the checkpoint: decode_head.classifier',
                'without a place in the model: decode_head.depth_from_seg',
            ],
        ),
    ],
    ids=['classes', 'DACS for CorDA', 'CorDA for DACS'],
)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, written, wanted, messages, test):
    checkpoint = tmp_path / 'other.pth'
    torch.save(dict(state_dict=tiny_segmentor(written).state_dict(), meta={}), checkpoint)
    runner = runner_of(tmp_path, wanted, checkpoint, test)
    with pytest.raises(ValueError) as error:
        runner.test() if test else runner.train()
    for message in [*messages, 'Use the config it was trained with', 'allow_missing']:
        assert message in str(error.value)


def test_a_checkpoint_that_fits_is_tested(tmp_path):
    """A valid checkpoint passes the checks above."""
    checkpoint = tmp_path / 'own.pth'
    torch.save(dict(state_dict=tiny_segmentor(CORDA).state_dict(), meta={}), checkpoint)
    assert 'mIoU' in runner_of(tmp_path, CORDA, checkpoint, test=True).test()


# -- data ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('empty', ['source', 'target'])
def test_an_empty_dataset_in_a_pair(tmp_path, empty):
    for domain in ('source', 'target'):
        for kind in ('images', 'labels'):
            (tmp_path / domain / kind).mkdir(parents=True)
        if domain != empty:
            cv2.imwrite(str(tmp_path / domain / 'images/a.png'), np.zeros((8, 8, 3), np.uint8))
            cv2.imwrite(str(tmp_path / domain / 'labels/a.png'), np.zeros((8, 8), np.uint8))
    datasets = {
        domain: dict(
            type='FolderDepthDataset',
            metainfo=dict(classes=['road', 'other']),
            data_root=str(tmp_path / domain),
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            pipeline=[],
        )
        for domain in ('source', 'target')
    }
    runner = make_runner(
        tmp_path,
        'run',
        [dict(type='DACSHook')],
        dataset=dict(type='SourceTargetDataset', **datasets),
    )
    with pytest.raises((ValueError, FileNotFoundError), match=str(tmp_path / empty)):
        runner.train()
