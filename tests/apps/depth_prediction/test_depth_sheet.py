# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
from scipy.io import savemat

from mmseg_depthuda.apps.depth_prediction.depth_sheet import depth_sheet

GRAY = 100


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture
def folder(tmp_path):
    """Three images of two drives; two of them with depth, near on the left, none at the right."""
    metres = np.tile(np.repeat([5.0, 20.0, 0.0], [16, 32, 16]), (32, 1))
    for name in ('a/1', 'a/2', 'b/1'):
        write(tmp_path / f'images/{name}.png', np.full((32, 64, 3), GRAY, np.uint8))
    for name in ('a/1', 'b/1'):
        (tmp_path / 'depth' / name).parent.mkdir(parents=True)
        savemat(tmp_path / f'depth/{name}.mat', dict(depth_map=metres))
    return tmp_path


def test_images_with_their_depth(folder):
    sheet, summary = depth_sheet(folder / 'images', folder / 'depth', 'mat_metres')
    assert sheet.shape == (2 * 256, 2 * 512, 3) and sheet.dtype == np.uint8
    assert (sheet[:, :512] == GRAY).all()
    near, far, unknown = (sheet[:, 512 + column].astype(int) for column in (64, 256, 448))
    assert (near.sum(axis=1) > far.sum(axis=1)).all() and (far.sum(axis=1) > 20).all()
    assert (unknown.sum(axis=1) < 20).all()  # the darkest color of the map
    assert summary == (
        '2 of 3 images have a depth file; 75.0% of the pixels drawn have depth: median 20.0 m, '
        'nine tenths in 5.0 to 20.0 m'
    )


def test_disparity_has_no_metres(folder):
    write(folder / 'png/a/2.png', np.full((32, 64), 1000, np.uint16))
    sheet, summary = depth_sheet(folder / 'images', folder / 'png', 'png_disparity')
    assert sheet.shape == (256, 1024, 3)
    assert summary == '1 of 3 images have a depth file; 100.0% of the pixels drawn have depth'


def test_the_number_of_images(folder):
    assert depth_sheet(folder / 'images', folder / 'depth', 'mat_metres', 1)[0].shape[0] == 256


def test_a_folder_without_their_depth(folder):
    with pytest.raises(FileNotFoundError, match=r'no depth file of the 3 images.*a/1\.png'):
        depth_sheet(folder / 'images', folder / 'depth', 'png_centimetres')
