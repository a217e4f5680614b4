# Licensed under the Apache License 2.0, see LICENSE.
"""docs/own_images.md is done from top to bottom, on folders of three images."""

import json

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from scipy.io import savemat

from tests.docs.pages import DOCS, checkout, follow

PAGE = DOCS / 'own_images.md'
SIZE = (160, 320)
METRES = 9.47  # in the left half; nothing is known of the right one


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_own_images(data):
    """What a reader of the page has."""
    rng = np.random.default_rng(0)
    metres = np.full(SIZE, METRES)
    metres[:, SIZE[1] // 2 :] = 0
    (data / 'my_drive/depth').mkdir(parents=True)
    for name in ('0001', '0002', '0003'):
        for folder in ('my_drive', 'own_source', 'own_target', 'own_target/val'):
            write(data / f'{folder}/images/{name}.png', rng.integers(0, 256, (*SIZE, 3), np.uint8))
        for folder in ('own_source', 'own_target/val'):
            write(data / f'{folder}/labels/{name}.png', rng.integers(0, 2, SIZE, np.uint8))
        savemat(data / f'my_drive/depth/{name}.mat', dict(depth_map=metres))
        write(data / f'my_drive/depth_cm/{name}.png', np.rint(100 * metres).astype(np.uint16))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The checkout of a reader who has done everything."""
    folder = tmp_path_factory.mktemp('own_images')
    checkout(folder)
    write_own_images(folder / 'data')
    with pytest.MonkeyPatch.context() as monkeypatch:
        commands = follow(PAGE, folder, monkeypatch)
    assert len(commands) == 10
    return folder


def logged_losses(run):
    (scalars,) = run.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    return [row for row in rows if 'loss' in row]


@pytest.mark.parametrize(
    ('run', 'has_target_depth'),
    [('sim2own', False), ('sim2own_centimetres', True), ('sim2own_mono', True)]
    + [('two_classes', False)],
)
def test_every_experiment_trains_with_the_depth_there_is(folder, run, has_target_depth):
    rows = logged_losses(folder / 'work_dirs' / f'corda_r18_{run}')
    assert len(rows) == 2
    assert all(row['mixed.loss_seg'] >= 0 for row in rows)
    assert all(('mixed.loss_depth' in row) == has_target_depth for row in rows)
    assert (folder / f'work_dirs/corda_r18_{run}/iter_2.pth').is_file()


@pytest.mark.parametrize(
    ('config', 'settings'),
    [
        ('corda/corda_r18_sim2own_stereo', {}),
        (
            'corda/corda_r18_sim2own_stereo',
            dict(
                data_prefix=dict(img_path='images', depth_map_path='depth_cm'),
                depth_file='png_centimetres',
                depth_map_suffix='.png',
            ),
        ),
        ('my_drive/corda_r101_gta2own_stereo', {}),
    ],
)
def test_depth_that_is_there_is_read(folder, monkeypatch, config, settings):
    monkeypatch.chdir(folder)
    monkeypatch.setenv('OWN_TARGET_ROOT', 'data/my_drive')
    cfg = Config.fromfile(f'configs/{config}.py')
    assert cfg.val_dataloader is None
    target = cfg.train_dataloader.dataset.target
    target.update(settings)
    target.pipeline = [step for step in target.pipeline if step.type.startswith('Load')]
    dataset = DATASETS.build(target)
    assert len(dataset) == 3
    depth = dataset[1]['gt_depth_map']
    np.testing.assert_allclose(depth[:, :160], 655.36 / (METRES + 0.01), rtol=1e-5)
    assert (depth[:, 160:] == 0).all()


def test_pseudo_depth_of_every_image(folder):
    files = sorted((folder / 'data/my_drive/pseudo_depth').iterdir())
    assert [file.name for file in files] == ['0001.png', '0002.png', '0003.png']
    depth = cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16 and depth.shape == SIZE


def test_segmentation_of_every_image(folder):
    run = folder / 'work_dirs/corda_r18_sim2own'
    assert len(list(run.glob('pictures/vis_data/vis_image/*.png'))) == 3
    labels = [cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in (run / 'segmented').iterdir()]
    assert len(labels) == 3
    assert all(label.shape == SIZE and label.max() < 19 for label in labels)


def test_own_classes_are_validated(folder):
    (scalars,) = folder.glob('work_dirs/corda_r18_two_classes/*/vis_data/scalars.json')
    assert 'mIoU' in scalars.read_text()
