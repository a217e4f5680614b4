# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest

from mmseg_depthuda.datasets.file_integrity import read_intact


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp'])
def test_intact_file_is_returned_whole(files, picture, suffix):
    path = files.png(f'a{suffix}', picture)
    assert read_intact(path, 'img_path') == path.read_bytes()


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.95])
def test_truncated_file_is_an_error(files, picture, suffix, share):
    files.png(f'a{suffix}', picture)
    path = files.truncate(f'a{suffix}', share)
    with pytest.raises(ValueError, match=rf'img_path: .*a{suffix} is truncated') as error:
        read_intact(path, 'img_path')
    assert 'Restore' in str(error.value)


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
def test_data_after_the_end_marker_is_no_truncation(files, picture, suffix):
    path = files.png(f'a{suffix}', picture)
    path.write_bytes(path.read_bytes() + bytes(5000))
    read_intact(path, 'img_path')
    assert cv2.imread(str(path)).shape == picture.shape


def test_empty_and_missing_files_are_errors(tmp_path):
    empty = tmp_path / 'empty.png'
    empty.touch()
    with pytest.raises(ValueError, match=r'seg_map_path: .*empty.png is empty'):
        read_intact(empty, 'seg_map_path')
    with pytest.raises(FileNotFoundError, match=r'seg_map_path: .*gone.png does not exist'):
        read_intact(tmp_path / 'gone.png', 'seg_map_path')
