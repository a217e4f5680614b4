# Licensed under the Apache License 2.0, see LICENSE.
"""The code that a documentation page shows, and a way to do what the page says."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

from mmengine.visualization import Visualizer

from mmseg_depthuda.visualization import DepthLocalVisualizer

ROOT = Path(__file__).parents[2]
DOCS = ROOT / 'docs'

# Networks of a page, made narrow, and trainings, made short; everything else stays as it is.
NARROW_RESNET = {
    'base_channels=32': 'base_channels=8',
    'stem_channels=32': 'stem_channels=8',
    'in_channels=256': 'in_channels=64',
    'in_channels=[32, 32, 64, 128, 256]': 'in_channels=[8, 8, 16, 32, 64]',
}
SHORT = {
    'train_dataloader.num_workers': 0,
    'train_dataloader.persistent_workers': False,
    'default_hooks.logger.interval': 1,
    'train_cfg.max_iters': 2,
    'train_cfg.val_interval': 2,
    'default_hooks.checkpoint.interval': 2,
}


class Block(NamedTuple):
    """A fenced code block."""

    language: str
    code: str

    @property
    def file(self) -> str | None:
        """The path in its first line, ``# folder/name.py``, if the block is a file."""
        match = re.match(r'# ([\w./-]+/[\w.-]+)\n', self.code)
        return match and match[1]


def code_blocks(page: Path) -> list[Block]:
    """The fenced code blocks of a Markdown page, in order."""
    return [
        Block(*found)
        for found in re.findall(r'^```(\w*)\n(.*?)^```$', page.read_text(), re.M | re.S)
    ]


def command_lines(code: str) -> list[str]:
    """The commands of a shell block, continued lines joined, comments dropped."""
    lines = re.sub(r'\\\n\s*', ' ', code).splitlines()
    lines = [re.sub(r'(^|\s)#.*', '', line).strip() for line in lines]
    return [line for line in lines if line]


def checkout(folder: Path) -> None:
    """Make a folder look like a checkout whose ``configs/`` can be written to."""
    shutil.copytree(ROOT / 'configs', folder / 'configs')
    for file in (folder / 'configs/_base_/models').glob('*_r18.py'):
        code = file.read_text()
        for wide, narrow in NARROW_RESNET.items():
            code = code.replace(wide, narrow)
        file.write_text(code)
    # Workers that outlive a run in this process take 5 s each to stop.
    loaders = folder / 'configs/_base_/datasets/source_target_loaders.py'
    code = loaders.read_text().replace('num_workers=2', 'num_workers=0')
    loaders.write_text(code.replace('persistent_workers=True', 'persistent_workers=False'))
    (folder / 'tools').symlink_to(ROOT / 'tools')


def follow(page: Path, folder: Path, monkeypatch, only: str = '') -> list[str]:
    """Do in ``folder`` what a page says: write its files, run its commands.

    Shell lines are run by bash, but what they start with ``python`` runs in this process, which has
    imported everything already. Trainings are made short. What is exported stays so until
    ``monkeypatch`` is undone.

    Args:
        page: The page.
        folder: Where to do it.
        monkeypatch: Pytest's.
        only: Run only the commands that contain this.

    Returns:
        list[str]: The commands that were run.
    """
    monkeypatch.chdir(folder)
    done = []
    for block in code_blocks(page):
        if block.file:
            file = folder / block.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code)
        elif block.language == 'bash':
            for line in filter(lambda line: only in line, command_lines(block.code)):
                run_line(line, folder, monkeypatch)
                done.append(line)
    return done


def run_line(line: str, folder: Path, monkeypatch) -> None:
    """Run one shell command."""
    if line.startswith('export '):
        for name, _, value in (item.partition('=') for item in shlex.split(line)[1:]):
            monkeypatch.setenv(name, value)
        return
    noted = folder / '.python'
    shell = f'python() {{ env -0 >"{noted}.env"; printf "%s\\0" "$@" >"{noted}.args"; }}; {line}'
    subprocess.run(['bash', '-euo', 'pipefail', '-c', shell], check=True, cwd=folder)
    arguments = noted.with_suffix('.args')
    if not arguments.exists():
        return
    script, *options = arguments.read_text().rstrip('\0').split('\0')
    arguments.unlink()
    variables = noted.with_suffix('.env').read_text().rstrip('\0').split('\0')
    with monkeypatch.context() as patch:
        for name, _, value in (variable.partition('=') for variable in variables):
            patch.setenv(name, value)
        for path in reversed(os.environ.get('PYTHONPATH', '').split(os.pathsep)):
            patch.syspath_prepend(str(folder / path))
        # A process of its own would have no visualizer of the run before.
        for visualizer in (Visualizer, DepthLocalVisualizer):
            patch.setattr(visualizer, '_instance_dict', OrderedDict())
        patch.setattr(sys, 'argv', [script, *shortened(Path(script).name, options)])
        try:
            runpy.run_path(script, run_name='__main__')
        except SystemExit as end:
            assert not end.code, f'{line} ends with {end.code}'


def shortened(script: str, options: list[str]) -> list[str]:
    """The options of a command that takes minutes, so that it takes a second."""
    if script == 'train.py':
        if '--cfg-options' not in options:
            options = [*options, '--cfg-options']
        return options + [f'{key}={value}' for key, value in SHORT.items()]
    if script == 'street_world.py':
        line = re.sub(r'(--\w+-images) \d+', r'\1 2', ' '.join(options))
        return f'{line} --size 256x128 --workers 1'.split(' ')
    return options
