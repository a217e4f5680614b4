# Licensed under the Apache License 2.0, see LICENSE.
"""Processes of ``torch.distributed`` on the CPU: a test file starts itself once per rank."""

import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from torch import distributed

REPOSITORY = Path(__file__).parents[1]
RANKS = 2


def run_ranks(script, folder):
    """Run ``python SCRIPT FOLDER`` once per rank and wait; an error of any fails the test."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get('PYTHONPATH', '')])
    environment = dict(PYTHONPATH=path, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    processes = [
        subprocess.Popen(
            [sys.executable, '-W', 'ignore', str(script), str(folder)],
            env=os.environ | environment | dict(RANK=str(rank)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(RANKS)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]


@contextmanager
def gloo_rank(folder):
    """Join the process group of a folder as one of its ranks; returns its number."""
    rank = int(os.environ['RANK'])
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{folder}/rendezvous',
        rank=rank,
        world_size=RANKS,
        timeout=timedelta(seconds=240),
    )
    yield rank
    distributed.barrier()
    distributed.destroy_process_group()
