# Licensed under the Apache License 2.0, see LICENSE.
import pytest

from mmseg_depthuda.datasets.image_files import list_files, read_list


def test_links_are_followed_once_and_hidden_files_are_not_listed(tmp_path):
    folder, other = tmp_path / 'images', tmp_path / 'other'
    for path in ('images/a b.PNG', 'images/._a b.PNG', 'images/.x/c.png', 'other/ü.jpg'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (folder / 'drive').symlink_to(other)
    (other / 'back').symlink_to(folder)
    assert list_files(folder, ('.png', '.jpg')) == ['a b.PNG', 'drive/ü.jpg']


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_lists_of_other_systems(tmp_path, encoding):
    path = tmp_path / 'list.txt'
    path.write_bytes('day/ü 1 \r\n\r\nb\r\nb\r\n'.encode(encoding))
    assert read_list(path) == ['day/ü 1', 'b']


def test_an_empty_list_is_named(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_text('\n')
    with pytest.raises(ValueError, match=r'list\.txt lists nothing'):
        read_list(path)
