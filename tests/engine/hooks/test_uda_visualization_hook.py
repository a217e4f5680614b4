# Licensed under the Apache License 2.0, see LICENSE.
import copy

import cv2
import matplotlib
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmseg_depthuda.engine.hooks import UDAVisualizationHook
from mmseg_depthuda.engine.hooks.uda_visualization_hook import draw_mixed_sample
from tests.models.pair_training import Pairs, make_runner
from tests.models.tiny_segmentor import (
    IGNORE,
    MEAN,
    SIZE,
    STD,
    head_config,
    segmentor_config,
    stacked,
)

HEIGHT, WIDTH = SIZE


class Recorder(Hook):
    priority = 'LOWEST'

    def __init__(self):
        self.mixed = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.mixed.append(copy.deepcopy(data_batch.get('mixed')))


def train(work_dir, name, hooks, model=None, **hook_options):
    recorder = Recorder()
    runner = make_runner(
        work_dir,
        name,
        [*hooks, dict(type='UDAVisualizationHook', **hook_options), recorder],
        model=model,
        visualizer=dict(
            type='SegLocalVisualizer',
            name=f'{work_dir.name}_{name}',
            vis_backends=[dict(type='LocalVisBackend')],
        ),
    )
    runner.train()
    pictures = {path.name: path for path in (work_dir / name).rglob('*.png')}
    return pictures, recorder.mixed


def colours(name, values):
    """RGB of values in 0..1, (H, W, 3), by the nearest of the colour map's 256 entries."""
    table = np.array(matplotlib.colormaps[name].colors)
    index = np.minimum((np.clip(values, 0, 1) * 256).astype(int), 255)
    return table[index] * 255


def in_rgb(inputs, rgb):
    images = inputs.numpy() * np.array(STD)[:, None, None] + np.array(MEAN)[:, None, None]
    images = images if rgb else images[:, ::-1]
    return images.transpose(0, 2, 3, 1).clip(0, 255)


@pytest.mark.parametrize('rgb', [False, True])
def test_a_strip_per_image_at_the_interval(tmp_path, rgb):
    model = segmentor_config()
    model['data_preprocessor']['bgr_to_rgb'] = rgb
    pictures, mixed = train(
        tmp_path,
        'corda',
        [dict(type='DACSHook', augment=False)],
        ConfigDict(model),
        interval=2,
        num_images=2,
    )
    assert set(pictures) == {f'mixed_{image}_{step}.png' for image in (0, 1) for step in (2, 4)}
    palette = np.array([*Pairs().metainfo['palette'], *[[0, 0, 0]] * 251])
    for step in (2, 4):
        branch = mixed[step - 1]
        images = in_rgb(branch['inputs'], rgb)
        labels = stacked(branch, 'gt_sem_seg')
        assert (labels == IGNORE).any()
        for index in (0, 1):
            strip = cv2.imread(str(pictures[f'mixed_{index}_{step}.png']))[..., ::-1].astype(int)
            assert strip.shape == (HEIGHT, 5 * WIDTH, 3)
            image, label, weight, difficulty, depth = np.split(strip, 5, axis=1)
            assert np.abs(image - images[index]).max() <= 0.51
            assert np.array_equal(label, palette[labels[index, 0]])
            expected = colours('viridis', stacked(branch, 'seg_weight')[index, 0])
            assert np.abs(weight - expected).max() <= 1
            for panel, name in ((difficulty, 'adaptation_weight'), (depth, 'gt_depth_map')):
                values = stacked(branch, name)[index, 0]
                expected = colours('magma', values / np.percentile(values, 99))
                assert np.abs(panel - expected).max() <= 5, name  # float32 may pick a neighbour


def test_panels_without_a_map_are_left_out(tmp_path):
    model = ConfigDict(segmentor_config(head_config('DeepLabV2Head')))
    for dataset_depth, panels in ((True, 4), (False, 3)):
        name = f'dacs_{dataset_depth}'
        options = dict(depth=dataset_depth)
        runner = make_runner(
            tmp_path,
            name,
            [dict(type='DACSHook'), dict(type='UDAVisualizationHook', interval=1)],
            iterations=1,
            dataset=Pairs(source=options, target=options),
            model=copy.deepcopy(model),
            visualizer=dict(
                type='SegLocalVisualizer',
                name=f'{tmp_path.name}_{name}',
                vis_backends=[dict(type='LocalVisBackend')],
            ),
        )
        runner.train()
        (picture,) = (tmp_path / name).rglob('*.png')
        assert picture.name == 'mixed_0_1.png'
        assert cv2.imread(str(picture)).shape == (HEIGHT, panels * WIDTH, 3)


def test_nothing_is_drawn_without_a_mixed_branch(tmp_path):
    pictures, mixed = train(tmp_path, 'source_only', [], interval=1)
    assert mixed == [None] * 4 and not pictures


def test_a_strip_by_hand():
    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.tensor([[[0, 1], [1, 255]]]))
    sample.seg_weight = PixelData(data=torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    palette = np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8)
    strip = draw_mixed_sample(image, sample, palette)
    lowest, highest = [68, 1, 84], [253, 231, 37]  # both ends of viridis
    np.testing.assert_allclose(
        strip,
        [
            [[0, 1, 2], [3, 4, 5], [10, 20, 30], [40, 50, 60], lowest, highest],
            [[6, 7, 8], [9, 10, 11], [40, 50, 60], [0, 0, 0], highest, lowest],
        ],
        atol=1,
    )
    assert strip.dtype == np.uint8


@pytest.mark.parametrize('options', [dict(interval=0), dict(num_images=0)])
def test_arguments_are_checked(options):
    with pytest.raises(ValueError, match='must be positive'):
        UDAVisualizationHook(**options)
