# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from mmseg.datasets.transforms import LoadAnnotations  # noqa: F401  registers

from mmseg_depthuda.datasets import DomainsDataset, FolderDepthDataset, SourceTargetDataset
from mmseg_depthuda.engine.hooks import DataCheckHook
from tests.models.pair_training import loader, logged, make_runner
from tests.models.tiny_segmentor import NUM_CLASSES

CLASSES = [f'class {i}' for i in range(NUM_CLASSES)]
GOOD = np.resize(np.arange(NUM_CLASSES), (32, 32)).astype(np.uint8)
NOTHING = np.full_like(GOOD, 255)
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadLabels'),
    dict(type='PackSegInputs'),
]


@pytest.fixture
def folder(tmp_path):
    """Maker of a dataset of two images with the same labels."""

    def make(name, labels):
        for i in range(2):
            for kind, pixels in (('images', np.zeros((32, 32, 3), np.uint8)), ('labels', labels)):
                path = tmp_path / name / kind / f'{i}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), pixels)
        return FolderDepthDataset(
            metainfo=dict(classes=CLASSES),
            data_root=str(tmp_path / name),
            data_prefix=dict(img_path='images', seg_map_path='labels'),
            pipeline=PIPELINE,
        )

    return make


class Began(Exception):
    """The check has passed."""


class Begin(DataCheckHook):
    """Ends the run right after the check."""

    def _check(self, runner, places):
        super()._check(runner, places)
        raise Began


def validation(dataset, kind='val', **evaluator):
    return {
        f'{kind}_dataloader': loader(dataset, 1),
        f'{kind}_cfg': dict(type=f'{kind.title()}Loop'),
        f'{kind}_evaluator': dict(type='IoUMetric', **evaluator),
    }


def runner_of(tmp_path, dataset, hook=None, **options):
    return make_runner(tmp_path, 'run', [hook or Begin()], dataset=dataset, **options)


def test_training_and_validation_data_are_looked_at(tmp_path, folder):
    good, nothing = folder('good', GOOD), folder('nothing', NOTHING)
    pairs = SourceTargetDataset(good, folder('target', NOTHING))
    with pytest.raises(Began):
        runner_of(tmp_path, pairs, **validation(good)).train()
    log = logged(tmp_path)
    assert 'train_dataloader.dataset.target: 2 of 2 label files were read, and nothing' in log
    with pytest.raises(ValueError, match=r'^val_dataloader\.dataset: .* nothing is labeled'):
        runner_of(tmp_path, pairs, **validation(nothing)).train()
    with pytest.raises(ValueError, match=r'^train_dataloader\.dataset\.source: .*labeled'):
        runner_of(tmp_path, SourceTargetDataset(nothing, good)).train()
    with pytest.raises(ValueError, match=r'^train_dataloader\.dataset: .*labeled'):
        runner_of(tmp_path, nothing).train()


def test_domains_by_name(tmp_path, folder):
    good, nothing = folder('good', GOOD), folder('x', NOTHING)
    pairs = DomainsDataset(source=good, target=folder('target', NOTHING), extra=nothing)
    with pytest.raises(ValueError, match=r'^train_dataloader\.dataset\.extra: .*labeled'):
        runner_of(tmp_path, pairs).train()


@pytest.mark.parametrize('kind', ['val', 'test'])
def test_before_an_evaluation(tmp_path, folder, kind):
    options = dict(train_dataloader=None, train_cfg=None, optim_wrapper=None)
    options |= validation(folder('nothing', NOTHING), kind)
    runner = runner_of(tmp_path, None, **options)
    with pytest.raises(ValueError, match=rf'^{kind}_dataloader\.dataset: .* nothing is labeled'):
        getattr(runner, kind)()


def test_unlabelled_images_may_be_predicted(tmp_path, folder):
    options = dict(train_dataloader=None, train_cfg=None, optim_wrapper=None)
    writes = dict(format_only=True, output_dir=str(tmp_path / 'out'))
    options |= validation(folder('nothing', NOTHING), 'test', **writes)
    with pytest.raises(Began):
        runner_of(tmp_path, None, **options).test()


def test_refusal_can_be_switched_off(tmp_path, folder):
    runner = runner_of(tmp_path, folder('nothing', NOTHING), Begin(refuse=False))
    with pytest.raises(Began):
        runner.train()
    assert 'nothing is labeled' in logged(tmp_path)


def test_data_are_looked_at_once(tmp_path, folder, monkeypatch):
    checked = []
    monkeypatch.setattr(
        'mmseg_depthuda.engine.hooks.data_check_hook.CHECKS',
        (lambda dataset, name, *options: checked.append(name),),
    )
    good, hook = folder('good', GOOD), DataCheckHook()
    options = dict(iterations=2) | validation(good)
    options['train_cfg'] = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=1)
    runner = runner_of(tmp_path, good, hook, **options)
    for _ in range(2):
        hook.before_train(runner)
        hook.before_val(runner)
    assert checked == ['train_dataloader.dataset', 'val_dataloader.dataset']


def test_the_time_is_shared_by_all_checks(tmp_path, folder, monkeypatch):
    given = []
    monkeypatch.setattr(
        'mmseg_depthuda.engine.hooks.data_check_hook.CHECKS',
        (lambda dataset, name, required, files, seconds: given.append(seconds),) * 2,
    )
    pairs = SourceTargetDataset(folder('a', GOOD), folder('b', GOOD))
    with pytest.raises(Began):
        runner_of(tmp_path, pairs, Begin(seconds=8)).train()
    np.testing.assert_allclose(
        given, [2, 8 / 3, 4, 8], rtol=0.1
    )  # the time that is left, if no check uses its share
