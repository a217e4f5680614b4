# Licensed under the Apache License 2.0, see LICENSE.
import copy
from types import SimpleNamespace

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
from mmseg_depthuda.engine.hooks.uda_visualization_hook import (
    add_depth_agreement,
    draw_mixed_sample,
)
from mmseg_depthuda.models.decode_heads.head_contract import has_depth_decoders
from tests.models.pair_training import Pairs, make_runner
from tests.models.tiny_segmentor import (
    IGNORE,
    MEAN,
    SIZE,
    STD,
    head_config,
    segmentor_config,
    stacked,
    tiny_segmentor,
)
from tests.visualization.strips import pictures_of

HEIGHT, WIDTH = SIZE


class Recorder(Hook):
    """Keeps the mixed branches, and what the student of that iteration makes of them."""

    priority = 'LOWEST'

    def __init__(self):
        self.mixed = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        assert runner.model.training
        mixed = copy.deepcopy(data_batch.get('mixed'))
        if mixed is not None:
            student = copy.deepcopy(runner.model).eval()
            with torch.no_grad():
                mixed['predictions'] = student(mixed['inputs'], mode='predict')
        self.mixed.append(mixed)


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


def colors(name, values):
    """RGB of values in 0..1, (H, W, 3), by the nearest of the color map's 256 entries."""
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
            image, label, seg, weight, difficulty, *depths = pictures_of(strip, HEIGHT, WIDTH, 7)
            assert np.abs(image - images[index]).max() <= 0.51
            assert np.array_equal(label, palette[labels[index, 0]])
            prediction = branch['predictions'][index]
            assert np.array_equal(seg, palette[prediction.pred_sem_seg.data[0]])
            expected = colors('viridis', stacked(branch, 'seg_weight')[index, 0])
            assert np.abs(weight - expected).max() <= 1
            values = stacked(branch, 'adaptation_weight')[index, 0]
            expected = colors('inferno', 1 - values / np.percentile(values, 99))
            assert np.abs(difficulty - expected).max() <= 5  # float32 may pick a neighbor
            truth = stacked(branch, 'gt_depth_map')[index, 0]
            predicted = prediction.pred_depth_map.data[0].numpy()
            for panel, values in zip(depths, (truth, predicted), strict=True):
                expected = colors('magma', values / np.percentile(truth, 99))
                assert np.abs(panel - expected).max() <= 5


def test_panels_without_a_map_are_left_out(tmp_path):
    model = ConfigDict(segmentor_config(head_config('DeepLabV2Head')))
    for dataset_depth, panels in ((True, 5), (False, 4)):
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
        height, width = cv2.imread(str(picture)).shape[:2]
        factor = -(-256 // HEIGHT)
        assert height > factor * HEIGHT and width // (factor * WIDTH) == panels


def test_nothing_is_drawn_without_a_mixed_branch(tmp_path):
    pictures, mixed = train(tmp_path, 'source_only', [], interval=1)
    assert mixed == [None] * 4 and not pictures


def test_a_strip_by_hand():
    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.tensor([[[0, 1], [1, 255]]]))
    sample.seg_weight = PixelData(data=torch.tensor([[[0.0, 1.0], [1.0, 0.0]]]))
    prediction = SegDataSample()
    prediction.pred_sem_seg = PixelData(data=torch.tensor([[[1, 1], [0, 0]]]))
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    first, second = palette = np.array([[10, 20, 30], [40, 50, 60]], dtype=np.uint8)
    strip = draw_mixed_sample(image, sample, prediction, palette, smallest_height=1)[-2:]
    lowest, highest = [68, 1, 84], [253, 231, 37]  # both ends of viridis
    np.testing.assert_allclose(
        strip,
        [
            [[0, 1, 2], [3, 4, 5], first, second, second, second, lowest, highest],
            [[6, 7, 8], [9, 10, 11], second, [0, 0, 0], first, first, highest, lowest],
        ],
        atol=1,
    )
    assert strip.dtype == np.uint8


class FixedDepths:
    """A segmentor whose decoders see given depths, whatever the image."""

    def __init__(self, source, target):
        self.depths = dict(source=source, target=target)
        self.decode_head = SimpleNamespace(
            forward_depths=lambda features: self.depths,
            tasks=('seg', 'depth'),
            align_corners=False,
        )

    def extract_feat(self, inputs):
        return inputs


def test_agreement_of_test_images_is_relative_to_the_targets_depth():
    source = torch.tensor([[[[8.0, 12.0], [40.0, 0.0]]]])
    target = torch.tensor([[[[10.0, 10.0], [10.0, -1.0]]]])
    prediction = SegDataSample()
    prediction.pred_sem_seg = PixelData(data=torch.zeros(1, 4, 4, dtype=torch.long))
    add_depth_agreement(FixedDepths(source, target), torch.zeros(1, 3, 2, 2), [prediction])
    agreement = prediction.depth_agreement.data
    assert agreement.shape == (1, 4, 4)
    # 1 - |8 - 10| / 10, 1 - |12 - 10| / 10, then two decoders that have nothing in common.
    corners = agreement[0, ::3, ::3]
    torch.testing.assert_close(corners, torch.tensor([[0.8, 0.8], [0.0, 0.0]]))


@pytest.mark.parametrize('options', [dict(interval=0), dict(num_images=0)])
def test_arguments_are_checked(options):
    with pytest.raises(ValueError, match='must be positive'):
        UDAVisualizationHook(**options)


def test_a_decoder_that_nothing_has_trained_is_not_compared():
    trained, untrained = (
        tiny_segmentor(head_config(predicted_depth=name)).decode_head
        for name in ('target', 'source')
    )
    assert has_depth_decoders(trained) and not has_depth_decoders(untrained)
