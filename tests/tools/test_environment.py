# Licensed under the Apache License 2.0, see LICENSE.
"""Which environment the shell scripts enter."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
ENTER = """set -euo pipefail
. tools/environment.sh
enter_environment >&2
echo "${VIRTUAL_ENV:-$CONDA_PREFIX}"  # where install_requirements keeps its stamp
"""


@pytest.mark.parametrize(
    ('active', 'entered'),
    [
        (dict(VIRTUAL_ENV='/venv', CONDA_PREFIX='/conda/base'), '/venv'),
        (dict(CONDA_PREFIX='/conda/mine', CONDA_DEFAULT_ENV='mine'), '/conda/mine'),
        (dict(CONDA_PREFIX='/conda/mine'), '/conda/mine'),
        (dict(CONDA_PREFIX='/conda', CONDA_DEFAULT_ENV='base'), None),
        ({}, None),
    ],
)
def test_the_active_environment_comes_first(tmp_path, active, entered):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'setup.py').touch()
    shutil.copy(TOOLS / 'environment.sh', tmp_path / 'tools')
    own = tmp_path / '.venv'  # as if it had been created by an earlier call
    (own / 'bin').mkdir(parents=True)
    (own / 'bin/python').touch(mode=0o755)
    (own / 'bin/activate').write_text(f'VIRTUAL_ENV={own}\n')
    names = ('VIRTUAL_ENV', 'CONDA_PREFIX', 'CONDA_DEFAULT_ENV')
    environment = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        ['bash', '-c', ENTER],
        cwd=tmp_path,
        env=environment | active,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == (entered or str(own))
