# Licensed under the Apache License 2.0, see LICENSE.
"""Makes a resumed run draw the same random numbers as an unbroken one."""

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS


@HOOKS.register_module()
class IterationSeedHook(Hook):
    """Seeds ``random``, NumPy and torch (CPU and CUDA) at the start of every training iteration.

    The seed is computed from the run's seed, the rank and the iteration. So the numbers of an
    iteration do not depend on what happened before it: a resume, validations in between, or draws
    of the data loader. Each rank draws numbers of its own. The checkpoint needs no states of
    generators. It could not hold them all: the main process writes it, and does not know the states
    of the other processes.

    The random numbers of data loading are seeded by :class:`DomainsSampler`.
    """

    priority = 'VERY_HIGH'

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Seed the generators, before any other hook draws."""
        seed_generators(runner.seed, get_rank(), runner.iter)


def seed_generators(*key: int) -> None:
    """Seed the global generators of Python, NumPy and torch by a key.

    Args:
        *key (int): Non-negative integers. Keys that differ in one number give unrelated streams.
    """
    for_python, for_numpy, for_torch = np.random.SeedSequence(key).generate_state(3, np.uint64)
    random.seed(int(for_python))
    np.random.seed(int(for_numpy) % 2**32)  # noqa: NPY002
    # torch.manual_seed() does the same, but spends a hundred times as long on looking for devices.
    torch.default_generator.manual_seed(int(for_torch))
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(int(for_torch))
