# Licensed under the Apache License 2.0, see LICENSE.
"""Run ``pip install`` and say how long is left.

    python tools/install_with_progress.py -c requirements/constraints.txt -e .

All arguments are those of ``pip install``. Needs nothing but Python, because nothing else is
installed yet. What pip prints goes to a log file in the environment; its end is shown if pip fails.
The time left is estimated from the number of packages: first those that are fetched, out of those
that the constraints name, then those that are installed, out of those that pip names itself.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

SECONDS_BETWEEN_LINES = 10
# Writing PyTorch and the others to disk takes about as long as fetching all of them.
SHARE_OF_FETCHING = 0.5


def count_constraints(arguments: Iterable[str]) -> int:
    """Count the packages that the files after ``-c`` name.

    Args:
        arguments: Arguments of ``pip install``.

    Returns:
        int: At least 1.
    """
    arguments = list(arguments)
    files = [file for flag, file in zip(arguments, arguments[1:], strict=False) if flag == '-c']
    lines = [line for file in files for line in Path(file).read_text().splitlines()]
    return max(1, sum(bool(re.match(r'[A-Za-z0-9]', line)) for line in lines))


def installed_packages() -> int:
    """Count the packages in the environment of this Python."""
    return len(list(Path(sysconfig.get_path('purelib')).glob('*.dist-info')))


class InstallProgress:
    """How far ``pip install`` is, out of the lines that it prints.

    Args:
        expected (int): Number of packages to fetch, as far as known before pip says it.
        installed (Callable[[], int]): Counts the packages in the environment.
    """

    def __init__(self, expected: int, installed: Callable[[], int]) -> None:
        self.expected = expected
        self.fetched = 0
        self.installed = installed
        self.before = 0
        self.to_install: int | None = None

    def read(self, line: str) -> None:
        """Take in one line of pip's output."""
        if line.startswith('Collecting '):
            self.fetched += 1
        elif line.startswith('Installing collected packages:'):
            self.before = self.installed()
            self.to_install = line.count(',') + 1

    def share(self) -> float:
        """Estimate the share of the work that is done, 0 to 1."""
        if self.to_install is None:
            return SHARE_OF_FETCHING * min(1.0, self.fetched / self.expected)
        written = min(1.0, (self.installed() - self.before) / self.to_install)
        return SHARE_OF_FETCHING + (1 - SHARE_OF_FETCHING) * written

    def line(self, seconds: float) -> str:
        """Describe the state after some seconds."""
        share = self.share()
        doing = f'{self.fetched} packages fetched'
        if self.to_install is not None:
            doing = f'installing {self.to_install} packages'
        left = f', about {seconds / share - seconds:.0f} s left' if share > 0.02 else ''
        return f'{doing} ({share:.0%}){left}'


def main() -> int:
    arguments = sys.argv[1:]
    progress = InstallProgress(count_constraints(arguments), installed_packages)
    log = Path(sys.prefix) / 'mmseg_depthuda_install.log'
    begun = time.monotonic()
    command = [sys.executable, '-m', 'pip', 'install', '--progress-bar', 'off', *arguments]
    with log.open('w') as file:
        pip = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace'
        )
        ended = threading.Event()
        told = threading.Thread(target=_tell, args=(progress, begun, ended), daemon=True)
        told.start()
        assert pip.stdout is not None
        for line in pip.stdout:
            file.write(line)
            progress.read(line)
        status = pip.wait()
        ended.set()
        told.join()
    if status:
        print(f'pip failed (status {status}); the end of {log}:', file=sys.stderr)
        print('\n'.join(log.read_text().splitlines()[-30:]), file=sys.stderr)
    else:
        print(f'Installed in {time.monotonic() - begun:.0f} s (log: {log})')
    return status


def _tell(progress: InstallProgress, begun: float, ended: threading.Event) -> None:
    """Print the state, in place on a terminal, elsewhere as a line now and then."""
    on_terminal = sys.stdout.isatty()
    while not ended.wait(1 if on_terminal else SECONDS_BETWEEN_LINES):
        text = progress.line(time.monotonic() - begun)
        print(f'\r{text:<70}' if on_terminal else text, end='' if on_terminal else '\n', flush=True)
    if on_terminal:
        print()


if __name__ == '__main__':
    sys.exit(main())
