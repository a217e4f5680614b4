# Licensed under the Apache License 2.0, see LICENSE.
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from mmseg.evaluation import IoUMetric
from mmseg.registry import HOOKS, VISUALIZERS
from mmseg.structures import SegDataSample

from mmseg_depthuda.datasets import FolderDepthDataset
from mmseg_depthuda.evaluation import PerClassIoUMetric


@pytest.fixture
def dataset(tmp_path):
    for name in ('day/1.png', 'night/1.png', '2.png'):
        (tmp_path / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'images' / name), np.zeros((4, 6, 3), np.uint8))
    prefix = dict(img_path=str(tmp_path / 'images'))
    return FolderDepthDataset(metainfo=dict(classes=['a', 'b']), data_prefix=prefix, pipeline=[])


@pytest.fixture
def visualizer(tmp_path, monkeypatch):
    built = VISUALIZERS.build(
        dict(
            type='DepthLocalVisualizer',
            name=str(tmp_path),
            vis_backends='LocalVisBackend',
            save_dir=str(tmp_path / 'drawn'),
        )
    )
    built.dataset_meta = dict(classes=['a', 'b'], palette=[[0, 0, 0], [255, 255, 255]])
    monkeypatch.setattr(Visualizer, 'get_current_instance', lambda: built)


def runner_of(dataset, *metrics):
    loader = SimpleNamespace(dataset=dataset)
    loop = SimpleNamespace(dataloader=loader, evaluator=SimpleNamespace(metrics=metrics))
    return SimpleNamespace(test_loop=loop, test_dataloader=loader, val_loop=loop)


def test_label_files_go_below_folders_only_where_names_repeat(tmp_path, dataset, visualizer):
    hook = HOOKS.build(dict(type='OutputFoldersHook'))
    metric, unused = PerClassIoUMetric(output_dir=str(tmp_path / 'out')), PerClassIoUMetric()
    hook.before_test(runner_of(dataset, metric, unused))
    assert (metric.image_root, unused.image_root) == (str(tmp_path / 'images'), None)
    (tmp_path / 'images/night/1.png').unlink()
    prefix = dict(img_path=str(tmp_path / 'images'))
    flat = PerClassIoUMetric(output_dir=str(tmp_path / 'out'))
    hook.before_val(runner_of(FolderDepthDataset(data_prefix=prefix, pipeline=[]), flat))
    assert flat.image_root is None


def test_a_metric_without_folders_is_refused(tmp_path, dataset, visualizer):
    hook = HOOKS.build(dict(type='OutputFoldersHook'))
    with pytest.raises(ValueError, match=r'day/1.png and .*night/1.png have the same name'):
        hook.before_test(runner_of(dataset, IoUMetric(output_dir=str(tmp_path / 'out'))))


def test_pictures_are_drawn_below_the_folders_of_their_images(tmp_path, dataset, visualizer):
    hook = HOOKS.build(dict(type='OutputFoldersHook', draw=True))
    samples = [
        SegDataSample(
            metainfo=dict(img_path=dataset.get_data_info(index)['img_path']),
            pred_sem_seg=PixelData(data=torch.zeros(1, 4, 6, dtype=torch.long)),
        )
        for index in range(3)
    ]
    hook.after_test_iter(runner_of(dataset), 0, {}, samples)
    drawn = tmp_path / 'drawn/vis_data/vis_image'
    files = sorted(str(path.relative_to(drawn)) for path in drawn.rglob('*.png'))
    assert files == ['day/test_1.png_2.png', 'night/test_1.png_3.png', 'test_2.png_1.png']
