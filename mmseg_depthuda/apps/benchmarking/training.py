# Licensed under the Apache License 2.0, see LICENSE.
"""Time per part and peak memory of the training iteration that a config describes."""

import platform
import tempfile
from dataclasses import asdict, dataclass

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch.utils.data import DataLoader

import mmseg_depthuda  # noqa: F401  registers what configs name
from mmseg_depthuda.engine.launch import use_mixed_precision
from mmseg_depthuda.models.decode_heads.head_contract import predicted_tasks

from .loop import NAIVE, PACKAGE, BenchmarkLoop, Measurement
from .peak_memory import peak_resident_bytes
from .synthetic_pairs import SyntheticPairs
from .timing_report import summarize


@dataclass(frozen=True)
class BenchmarkOptions:
    """How to measure.

    Attributes:
        iters: Measured iterations of each variant.
        warmup: Iterations of each variant before.
        batch_size: Images per domain.
        size: Height and width of synthetic images.
        real_data: Take the config's ``train_dataloader`` and time the waiting for it.
        amp: Automatic mixed precision; CUDA only, as in MMEngine.
        memory: On the CPU, measure the peak memory too, in two processes of one iteration each.
    """

    iters: int = 5
    warmup: int = 1
    batch_size: int = 2
    size: tuple[int, int] = (512, 512)
    real_data: bool = False
    amp: bool = False
    memory: bool = True

    def __post_init__(self) -> None:
        if self.iters < 1 or self.warmup < 0 or self.batch_size < 1 or min(self.size) < 1:
            raise ValueError(
                'iters, batch_size and size must be at least 1 and warmup at least 0, got '
                f'{self.iters}, {self.batch_size}, {self.size} and {self.warmup}'
            )


def benchmark_training(cfg: Config, options: BenchmarkOptions) -> dict:
    """Measure the package's iteration and the naive one side by side.

    Args:
        cfg: Config of a self-training run: with a :class:`DACSHook` among its ``custom_hooks``.
            Pretrained weights are not loaded, as they change neither time nor memory; pseudo-labels
            are those of the final prediction, as in most of the training.
        options: How to measure.

    Returns:
        dict: The report, see :func:`summarize`.

    Raises:
        ValueError: If the config has no ``DACSHook``, or mixed precision is wanted without CUDA.
    """
    if options.amp and not torch.cuda.is_available():
        raise ValueError("--amp needs CUDA: MMEngine's AmpOptimWrapper refuses to train on the CPU")
    cfg = _benchmark_config(cfg, options)
    on_cpu = not torch.cuda.is_available()
    peaks = {}
    if on_cpu and options.memory:
        # Before this process holds a model of its own.
        for variant in (PACKAGE, NAIVE):
            peaks[variant] = peak_resident_bytes(_run_for_memory, cfg, options, variant)
            print_log(f'{variant}: peak memory of one iteration is {peaks[variant]} bytes')
    measurements = _run(cfg, options, (PACKAGE, NAIVE), options.iters, options.warmup)
    if not on_cpu:
        peaks = {name: measured.peak_cuda_bytes for name, measured in measurements.items()}
    setting = dict(
        device=platform.processor() or platform.machine()
        if on_cpu
        else torch.cuda.get_device_name(),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        **asdict(options),
    )
    return summarize(setting, options.batch_size, measurements, peaks)


def _benchmark_config(cfg: Config, options: BenchmarkOptions) -> Config:
    """The model, optimizer, hook and loader of a config, without pretrained weights."""
    hooks = [hook for hook in cfg.get('custom_hooks', ()) if hook['type'] == 'DACSHook']
    if not hooks:
        raise ValueError(
            'custom_hooks of the config hold no DACSHook: this benchmark compares ways of '
            'self-training; take a config such as configs/corda/corda_r101_gta2cs.py'
        )
    cfg = cfg.copy()
    cfg.custom_hooks = [dict(hooks[0], initial_pseudo_labels=0.0)]
    cfg.model.backbone.init_cfg = None
    cfg.model.pop('pretrained', None)
    if options.amp:
        use_mixed_precision(cfg)
    return cfg


def _run_for_memory(cfg: Config, options: BenchmarkOptions, variant: str) -> None:
    _run(cfg, options, (variant,), iters=1, warmup=0)


def _run(
    cfg: Config, options: BenchmarkOptions, variants: tuple[str, ...], iters: int, warmup: int
) -> dict[str, Measurement]:
    with tempfile.TemporaryDirectory() as work_dir, DefaultScope.overwrite_default_scope('mmseg'):
        runner = Runner(
            model=cfg.model,
            work_dir=work_dir,
            train_dataloader=_dataloader(cfg, options),
            train_cfg=dict(
                type=BenchmarkLoop,
                variants=variants,
                iters=iters,
                warmup=warmup,
                time_data=options.real_data,
            ),
            optim_wrapper=cfg.optim_wrapper,
            default_hooks=dict(logger=None, checkpoint=None, param_scheduler=None),
            custom_hooks=cfg.custom_hooks,
            env_cfg=cfg.get('env_cfg', dict(dist_cfg=dict(backend='nccl'))),
            visualizer=dict(type='Visualizer', vis_backends=[]),
            default_scope='mmseg',
            randomness=dict(seed=0),
            log_level='WARNING',
        )
        runner.train()
        return runner.train_loop.measurements


def _dataloader(cfg: Config, options: BenchmarkOptions) -> DataLoader | dict:
    if options.real_data:
        return dict(cfg.train_dataloader, batch_size=options.batch_size)
    head = cfg.model.decode_head
    has_depth = 'depth' in predicted_tasks(MODELS.get(head.type))
    pairs = SyntheticPairs(options.size, head.num_classes, has_depth)
    return DataLoader(pairs, batch_size=options.batch_size, collate_fn=pseudo_collate)
