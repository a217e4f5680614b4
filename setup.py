# Licensed under the Apache License 2.0, see LICENSE.
"""Packaging of ``mmseg-depthuda``.

Configs, tools and the model index are shipped inside the package as ``mmseg_depthuda/.mim/``, where
MMEngine's notation ``mmseg_depthuda::FOLDER/CONFIG.py`` finds them. In a checkout there are links.

Wheel and source distribution hold tracked files only, so that a scratch config stays at home.
"""

import re
import shutil
import subprocess
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.egg_info import egg_info

ROOT = Path(__file__).resolve().parent
SHIPPED = ('configs', 'tools')


def read_version() -> str:
    text = (ROOT / 'mmseg_depthuda' / 'version.py').read_text(encoding='utf-8')
    return re.search(r"__version__ = '([^']+)'", text).group(1)


def read_requirements(name: str) -> list[str]:
    lines = (ROOT / 'requirements' / name).read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


def read_tracked() -> set[str] | None:
    """Files that may be shipped, relative to the root; None if nothing tells.

    In a checkout git tells, in an unpacked source distribution its manifest. An exported tree has
    neither, and holds tracked files alone.
    """
    if (ROOT / '.git').exists():
        command = ['git', 'ls-files', '-z']
        try:
            listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
        except (OSError, subprocess.CalledProcessError) as error:
            print(f'warning: git does not list the tracked files, all are shipped ({error})')
            return None
        return set(listed.decode().split('\0')) - {''}
    manifest = ROOT / 'mmseg_depthuda.egg-info' / 'SOURCES.txt'
    if manifest.is_file():
        return set(manifest.read_text(encoding='utf-8').splitlines())
    return None


TRACKED = read_tracked()  # before setuptools writes the manifest anew


def is_tracked(path: str | Path) -> bool:
    """Whether a file, relative to the root, may be shipped."""
    path = Path(path)
    if TRACKED is None:
        return '__pycache__' not in path.parts
    return path.as_posix() in TRACKED


class TrackedSources(egg_info):
    """The manifest of the source distribution, tracked and generated files only."""

    def find_sources(self):
        super().find_sources()
        generated = Path(self.egg_info).name
        files = [
            file
            for file in self.filelist.files
            if is_tracked(file) or generated in Path(file).parts
        ]
        self.filelist.files = files
        text = ''.join(f'{Path(file).as_posix()}\n' for file in files)
        Path(self.egg_info, 'SOURCES.txt').write_text(text, encoding='utf-8')


class BuildWithMim(build_py):
    """Copies configs and tools into the built package; editable installs use the checkout's."""

    def find_package_modules(self, package, package_dir):
        found = super().find_package_modules(package, package_dir)
        return [module for module in found if is_tracked(module[2])]

    def run(self):
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / 'mmseg_depthuda' / '.mim'
        for folder in SHIPPED:
            shutil.rmtree(mim / folder, ignore_errors=True)
            for source in sorted((ROOT / folder).rglob('*')):
                path = source.relative_to(ROOT)
                if source.is_file() and is_tracked(path):
                    (mim / path).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, mim / path)
        shutil.copy(ROOT / 'model-index.yml', mim)


setup(
    name='mmseg-depthuda',
    version=read_version(),
    description='Depth-guided unsupervised domain adaptation for MMSegmentation',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    author='The mmseg_depthuda contributors',
    # The address of the repository belongs here: project_urls={'Source': ...}.
    keywords=[
        'depth estimation',
        'domain adaptation',
        'mmsegmentation',
        'self-training',
        'semantic segmentation',
    ],
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
    python_requires='>=3.10',
    packages=find_packages(include=['mmseg_depthuda', 'mmseg_depthuda.*']),
    package_data={'mmseg_depthuda': ['py.typed']},
    install_requires=read_requirements('runtime.txt'),
    extras_require={
        'onnx': read_requirements('onnx.txt'),
        'pretrained': read_requirements('pretrained.txt'),
        'tests': read_requirements('tests.txt'),
        'docs': read_requirements('docs.txt'),
    },
    entry_points={'console_scripts': ['mmseg-depthuda = mmseg_depthuda.commands:main']},
    cmdclass={'build_py': BuildWithMim, 'egg_info': TrackedSources},
    zip_safe=False,
)
