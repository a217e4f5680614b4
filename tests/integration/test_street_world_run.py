# Licensed under the Apache License 2.0, see LICENSE.
"""The command lines over a rendered world: train, kill, resume, test, infer, as a user would."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.apis import MMSegInferencer

from mmseg_depthuda.apps.benchmarking.ladder import (
    STREET_WORLD_LADDER,
    plan_ladder,
    report_ladder,
    run_ladder,
)
from mmseg_depthuda.apps.comparison.run_results import read_curves

ROOT = Path(__file__).parents[2]
SMALL = {
    'model.backbone.base_channels': 8,
    'model.backbone.stem_channels': 8,
    'model.decode_head.in_channels': 64,
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'val_dataloader.num_workers': 0,
    'val_dataloader.persistent_workers': False,
    'test_dataloader.num_workers': 0,
    'test_dataloader.persistent_workers': False,
    'default_hooks.logger.interval': 1,
    'default_hooks.checkpoint.interval': 2,
}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data') / 'street_world'
    options = '--source-images 4 --train-images 4 --val-images 2 --size 256x128 --workers 1'
    script = ROOT / 'tools/dataset_converters/street_world.py'
    subprocess.run([sys.executable, script, folder, *options.split()], check=True)
    return folder


def command(tool, *arguments, **options):
    settings = [f'{key}={value}' for key, value in (SMALL | options).items()]
    return [sys.executable, str(ROOT / tool), *map(str, arguments), '--cfg-options', *settings]


@pytest.fixture
def environment(world):
    return os.environ | dict(STREET_WORLD_ROOT=str(world), OMP_NUM_THREADS='1')


def train_options(iterations):
    return {
        'train_cfg.max_iters': iterations,
        'train_cfg.val_interval': iterations,
    }


def test_train_kill_resume_test_infer(tmp_path, world, environment):
    work_dir = tmp_path / 'run'
    arguments = ['corda/corda_r18_sim2real.py', '--work-dir', work_dir]
    endless = command('tools/train.py', *arguments, **train_options(10000))
    with open(tmp_path / 'log', 'w') as log:
        process = subprocess.Popen(
            endless, env=environment, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 300
        while not (work_dir / 'last_checkpoint').exists() and process.poll() is None:
            assert time.monotonic() < deadline, (tmp_path / 'log').read_text()[-3000:]
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL, (tmp_path / 'log').read_text()[-3000:]
    killed_at = Path((work_dir / 'last_checkpoint').read_text())
    checkpoint = torch.load(killed_at, weights_only=True, map_location='cpu')
    iteration = checkpoint['meta']['iter']
    assert checkpoint['ema_state_dict']['steps'] == iteration

    last = iteration + 4
    resumed = command('tools/train.py', *arguments, '--resume', **train_options(last))
    done = subprocess.run(resumed, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    final = work_dir / f'iter_{last}.pth'
    checkpoint = torch.load(final, weights_only=True, map_location='cpu')
    assert checkpoint['ema_state_dict']['steps'] == last

    resumed_log = sorted(work_dir.glob('*/vis_data/scalars.json'))[-1].read_text().splitlines()
    rows = [json.loads(line) for line in resumed_log]
    assert [row['step'] for row in rows if 'loss' in row] == list(range(iteration + 1, last + 1))
    assert 'mixed.loss_depth' in rows[0]
    (validation,) = (row['mIoU'] for row in rows if 'mIoU' in row)

    tested = command(
        'tools/test.py', 'corda/corda_r18_sim2real.py', final, '--work-dir', tmp_path / 'test'
    )
    done = subprocess.run(tested, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    (result,) = (tmp_path / 'test').glob('*/*.json')
    assert json.loads(result.read_text())['mIoU'] == pytest.approx(validation)

    check_inference(work_dir / 'corda_r18_sim2real.py', final, world)


def check_inference(config, checkpoint, world):
    """MMSeg's own inferencer on a PNG, with the config that the run has written."""
    (image, *_) = sorted((world / 'cityscapes/leftImg8bit/val').rglob('*.png'))
    inferencer = MMSegInferencer(str(config), str(checkpoint), device='cpu')
    labels = inferencer(str(image))['predictions']
    assert labels.shape == cv2.imread(str(image)).shape[:2]
    assert set(np.unique(labels)) <= set(range(19))
    assert len(inferencer.model.dataset_meta['classes']) == 19
    assert Config.fromfile(config).model.type == 'UDASegmentor'


@pytest.mark.parametrize(
    'config', ['source_only/source_only_r18_sim2real.py', 'dacs/dacs_r18_sim2real.py']
)
def test_other_methods_train_from_any_directory(tmp_path, environment, config):
    run = command('tools/train.py', config, '--work-dir', 'run', **train_options(2))
    done = subprocess.run(run, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert (tmp_path / 'run/iter_2.pth').exists()
    said = done.stdout + done.stderr
    assert 'mIoU' in said
    # The start is quiet; what is left out is in the log.
    assert (
        len(done.stdout.partition('Iter(train)')[0].splitlines()) + len(done.stderr.splitlines())
        <= 30
    )
    for notice in ('OneDL', 'MultiScaleDeformableAttention', 'UserWarning', 'env_cfg'):
        assert notice not in said
    assert 'env_cfg' in next((tmp_path / 'run').glob('*/*.log')).read_text()


@pytest.fixture
def own_images(tmp_path):
    """Two classes in folders: labeled source images, target images, labeled ones to validate."""
    rng = np.random.default_rng(0)
    for folder in ('source/images', 'target/images', 'target/val/images'):
        (tmp_path / folder).mkdir(parents=True)
        for index in range(3):
            image = rng.integers(0, 255, (150, 300, 3), np.uint8)
            cv2.imwrite(str(tmp_path / folder / f'{index}.png'), image)
    for folder in ('source/labels', 'target/val/labels'):
        (tmp_path / folder).mkdir()
        for index in range(3):
            label = rng.integers(0, 2, (150, 300), np.uint8)
            cv2.imwrite(str(tmp_path / folder / f'{index}.png'), label)
    return dict(OWN_SOURCE_ROOT=str(tmp_path / 'source'), OWN_TARGET_ROOT=str(tmp_path / 'target'))


def test_own_images_without_depth(tmp_path, environment, own_images):
    run = command(
        'tools/train.py', 'corda/corda_r18_own_images.py', '--work-dir', 'run', **train_options(2)
    )
    done = subprocess.run(
        run, env=environment | own_images, cwd=tmp_path, capture_output=True, text=True
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    assert 'give depth on mixed a weight, but' in output
    checkpoint = torch.load(tmp_path / 'run/iter_2.pth', weights_only=True, map_location='cpu')
    assert checkpoint['meta']['dataset_meta']['classes'] == ('background', 'road')
    weight = checkpoint['state_dict']['decode_head.final_seg.conv2d_list.0.weight']
    assert weight.shape[0] == 2


def test_ladder_of_two_iterations(tmp_path, world, monkeypatch):
    """The rungs' own options fit their configs: one that watches pseudo-labels, one without any."""
    monkeypatch.setenv('STREET_WORLD_ROOT', str(world))
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    settings = SMALL | train_options(2)
    settings['custom_hooks.1.interval'] = 1
    options = [f'{key}={value}' for key, value in settings.items()]
    rungs = {name: STREET_WORLD_LADDER[name] for name in ('source_only', 'simple_aux')}
    without_hooks = [option for option in options if not option.startswith('custom_hooks')]
    trainings = [
        *plan_ladder(tmp_path, {'source_only': rungs['source_only']}, [1], without_hooks),
        *plan_ladder(tmp_path, {'simple_aux': rungs['simple_aux']}, [1], options),
    ]
    assert run_ladder(trainings, jobs=2) == []

    table = report_ladder(tmp_path, trainings)
    for text in ('source_only', 'simple_aux', 'bicycle', 'at 256x128', 'negative transfer'):
        assert text in table
    curves = read_curves(trainings[1].work_dir)
    assert sorted(curves['pseudo_label.accuracy']) == [1, 2]
    pictures = ('classes', 'curves', 'predictions', 'negative_transfer')
    for name in ('comparison.csv', *(f'{picture}.png' for picture in pictures)):
        assert (tmp_path / name).stat().st_size > 100
