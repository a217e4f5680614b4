# Licensed under the Apache License 2.0, see LICENSE.
import struct

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from mmseg_depthuda.datasets.transforms.depth_files import DEPTH_FILES


def read(kind: str, path, encoding: str = 'corda', **info) -> np.ndarray:
    return DEPTH_FILES[kind](dict(depth_map_path=str(path), **info), encoding)


def column(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.uint16).reshape(-1, 1)


def test_png_disparity(files):
    path = files.png('a.png', column(0, 1, 256, 65535))
    np.testing.assert_array_equal(
        read('png_disparity', path)[:, 0],
        np.array([0, 1 + 1 / 256, 2, 1 + 65535 / 256], dtype=np.float32),
    )


def test_png_centimetres(files):
    path = files.png('a.png', column(5, 10, 999, 9999, 65534, 65535))
    np.testing.assert_allclose(
        read('png_centimetres', path)[:, 0],
        [0, 655.36 / 0.11, 65.536, 6.5536, 655.36 / 655.35, 0],
        rtol=1e-6,
    )


def test_png_centimetres_for_dada_has_nothing_invalid(files):
    path = files.png('a.png', column(0, 1, 1023, 65535))
    np.testing.assert_array_equal(
        read('png_centimetres', path, 'dada')[:, 0], np.array([65536, 32768, 64, 1])
    )


def test_mat_metres(files):
    path = files.mat('a.mat', depth_map=np.array([[9.99, 0.05, 655.35], [99.99, 700, np.nan]]))
    np.testing.assert_allclose(
        read('mat_metres', path), [[65.536, 0, 0], [6.5536, 0, 0]], rtol=1e-6
    )


def test_cityscapes_disparity(files):
    """10 px at baseline 0.25 m and focal length 2000 px are 50 m; disparity 0 is infinite."""
    depth = files.png('a.png', column(0, 1, 2561, 25601))
    camera = files.json('a.json', {'extrinsic': {'baseline': 0.25}, 'intrinsic': {'fx': 2000}})
    decoded = read('cityscapes_disparity', depth, camera_path=str(camera))
    np.testing.assert_allclose(decoded[:, 0], [0, 0, 655.36 / 50.01, 655.36 / 5.01], rtol=1e-6)
    decoded = read('cityscapes_disparity', depth, 'dada', camera_path=str(camera))
    np.testing.assert_allclose(decoded[:, 0], [0, 0, 65536 / 5001, 65536 / 501], rtol=1e-6)


def test_three_channels_carry_the_same_value(files, depth16):
    single = files.png('a.png', depth16)
    triple = files.png('b.png', np.repeat(depth16[..., None], 3, axis=-1))
    np.testing.assert_array_equal(read('png_disparity', single), read('png_disparity', triple))
    colored = files.png('c.png', np.stack([depth16, depth16 + 1, depth16], axis=-1))
    with pytest.raises(ValueError, match=r'c.png has 3 channels that differ'):
        read('png_disparity', colored)


@pytest.mark.parametrize('kind', ['png_disparity', 'png_centimetres', 'cityscapes_disparity'])
def test_8_bit_file_is_an_error(files, kind):
    path = files.png('a.png', np.zeros((4, 4), dtype=np.uint8))
    camera = files.json('a.json', {'extrinsic': {'baseline': 0.25}, 'intrinsic': {'fx': 2000}})
    with pytest.raises(ValueError, match=r'depth_map_path: .*a.png holds uint8.* 16 bits'):
        read(kind, path, camera_path=str(camera))


def test_disparity_without_camera_has_no_dada_encoding(files, depth16):
    path = files.png('a.png', depth16)
    with pytest.raises(ValueError, match="a.png is a disparity without camera.*'dada'"):
        read('png_disparity', path, 'dada')


def test_mat_file_with_another_key_is_an_error(files):
    path = files.mat('a.mat', depth=np.ones((2, 2)))
    with pytest.raises(ValueError, match=r"a.mat has no key 'depth_map', only \['depth'\]"):
        read('mat_metres', path)


@pytest.mark.parametrize('content', [np.ones((2, 2, 3)), np.array([['far']])])
def test_mat_file_without_a_matrix_of_numbers_is_an_error(files, content):
    path = files.mat('a.mat', depth_map=content)
    with pytest.raises(ValueError, match=r'a.mat has shape .* meters are a matrix'):
        read('mat_metres', path)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.int32])
def test_whole_numbers_in_a_mat_file_are_an_error(files, dtype):
    path = files.mat('a.mat', depth_map=np.array([[100, 120, 250]], dtype))
    with pytest.raises(
        ValueError, match=r'a.mat has the dtype u?int\d+ and the median 120.*Divide'
    ):
        read('mat_metres', path)


def test_whole_metres_of_matlab_are_floats(files):
    """MATLAB stores doubles without fractions in 8 bits. SciPy does not, so the element is built by
    hand: tag of 8-bit data in place of the doubles."""
    path = files.mat('a.mat', depth_map=np.array([[5.0], [20.0]]))
    data = path.read_bytes()
    doubles = struct.pack('<II2d', 9, 16, 5, 20)
    assert data.count(doubles) == 1
    start = data.index(doubles)
    small = struct.pack('<HHBBxx', 2, 2, 5, 20)  # a small element: type, bytes, values
    (length,) = struct.unpack_from('<I', data, 132)
    data = data[:132] + struct.pack('<I', length - 16) + data[136:start] + small
    path.write_bytes(data)
    expected = [[655.36 / 5.01], [655.36 / 20.01]]
    np.testing.assert_allclose(read('mat_metres', path), expected, rtol=1e-6)


def test_sparse_mat_file_is_an_error(files):
    path = files.mat('a.mat', depth_map=csc_matrix(np.diag([3.0, 9.0])))
    with pytest.raises(ValueError, match=r'a.mat is a sparse matrix.*full\(depth_map\)'):
        read('mat_metres', path)


@pytest.mark.parametrize('share', [0, 0.05, 0.5, 0.9])
def test_truncated_mat_file_is_an_error(files, share):
    files.mat('a.mat', depth_map=np.random.default_rng(0).random((50, 50)))
    path = files.truncate('a.mat', share)
    with pytest.raises(ValueError, match=r'depth_map_path: .*a.mat (is empty|cannot be read)'):
        read('mat_metres', path)


def test_missing_or_wrong_camera_is_an_error(files, depth16):
    path = files.png('a.png', depth16)
    with pytest.raises(ValueError, match=r'data_prefix.camera_path is missing'):
        read('cityscapes_disparity', path)
    (files.root / 'cut.json').write_text('{"extrinsic": {"base')
    with pytest.raises(ValueError, match=r'camera_path: .*cut.json must be a JSON file'):
        read('cityscapes_disparity', path, camera_path=str(files.root / 'cut.json'))
