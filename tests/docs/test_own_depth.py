# Licensed under the Apache License 2.0, see LICENSE.
"""docs/own_depth.md is done from top to bottom, on two short drives of the street world."""

import json
import re

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from scipy.io import loadmat

from mmseg_depthuda.apps.street_world import StreetScene
from tests.docs.pages import DOCS, checkout, code_blocks, command_lines, follow

PAGE = DOCS / 'own_depth.md'
SIZE = (256, 128)
FRAMES = [f'drive_{drive:02d}/frame_{frame:04d}' for drive in (1, 2) for frame in (1, 2, 3)]


def scene(name):
    return StreetScene(seed=0, domain='real', index=int(name[6:8]), size=SIZE)


def write_drives(root):
    """What a reader of the page has: left and right frames, and the camera as it is shown there."""
    for name in FRAMES:
        for folder, right in (('images', False), ('right', True)):
            path = root / folder / f'{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            image = scene(name).view(right=right, frame=int(name[-4:])).image
            assert cv2.imwrite(str(path), image[..., ::-1])
    (camera,) = (block.code for block in code_blocks(PAGE) if block.language == 'json')
    (root / 'intrinsics.json').write_text(camera)


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    """The page with the focal length of these images, which are half as wide as those it shows."""
    text = PAGE.read_text()
    assert text.count('--fx 512') == 1
    copy = tmp_path_factory.mktemp('page') / PAGE.name
    copy.write_text(text.replace('--fx 512', '--fx 256'))
    return copy


@pytest.fixture(scope='module')
def folder(tmp_path_factory, page):
    """The checkout of a reader who has done everything."""
    folder = tmp_path_factory.mktemp('own_depth')
    checkout(folder)
    write_drives(folder / 'data/my_drive')
    with pytest.MonkeyPatch.context() as monkeypatch:
        commands = follow(page, folder, monkeypatch)
    shown = [b for b in code_blocks(page) if b.language == 'bash']
    assert len(commands) == sum(len(command_lines(block.code)) for block in shown) == 11
    return folder


def logged(folder, run, key):
    files = (folder / 'work_dirs' / run).glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [row[key] for row in rows if key in row]


def test_stereo_depth_is_that_of_the_scene(folder):
    """Matched depth against the rendered truth, in meters: the numbers of the camera arrived."""
    for name in FRAMES:
        depth = loadmat(folder / f'data/my_drive/depth/{name}.mat')['depth_map']
        truth = scene(name).view(frame=int(name[-4:])).depth
        near = (depth > 0) & (truth < 20)
        assert near.mean() > 0.2
        error = np.abs(depth[near] - truth[near]) / truth[near]
        assert np.median(error) < 0.05


def test_every_frame_has_pseudo_depth(folder):
    for name in FRAMES:
        path = folder / f'data/my_drive/pseudo_depth/{name}.png'
        depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16 and depth.shape == SIZE[::-1]
        assert (depth.min(), depth.max()) == (1, 65535)  # normalized: video has no meters


def test_the_log_shows_what_the_page_says(folder):
    run = 'monodepth2_r18_own_video'
    explained = logged(folder, run, 'explained')
    assert len(explained) == 2 and all(0 < share < 1 for share in explained)
    assert len(logged(folder, run, 'loss_photometric')) == 2
    (log,) = (folder / 'work_dirs' / run).glob('*/*.log')
    # The last of the three frames is the first one's neighbor of a neighbor.
    assert re.search(r'2 of 6 frames in \S+ have neighbors at \(-1, 1\)', log.read_text())


@pytest.mark.parametrize(('run', 'trainings'), [('stereo', 2), ('mono', 1)])
def test_corda_trains_on_the_depth(folder, run, trainings):
    losses = logged(folder, f'corda_r18_sim2own_{run}', 'mixed.loss_depth')
    assert len(losses) == 2 * trainings and all(loss > 0 for loss in losses)


def test_pictures_of_the_depth(folder):
    for name in ('depth', 'pseudo_depth'):
        picture = cv2.imread(str(folder / f'data/my_drive/{name}.png'))
        assert picture.shape == (4 * 256, 1024, 3)


def test_the_list_names_the_images(folder):
    listed = folder / 'data/my_drive/depth/stereo_depth_pairs.txt'
    assert listed.read_text().split() == FRAMES


def test_the_result(folder):
    root = folder / 'data/my_drive/segmented'
    labels = sorted(root.rglob('*.png'))
    assert [str(path.relative_to(root).with_suffix('')) for path in labels] == FRAMES
    for path in labels:
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        assert label.shape == SIZE[::-1] and label.max() < 19
    assert list(folder.glob('work_dirs/corda_r18_sim2own_stereo/pictures/**/*.png'))


def test_another_size_keeps_the_shape(folder, monkeypatch):
    """The two sizes that the page names for 16:9 and 4:3, and sizes that would break the batch."""
    path = folder / 'configs/corda/corda_r18_sim2own_stereo.py'
    for size in ('256x144', '256x192'):
        assert size in PAGE.read_text()
        monkeypatch.setenv('OWN_TARGET_SIZE', size)
        cfg = Config.fromfile(path)
        expected = tuple(map(int, size.split('x')))
        steps = cfg.train_dataloader.dataset.target.pipeline + cfg.test_pipeline
        assert [step.scale for step in steps if 'scale' in step] == [expected] * 2
        assert any(step.get('crop_size') == (128, 256) for step in steps)
    for size in ('255x128', '256', '256x', '256x128x3', 'large'):
        monkeypatch.setenv('OWN_TARGET_SIZE', size)
        with pytest.raises(ValueError, match='OWN_TARGET_SIZE must be WIDTHxHEIGHT.*at least 256'):
            Config.fromfile(path)
