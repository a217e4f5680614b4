# Licensed under the Apache License 2.0, see LICENSE.
"""Files of the four layouts, read back the way users of the real datasets read them."""

import io
import json

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from mmseg_depthuda.apps.stereo import MatchingOptions, convert_pairs
from mmseg_depthuda.apps.stereo.pair_files import cityscapes_pairs
from mmseg_depthuda.apps.street_world.layouts import (
    PARTS,
    TO_VISTAS_ID,
    VAL_OFFSET,
    Record,
    cityscapes_files,
    crop,
    gta5_files,
    label_palette,
    mapillary_files,
    synthia_files,
)
from mmseg_depthuda.apps.street_world.world import StreetScene

SIZE = 128, 64


@pytest.fixture(scope='module')
def sim():
    return Record(StreetScene(0, 'sim', 0, SIZE))


@pytest.fixture(scope='module')
def real():
    return Record(StreetScene(0, 'real', 0, SIZE))


def decode(content, flags=cv2.IMREAD_UNCHANGED):
    return cv2.imdecode(np.frombuffer(content, np.uint8), flags)


@pytest.mark.parametrize(
    ('files', 'index', 'parts', 'paths'),
    [
        (
            gta5_files,
            0,
            ['image', 'label', 'depth'],
            'gta/images/00001.png gta/labels/00001.png gta/disparity/00001.png',
        ),
        (
            synthia_files,
            12,
            ['image', 'label', 'depth'],
            'synthia/RGB/0000012.png synthia/GT/LABELS/0000012.png '
            'synthia/parsed_LABELS/0000012.png synthia/Depth/0000012.png',
        ),
        (
            cityscapes_files,
            VAL_OFFSET + 5,
            ['image'],
            'cityscapes/leftImg8bit/val/munster/munster_000001_000019_leftImg8bit.png',
        ),
        (
            mapillary_files,
            12,
            PARTS,
            'mapillary/training/images/0000012.jpg mapillary/training/labels/0000012.png',
        ),
        (mapillary_files, VAL_OFFSET + 3, ['label'], 'mapillary/validation/labels/0000003.png'),
    ],
)
def test_paths(files, index, parts, paths):
    assert list(files(index, parts)) == paths.split()


def test_cityscapes_paths_of_every_part():
    stem = 'train/bochum/bochum_000001_000019'
    sequence = 'cityscapes/leftImg8bit_sequence/train/bochum/bochum_000001_0000'
    assert list(cityscapes_files(19, PARTS)) == [  # the second scene of the second of 18 cities
        f'cityscapes/leftImg8bit/{stem}_leftImg8bit.png',
        f'cityscapes/gtFine/{stem}_gtFine_labelIds.png',
        f'cityscapes/gtFine/{stem}_gtFine_labelTrainIds.png',
        f'cityscapes/depth/{stem}_depth_stereoscopic.mat',
        f'cityscapes/disparity/{stem}_leftImg8bit.png',
        f'cityscapes/disparity/{stem}_disparity.png',
        f'cityscapes/rightImg8bit/{stem}_rightImg8bit.png',
        f'{sequence}18_leftImg8bit.png',
        f'{sequence}19_leftImg8bit.png',
        f'{sequence}20_leftImg8bit.png',
        f'cityscapes/camera/{stem}_camera.json',
    ]


def test_no_two_scenes_share_a_file():
    indices = [*range(40), *range(VAL_OFFSET, VAL_OFFSET + 40)]
    paths = [path for i in indices for path in cityscapes_files(i, PARTS)]
    assert len(set(paths)) == len(paths)


def test_images_are_lossless(real):
    np.testing.assert_array_equal(decode(real.image()), real.left.image)


def test_gta_label_is_a_palette_png_whose_pixel_is_the_label_id(sim):
    image = Image.open(io.BytesIO(sim.gta_labels()))
    assert image.mode == 'P'
    np.testing.assert_array_equal(np.array(image), sim.left.label_ids)
    road, rider = (np.array(image.getpalette()).reshape(-1, 3)[i].tolist() for i in (7, 25))
    assert road == [128, 64, 128]
    assert rider == [255, 0, 0]


def test_palette_of_ids_outside_the_19_classes_is_black():
    palette = label_palette()
    assert palette.shape == (256, 3)
    assert (palette.any(axis=1)).sum() == 19


def test_synthia_labels(sim):
    labels = decode(sim.synthia_labels())
    assert labels.dtype == np.uint16 and labels.shape == (64, 128, 3)
    ids = labels[..., ::-1][..., 0]  # first channel in RGB order
    # Cityscapes label id: SYNTHIA id (road, building, pole, vegetation, sky, person, car)
    for label_id, synthia_id in ((7, 3), (11, 2), (17, 7), (21, 6), (23, 1), (24, 10), (26, 8)):
        np.testing.assert_array_equal(ids == synthia_id, sim.left.label_ids == label_id)
    parsed = decode(sim.synthia_ids())
    assert parsed.dtype == np.uint8
    np.testing.assert_array_equal(parsed, ids)


def test_synthia_depth_is_exact_centimetres(sim):
    centimetres = decode(sim.centimetres())
    assert centimetres.dtype == np.uint16 and centimetres.ndim == 2
    sky = sim.left.label_ids == 23
    assert (centimetres[sky] == 65535).all()
    near = sim.left.depth < 600
    np.testing.assert_allclose(centimetres[near] / 100, sim.left.depth[near], atol=0.0051)


@pytest.mark.parametrize(
    ('index', 'size'),  # (width, height) of the 128x64 image
    [(0, (128, 64)), (1, (128, 64)), (2, (85, 64)), (5, (48, 64)), (8, (85, 64))],
)
def test_mapillary_images_of_several_shapes(real, index, size):
    image, labels = (encode(real) for encode in mapillary_files(index, PARTS).values())
    left, right = (128 - size[0]) // 2, (128 - size[0]) // 2 + size[0]
    assert image.startswith(b'\xff\xd8\xff')  # JPEG
    # JPEG halves the resolution of color, so that brightness is what has to agree.
    found, expected = (
        cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY).astype(float)
        for pixels in (decode(image), np.ascontiguousarray(real.left.image[:, left:right]))
    )
    assert np.abs(found - expected).mean() < 2 < np.abs(found[:, 1:] - expected[:, :-1]).mean()
    labels = Image.open(io.BytesIO(labels))
    assert labels.mode == 'P' and labels.size == size
    ids, label_ids = np.asarray(labels), real.left.label_ids[:, left:right]
    # Cityscapes label id: Vistas id (road, sidewalk, building, pole, vegetation, sky, person, car)
    for label_id, vistas_id in (
        (7, 13), (8, 15), (11, 17), (17, 45), (21, 30), (23, 27), (24, 19), (26, 55),
    ):  # fmt: skip
        np.testing.assert_array_equal(ids == vistas_id, label_ids == label_id)
    palette = np.array(labels.getpalette()).reshape(-1, 3)
    assert palette[13].tolist() == [128, 64, 128] and palette[65].tolist() == [0, 0, 0]


def test_every_class_has_its_vistas_id():
    """Typed from the dataset's list of 66, in the order of the train ids."""
    expected = (13, 15, 17, 6, 3, 45, 48, 50, 30, 29, 27, 19, 20, 55, 61, 54, 58, 57, 52)
    label_ids = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    np.testing.assert_array_equal(TO_VISTAS_ID[list(label_ids)], expected)
    assert (np.delete(TO_VISTAS_ID, label_ids) == 65).all()  # Unlabeled


def test_crop_of_a_tall_image():
    rows = np.repeat(np.arange(12)[:, None], 8, axis=1)
    np.testing.assert_array_equal(crop(rows, (4, 3))[:, 0], [3, 4, 5, 6, 7, 8])
    assert crop(rows, (1, 3)).shape == (12, 4)
    assert crop(rows, None) is rows


def test_train_ids(real):
    train_ids, label_ids = decode(real.train_ids()), decode(real.label_ids())
    for label_id, train_id in ((7, 0), (8, 1), (11, 2), (23, 10), (26, 13), (33, 18)):
        np.testing.assert_array_equal(train_ids == train_id, label_ids == label_id)


def test_stereo_depth_mat():
    record = Record(StreetScene(0, 'real', 0, (512, 256)))
    depth = loadmat(io.BytesIO(record.stereo_depth()))['depth_map']
    assert depth.dtype == np.float32
    found, sky = depth > 0, record.left.label_ids == 23
    # The sky (but for the rim of what stands before it) and more is missing, not most of the rest.
    assert found[sky].mean() < 0.35
    assert 0.8 < found[~sky].mean() < 0.98
    assert np.median(np.abs(depth[found] / record.left.depth[found] - 1)) < 0.05


def test_stereo_depth_is_what_the_tool_makes_of_the_written_images(real, tmp_path):
    files = cityscapes_files(0, ['image', 'depth', 'right', 'camera'])
    for path, encode in files.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_bytes(encode(real))
    (written,) = tmp_path.rglob('*_stereoscopic.mat')
    pairs = cityscapes_pairs(
        str(tmp_path / 'cityscapes'), str(tmp_path / 'again'), 'train', {'stereo': 'mat_metres'}
    )
    convert_pairs(pairs, MatchingOptions())
    (again,) = (tmp_path / 'again').rglob('*.mat')
    assert again.read_bytes() == written.read_bytes()


def test_exact_depth_mat(real):
    depth = loadmat(io.BytesIO(real.exact_depth()))['depth_map']
    sky = real.left.label_ids == 23
    assert (depth[sky] == 0).all()
    np.testing.assert_array_equal(depth[~sky], real.left.depth[~sky])


def test_official_disparity_and_camera_give_the_depth_of_the_mat(real):
    raw = decode(real.official_disparity())
    assert raw.dtype == np.uint16
    camera = json.loads(real.camera())
    depth = loadmat(io.BytesIO(real.stereo_depth()))['depth_map']
    np.testing.assert_array_equal(raw == 0, depth == 0)
    valid = raw > 0
    disparity = (raw[valid].astype(np.float64) - 1) / 256
    expected = camera['intrinsic']['fx'] * camera['extrinsic']['baseline'] / depth[valid]
    np.testing.assert_allclose(disparity, expected, atol=0.5 / 256 + 1e-5)


def test_camera_json_has_the_keys_of_cityscapes(real):
    camera = json.loads(real.camera())
    assert set(camera['intrinsic']) == {'fx', 'fy', 'u0', 'v0'}
    assert set(camera['extrinsic']) == {'baseline', 'pitch', 'roll', 'yaw', 'x', 'y', 'z'}
    assert camera['intrinsic']['u0'] == (SIZE[0] - 1) / 2


def test_encoding_twice_gives_the_same_bytes(real):
    """SciPy writes the time into the header of a MAT file; it must not get in."""
    again = Record(StreetScene(0, 'real', 0, SIZE))
    for encode in cityscapes_files(0, PARTS).values():
        assert encode(real) == encode(again)
    assert real.stereo_depth().startswith(b'MATLAB 5.0 MAT-file')
