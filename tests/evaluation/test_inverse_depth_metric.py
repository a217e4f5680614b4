# Licensed under the Apache License 2.0, see LICENSE.
"""Depth errors against their definitions in NumPy, on small arrays and on a rendered world."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from scipy.io import loadmat

from mmseg_depthuda.apps.street_world import WorldConfig, generate
from mmseg_depthuda.engine.launch import config_folder


def sample(prediction, truth):
    return SegDataSample(
        metainfo=dict(img_path='a/frame.png'),
        pred_depth_map=PixelData(data=torch.tensor([prediction], dtype=torch.float32)),
        gt_depth_map=PixelData(data=torch.tensor([truth], dtype=torch.float32)),
    ).to_dict()


def inverse(metres):
    return (655.36 / (np.asarray(metres) + 0.01)).tolist()


def build(**options):
    return METRICS.build(dict(type='InverseDepthMetric', **options))


def evaluate(metric, samples):
    metric.process(None, samples)
    return metric.evaluate(size=len(samples))


def errors(predicted, true):
    """Eigen et al., NeurIPS 2014, section 4.3."""
    predicted, true = np.asarray(predicted, float), np.asarray(true, float)
    ratio = np.maximum(predicted / true, true / predicted)
    return dict(
        abs_rel=np.mean(np.abs(predicted - true) / true),
        sq_rel=np.mean((predicted - true) ** 2 / true),
        rmse=np.sqrt(np.mean((predicted - true) ** 2)),
        rmse_log=np.sqrt(np.mean((np.log(predicted) - np.log(true)) ** 2)),
        d1=np.mean(ratio < 1.25),
        d2=np.mean(ratio < 1.25**2),
        d3=np.mean(ratio < 1.25**3),
    )


def test_errors_by_hand():
    """10 m taken for 12 m, 20 m for 10 m, 5 m for 5 m; a pixel without depth does not count."""
    truth = [[*inverse([10, 20, 5]), 0]]
    metrics = evaluate(build(), [sample([inverse([12, 10, 5, 3])], truth)])
    assert metrics == pytest.approx(
        dict(
            abs_rel=(0.2 + 0.5 + 0) / 3,
            sq_rel=(4 / 10 + 100 / 20) / 3,
            rmse=(104 / 3) ** 0.5,
            rmse_log=((np.log(1.2) ** 2 + np.log(2) ** 2) / 3) ** 0.5,
            d1=2 / 3,
            d2=2 / 3,
            d3=2 / 3,
        ),
        rel=1e-4,
    )


def test_errors_are_averaged_over_images_with_depth():
    """Images count alike, however many pixels they have; the last image has none that counts."""
    first = sample([inverse([11, 11, 11])], [inverse([10, 10, 10])])
    second = sample([inverse([30, 30, 30])], [[*inverse([20]), 0, 0]])
    third = sample([inverse([30, 30, 30])], [[0, 0, 0]])
    metrics = evaluate(build(), [first, second, third])
    assert metrics['abs_rel'] == pytest.approx((0.1 + 0.5) / 2, rel=1e-4)
    assert metrics['rmse'] == pytest.approx((1 + 10) / 2, rel=1e-4)


def test_the_range_limits_truth_and_prediction():
    """100 m is too far to count; a prediction beyond 80 m, or beyond infinity, counts as 80 m."""
    truth = [inverse([100, 40, 40, 40])]
    prediction = [[*inverse([1, 200]), -3.0, *inverse([0.2])]]
    metrics = evaluate(build(min_depth_eval=1.0), [sample(prediction, truth)])
    expected = errors([80, 80, 1], [40, 40, 40])
    assert metrics == pytest.approx(expected, rel=1e-4)


def test_median_scaling_of_a_disparity_of_unknown_scale():
    """Disparity is 7 / meters, but for one pixel; the files store it with an offset of 1."""
    true = np.array([4, 8, 16, 32, 64.0])
    disparity = 7 / np.array([4, 8, 16, 32, 20.0])
    prediction = [(disparity + 1).tolist()]
    metrics = evaluate(build(scale='median'), [sample(prediction, [inverse(true)])])
    assert metrics == pytest.approx(errors([4, 8, 16, 32, 20.0], true), rel=1e-4)
    # A useless prediction: everything is far away, but the factor stays finite.
    metrics = evaluate(build(scale='median'), [sample([[-1.0] * 5], [inverse(true)])])
    assert metrics == pytest.approx(errors([16.0] * 5, true), rel=1e-4)


def test_predictions_that_are_one_over_depth():
    """As SelfSupervisedDepth gives them: meters with a stereo pair, any unit without."""
    true, predicted = np.array([4, 8, 16, 32, 64.0]), np.array([5, 8, 12, 32, 90.0])
    frame = sample([(1 / predicted).tolist()], [inverse(true)])
    metrics = evaluate(build(prediction='inverse'), [frame])
    assert metrics == pytest.approx(errors(predicted.clip(max=80), true), rel=1e-4)
    frame = sample([(3 / predicted).tolist()], [inverse(true)])
    metrics = evaluate(build(prediction='inverse', scale='median', min_depth_eval=1e-3), [frame])
    # The medians are 16 and 12 (before the unit).
    scaled = (predicted * 16 / 12).clip(max=80)
    assert metrics == pytest.approx(errors(scaled, true), rel=1e-4)


@pytest.mark.parametrize('missing', ['pred_depth_map', 'gt_depth_map'])
def test_missing_depth_is_an_error_with_its_remedy(missing):
    frame = sample([[1]], [[1]])
    del frame[missing]
    remedy = dict(pred_depth_map='predicts no depth.*CorDAHead', gt_depth_map="depth='stereo'")
    with pytest.raises(ValueError, match=remedy[missing]):
        build().process(None, [frame])


def test_sizes_that_differ_are_an_error():
    with pytest.raises(ValueError, match=r'pred_depth_map is 1x1, gt_depth_map 2x1'):
        build().process(None, [sample([[1]], [[1, 1]])])


def test_no_depth_at_all_is_an_error():
    with pytest.raises(ValueError, match='none of 1 images has a depth of 0.1 to 80.0 m'):
        evaluate(build(), [sample([[5]], [[0]])])


@pytest.mark.parametrize(
    'options',
    [
        dict(scale='mean'),
        dict(prediction='meters'),
        dict(prediction='disparity', scale='metric'),
        dict(min_depth_eval=0.0),
        dict(min_depth_eval=90.0),
        dict(output_dir='predictions'),
    ],
)
def test_wrong_arguments(options):
    with pytest.raises(ValueError):
        build(**options)


class DepthRecorder(Hook):
    """Keeps what the network predicts."""

    def __init__(self):
        self.predictions = {}

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        for output in outputs:
            depth = output.pred_depth_map.data[0].cpu().numpy()
            self.predictions[output.metainfo['img_path']] = depth.astype(np.float64)


def world_config(folder, at_half_size):
    """A shipped CorDA config on a small world, with depth errors beside the IoU."""
    cfg = Config.fromfile(config_folder() / 'corda' / 'corda_r18_sim2real.py')
    cfg.work_dir = str(folder / f'half_{at_half_size}')
    steps = {step['type']: step for step in cfg.test_dataloader.dataset.pipeline}
    steps['Resize']['scale'] = (64, 32)
    image, resize, pack = (steps[name] for name in ('LoadImageFromFile', 'Resize', 'PackSegInputs'))
    load = [dict(type='LoadLabels'), dict(type='LoadInverseDepth', encoding='corda')]
    match = dict(type='MatchOriShapeToLabels')
    pipeline = [image, *load, resize, match, pack] if at_half_size else [image, resize, *load, pack]
    cfg.test_dataloader.update(num_workers=0, persistent_workers=False)
    cfg.test_dataloader.dataset.update(
        data_root=str(folder / 'cityscapes'), depth='stereo', pipeline=pipeline
    )
    cfg.test_evaluator = [
        dict(type='PerClassIoUMetric', iou_metrics=['mIoU']),
        dict(type='InverseDepthMetric'),
    ]
    for loop in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler'):
        cfg[loop] = None
    for loop in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        cfg[loop] = None
    return cfg


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('world')
    generate(folder, WorldConfig(0, 1, 2, size=(128, 64), layouts=('cityscapes',)))
    return folder


@pytest.mark.parametrize('at_half_size', [True, False])
def test_a_rendered_world_with_a_shipped_config(world, at_half_size):
    """The truth is read from the files again: meters, every second pixel at half size."""
    cfg = world_config(world, at_half_size)
    cfg.custom_hooks = []
    runner = Runner.from_cfg(cfg)
    recorder = DepthRecorder()
    runner.register_hook(recorder)
    torch.manual_seed(0)
    head = runner.model.decode_head.final_depth['target']
    for conv in head.conv2d_list:
        torch.nn.init.normal_(conv.weight, std=0.3)
        torch.nn.init.constant_(conv.bias, 20)
    metrics = runner.test()

    expected = []
    for path, prediction in recorder.predictions.items():
        depth_path = path.replace('leftImg8bit/', 'depth/').replace(
            '_leftImg8bit.png', '_depth_stereoscopic.mat'
        )
        metres = loadmat(depth_path)['depth_map'].astype(np.float64)
        metres = metres[::2, ::2] if at_half_size else metres
        assert prediction.shape == metres.shape
        counted = (metres > 0.1) & (metres < 80)
        predicted = (655.36 / np.maximum(prediction, 1) - 0.01).clip(0.1, 80)
        expected.append(errors(predicted[counted], metres[counted]))
    assert len(expected) == 2
    for name in expected[0]:
        mean = np.mean([image[name] for image in expected])
        assert metrics[name] == pytest.approx(mean, rel=1e-3), name
    assert metrics['eval_width'] == (64 if at_half_size else 128)
    assert 0 < metrics['d1'] < metrics['d3'] < 1
