# Licensed under the Apache License 2.0, see LICENSE.
import json

import numpy as np
import pytest

from mmseg_depthuda.datasets.cameras import (
    PinholeIntrinsics,
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
    ],
)
def test_impossible_intrinsics(change, message):
    with pytest.raises(ValueError, match=message):
        PinholeIntrinsics(**(dict(fx=1.0, fy=1.0, cx=0.5, cy=0.5) | change))


def test_json_file(tmp_path):
    path = tmp_path / 'intrinsics.json'
    path.write_text(json.dumps(PIXELS))
    assert read_intrinsics(str(path)) == PinholeIntrinsics.from_pixels(**PIXELS)
    path.write_text(json.dumps({key: PIXELS[key] for key in ('fx', 'fy', 'cx', 'cy')}))
    with pytest.raises(ValueError, match="intrinsics.json must be.*'width'"):
        read_intrinsics(str(path))
    path.write_text(json.dumps(dict(PIXELS, width=1000)))
    with pytest.raises(ValueError, match=r'intrinsics.json, for images of 1000x50.*fx|cx'):
        read_intrinsics(str(path))
    with pytest.raises(FileNotFoundError, match='nowhere.json'):
        read_intrinsics(str(tmp_path / 'nowhere.json'))


def test_camera_file_of_cityscapes(tmp_path):
    path = tmp_path / 'a_camera.json'
    intrinsic = dict(fx=2262.52, fy=2265.30, u0=1096.98, v0=513.137)
    path.write_text(json.dumps(dict(intrinsic=intrinsic, extrinsic=dict(baseline=0.209313))))
    camera, baseline = read_cityscapes_camera(str(path), 2048, 1024)
    assert baseline == 0.209313
    expected = [[2262.52, 0, 1096.98], [0, 2265.30, 513.137], [0, 0, 1]]
    np.testing.assert_allclose(camera.matrix(2048, 1024), expected)
    # Images that were resized without their camera.
    with pytest.raises(ValueError, match='a_camera.json, for images of 1024x512.*middle half'):
        read_cityscapes_camera(str(path), 1024, 512)
    path.write_text(json.dumps(dict(intrinsic=intrinsic)))
    assert read_cityscapes_camera(str(path), 2048, 1024)[1] is None
    for broken in ('[]', '{"intrinsic": {"fx": 1}}', '{'):
        path.write_text(broken)
        with pytest.raises(ValueError, match='a_camera.json must be'):
            read_cityscapes_camera(str(path), 2048, 1024)
