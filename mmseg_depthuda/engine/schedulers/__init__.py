# Licensed under the Apache License 2.0, see LICENSE.
"""Learning rates over a run whose length stands in one place, ``train_cfg.max_iters``."""

from .run_length import RunMultiStepLR, WarmupPolyLR

__all__ = ['RunMultiStepLR', 'WarmupPolyLR']
