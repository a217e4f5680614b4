# Licensed under the Apache License 2.0, see LICENSE.
"""The report on real networks (with random weights) over a small street world."""

import json
import os
from datetime import datetime

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import DATASETS, MODELS

from mmseg_depthuda.apps.comparison import quickstart_report as reporting
from mmseg_depthuda.apps.street_world import WorldConfig, generate
from mmseg_depthuda.engine.launch import config_folder


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """Untrained source-only and CorDA networks of the quickstart, and three validation scenes."""
    folder = tmp_path_factory.mktemp('report')
    generate(folder / 'world', WorldConfig(0, 1, 3, size=(128, 64), layouts=('cityscapes',)))
    made = []
    for name, method in (('source_only', 'source_only'), ('corda', 'corda')):
        cfg = Config.fromfile(config_folder() / method / f'{name}_r18_sim2real.py')
        for loader in (cfg.val_dataloader, cfg.test_dataloader):
            loader.update(num_workers=0, persistent_workers=False)
            loader.dataset.data_root = str(folder / 'world' / 'cityscapes')
        cfg.dump(folder / f'{name}.py')
        torch.manual_seed(1)
        with DefaultScope.overwrite_default_scope('mmseg'):
            model = MODELS.build(cfg.model)
        torch.save(
            dict(state_dict=model.state_dict(), meta=dict(dataset_meta=None)),
            folder / f'{name}.pth',
        )
        made.append(reporting.TrainedRun(name, folder / f'{name}.py', folder / f'{name}.pth'))
    return made


def test_evaluation_equals_a_confusion_matrix(runs, tmp_path):
    run = runs[0]
    metrics = reporting.evaluate(run, tmp_path)
    model = reporting.init_model(str(run.config), str(run.checkpoint), 'cpu')
    dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
    confusion = np.zeros((19, 19))
    for index in range(len(dataset)):
        sample = dataset[index]
        label = sample['data_samples'].gt_sem_seg.data[0].numpy()
        predicted = reporting.predict(model, sample).pred_sem_seg.data[0].numpy()
        known = label != 255
        np.add.at(confusion, (label[known], predicted[known]), 1)
    hits = np.diag(confusion)
    with np.errstate(invalid='ignore'):
        iou = 100 * hits / (confusion.sum(0) + confusion.sum(1) - hits)
    names = dataset.metainfo['classes']
    np.testing.assert_allclose([metrics[f'IoU.{name}'] for name in names], iou, rtol=1e-5)
    assert metrics['mIoU'] == pytest.approx(np.nanmean(iou), abs=0.01)


@pytest.mark.parametrize(
    ('source', 'target', 'expected'), [(10.0, 16.0, 6 / 16), (5.0, -3.0, 1.0), (4.0, 4.0, 0.0)]
)
def test_difficulty_is_that_of_the_two_decoders(runs, source, target, expected):
    """Decoders made constant: eq. 9 gives |source - target| / target, and 1 for no depth at all."""
    run = runs[1]
    model = reporting.init_model(str(run.config), str(run.checkpoint), 'cpu')
    for domain, value in (('source', source), ('target', target)):
        decoder = model.decode_head.final_depth[domain]
        for parameter in decoder.parameters():
            torch.nn.init.zeros_(parameter)
        biases = [module.bias for module in decoder.modules() if hasattr(module, 'bias')]
        torch.nn.init.constant_(next(bias for bias in biases if bias is not None), value)
    sample = DATASETS.build(model.cfg.test_dataloader.dataset)[0]
    difficulty = reporting.difficulty_map(model, sample, reporting.predict(model, sample))
    assert difficulty.shape == sample['inputs'].shape[1:]
    torch.testing.assert_close(difficulty, torch.full_like(difficulty, expected))


def test_picture_has_a_panel_per_image_and_column(runs, tmp_path, monkeypatch):
    grids = []
    save = reporting._save_grid
    monkeypatch.setattr(
        reporting, '_save_grid', lambda rows, path: (grids.append(rows), save(rows, path))
    )
    reporting.draw_report(runs, tmp_path / 'new' / 'report.png', num_images=2)
    (rows,) = grids
    assert [list(row) for row in rows] == 2 * [
        [
            *('image', 'truth', 'source_only', 'corda'),
            *('predicted depth (bright: near)', 'difficulty (bright: hard)'),
        ]
    ]
    assert not np.array_equal(rows[0]['image'], rows[1]['image'])
    picture = cv2.imread(str(tmp_path / 'new' / 'report.png'))
    assert picture.shape[1] == 1800


def test_photographs_are_segmented_below_the_validation_images(runs, tmp_path, monkeypatch):
    """A 4:3 picture gets the height of the validation images and no truth."""
    (tmp_path / 'images').mkdir()
    for index in range(3):
        picture = np.full((480, 640, 3), 40 * index, dtype=np.uint8)
        cv2.imwrite(str(tmp_path / 'images' / f'{index}.jpg'), picture)
    grids = []
    monkeypatch.setattr(reporting, '_save_grid', lambda rows, path: grids.append(rows))
    reporting.draw_report(
        runs, tmp_path / 'report.png', num_images=1, photographs=tmp_path, num_photographs=2
    )
    ((_, first, last),) = grids
    assert [row['image'].shape for row in (first, last)] == 2 * [(128, 171, 3)]
    assert first['image'].max() <= 1 and last['image'].min() >= 79  # the first and the last file
    assert (first['truth'] == 255).all()
    assert first['corda'].shape == first['image'].shape


def test_training_time_counts_every_attempt_and_no_second_twice(tmp_path):
    """90 s until it was killed, then 30 s. The log of another rank and of a test do not count.

    The other run begins 20 s before the end of the second attempt and ends 40 s after it.
    """
    for run, start, seconds, name in (
        ('a', '20260102_030405', 90, '20260102_030405'),
        ('a', '20260102_040000', 30, '20260102_040000'),
        ('a', '20260102_040000', 30, '20260102_040000_host_device1_rank1'),
        ('a', 'test/20260102_050000', 99, '20260102_050000'),
        ('b', '20260102_040010', 60, '20260102_040010'),
    ):
        log = tmp_path / run / start / f'{name}.log'
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        end = datetime.strptime(start[-15:], '%Y%m%d_%H%M%S').timestamp() + seconds
        os.utime(log, (end, end))
    assert reporting.training_seconds(tmp_path / 'a') == 120.0
    assert reporting.training_seconds(tmp_path / 'a', tmp_path / 'b') == 160.0


def test_summary_has_the_promised_keys(tmp_path):
    metrics = dict(source_only={'mIoU': np.float32(30.04), 'aAcc': 1.0}, corda={'mIoU': 41.25})
    reporting.write_summary(tmp_path / 'summary.json', metrics, minutes=12.346)
    assert json.loads((tmp_path / 'summary.json').read_text()) == {
        'source_only': {'mIoU': 30.04},
        'corda': {'mIoU': 41.25},
        'minutes': 12.35,
    }
