# Licensed under the Apache License 2.0, see LICENSE.
import time

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmseg_depthuda.apps.benchmarking.instrumentation import replaced
from mmseg_depthuda.apps.benchmarking.matching_times import MatchingTimes, benchmark_matching
from mmseg_depthuda.datasets.geometry_matching import GeometryMatching
from tests.models.tiny_segmentor import head_config, segmentor_config

FOLDERS = dict(img_path='images', seg_map_path='labels', depth_map_path='depth')


@pytest.fixture
def cfg(tmp_path):
    rng = np.random.default_rng(0)
    for folder, high, dtype in (('images', 256, 'uint8'), ('labels', 5, 'uint8'),
                                ('depth', 65535, 'uint16')):  # fmt: skip
        (tmp_path / folder).mkdir()
        for i in range(3):
            pixels = rng.integers(1, high, (24, 40), dtype=dtype)
            assert cv2.imwrite(str(tmp_path / folder / f'{i}.png'), pixels)
    domain = dict(
        type='FolderDepthDataset',
        data_root=str(tmp_path),
        data_prefix=FOLDERS,
        metainfo=dict(classes=list('abcde')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadLabels'),
            dict(type='LoadInverseDepth', expected_metres=None),
            dict(type='PackSegInputs'),
        ],
    )
    match = dict(to='target', candidates=2, ignore_top=1, ignore_bottom=1)
    return Config(
        dict(
            model=segmentor_config(head_config('DeepLabV2Head')),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
            train_dataloader=dict(
                batch_size=2,
                num_workers=2,
                sampler=dict(type='DomainsSampler'),
                dataset=dict(
                    type='DomainsDataset',
                    source=domain | dict(match=match),
                    target=domain,
                ),
            ),
            custom_hooks=[dict(type='DACSHook')],
        )
    )


def test_the_time_of_the_matching_is_found(cfg):
    """A matching that works for 50 ms more takes this more."""
    choose = GeometryMatching.choose

    def slow(self, *args):
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return choose(self, *args)

    with replaced(GeometryMatching, 'choose', slow):
        times = benchmark_matching(cfg, iters=2, warmup=1)
    assert times.iterations == 2
    assert 2 * 2 * 0.05 < times.matched < times.total
    assert 0 < times.plain < 0.05


def test_share():
    times = MatchingTimes(total=1.1, matched=0.2, plain=0.11)
    assert times.share == pytest.approx(0.1)


def test_what_cannot_be_measured(cfg):
    with pytest.raises(ValueError, match='must be positive, got 0 and 2'):
        benchmark_matching(cfg, iters=0)
    cfg.train_dataloader.dataset.source.pop('match')
    with pytest.raises(ValueError, match='No domain of train_dataloader.dataset has `match`'):
        benchmark_matching(cfg, iters=1)
