#!/usr/bin/env bash
# Licensed under the Apache License 2.0, see LICENSE.
# Build the documentation site into docs/_build/html: bash tools/build_docs.sh [options of sphinx-build]
# A warning is an error: a dead link, a page that index.md does not name, a docstring that does not parse.
set -euo pipefail
# shellcheck source=tools/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

enter_environment
install_requirements docs -r requirements/docs.txt
cd "$root"
say 'Building the documentation'
python -m sphinx --quiet --fail-on-warning --keep-going "$@" docs docs/_build/html
say "Open $root/docs/_build/html/index.html"
