#!/usr/bin/env bash
# Licensed under the Apache License 2.0, see LICENSE.
# The first comparison: renders the street world, trains one network on labeled synthetic images alone and
# one with CorDA for the same number of iterations, and tests both on the `real` domain, which looks different.
#   bash tools/quickstart.sh
# Run it again to continue where it stopped. Remove work_dirs/quickstart to train anew.
set -euo pipefail
# shellcheck source=tools/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

source_only=configs/source_only/source_only_r18_sim2real.py
corda=configs/corda/corda_r18_sim2real.py
folder=work_dirs/quickstart
world=${STREET_WORLD_ROOT:-data/street_world}

# train NAME CONFIG: finished trainings are skipped, interrupted ones resumed.
train() {
    local work_dir="$folder/$1"
    if [ -f "$work_dir/finished" ]; then
        say "$1 is trained already ($work_dir)"
        return
    fi
    say "Training $1 ($2); log and checkpoints in $work_dir"
    python tools/train.py "$2" --work-dir "$work_dir" --resume
    touch "$work_dir/finished"
}

enter_environment
install_requirements package
cd "$root"

say "Rendering the street world into $world (a complete one is kept)"
python tools/dataset_converters/street_world.py "$world" \
    --source-images 600 --train-images 600 --val-images 100 --workers 2

train source_only "$source_only"
train corda "$corda"

say 'Testing both on the real validation images'
python tools/quickstart_report.py "$folder" --run source_only "$source_only" --run corda "$corda"
