# Licensed under the Apache License 2.0, see LICENSE.
"""Views and camera through the pipeline: afterwards they still belong together."""

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS, MODELS

from mmseg_depthuda.apps.street_world import StreetScene, WorldConfig, generate
from mmseg_depthuda.view_synthesis import warp

PARTS = ('image', 'right', 'sequence', 'camera')


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('world')
    generate(root, WorldConfig(0, 1, 0, size=(256, 128), layouts=('cityscapes',), parts=PARTS))
    return root / 'cityscapes'


@pytest.fixture(scope='module')
def sample(world):
    """What the dataset says of the one frame with neighbors and right image."""
    dataset = DATASETS.build(
        dict(
            type='CityscapesSequenceDataset',
            data_root=str(world),
            data_prefix=dict(right_path='rightImg8bit/train'),
            pipeline=[],
        )
    )
    assert len(dataset) == 1
    return dataset.get_data_info(0)


def run(info, *steps):
    return Compose([dict(type='LoadSequence'), *steps])(dict(info))


SCALE = dict(type='ResizeSequence', scale=(160, 80))
PACK = dict(type='PackSequenceInputs')


def test_loading(sample):
    results = run(sample)
    camera = StreetScene(0, 'real', 0, (256, 128)).camera()
    np.testing.assert_allclose(results['camera_matrix'], camera.matrix, atol=1e-9)
    assert results['right_from_left'] == -camera.baseline
    views = [results['img'], *results['source_imgs']]
    scene = StreetScene(0, 'real', 0, (256, 128))
    expected = [scene.view(), scene.view(-1), scene.view(1), scene.view(right=True)]
    for view, reference in zip(views, expected, strict=True):
        np.testing.assert_array_equal(view, reference.image)


@pytest.mark.parametrize('flipped', [False, True])
@pytest.mark.parametrize('steps', [(), (SCALE,)])
def test_camera_and_views_belong_together(sample, steps, flipped):
    """The true depth warps the right view to the frame, whatever was done to both."""
    preprocessor = MODELS.build(
        dict(type='SequenceDataPreProcessor', mean=[0], std=[1], flip_prob=float(flipped))
    )
    packed = preprocessor(pseudo_collate([run(sample, *steps, PACK)]), training=True)
    views = packed['images'][0].double()
    height, width = views.shape[2:]
    depth = StreetScene(0, 'real', 0, (256, 128)).view().depth.clip(max=1e6)
    depth = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    depth = torch.from_numpy(depth[:, ::-1].copy() if flipped else depth)[None, None].double()
    intrinsics, pose = (packed[key].double() for key in ('intrinsics', 'stereo_pose'))
    right, frame = views[3:], views[:1]

    def difference(pose, intrinsics=intrinsics):
        error = (warp(right, depth, pose, intrinsics) - frame).abs().mean((0, 1))
        return error[(depth[0, 0] < 15)].mean().item()

    true = difference(pose)
    assert true < 0.6 * difference(torch.eye(4).double()[None])
    assert true < 0.6 * difference(pose.inverse())
    shifted = intrinsics.clone()
    shifted[:, 0, 0] *= 1.5
    assert true < 0.8 * difference(pose, shifted)


def test_the_camera_after_resize_by_hand(sample):
    """fx = 100, cx = 99.5 (pixel centers are integers): the middle stays the middle."""
    results = run(sample)
    results['camera_matrix'] = np.array([[100, 0, 127.5], [0, 100, 20], [0, 0, 1.0]])
    resized = Compose([dict(type='ResizeSequence', scale=(128, 32))])(dict(results))
    expected = [[50, 0, 63.5], [0, 25, 20.5 / 4 - 0.5], [0, 0, 1]]
    np.testing.assert_allclose(resized['camera_matrix'], expected)


def test_packing(sample):
    packed = run(sample, PACK)
    assert packed['inputs'].shape == (4, 3, 128, 256) and packed['inputs'].dtype == torch.uint8
    assert packed['intrinsics'].dtype == packed['stereo_pose'].dtype == torch.float32
    expected = np.eye(4)
    expected[0, 3] = -StreetScene(0, 'real', 0, (256, 128)).camera().baseline
    np.testing.assert_allclose(packed['stereo_pose'], expected, atol=1e-6)
    meta = packed['data_samples'].metainfo
    assert meta['frame_offsets'] == (-1, 1) and meta['img_shape'] == (128, 256)
    single = dict(sample, source_paths=sample['source_paths'][:2])
    del single['has_right']
    packed = run(single, PACK)
    assert packed['inputs'].shape[0] == 3 and 'stereo_pose' not in packed


# -- bad input -------------------------------------------------------------------------------------


@pytest.fixture
def frames(files):
    generator = np.random.default_rng(0)
    paths = [
        str(files.png(f'{i}.png', generator.integers(256, size=(12, 20, 3), dtype=np.uint8)))
        for i in range(3)
    ]
    return dict(
        img_path=paths[1],
        source_paths=[paths[0], paths[2]],
        frame_offsets=(-1, 1),
        intrinsics=dict(fx=1.1, fy=1.9, cx=0.5, cy=0.5),
    )


def test_views_of_different_size(files, frames):
    files.png('2.png', np.arange(11 * 20 * 3, dtype=np.uint8).reshape(11, 20, 3))
    with pytest.raises(ValueError, match=r'2\.png is 20x11.*1\.png.*is 20x12.*one size'):
        run(frames)


@pytest.mark.parametrize('index', [0, 1])
def test_a_frame_that_shows_nothing(files, frames, index):
    files.png(f'{index}.png', np.full((12, 20, 3), 7, np.uint8))
    with pytest.raises(ValueError, match=rf'every value of .*{index}\.png is 7.*Remove the file'):
        run(frames)


def test_frames_that_repeat(files, frames):
    """One neighbor that is the frame itself still leaves the other; two leave nothing."""
    repeated = dict(frames, source_paths=[frames['img_path'], frames['source_paths'][1]])
    run(repeated)
    repeated['source_paths'] = [frames['img_path']] * 2
    with pytest.raises(ValueError, match=r'1\.png is the same image as .*1\.png.*Remove repeated'):
        run(repeated)


def test_a_right_image_that_is_the_left_one(files, frames):
    info = camera_of(frames, files, extrinsic=dict(baseline=0.2))
    info.update(has_right=True, source_paths=[*frames['source_paths'], frames['img_path']])
    with pytest.raises(ValueError, match=r'right_path: .*1\.png is the same image as'):
        run(info)


def test_focal_lengths_as_shares_of_the_width_alone(files, frames):
    """Of 20x12: 22 pixels are 1.1 of the width, and 1.83 of the height, not 1.1."""
    frames['intrinsics'].update(fy=22 / 12)
    run(frames)
    frames['intrinsics'].update(fy=22 / 20)
    with pytest.raises(ValueError, match=r'1\.png: .*20x12 focal lengths of 22 .*and 13 in y'):
        run(frames)


def test_damaged_frame(files, frames):
    files.truncate('2.png', 0.5)
    with pytest.raises(ValueError, match=r'source_paths: .*2\.png is truncated'):
        run(frames)


def camera_of(frames, files, intrinsic=None, **content):
    intrinsic = dict(fx=22, fy=22, u0=9.5, v0=5.5) | (intrinsic or {})
    path = files.json('camera.json', dict(intrinsic=intrinsic, **content))
    info = dict(frames, camera_path=str(path))
    del info['intrinsics']
    return info


def test_camera_of_images_of_another_size(files, frames):
    """That of 40x24 images with images of 20x12: an error, unless the size is told."""
    info = camera_of(frames, files, dict(fx=44, fy=44, u0=19.5, v0=11.5))
    with pytest.raises(ValueError, match=r'camera\.json, for images of 20x12.*another size'):
        run(info)
    results = run(dict(info, calibrated_size=(40, 24)))
    expected = [[22, 0, 9.5], [0, 22, 5.5], [0, 0, 1]]
    np.testing.assert_allclose(results['camera_matrix'], expected)


def test_right_images_need_a_baseline(files, frames):
    info = camera_of(frames, files)
    assert 'right_from_left' not in run(info)
    info['source_paths'] = [*info['source_paths'], info['source_paths'][0]]
    with pytest.raises(ValueError, match=r'camera\.json must be .* extrinsic\.baseline \(meters\)'):
        run(dict(info, has_right=True))


@pytest.mark.parametrize('with_file', [False, True])
def test_a_camera_of_another_shape_is_refused_with_both_sizes(files, frames, with_file):
    info = dict(frames, camera_name='intrinsics: a.json')
    name = 'intrinsics: a.json'
    if with_file:
        info, name = camera_of(frames, files), 'camera.json'
    run(dict(info, calibrated_size=(20, 12)))
    with pytest.raises(ValueError, match=rf'{name} was .* of 20x15, but .*1\.png is 20x12'):
        run(dict(info, calibrated_size=(20, 15)))
