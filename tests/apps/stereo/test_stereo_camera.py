# Licensed under the Apache License 2.0, see LICENSE.
import json

import pytest

from mmseg_depthuda.apps.stereo import StereoCamera, read_camera
from mmseg_depthuda.apps.stereo.rectification import StereoPairError


@pytest.fixture
def camera_file(tmp_path):
    def write(baseline=0.22, **intrinsic):
        path = tmp_path / 'a_camera.json'
        path.write_text(json.dumps(dict(intrinsic=intrinsic, extrinsic=dict(baseline=baseline))))
        return path

    return write


def test_camera_file(camera_file):
    camera = read_camera(camera_file(fx=2262.5, fy=2265.3, u0=1096.9, v0=513.1))
    assert (camera.fx, camera.baseline, camera.u0) == (2262.5, 0.22, 1096.9)
    assert camera.focal_baseline == pytest.approx(497.75)
    assert read_camera(camera_file(fx=700)).u0 is None


def test_wrong_camera_file(camera_file):
    with pytest.raises(ValueError, match='camera: .*a_camera.json: the baseline is 220.*meters'):
        read_camera(camera_file(baseline=220, fx=700))


@pytest.mark.parametrize(
    ('fx', 'baseline', 'message'),
    [
        (float('nan'), 0.2, 'fx is nan'),
        (-700, 0.2, 'fx is -700'),
        (700, 120, 'baseline is 120.*another unit'),
        (700, float('nan'), 'baseline is nan'),
    ],
)
def test_impossible_numbers_of_the_command_line(fx, baseline, message):
    with pytest.raises(ValueError, match=f'--fx and --baseline: .*{message}'):
        StereoCamera(fx, baseline)


def test_a_camera_of_larger_images(camera_file):
    camera = read_camera(camera_file(fx=2262.5, u0=1096.9))
    camera.check_fits(2048, 1024)
    message = 'fx 2262.5 and u0 1096.9 do not belong to images of '
    with pytest.raises(StereoPairError, match=f'{message}1024x512'):
        camera.check_fits(1024, 512)
    StereoCamera(700, 0.2).check_fits(1024, 512)
    with pytest.raises(StereoPairError, match='fx 700 do not belong to images of 64x32'):
        StereoCamera(700, 0.2).check_fits(64, 32)
    # At three quarters of the size the column alone is still possible.
    camera.check_fits(1536, 768)
    camera = read_camera(camera_file(fx=2262.5, u0=1096.9, v0=513.1))
    camera.check_fits(2048, 1024)
    for size in ((1536, 768), (3072, 1536)):
        with pytest.raises(StereoPairError, match='{}x{}.*multiply fx'.format(*size)):
            camera.check_fits(*size)
