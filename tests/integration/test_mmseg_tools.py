# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's own tools, from the installed package, with CorDA's config and nothing else.

They run in this process where they can, which saves their imports; one training serves all.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
import uuid
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import mmengine.optim.optimizer.amp_optimizer_wrapper as amp_optimizer_wrapper
import mmseg
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmseg.apis import MMSegInferencer, inference_model, init_model
from mmseg.registry import DATASETS, MODELS
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.nn import functional as F

from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate
from tests.commands import exit_status_of
from tests.visualization.strips import pictures_of

ROOT = Path(__file__).parents[2]
TOOLS = Path(mmseg.__file__).parent / '.mim/tools'
CORDA = ROOT / 'configs/corda/corda_r18_sim2real.py'
HEIGHT, WIDTH = 128, 256
NUM_CLASSES = 19
SMALL = [
    'model.backbone.base_channels=8',
    'model.backbone.stem_channels=8',
    'model.decode_head.in_channels=64',
    'default_hooks.logger.interval=1',
    'train_cfg.max_iters=2',
    'train_cfg.val_interval=2',
    'custom_hooks.1.interval=2',
    *(
        f'{loader}_dataloader.{setting}'
        for loader in ('train', 'val', 'test')
        for setting in ('num_workers=0', 'persistent_workers=False')
    ),
]


def run_tool(tool, *arguments, options=None):
    """Run a script of MMSeg by its command line, in this process."""
    command = [tool, *map(str, arguments)]
    if options is not None:
        # MMEngine would return the visualizer of the last run if it has the same name.
        command += ['--cfg-options', *options, f'visualizer.name={uuid.uuid4()}']
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('LOCAL_RANK', '0')
        assert exit_status_of(TOOLS / tool, *command[1:]) == 0


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('world')
    config = WorldConfig(source_images=3, train_images=2, val_images=2, size=(WIDTH, HEIGHT))
    generate(folder, config)
    return folder


@pytest.fixture(scope='module')
def run(tmp_path_factory, world):
    """Work dir of MMSeg's train.py, with the config that it has written."""
    work_dir = tmp_path_factory.mktemp('run')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('STREET_WORLD_ROOT', str(world))
        backends = 'visualizer.vis_backends=LocalVisBackend,TensorboardVisBackend'
        run_tool('train.py', CORDA, '--work-dir', work_dir, options=[*SMALL, backends])
    return work_dir


@pytest.fixture(scope='module')
def config(run):
    return run / CORDA.name


@pytest.fixture(scope='module')
def checkpoint(run):
    return run / 'iter_2.pth'


@pytest.fixture(scope='module')
def model(config, checkpoint):
    return init_model(str(config), str(checkpoint), device='cpu')


@pytest.fixture(scope='module')
def images(world):
    return sorted((world / 'cityscapes/leftImg8bit/val').rglob('*.png'))


@pytest.fixture(scope='module')
def tested(tmp_path_factory, config, checkpoint):
    """Folder of MMSeg's test.py: results of --work-dir, --out and --show-dir."""
    folder = tmp_path_factory.mktemp('test')
    folders = [
        '--work-dir',
        folder / 'work',
        '--out',
        folder / 'out',
        '--show-dir',
        folder / 'show',
    ]
    run_tool('test.py', config, checkpoint, *folders, options=[])
    return folder


def rows(work_dir):
    (log,) = work_dir.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in log.read_text().splitlines()]


def metrics(work_dir):
    (result,) = work_dir.glob('*/*.json')
    return json.loads(result.read_text())


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def labels_of(model, image):
    return inference_model(model, str(image)).pred_sem_seg.data[0].numpy()


def panels_of(picture):
    """The pictures of a strip, which are enlarged twofold."""
    return pictures_of(picture, HEIGHT, WIDTH, picture.shape[1] // (2 * WIDTH))


# -- training --------------------------------------------------------------------------------------


def test_train(run, checkpoint):
    training = [row for row in rows(run) if 'loss' in row]
    assert [row['step'] for row in training] == [1, 2]
    assert {'source.loss_depth', 'mixed.loss_seg', 'mixed.loss_initial_depth'} <= training[0].keys()
    saved = torch.load(checkpoint, weights_only=True)
    assert saved['meta']['iter'] == 2
    assert saved['ema_state_dict']['steps'] == 2


def test_tensorboard_has_the_scalars_and_the_pictures(run):
    (folder,) = run.glob('*/vis_data')
    events = EventAccumulator(str(folder)).Reload()
    for name in ('mixed.loss_seg', 'source.loss_depth'):
        logged = [(event.step, event.value) for event in events.Scalars(name)]
        expected = [(row['step'], row[name]) for row in rows(run) if name in row]
        assert np.allclose(logged, expected) and len(logged) == 2
    (picture,) = events.Images('mixed_0')
    decoded = cv2.imdecode(np.frombuffer(picture.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoded, read(folder / 'vis_image/mixed_0_2.png'))
    # Image, label, segmentation, weight, agreement, depth, predicted depth.
    assert len(panels_of(decoded)) == 7


def test_amp(tmp_path, monkeypatch, config, run):
    """MMEngine asserts an accelerator. Without the assertion, CPUs compute in bfloat16."""
    if not torch.cuda.is_available():
        monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    run_tool('train.py', config, '--work-dir', tmp_path, '--amp', options=['train_cfg.max_iters=1'])
    (mixed,) = (row for row in rows(tmp_path) if 'loss' in row)
    full = rows(run)[0]
    for name in ('source.loss_seg', 'source.loss_depth', 'mixed.loss_seg'):
        assert mixed[name] == pytest.approx(full[name], rel=0.05)
        assert mixed[name] != full[name]


@pytest.mark.skipif(torch.cuda.is_available(), reason='gloo is for machines without CUDA')
def test_dist_train_on_two_processes(tmp_path, config):
    environment = os.environ | dict(
        PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', PORT=str(29500 + os.getpid() % 1000)
    )
    environment['PATH'] = f'{Path(sys.executable).parent}{os.pathsep}{environment["PATH"]}'
    command = ['bash', TOOLS / 'dist_train.sh', config, '2', '--work-dir', tmp_path]
    options = ['--cfg-options', 'env_cfg.dist_cfg.backend=gloo', 'train_cfg.max_iters=1']
    done = subprocess.run(
        [*command, *options], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (log,) = tmp_path.glob('*/*.log')
    assert 'GPU number: 2' in log.read_text()
    assert 'Iter(val) [1/1]' in log.read_text()  # one of the two images each
    saved = torch.load(tmp_path / 'iter_1.pth', weights_only=True)
    assert saved['ema_state_dict']['steps'] == 1


# -- testing ---------------------------------------------------------------------------------------


def test_test_repeats_the_validation(run, tested):
    (validated,) = (row for row in rows(run) if 'mIoU' in row)
    result = metrics(tested / 'work')
    assert {name: result[name] for name in ('mIoU', 'aAcc')} == pytest.approx(
        {name: validated[name] for name in ('mIoU', 'aAcc')}
    )


def test_out_holds_the_predictions(tested, model, images):
    assert sorted(path.name for path in (tested / 'out').iterdir()) == [p.name for p in images]
    for image in images:
        assert np.array_equal(read(tested / 'out' / image.name), labels_of(model, image))


def test_show_dir_draws_all_maps_side_by_side(tested, model, images):
    pictures = sorted((tested / 'show').rglob('*.png'))
    assert [re.sub(r'^test_|_\d+\.png$', '', path.name) for path in pictures] == [
        path.name for path in images
    ]
    for path, image in zip(pictures, images, strict=True):
        photo, _, _, depth, agreement = panels_of(read(path))
        assert np.array_equal(photo, read(image))
        predicted = inference_model(model, str(image)).pred_depth_map.data[0].numpy()
        brightness = depth.astype(float).sum(axis=2)
        assert np.corrcoef(brightness.ravel(), predicted.ravel())[0, 1] > 0.8
        assert not np.array_equal(depth, agreement)


def scaled_probabilities(model, image, scale, flip):
    """Softmax and inverse depth of one view, brought back to the image."""
    size = int(WIDTH * scale + 0.5), int(HEIGHT * scale + 0.5)
    view = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    view = np.ascontiguousarray(view[:, ::-1] if flip else view)
    inputs = torch.from_numpy(view).permute(2, 0, 1)
    inputs = model.data_preprocessor(dict(inputs=[inputs]), False)['inputs']
    with torch.no_grad():
        output = model.encode_decode(inputs, [dict(img_shape=inputs.shape[2:])])
    output = output.flip(3) if flip else output
    output = F.interpolate(output, (HEIGHT, WIDTH), mode='bilinear', align_corners=True)[0]
    return output[:-1].softmax(0)


def test_tta_merges_scales_and_flips(tmp_path, config, checkpoint, model, images):
    folders = ['--work-dir', tmp_path / 'work', '--out', tmp_path / 'out']
    run_tool('test.py', config, checkpoint, '--tta', *folders, options=[])
    assert np.isfinite(metrics(tmp_path / 'work')['mIoU'])
    for path in images:
        probabilities = sum(
            scaled_probabilities(model, read(path), scale, flip)
            for scale in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
            for flip in (False, True)
        )
        agree = read(tmp_path / 'out' / path.name) == probabilities.argmax(0).numpy()
        assert agree.mean() > 0.9999


def slide(model, inputs, crop, stride):
    """Mean of the outputs of all windows that cover a pixel."""
    total, count = 0.0, torch.zeros(HEIGHT, WIDTH)
    for top in {min(y, HEIGHT - crop[0]) for y in range(0, HEIGHT, stride[0])}:
        for left in {min(x, WIDTH - crop[1]) for x in range(0, WIDTH, stride[1])}:
            bottom, right = top + crop[0], left + crop[1]
            window = inputs[..., top:bottom, left:right]
            with torch.no_grad():
                output = model.encode_decode(window, [dict(img_shape=crop)])
            total += F.pad(output, (left, WIDTH - right, top, HEIGHT - bottom))
            count[top:bottom, left:right] += 1
    return total / count


@pytest.mark.parametrize('crop, stride', [((128, 256), (64, 64)), ((64, 128), (64, 64))])
def test_sliding_window(config, checkpoint, model, images, crop, stride):
    options = {'model.test_cfg': dict(mode='slide', crop_size=crop, stride=stride)}
    sliding = init_model(str(config), str(checkpoint), device='cpu', cfg_options=options)
    result = inference_model(sliding, str(images[0]))
    inputs = torch.from_numpy(read(images[0])).permute(2, 0, 1)
    inputs = model.data_preprocessor(dict(inputs=[inputs]), False)['inputs']
    *logits, depth = slide(model, inputs, crop, stride)[0]
    torch.testing.assert_close(result.seg_logits.data, torch.stack(logits), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(result.pred_depth_map.data[0], depth, rtol=1e-4, atol=1e-5)
    if crop == (HEIGHT, WIDTH):
        assert np.array_equal(result.pred_sem_seg.data[0], labels_of(model, images[0]))


def test_inferencer_and_inference_model(tmp_path, config, checkpoint, model, images):
    result = inference_model(model, str(images[0]))
    assert result.pred_depth_map.shape == (HEIGHT, WIDTH)
    inferencer = MMSegInferencer(str(config), str(checkpoint), device='cpu')
    output = inferencer(str(images[0]), out_dir=str(tmp_path), return_vis=True)
    assert np.array_equal(output['predictions'], result.pred_sem_seg.data[0])
    assert len(inferencer.model.dataset_meta['classes']) == NUM_CLASSES
    picture = read(tmp_path / 'vis' / images[0].name)
    assert len(panels_of(picture)) == 3  # image, segmentation, depth
    assert np.array_equal(output['visualization'], picture[..., ::-1])


# -- tools of analysis -----------------------------------------------------------------------------


@pytest.mark.parametrize('tool', ['misc', 'analysis_tools'])
def test_browse_dataset_shows_source_and_target(tmp_path, config, world, tool):
    arguments = ['--output-dir', tmp_path, '--not-show']
    run_tool(f'{tool}/browse_dataset.py', config, *arguments, options=[])
    pictures = {path.name: path for path in tmp_path.rglob('*.png')}
    for image in (world / 'gta/images').rglob('*.png'):
        name = f'source_{image.name}_0.png' if tool == 'misc' else image.name
        photo, labels, depth = panels_of(read(pictures.pop(name)))
        assert np.array_equal(photo, read(image))
        assert not np.array_equal(labels, photo) and not np.array_equal(depth, photo)
    for image in (world / 'cityscapes/leftImg8bit/train').rglob('*.png'):
        name = f'target_{image.name}_0.png' if tool == 'misc' else image.name
        photo, depth = panels_of(read(pictures.pop(name)))  # no labels
        assert np.array_equal(photo, read(image))
    assert not pictures


def multiplications(model, inputs):
    """Multiply-adds of all convolutions on one image, by module."""
    counts = {}

    def count(name):
        def hook(module, _, output):
            counts[name] = output.numel() * module.weight[0].numel()

        return hook

    hooks = [
        module.register_forward_hook(count(name))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        model(inputs)
    for hook in hooks:
        hook.remove()
    return counts


def test_get_flops_counts_backbone_and_head(capsys, config, model):
    run_tool('analysis_tools/get_flops.py', config, '--shape', HEIGHT, WIDTH)
    printed = capsys.readouterr().out
    (flops,) = re.findall(r'Flops: ([\d.]+)G', printed)
    counts = multiplications(model, torch.zeros(1, 3, HEIGHT, WIDTH))
    assert {name.split('.')[0] for name in counts} == {'backbone', 'decode_head'}
    assert float(flops) * 1e9 == pytest.approx(sum(counts.values()), rel=0.02)
    (parameters,) = re.findall(r'Params: ([\d.]+)M', printed)
    assert float(parameters) * 1e6 == pytest.approx(
        sum(p.numel() for p in model.parameters()), rel=1e-3
    )


def test_benchmark_measures_200_images(tmp_path, config, checkpoint):
    # It measures 200 images and has no --cfg-options: a smaller test set needs a config.
    repeated = tmp_path / 'repeated.py'
    repeated.write_text(
        f"_base_ = '{config}'\ntest_dataloader = dict(dataset=dict(indices=[0, 1] * 100))\n"
    )
    run_tool('analysis_tools/benchmark.py', repeated, checkpoint, '--work-dir', tmp_path)
    (result,) = tmp_path.glob('fps_*.json')
    assert json.loads(result.read_text())['average_fps'] > 0


def test_analyze_logs_draws_the_losses(tmp_path, monkeypatch, run):
    pytest.importorskip('seaborn')  # which MMSeg's script imports
    monkeypatch.setattr(plt, 'cla', lambda: None)  # it would clear the figure after saving it
    keys = ['mixed.loss_seg', 'source.loss_depth']
    (log,) = run.glob('*/vis_data/scalars.json')
    picture = tmp_path / 'curves.png'
    plt.figure()
    run_tool('analysis_tools/analyze_logs.py', log, '--keys', *keys, '--out', picture)
    lines = {line.get_label().removeprefix(f'{log}_'): line for line in plt.gca().lines}
    plt.close('all')
    for key in keys:
        expected = [row[key] for row in rows(run) if key in row]
        assert lines[key].get_ydata().tolist() == expected and len(expected) == 2
    assert len(np.unique(read(picture))) > 10


def test_print_config(tmp_path, monkeypatch, capsys, config):
    monkeypatch.chdir(tmp_path)  # it writes example.py into the working directory
    run_tool('misc/print_config.py', config, '--cfg-options', 'train_cfg.max_iters=77')
    assert 'max_iters=77' in capsys.readouterr().out
    expected = Config.fromfile(config)
    expected.train_cfg.max_iters = 77
    assert Config.fromfile('example.py').to_dict() == expected.to_dict()


def test_publish_model(tmp_path, config, checkpoint):
    """The tool imports only PyTorch, so a checkpoint must hold only plain types."""
    command = [sys.executable, TOOLS / 'misc/publish_model.py', checkpoint, tmp_path / 'corda.pth']
    subprocess.run(command, check=True)
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    published = tmp_path / f'corda-{digest[:8]}.pth'
    deadline = time.monotonic() + 20
    while not published.exists() and time.monotonic() < deadline:
        time.sleep(0.05)  # it does not wait for the process that renames the file
    content = torch.load(published, weights_only=True)
    assert 'optimizer' not in content
    assert {'state_dict', 'ema_state_dict'} <= content.keys()
    segmentor = MODELS.build(Config.fromfile(config).model)
    load_checkpoint(segmentor, str(published), strict=True)
    student = torch.load(checkpoint, weights_only=True)['state_dict']
    for name, values in segmentor.state_dict().items():
        assert torch.equal(values, student[name])


def drawn_matrix(tool, *arguments):
    """What a script draws, in percent of the pixels of a class; NaN for a class without any."""
    with plt.rc_context({'savefig.dpi': 5}):  # it draws 300 dots per inch
        run_tool(tool, *arguments)
    (image,) = plt.gcf().axes[0].images
    plt.close('all')
    return np.ma.filled(image.get_array(), np.nan)


@pytest.mark.filterwarnings('ignore:invalid value encountered in divide')
@pytest.mark.parametrize(
    'protocol, tool',
    [
        ('camvid11', TOOLS / 'analysis_tools/confusion_matrix.py'),
        # MMSeg's script overflows on 17 classes and more: ours draws the matrix.
        ('cityscapes19', ROOT / 'tools/analysis_tools/confusion_matrix.py'),
    ],
)
def test_confusion_matrix(tmp_path, config, world, protocol, tool):
    variant = tmp_path / 'variant.py'
    variant.write_text(
        f"_base_ = '{config}'\ntest_dataloader = dict(dataset=dict(protocol='{protocol}'))\n"
    )
    dataset = DATASETS.build(Config.fromfile(variant).test_dataloader.dataset)
    num_classes = len(dataset.metainfo['classes'])
    rng = np.random.default_rng(0)
    expected = np.zeros((num_classes, num_classes))
    for sample in dataset:
        labels = sample['data_samples'].gt_sem_seg.data[0].numpy()
        predictions = rng.integers(0, num_classes, labels.shape, dtype=np.uint8)
        (tmp_path / 'predictions').mkdir(exist_ok=True)
        name = Path(sample['data_samples'].img_path).name
        cv2.imwrite(str(tmp_path / 'predictions' / name), predictions)
        np.add.at(expected, (labels[labels < 255], predictions[labels < 255]), 1)
    with np.errstate(invalid='ignore'):  # a class without any pixel
        expected = 100 * expected / expected.sum(axis=1, keepdims=True)
    drawn = drawn_matrix(tool, variant, tmp_path / 'predictions', tmp_path / 'drawn')
    np.testing.assert_allclose(drawn, expected, rtol=1e-5)
    assert (tmp_path / 'drawn/confusion_matrix.png').exists()
