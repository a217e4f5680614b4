# Licensed under the Apache License 2.0, see LICENSE.
"""The package as its users meet it: registered by a config anywhere, complete when installed."""

import os
import re
import subprocess
import sys
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


@pytest.mark.skipif(not (ROOT / 'setup.py').exists(), reason='needs the source tree')
def test_installed_package_has_configs_and_tools(tmp_path):
    run([sys.executable, 'setup.py', '-q', 'build_py', '--build-lib', str(tmp_path)], ROOT)
    built = tmp_path / 'mmseg_depthuda'
    for folder in ('configs', 'tools'):
        source = {
            str(path.relative_to(ROOT / folder))
            for path in (ROOT / folder).rglob('*')
            if path.is_file() and '__pycache__' not in path.parts
        }
        shipped = built / '.mim' / folder
        assert source == {str(p.relative_to(shipped)) for p in shipped.rglob('*') if p.is_file()}
    index = yaml.safe_load((built / '.mim' / 'model-index.yml').read_text())
    for metafile in index['Import']:
        assert (built / '.mim' / metafile).is_file(), metafile
    runtime = Config.fromfile(built / '.mim' / 'configs' / '_base_' / 'default_runtime.py')
    assert runtime.default_hooks.checkpoint.max_keep_ckpts >= 2
    assert (built / 'adaptation' / 'depth.py').is_file()
    assert (built / 'py.typed').is_file()
    assert not (tmp_path / 'tests').exists()


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
