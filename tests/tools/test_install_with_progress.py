# Licensed under the Apache License 2.0, see LICENSE.
import runpy
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

SCRIPT = ROOT / 'tools' / 'install_with_progress.py'
tool = runpy.run_path(str(SCRIPT))


@pytest.fixture
def progress():
    """Eight packages expected, three in the environment before."""
    made = tool['InstallProgress'](8, lambda: made.present)
    made.present = 3
    return made


def test_time_left_goes_by_fetched_and_then_by_installed_packages(progress):
    for name in ('torch', 'numpy', 'scipy', 'rich'):
        progress.read(f'Collecting {name}>=1 (from -r x (line 1))\n')
        progress.read('  Using cached x.whl\n')
    assert progress.line(20) == '4 packages fetched (25%), about 60 s left'
    progress.read('Installing collected packages: torch, numpy, scipy, rich\n')
    progress.present = 5
    assert progress.line(60) == 'installing 4 packages (75%), about 20 s left'
    progress.present = 9
    assert progress.share() == 1


def test_no_time_is_told_before_anything_is_known(progress):
    assert progress.line(3) == '0 packages fetched (0%)'


def test_constraints_are_counted_without_comments_and_markers(tmp_path):
    file = tmp_path / 'constraints.txt'
    file.write_text('# tested\nnumpy==2 ; python_version >= "3.11"\n\nrich==1\n')
    assert tool['count_constraints'](['-e', '.', '-c', str(file)]) == 2
    assert tool['count_constraints'](['-e', '.']) == 1


def test_failure_of_pip_is_shown_and_handed_on(tmp_path):
    run = subprocess.run(
        [sys.executable, SCRIPT, '--no-index', str(tmp_path / 'missing')],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    assert 'missing' in run.stderr and 'pip failed (status 1)' in run.stderr
