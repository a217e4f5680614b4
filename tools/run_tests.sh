#!/usr/bin/env bash
# Licensed under the Apache License 2.0, see LICENSE.
# Run the tests: bash tools/run_tests.sh [pytest arguments]
# Tests marked slow are left out unless the arguments choose with -m. Test files run in parallel, one per core.
# `-n 0` runs them one after the other, as a debugger needs it.
set -euo pipefail
# shellcheck source=tools/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

enter_environment
install_requirements tests -r requirements/tests.txt

# The networks of the tests are too small to gain from more threads.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
cd "$root"
say "Running pytest in $root"
python -m pytest -m 'not slow' -n auto --dist loadfile "$@"
