# Licensed under the Apache License 2.0, see LICENSE.
"""A runner that trains the tiny network on pairs in memory."""

from itertools import count

import numpy as np
from mmengine.config import ConfigDict
from mmengine.runner import Runner
from torch.utils.data import Dataset

from tests.models.tiny_segmentor import NUM_CLASSES, make_sample, segmentor_config

SERIAL = count()


class Pairs(Dataset):
    """Source-target pairs that depend only on the index."""

    def __init__(self, length=64, source=None, target=None):
        self.length = length
        self.options = dict(source=source or {}, target=target or {})
        self.metainfo = dict(
            classes=tuple(f'class {i}' for i in range(NUM_CLASSES)),
            palette=[[40 * i, 10 * i, 250 - 50 * i] for i in range(NUM_CLASSES)],
        )

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        pair = {}
        for number, (domain, options) in enumerate(self.options.items()):
            rng = np.random.default_rng((index, number))
            image, sample = make_sample(rng, path=f'{domain}_{index}.png', **options)
            pair[domain] = dict(inputs=image, data_samples=sample)
        return pair


def loader(dataset, batch_size=2):
    return dict(
        dataset=dataset,
        batch_size=batch_size,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='pseudo_collate'),
    )


def make_runner(work_dir, name, hooks, iterations=4, dataset=None, model=None, **options):
    """MMEngine's runner in float64; ``options`` are arguments of ``Runner``."""
    config = dict(
        model=model or ConfigDict(segmentor_config()),
        work_dir=str(work_dir / name),
        train_dataloader=loader(dataset or Pairs()),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=1000),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)),
        default_hooks=dict(
            logger=None,
            timer=None,
            sampler_seed=None,
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
        ),
        custom_hooks=hooks,
        default_scope='mmseg',
        # MMEngine would return the logger of another run of this name in the same second.
        experiment_name=f'{work_dir.name}_{name}_{next(SERIAL)}',
        log_level='WARNING',
        randomness=dict(seed=0),
    )
    runner = Runner(**(config | options))
    runner.model.double()
    return runner


def logged(runner_work_dir):
    """Everything that the runs in a folder have logged."""
    return '\n'.join(path.read_text() for path in sorted(runner_work_dir.rglob('*.log')))
