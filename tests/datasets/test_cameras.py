# Licensed under the Apache License 2.0, see LICENSE.
import json

import numpy as np
import pytest

from mmseg_depthuda.datasets.cameras import (
    PinholeIntrinsics,
    check_calibrated_size,
    read_cityscapes_camera,
    read_intrinsics,
)

PIXELS = dict(fx=100.0, fy=90.0, cx=49.5, cy=31.0, width=100, height=50)


def test_pixels_and_shares():
    """The middle of an image of 100 pixels lies between those at 49 and 50."""
    camera = PinholeIntrinsics.from_pixels(**dict(PIXELS, cy=24.5))
    assert camera == PinholeIntrinsics(fx=1.0, fy=1.8, cx=0.5, cy=0.5)
    expected = [[200, 0, 99.5], [0, 180, 49.5], [0, 0, 1]]
    np.testing.assert_allclose(camera.matrix(200, 100), expected)
    np.testing.assert_allclose(
        PinholeIntrinsics.from_pixels(**PIXELS).matrix(100, 50),
        [[100, 0, 49.5], [0, 90, 31], [0, 0, 1]],
    )


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(fx=720.0), 'fx=720.*shares of the width.*Divide pixels'),
        (dict(fy=-1.0), 'fy=-1.*0.1..10'),
        (dict(cx=0.9), 'cx=0.9.*middle half.*another size'),
        (dict(cy=float('nan')), 'not finite'),
        (dict(cx=0.71, cy=0.67), 'same direction.*another size'),
        (dict(cx=0.35, cy=0.33), 'same direction'),
    ],
)
def test_impossible_intrinsics(change, message):
    with pytest.raises(ValueError, match=message):
        PinholeIntrinsics(**(dict(fx=1.0, fy=1.0, cx=0.5, cy=0.5) | change))


def test_json_file(tmp_path):
    path = tmp_path / 'intrinsics.json'
    path.write_text(json.dumps(PIXELS))
    camera, size = read_intrinsics(str(path))
    assert camera == PinholeIntrinsics.from_pixels(**PIXELS)
    assert size == (PIXELS['width'], PIXELS['height'])
    path.write_text(json.dumps({key: PIXELS[key] for key in ('fx', 'fy', 'cx', 'cy')}))
    with pytest.raises(ValueError, match="intrinsics.json must be.*'width'"):
        read_intrinsics(str(path))
    path.write_text(json.dumps(dict(PIXELS, width=1000)))
    with pytest.raises(ValueError, match=r'intrinsics.json, for images of 1000x50.*fx|cx'):
        read_intrinsics(str(path))
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        read_intrinsics(str(tmp_path / 'nowhere.json'))


@pytest.mark.parametrize('size', [(640, 480), (320, 240), (1281, 960), (645, 480)])
def test_a_resized_image_has_the_shape_of_its_calibration(size):
    check_calibrated_size('a.json', (640, 480), *size, 'b.png')


@pytest.mark.parametrize('size', [(640, 360), (480, 640), (600, 480)])
def test_a_crop_has_another_shape_than_its_calibration(size):
    width, height = size
    message = f'a.json was .* of 640x480, but b.png is {width}x{height}, .*{width} and {height}'
    with pytest.raises(ValueError, match=message):
        check_calibrated_size('a.json', (640, 480), width, height, 'b.png')


# -- Cityscapes ------------------------------------------------------------------------------------

INTRINSIC = dict(fx=2262.52, fy=2265.30, u0=1096.98, v0=513.137)
ALL = ('fx', 'fy', 'u0', 'v0', 'baseline')


@pytest.fixture
def read(tmp_path):
    """Reads what is given as JSON, or written as it is if it is text."""

    def read(content, **options):
        path = tmp_path / 'a_camera.json'
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_cityscapes_camera(path, 'camera_path', **options)

    return read


def test_camera_file_of_cityscapes(read):
    camera = read(dict(intrinsic=INTRINSIC, extrinsic=dict(baseline=0.209313, x=1.7)), needs=ALL)
    assert [getattr(camera, number) for number in ALL] == [*INTRINSIC.values(), 0.209313]
    expected = [[2262.52, 0, 1096.98], [0, 2265.30, 513.137], [0, 0, 1]]
    np.testing.assert_allclose(camera.intrinsics(2048, 1024).matrix(2048, 1024), expected)
    # Images that were resized without their camera.
    with pytest.raises(
        ValueError, match=r'camera_path: .*a_camera.json, for images of 1024x512.*middle half'
    ):
        camera.intrinsics(1024, 512)


def test_only_the_needed_numbers_have_to_be_there(read):
    camera = read(dict(intrinsic=INTRINSIC), needs=('fx', 'fy', 'u0', 'v0'))
    assert camera.baseline is None
    with pytest.raises(ValueError, match=r'a_camera.json lacks .*extrinsic.baseline \(meters\)'):
        camera.number('baseline')
    camera = read(dict(intrinsic=dict(fx=700, u0=None), extrinsic=dict(baseline=0.2)))
    assert (camera.fx, camera.baseline, camera.u0, camera.v0) == (700, 0.2, None, None)
    # A baseline that nobody uses may be anything.
    read(dict(intrinsic=INTRINSIC, extrinsic=dict(baseline=209.3)), needs=('fx',))


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('[]', 'must be a JSON file'),
        ('{', 'must be a JSON file'),
        (dict(extrinsic=dict(baseline=0.2)), "must be.*KeyError\\('intrinsic'\\)"),
        (dict(intrinsic={}, extrinsic=dict(baseline=0.2)), "must be.*KeyError\\('fx'\\)"),
        (
            dict(intrinsic=INTRINSIC),
            r'must be a JSON file with the numbers intrinsic.fx \(pixels\), extrinsic.baseline '
            r"\(meters\), but: KeyError\('baseline'\)",
        ),
        (dict(intrinsic=INTRINSIC, extrinsic=[0.2]), 'must be.*extrinsic.baseline'),
        (dict(intrinsic=INTRINSIC, extrinsic=dict(baseline='wide')), "must be.*'wide'"),
        (dict(intrinsic=INTRINSIC, extrinsic=dict(baseline=None)), 'must be.*NoneType'),
        (
            dict(intrinsic=INTRINSIC, extrinsic=dict(baseline=209.313)),
            'the baseline is 209.313.*0.005 and 20.0 meters.*another unit',
        ),
        (dict(intrinsic=INTRINSIC, extrinsic=dict(baseline=0)), 'the baseline is 0.0'),
        (dict(intrinsic=INTRINSIC, extrinsic=dict(baseline=float('nan'))), 'the baseline is nan'),
        (dict(intrinsic=dict(fx=0), extrinsic=dict(baseline=0.2)), 'fx is 0.0.*positive'),
        (dict(intrinsic=dict(fx=float('inf')), extrinsic=dict(baseline=0.2)), 'fx is inf'),
    ],
)
def test_wrong_camera_files(read, content, message):
    with pytest.raises(ValueError, match=rf'^camera_path: .*a_camera.json:? {message}'):
        read(content)


def test_missing_camera_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='camera_path: .*nowhere.json does not exist'):
        read_cityscapes_camera(tmp_path / 'nowhere.json', 'camera_path')
