# Licensed under the Apache License 2.0, see LICENSE.
"""The package for its users: any config registers it, and its installation is complete."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

import mmseg_depthuda

ROOT = Path(mmseg_depthuda.__file__).parents[1]

REGISTERED = """
import sys
from mmengine.config import Config
from mmseg import registry

Config.fromfile(sys.argv[1])
for name, member in [
    ('MODELS', 'UDASegmentor'), ('MODELS', 'CorDAHead'), ('MODELS', 'BerHuLoss'),
    ('DATASETS', 'GTA5DepthDataset'), ('DATASETS', 'CamVidDataset'),
    ('TRANSFORMS', 'LoadInverseDepth'), ('DATA_SAMPLERS', 'SourceTargetSampler'),
    ('HOOKS', 'DACSHook'), ('HOOKS', 'StrictLoadHook'), ('OPTIMIZERS', 'RepeatedSGD'),
    ('OPTIM_WRAPPER_CONSTRUCTORS', 'DeepLabOptimWrapperConstructor'),
    ('MODEL_WRAPPERS', 'UDADistributedDataParallel'),
]:
    found = getattr(registry, name).get(member)
    assert found is not None and found.__module__.startswith('mmseg_depthuda.'), (name, member)
"""


def run(arguments, cwd, **environment):
    process = subprocess.run(
        arguments, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr
    return process.stdout


def test_custom_imports_register_everything_from_any_directory(tmp_path):
    (tmp_path / 'plugin.py').write_text(
        "custom_imports = dict(imports=['mmseg_depthuda'], allow_failed_imports=False)\n"
    )
    run([sys.executable, '-c', REGISTERED, 'plugin.py'], tmp_path, PYTHONPATH=str(ROOT))


def shipped(built):
    """Files in the folders of a built package where MIM looks."""
    folders = [built / '.mim' / name for name in ('configs', 'tools')]
    files = [path for folder in folders for path in folder.rglob('*') if path.is_file()]
    return {path.relative_to(built / '.mim').as_posix() for path in files}


@pytest.mark.skipif(not (ROOT / '.git').exists(), reason='needs a checkout')
def test_installed_package_has_configs_and_tools(tmp_path):
    run([sys.executable, 'setup.py', '-q', 'build_py', '--build-lib', str(tmp_path)], ROOT)
    built = tmp_path / 'mmseg_depthuda'
    listed = run(['git', 'ls-files', 'configs', 'tools'], ROOT).split()
    assert shipped(built) == {name for name in listed if (ROOT / name).is_file()}
    index = yaml.safe_load((built / '.mim' / 'model-index.yml').read_text())
    for metafile in index['Import']:
        assert (built / '.mim' / metafile).is_file(), metafile
    runtime = Config.fromfile(built / '.mim' / 'configs' / '_base_' / 'default_runtime.py')
    assert runtime.default_hooks.checkpoint.max_keep_ckpts >= 2
    assert (built / 'adaptation' / 'depth.py').is_file()
    assert (built / 'py.typed').is_file()
    assert not (tmp_path / 'tests').exists()


@pytest.fixture
def small_checkout(tmp_path):
    """A repository with this setup.py, a package of one module, a config and a tool."""
    root = tmp_path / 'checkout'
    for name in ('setup.py', 'pyproject.toml', 'MANIFEST.in', 'README.md', 'model-index.yml'):
        root.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / 'requirements', root / 'requirements')
    for name in (*TRACKED, 'mmseg_depthuda/__init__.py', 'mmseg_depthuda/py.typed'):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    shutil.copy(ROOT / 'mmseg_depthuda/version.py', root / 'mmseg_depthuda')
    run(['git', 'init', '-q'], root)
    run(['git', 'add', '.'], root)
    return root


TRACKED = {'configs/toy/toy.py', 'configs/toy/metafile.yml', 'tools/train.py'}
SCRATCH = ('configs/toy/scratch.py', 'tools/scratch.sh', 'mmseg_depthuda/scratch.py')


@pytest.mark.skipif(not (ROOT / 'setup.py').exists(), reason='needs the source tree')
def test_wheel_and_source_distribution_hold_tracked_files_only(small_checkout, tmp_path):
    def add_scratch_and_build(root, target):
        for name in SCRATCH:
            (root / name).touch()
        run([sys.executable, 'setup.py', '-q', 'build_py', '--build-lib', str(target)], root)
        assert shipped(target / 'mmseg_depthuda') == TRACKED
        modules = {path.name for path in (target / 'mmseg_depthuda').glob('*.py')}
        assert modules == {'__init__.py', 'version.py'}
        assert (target / 'mmseg_depthuda/py.typed').is_file()

    add_scratch_and_build(small_checkout, tmp_path / 'of_checkout')
    run([sys.executable, 'setup.py', '-q', 'sdist', '-d', str(tmp_path)], small_checkout)
    with tarfile.open(next(tmp_path.glob('*.tar.gz'))) as archive:
        archive.extractall(tmp_path / 'unpacked', filter='data')
    unpacked = next((tmp_path / 'unpacked').iterdir())
    assert not list(unpacked.rglob('scratch*'))
    add_scratch_and_build(unpacked, tmp_path / 'of_sdist')


@pytest.mark.skipif(not (ROOT / 'setup.py').exists(), reason='needs the source tree')
def test_every_requirement_is_pinned_by_the_constraints():
    """A range that the tested set does not satisfy, or does not cover, would surprise users."""
    from packaging.requirements import Requirement

    def read(name):
        text = (ROOT / 'requirements' / name).read_text()
        return [Requirement(line) for line in re.findall(r'^[^#\s].*$', text, re.M)]

    pins = {pin.name.lower(): next(iter(pin.specifier)) for pin in read('constraints.txt')}
    assert all(pin.operator == '==' and '+' not in pin.version for pin in pins.values())
    for requirement in read('runtime.txt') + read('tests.txt') + read('docs.txt'):
        assert requirement.specifier.contains(pins[requirement.name.lower()].version)
