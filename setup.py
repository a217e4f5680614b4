# Licensed under the Apache License 2.0, see LICENSE.
"""Packaging of ``mmseg-depthuda``.

Configs, tools and the model index are shipped inside the package as ``mmseg_depthuda/.mim/``, the
place where MMSegmentation keeps its own. (MMEngine's ``PACKAGE::config`` notation looks there too,
but only into packages of OpenMMLab.)
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHIPPED = ('configs', 'tools')


def read_version() -> str:
    text = (ROOT / 'mmseg_depthuda' / 'version.py').read_text(encoding='utf-8')
    return re.search(r"__version__ = '([^']+)'", text).group(1)


def read_requirements(name: str) -> list[str]:
    lines = (ROOT / 'requirements' / name).read_text(encoding='utf-8').splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith('#')]


class BuildWithMim(build_py):
    """Copies configs and tools into the built package; editable installs use the checkout's."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / 'mmseg_depthuda' / '.mim'
        for folder in SHIPPED:
            shutil.rmtree(mim / folder, ignore_errors=True)
            ignored = shutil.ignore_patterns('__pycache__')
            shutil.copytree(ROOT / folder, mim / folder, ignore=ignored)
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
        'tests': read_requirements('tests.txt'),
        'docs': read_requirements('docs.txt'),
    },
    cmdclass={'build_py': BuildWithMim},
    zip_safe=False,
)
