# Licensed under the Apache License 2.0, see LICENSE.
"""docs/own_images.md is done from top to bottom, on folders of three images."""

import json

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from tests.docs.pages import DOCS, checkout, follow

PAGE = DOCS / 'own_images.md'
SIZE = (160, 320)
DISPARITY = 50.0  # pixels, in the left half; nothing is known of the right one
METRES = 2262.5 * 0.2093 / DISPARITY


def write(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


def write_own_images(data):
    """What a reader of the page has."""
    rng = np.random.default_rng(0)
    disparity = np.full(SIZE, DISPARITY)
    disparity[:, SIZE[1] // 2 :] = -1
    metres = np.where(disparity > 0, METRES, 0)
    for folder in ('disparity', 'depth_mat'):
        (data / 'my_drive' / folder).mkdir(parents=True)
    for name in ('0001', '0002', '0003'):
        for folder in ('my_drive', 'own_source', 'own_target', 'own_target/val'):
            write(data / f'{folder}/images/{name}.png', rng.integers(0, 256, (*SIZE, 3), np.uint8))
        for folder in ('own_source', 'own_target/val'):
            write(data / f'{folder}/labels/{name}.png', rng.integers(0, 2, SIZE, np.uint8))
        np.save(data / f'my_drive/disparity/{name}.npy', disparity)
        savemat(data / f'my_drive/depth_mat/{name}.mat', dict(depth_map=metres))


@pytest.fixture(scope='module')
def folder(tmp_path_factory, street_world):
    """The checkout of a reader who has done everything."""
    folder = tmp_path_factory.mktemp('own_images')
    checkout(folder)
    write_own_images(folder / 'data')
    (folder / 'data/street_world').symlink_to(street_world)
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
    [('my_drive', False), ('my_drive_stereo', True), ('my_drive_mat', True)]
    + [('my_drive_pseudo_depth', True), ('two_classes', False)],
)
def test_every_experiment_trains_with_the_depth_there_is(folder, run, has_target_depth):
    rows = logged_losses(folder / 'work_dirs' / f'corda_r18_{run}')
    assert len(rows) == 2
    assert all(row['mixed.loss_seg'] >= 0 for row in rows)
    assert all(('mixed.loss_depth' in row) == has_target_depth for row in rows)
    assert (folder / f'work_dirs/corda_r18_{run}/iter_2.pth').is_file()


def test_depth_of_disparity(folder):
    depth = cv2.imread(str(folder / 'data/my_drive/depth/0002.png'), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16 and depth.shape == SIZE
    assert (depth[:, : SIZE[1] // 2] == round(100 * METRES)).all()
    assert (depth[:, SIZE[1] // 2 :] == 0).all()


def test_pseudo_depth_of_every_image(folder):
    files = sorted((folder / 'data/my_drive/pseudo_depth').iterdir())
    assert [file.name for file in files] == ['0001.png', '0002.png', '0003.png']
    depth = cv2.imread(str(files[0]), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16 and depth.shape == SIZE


def test_segmentation_of_every_image(folder):
    segmented = folder / 'work_dirs/corda_r18_my_drive/segmented'
    assert len(list((segmented / 'vis').iterdir())) == 3
    labels = [
        cv2.imread(str(file), cv2.IMREAD_UNCHANGED) for file in (segmented / 'pred').iterdir()
    ]
    assert len(labels) == 3
    assert all(label.shape == SIZE and label.max() < 19 for label in labels)


def test_own_classes_are_validated(folder):
    (scalars,) = folder.glob('work_dirs/corda_r18_two_classes/*/vis_data/scalars.json')
    assert 'mIoU' in scalars.read_text()
