# Licensed under the Apache License 2.0, see LICENSE.
import pytest

from mmseg_depthuda.datasets import image_files
from mmseg_depthuda.datasets.image_files import list_files, listed_stems, read_list, stems_of


def test_links_are_followed_once_and_hidden_files_are_not_listed(tmp_path):
    folder, other = tmp_path / 'images', tmp_path / 'other'
    for path in ('images/a b.PNG', 'images/._a b.PNG', 'images/.x/c.png', 'other/ü.jpg'):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (folder / 'drive').symlink_to(other)
    (other / 'back').symlink_to(folder)
    assert list_files(folder, ('.png', '.jpg')) == ['a b.PNG', 'drive/ü.jpg']


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be'])
def test_lists_of_other_systems(tmp_path, encoding):
    path = tmp_path / 'list.txt'
    path.write_bytes('# of May\r\nday/ü 1 \r\n\r\nb\x85\r\n'.encode(encoding))
    assert read_list(path) == ['day/ü 1', 'b']


def test_lists_that_cannot_be_used(tmp_path):
    path = tmp_path / 'list.txt'
    path.write_text('\n# a\n')
    with pytest.raises(ValueError, match=r'list\.txt lists nothing'):
        read_list(path)
    path.write_bytes('ü'.encode('latin-1'))
    with pytest.raises(ValueError, match=r'list\.txt is not UTF-8 text'):
        read_list(path)


def test_images_are_listed_by_stem_by_name_and_by_full_path(tmp_path, monkeypatch):
    warned = []
    monkeypatch.setattr(image_files, 'print_log', lambda text, *_: warned.append(text))
    folder = tmp_path / 'images'
    images = dict(stems_of(['a.b/u\u0308.JPG', 'c.png', 'd.png', 'e/f.png'], ('.jpg', '.png')))
    lines = ['e\\f', f'{folder}/c.png', './a.b/\u00fc', 'd', 'c', 'd.jpg', '/elsewhere/c.png']
    path = tmp_path / 'list.txt'
    path.write_text('\n'.join(lines), encoding='utf-8')
    chosen, missing = listed_stems(path, images, folder)
    assert [images[stem] for stem in chosen] == ['e/f.png', 'c.png', 'a.b/u\u0308.JPG', 'd.png']
    assert missing == ['d.jpg', '/elsewhere/c.png']
    assert [text.split(' names ')[1] for text in warned] == [
        'images again in 1 of 7 lines; they are used once'
    ]
