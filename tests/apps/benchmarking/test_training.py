# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
from mmengine.config import Config

from mmseg_depthuda.apps.benchmarking import BenchmarkOptions, benchmark_training, training
from mmseg_depthuda.apps.benchmarking.instrumentation import Parts
from mmseg_depthuda.apps.benchmarking.synthetic_pairs import SyntheticPairs
from tests.models.tiny_segmentor import NUM_CLASSES, SIZE, segmentor_config


@pytest.fixture
def cfg():
    return Config(
        dict(
            model=segmentor_config(),
            optim_wrapper=dict(
                type='OptimWrapper',
                optimizer=dict(type='RepeatedSGD', lr=1e-3, momentum=0.9),
                constructor='DeepLabOptimWrapperConstructor',
            ),
            train_dataloader=dict(
                batch_size=7,
                num_workers=0,
                sampler=dict(type='InfiniteSampler', shuffle=False),
                dataset=dict(
                    type=SyntheticPairs, size=SIZE, num_classes=NUM_CLASSES, with_depth=True
                ),
            ),
            custom_hooks=[dict(type='DACSHook', initial_pseudo_labels=0.1)],
        )
    )


def in_this_process(function, *args):
    """Stands in for the child process that measures memory."""
    function(*args)
    in_this_process.variants.append(args[-1])
    return 10 ** len(in_this_process.variants)


def test_report_of_random_images(cfg, monkeypatch):
    in_this_process.variants = []
    monkeypatch.setattr(training, 'peak_resident_bytes', in_this_process)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    report = benchmark_training(cfg, BenchmarkOptions(iters=2, warmup=1, batch_size=3, size=SIZE))
    for variant, lacks in (('package', {'joint backward'}), ('naive', set())):
        measured = report[variant]
        assert len(measured['iteration_seconds']) == 2
        assert set(measured['parts']) == set(Parts.ALL) - lacks
        assert measured['images_per_second'] == pytest.approx(6 / measured['seconds'])
    assert in_this_process.variants == ['package', 'naive']
    assert report['ratios']['peak_memory'] == 0.1
    assert report['setting']['size'] == SIZE
    # The config of the caller is as it was.
    assert cfg.custom_hooks[0]['initial_pseudo_labels'] == 0.1


def test_real_data_comes_from_the_loader_of_the_config_and_its_wait_counts(cfg, monkeypatch):
    indices = []
    load = SyntheticPairs.__getitem__

    def counted_load(self, index):
        indices.append(index)
        return load(self, index)

    monkeypatch.setattr(SyntheticPairs, '__getitem__', counted_load)
    options = BenchmarkOptions(iters=1, warmup=0, batch_size=2, real_data=True, memory=False)
    report = benchmark_training(cfg, options)
    assert len(indices) == 4  # batch size 2 instead of the config's 7, one batch per variant
    assert report['package']['parts']['data'] > 0
    assert report['ratios']['peak_memory'] is None


def test_a_config_without_self_training_is_refused(cfg):
    cfg.custom_hooks = [dict(type='EmptyCacheHook')]
    with pytest.raises(ValueError, match='custom_hooks of the config hold no DACSHook'):
        benchmark_training(cfg, BenchmarkOptions())


def test_mixed_precision_needs_cuda(cfg, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(ValueError, match='--amp needs CUDA'):
        benchmark_training(cfg, BenchmarkOptions(amp=True))


@pytest.mark.parametrize(
    'wrong', [dict(iters=0), dict(warmup=-1), dict(batch_size=0), dict(size=(0, 512))]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match='must be at least'):
        BenchmarkOptions(**wrong)
