# Licensed under the Apache License 2.0, see LICENSE.
import json
import math

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook

from mmseg_depthuda.engine.hooks import InvalidLossError, InvalidLossHook
from tests.models.pair_training import Pairs, make_runner
from tests.models.tiny_segmentor import head_config, segmentor_config

FILES = dict(img_path='a.png', seg_map_path='a_labels.png')


class Sample:
    metainfo = FILES | dict(img_shape=(2, 2))


def batch():
    return dict(inputs=[torch.zeros(3, 2, 2)], data_samples=[Sample()])


class Break(Hook):
    """Breaks the weights, as an update does whose own loss is finite."""

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter + 1 == 4:
            runner.model.decode_head.classifier.conv2d_list[0].bias.data[0] = math.nan


def plain_model(name):
    model = ConfigDict(segmentor_config(head_config('DeepLabV2Head')))
    model.type = name
    return model


class SourceAlone(Pairs):
    """Ordinary samples, as source-only training has them."""

    def __getitem__(self, index):
        return super().__getitem__(index)['source']


@pytest.mark.parametrize('name', ['UDASegmentor', 'EncoderDecoder'])
def test_broken_checkpoints_are_not_named(tmp_path, name):
    """Iteration 4 leaves NaN in the weights and in its checkpoint; the loss shows it in 5."""
    hooks = [dict(type='InvalidLossHook'), Break()]
    runner = make_runner(
        tmp_path, 'run', hooks, iterations=6, dataset=SourceAlone(), model=plain_model(name)
    )
    with pytest.raises(InvalidLossError, match='iteration 5.*_8.png') as error:
        runner.train()
    assert (tmp_path / 'run' / 'iter_4.pth').exists()
    assert f'finite weights: {tmp_path / "run" / "iter_2.pth"}.' in str(error.value)


def test_an_ordinary_batch_names_all_files(tmp_path, tiny_runner):
    runner = tiny_runner('run', 2)
    runner.train()
    with pytest.raises(InvalidLossError, match='decode.loss_ce = nan'):
        InvalidLossHook().after_train_iter(
            runner,
            0,
            batch(),
            {
                'loss': torch.tensor(math.nan),
                'decode.loss_ce': math.nan,
                'decode.acc_seg': math.nan,
            },
        )
    (process,) = json.loads((tmp_path / 'run/invalid_loss_iter_3.json').read_text())['processes']
    assert process['files'] == dict(batch=[FILES])
    assert process['invalid_losses'] == ['decode.loss_ce']


def test_finite_terms_whose_sum_overflows(tmp_path, tiny_runner):
    runner = tiny_runner('run', 2)
    runner.train()
    large = torch.tensor(3e38)
    outputs = {'loss': 2 * large, 'source.loss_a': large, 'source.loss_b': large}
    with pytest.raises(InvalidLossError, match=r'not finite: loss = inf \(rank 0'):
        InvalidLossHook().after_train_iter(runner, 0, dict(source=batch()), outputs)


def test_other_values_may_be_nan():
    outputs = {'loss': torch.tensor(1.0), 'acc_seg': torch.tensor(math.nan), 'loss_a': 0.5}
    InvalidLossHook().after_train_iter(None, 0, batch(), outputs)


def test_no_checkpoint_yet(tmp_path, tiny_runner):
    runner = tiny_runner('run', 1, interval=100, save_last=False)
    runner.train()
    with pytest.raises(InvalidLossError, match='finite weights: none yet'):
        InvalidLossHook().after_train_iter(runner, 0, batch(), dict(loss=torch.tensor(-math.inf)))
    content = json.loads((tmp_path / 'run/invalid_loss_iter_2.json').read_text())
    assert content['last_good_checkpoint'] is None
