# Licensed under the Apache License 2.0, see LICENSE.
"""Settings of every test: reproducible examples, no display, one scope for MMSeg's registries."""

import gc
import os

os.environ.setdefault('MPLBACKEND', 'Agg')

import pytest
import torch
from hypothesis import settings
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.utils import manager
from torch import nn
from torch.utils.data import TensorDataset
from yapf.yapflib import yapf_api

import mmseg_depthuda  # noqa: F401  registers what the tests build by name

# Drawing the examples from the test's own name keeps a red test red on the next run.
settings.register_profile('repeatable', derandomize=True, deadline=None)
settings.load_profile('repeatable')


def pytest_collection_finish():
    """Leave what is imported out of the collections that every MMEngine dataset asks for."""
    gc.freeze()


@pytest.fixture(scope='session', autouse=True)
def _plain_config_text():
    """MMEngine formats the text of a config four times a run, longer than a test trains."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, False))
        yield


@pytest.fixture(autouse=True)
def _mmseg_scope():
    """Build bare type names from MMSeg's registries, as a config with its default scope does."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


@pytest.fixture(autouse=True)
def _released_manager():
    """An error while MMEngine builds a logger leaves a lock that other threads wait for."""
    yield
    while manager._lock._is_owned():
        manager._lock.release()


class Slope(BaseModel):
    """Fits y = 2 x with one weight that starts at 0."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.linear.weight)

    def forward(self, x, y, mode):
        return dict(loss=(self.linear(x) - y).square().mean())


@pytest.fixture
def tiny_runner(tmp_path):
    """Maker of real runs over a one-weight model, with an atomic checkpoint every 2nd iteration."""
    x = torch.arange(4.0).unsqueeze(1)
    serial = iter(range(100))

    def make(name, max_iters, resume=False, load_from=None, model=None, hooks=(), **checkpoint):
        hook = dict(
            type='CheckpointHook',
            by_epoch=False,
            interval=2,
            max_keep_ckpts=2,
            backend_args=dict(backend='atomic'),
        )
        return Runner(
            model or Slope(),
            work_dir=str(tmp_path / name),
            train_dataloader=dict(
                dataset=TensorDataset(x, 2 * x),
                batch_size=2,
                sampler=dict(type='InfiniteSampler', shuffle=False),
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(by_epoch=False, max_iters=max_iters),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9)),
            param_scheduler=dict(type='PolyLR', power=0.9, end=20, by_epoch=False),
            default_hooks=dict(checkpoint={**hook, **checkpoint}),
            custom_hooks=list(hooks),
            default_scope='mmengine',
            experiment_name=f'{tmp_path.name}_{name}_{next(serial)}',
            log_level='WARNING',
            resume=resume,
            load_from=load_from,
            randomness=dict(seed=0),
        )

    return make
