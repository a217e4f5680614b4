# Licensed under the Apache License 2.0, see LICENSE.
import pytest

from mmseg_depthuda.apps.folder_settings import checkpoint_digest, claim_folder


def claim(folder, **settings):
    claim_folder(folder / 'record.json', settings, 'lists', '**/*.txt')


def test_a_folder_is_claimed_once(tmp_path):
    claim(tmp_path / 'new', seed=1, layers=['a'])
    claim(tmp_path / 'new', seed=1, layers=['a'])
    with pytest.raises(ValueError, match='holds lists of other settings: seed, way differ'):
        claim(tmp_path / 'new', seed=2, layers=['a'], way='random')


def test_files_of_unknown_settings(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a/1.txt').touch()
    with pytest.raises(ValueError, match=r'holds 1\.txt, but no record\.json'):
        claim(tmp_path, seed=1)
    for text in ('{', '3', '["x"]'):
        (tmp_path / 'record.json').write_text(text)
        with pytest.raises(ValueError, match=r'record\.json is damaged'):
            claim(tmp_path, seed=1)


def test_a_checkpoint_is_known_by_its_content(tmp_path):
    for name, content in (('a', b'1'), ('b', b'1'), ('c', b'2')):
        (tmp_path / name).write_bytes(content)
    a, b, c = (checkpoint_digest(tmp_path / name) for name in 'abc')
    assert a == b != c
    assert checkpoint_digest('https://x/a.pth') != checkpoint_digest('https://x/b.pth')
