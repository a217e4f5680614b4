# Licensed under the Apache License 2.0, see LICENSE.
"""Both published lines are accepted, anything else is refused with a remedy."""

import sys

import pytest

from mmseg_depthuda import stack


@pytest.mark.parametrize(
    ('line', 'mmseg', 'mmengine', 'mmcv'),
    [
        ('maintained', '1.4.2', '0.10.12', '2.3.6'),
        ('maintained', '1.4.3rc1', '0.10.8', '2.3.0'),
        ('original', '1.2.2', '0.10.7', '2.1.0'),
    ],
)
def test_published_lines_are_accepted(line, mmseg, mmengine, mmcv):
    assert stack.check_versions(dict(mmseg=mmseg, mmengine=mmengine, mmcv=mmcv)) == line


@pytest.mark.parametrize(
    ('mmseg', 'mmengine', 'mmcv'),
    [
        ('1.1.0', '0.10.7', '2.1.0'),
        ('1.2.2', '0.10.12', '2.1.0'),
        ('1.4.2', '0.10.7', '2.3.6'),
        ('1.4.2', '0.10.12', '2.2.0'),
        ('1.5.0', '0.10.12', '2.3.6'),
        ('0.30.0', '0.7.0', '1.7.0'),
    ],
)
def test_mixtures_and_other_versions_are_refused(mmseg, mmengine, mmcv):
    with pytest.raises(ImportError) as caught:
        stack.check_versions(dict(mmseg=mmseg, mmengine=mmengine, mmcv=mmcv))
    message = str(caught.value)
    assert f'found mmseg {mmseg}, mmengine {mmengine}, mmcv {mmcv}' in message
    assert 'pip install "onedl-mmsegmentation' in message
    assert 'original-line.txt' in message


@pytest.mark.parametrize('name', ['torch', 'mmcv', 'mmengine', 'mmseg'])
def test_missing_library_is_named_with_its_remedy(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f'{"PyTorch" if name == "torch" else name}.*[Ii]nstall'):
        stack.installed_versions()


def test_installed_libraries_are_supported():
    versions = stack.installed_versions()
    assert set(versions) == {'mmcv', 'mmengine', 'mmseg'}
    assert stack.check_versions(versions) in stack.SUPPORTED_LINES
