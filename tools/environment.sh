#!/usr/bin/env bash
# Licensed under the Apache License 2.0, see LICENSE.
# Sourced by quickstart.sh, run_tests.sh and build_docs.sh. Enters the active virtual or conda environment, or else .venv
# of the checkout, which is created at the first call, and installs the package into it, editable, with the
# tested versions. A second call finds everything in place and does nothing.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ ! -f "$root/setup.py" ]; then
    echo "$root is not a checkout of mmseg_depthuda, which this script works on" >&2
    exit 1
fi

say() {
    printf '\n== %s\n' "$*"
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.12 python3.11 python3.10 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo 'Python 3.10 or newer is needed; name it as in PYTHON=/path/to/python3.11 bash ...' >&2
    return 1
}

# Sets `environment` to its folder. A virtual environment within a conda environment comes first; the
# base environment of conda, which every shell of many users is in, is left alone.
enter_environment() {
    local environment=${VIRTUAL_ENV:-}
    if [ -z "$environment" ] && [ "${CONDA_DEFAULT_ENV:-}" != base ]; then
        environment=${CONDA_PREFIX:-}
    fi
    if [ -n "$environment" ]; then
        say "Using the active environment $environment"
        return
    fi
    if [ ! -x "$root/.venv/bin/python" ]; then
        local python
        python=$(find_python)
        say "Creating the virtual environment $root/.venv ($("$python" --version))"
        "$python" -m venv "$root/.venv" || {
            echo 'This Python cannot create environments; on Debian and Ubuntu: apt install python3-venv' >&2
            return 1
        }
    fi
    say "Using the environment $root/.venv"
    # shellcheck disable=SC1091
    . "$root/.venv/bin/activate"
}

# install_requirements NAME [PIP ARGUMENTS]: once per set of requirements.
install_requirements() {
    # An environment that a caller has entered by itself counts, too.
    local stamp="${VIRTUAL_ENV:-${CONDA_PREFIX:-}}/mmseg_depthuda-$1.installed"
    shift
    local wanted
    wanted=$(cat "$root/setup.py" "$root"/requirements/*.txt | cksum; echo "$root")
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
        return
    fi
    say 'Installing (several minutes the first time: PyTorch is large)'
    (cd "$root" && python tools/install_with_progress.py -c requirements/constraints.txt -e . "$@")
    echo "$wanted" >"$stamp"
}
