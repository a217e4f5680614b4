#!/usr/bin/env bash
# Licensed under the Apache License 2.0, see LICENSE.
# One process per GPU, or with gloo on a machine without one:
#   bash tools/dist_train.sh CONFIG PROCESSES [options of tools/train.py]
# More machines: set NNODES, NODE_RANK, MASTER_ADDR and PORT on each.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: bash $0 CONFIG PROCESSES [options of tools/train.py]" >&2
    exit 2
fi
config=$1
processes=$2
shift 2
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

exec torchrun --nnodes="${NNODES:-1}" --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" --master_port="${PORT:-29500}" \
    --nproc_per_node="$processes" "$tools/train.py" "$config" --launcher pytorch "$@"
