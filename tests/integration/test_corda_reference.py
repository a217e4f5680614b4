# Licensed under the Apache License 2.0, see LICENSE.
"""Three iterations of CorDA under MMEngine's runner against a second, plain implementation."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

import mmseg_depthuda  # noqa: F401
from mmseg_depthuda.engine.hooks import DACSHook
from mmseg_depthuda.engine.self_training import branch_makers
from tests.models.tiny_segmentor import LOSS_WEIGHTS

ITERATIONS = 3
NUM_CLASSES = 6
SIZE = (33, 65)
TOLERANCE = 1e-8

RELEASED_NAMES = [
    (r'^seg_trunk', 'initial_task_prediction_heads.layers.S'),
    (r'^depth_trunk', 'initial_task_prediction_heads.layers.D'),
    (r'^initial_seg', 'initial_task_prediction_heads.conv_out.S'),
    (r'^initial_depth\.source', 'initial_task_prediction_heads.conv_out.D_src'),
    (r'^initial_depth\.target', 'initial_task_prediction_heads.conv_out.D'),
    (r'^seg_from_depth\.attention', 'multi_modal_distillation.self_attention.S.D.attention.0'),
    (r'^seg_from_depth', 'multi_modal_distillation.self_attention.S.D'),
    (r'^depth_from_seg\.attention', 'multi_modal_distillation.self_attention.D.S.attention.0'),
    (r'^depth_from_seg', 'multi_modal_distillation.self_attention.D.S'),
    (r'^final_seg', 'heads.S'),
    (r'^final_depth\.source', 'heads.D_src'),
    (r'^final_depth\.target', 'heads.D'),
]
LOSS_NAMES = {
    'loss_seg': 'final_segmentation',
    'loss_initial_seg': 'initial_segmentation',
    'loss_depth': 'final_depth',
    'loss_initial_depth': 'initial_depth',
}


def _load_reference():
    path = Path(__file__).with_name('reference_corda.py')
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = _load_reference()


def fixed_augmentation(images, *args, **kwargs):
    """Replaces the random augmentation: it changes the losses of the mixed branch and no others."""
    return 0.7 * images + 0.3 * images.flip(1)


def released_name(name):
    for pattern, replacement in RELEASED_NAMES:
        renamed = re.sub(pattern, replacement, name)
        if renamed != name:
            return renamed
    raise AssertionError(f'unexpected head parameter {name!r}')


def draw_batches():
    """Images like normalized ones, labels in blobs, some of them ignored, depth with gaps."""
    generator = torch.Generator().manual_seed(7)

    def uniform(low, high, *shape):
        return low + (high - low) * torch.rand(shape, dtype=torch.float64, generator=generator)

    def depth():
        values = uniform(1, 12, 2, 1, *SIZE)
        return values * (torch.rand(values.shape, generator=generator) > 0.1)

    batches = []
    for _ in range(ITERATIONS):
        coarse = torch.randint(0, NUM_CLASSES + 1, (2, 1, 5, 9), generator=generator)
        label = torch.nn.functional.interpolate(coarse.double(), SIZE)[:, 0].long()
        label[label == NUM_CLASSES] = reference.IGNORE
        classes = [one.unique() for one in label]
        halves = [
            c[torch.randperm(len(c), generator=generator)[: (len(c) + 1) // 2]] for c in classes
        ]
        batches.append(
            reference.Batch(
                source_image=uniform(-110, 140, 2, 3, *SIZE),
                source_label=label,
                source_depth=depth(),
                target_image=uniform(-110, 140, 2, 3, *SIZE),
                target_depth=depth(),
                source_classes=[half.tolist() for half in halves],
                augment=fixed_augmentation,
            )
        )
        batches[-1] = on_device(batches[-1])
    return batches


def on_device(batch):
    for name, value in vars(batch).items():
        if isinstance(value, torch.Tensor):
            setattr(batch, name, value.to(get_device()))
    return batch


def build_model(options):
    torch.manual_seed(11)
    model = MODELS.build(
        dict(
            type='UDASegmentor',
            data_preprocessor=dict(type='UDADataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3),
            backbone=dict(type='DeepLabV2ResNet', depth=50, base_channels=4),
            decode_head=dict(
                type='CorDAHead',
                loss_weights=LOSS_WEIGHTS['CorDAHead'],
                in_channels=128,
                in_index=3,
                channels=16,
                num_classes=NUM_CLASSES,
                num_summed=options.branches,
                initial_seg=options.initial_segmentation,
                difficulty=options.difficulty and options.difficulty.split('_')[0],
                difficulty_per_image=True if options.difficulty == 'release_per_image' else None,
            ),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
    )
    model.init_weights()
    # The published N(0, 0.01) leaves every pixel undecided: no pseudo-label would be confident.
    for name, parameter in model.decode_head.named_parameters():
        if 'conv2d_list' in name or name.startswith('initial_'):
            torch.nn.init.normal_(parameter, std=0.5)
    # A deep random network amplifies rounding ten-thousandfold within the three iterations; with
    # weak residual branches it is nearly linear.
    for name, parameter in model.backbone.named_parameters():
        if name.endswith('bn3.weight'):
            torch.nn.init.constant_(parameter, 0.2)
    return model.double().to(get_device())


def runner_batch(batch):
    """The same batch as the data loader and the preprocessor would give it to the hook."""

    def branch(domain, images, **maps):
        samples = []
        for index in range(len(images)):
            metainfo = dict(
                branch=domain, domain=domain, img_shape=SIZE, img_path=f'{domain}_{index}.png'
            )
            sample = SegDataSample(metainfo=metainfo)
            for name, values in maps.items():
                sample.set_data({name: PixelData(data=values[index])})
            samples.append(sample)
        return dict(inputs=images, data_samples=samples)

    label = batch.source_label[:, None]
    return dict(
        source=branch(
            'source', batch.source_image, gt_sem_seg=label, gt_depth_map=batch.source_depth
        ),
        target=branch('target', batch.target_image, gt_depth_map=batch.target_depth),
    )


class Recorder(Hook):
    """Keeps what the runner logs."""

    def __init__(self):
        self.losses = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses.append({name: float(value) for name, value in outputs.items()})


def train_package(model, batches, options, work_dir, monkeypatch):
    drawn = iter([batch.source_classes for batch in batches])

    monkeypatch.setattr(branch_makers, 'strong_augmentation', fixed_augmentation)
    recorder = Recorder()
    hook = DACSHook(initial_pseudo_labels=options.initial_pseudo_labels / ITERATIONS)
    hook.makers['mixed'].classes = lambda label: next(drawn)
    optimizer = dict(
        type='RepeatedSGD' if options.repeats else 'SGD',
        lr=options.learning_rate,
        momentum=options.momentum,
        weight_decay=options.weight_decay,
    )
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader=DataLoader(
            [runner_batch(batch) for batch in batches], batch_size=None, collate_fn=lambda x: x
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=ITERATIONS),
        optim_wrapper=dict(
            type='OptimWrapper',
            optimizer=optimizer,
            constructor='DeepLabOptimWrapperConstructor',
            paramwise_cfg=dict(repeat_backbone=options.repeats),
        ),
        # MMEngine's decay arrives in step `end - 1`, the published one at `max_iterations`.
        param_scheduler=[
            dict(type='PolyLR', power=0.9, end=options.max_iterations + 1, by_epoch=False)
        ],
        default_hooks=dict(checkpoint=None, logger=None, timer=None, sampler_seed=None),
        custom_hooks=[hook, recorder],
        default_scope='mmseg',
        experiment_name=work_dir.name,
        log_level='ERROR',
    )
    runner.train()
    return recorder.losses, hook.ema_model.module


def assert_same_losses(actual, expected):
    total = 0
    for branch in ('source', 'mixed'):
        for name, released in LOSS_NAMES.items():
            value = expected[f'{branch}.{released}']
            assert actual[f'{branch}.{name}'] == pytest.approx(value, rel=TOLERANCE), (branch, name)
            assert value > 0
            total += value
    assert actual['loss'] == pytest.approx(total, rel=TOLERANCE)


def package_tensors(model):
    for name, tensor in model.state_dict().items():
        if name.startswith('backbone.'):
            yield name, tensor
        elif name.startswith('decode_head.'):
            yield 'head.' + released_name(name.removeprefix('decode_head.')), tensor


def reference_tensors(network):
    tensors = {f'backbone.{name}': t for name, t in network.backbone.state_dict().items()}
    tensors.update({f'head.{name}': t.detach() for name, t in network.head.items()})
    return tensors


def assert_same_network(model, network, start, compare):
    """The *change* of every tensor agrees, which is stricter than its value."""
    expected = reference_tensors(network)
    actual = dict(package_tensors(model))
    assert actual.keys() == expected.keys()
    moved = 0
    for name in filter(compare, actual):
        change = (expected[name] - start[name]).norm()
        error = (actual[name] - expected[name]).norm()
        assert error <= TOLERANCE * change + 1e-14, f'{name}: {error} of {change}'
        moved += int(change > 0)
    return moved


def is_parameter(name):
    return 'running_' not in name and 'num_batches' not in name


def is_running_statistic(name):
    return 'running_' in name


VARIANTS = {
    'gta-release': dict(initial_segmentation='aspp', initial_pseudo_labels=2),
    'synthia-release': dict(initial_segmentation='conv'),
    'gta-paper': dict(
        initial_segmentation='aspp',
        branches=4,
        repeats=False,
        difficulty='paper',
        initial_pseudo_labels=1,
    ),
    'synthia-paper': dict(
        initial_segmentation='conv', branches=4, repeats=False, difficulty='paper'
    ),
    'difficulty-per-image': dict(initial_segmentation='conv', difficulty='release_per_image'),
    'no-difficulty': dict(initial_segmentation='aspp', difficulty=None),
}


@pytest.mark.parametrize('variant', VARIANTS)
def test_three_iterations(variant, tmp_path, monkeypatch):
    # A schedule that ends soon shows whether its steps fall on the right iterations.
    # MMSeg rounds the weights of its cross entropy to float32. Rounding them here as well leaves
    # nothing that three iterations could amplify.
    options = reference.Options(max_iterations=5, weight_dtype=torch.float32, **VARIANTS[variant])
    batches = draw_batches()
    model = build_model(options)
    start = {name: tensor.clone() for name, tensor in package_tensors(model)}
    backbone, head = model.backbone, {}
    for name, tensor in model.decode_head.state_dict(keep_vars=True).items():
        head[released_name(name)] = tensor
    hook = backbone.register_forward_hook(lambda module, inputs, outputs: outputs[-1])
    losses, details, student, teacher = reference.train_corda(backbone, head, batches, options)
    hook.remove()

    actual, package_teacher = train_package(model, batches, options, tmp_path, monkeypatch)

    assert len(actual) == len(losses) == ITERATIONS
    for one, expected in zip(actual, losses, strict=True):
        assert_same_losses(one, expected)
    assert assert_same_network(model, student, start, is_parameter) > 60
    assert assert_same_network(package_teacher, teacher, start, is_parameter) > 60
    if not options.initial_pseudo_labels:
        # The package does not compute the teacher's tasks that initial pseudo-labels do not need,
        # so their statistics are not compared.
        assert_same_network(package_teacher, teacher, start, is_running_statistic)
    if options.difficulty != 'paper':
        # The paper's difficulty needs one more pass of the student, at any place in the order.
        assert_same_network(model, student, start, is_running_statistic)

    # The comparison means something only if each mechanism has an effect.
    assert all(0.01 < one['share'] < 0.99 for one in details)
    assert all(one['label'].eq(reference.IGNORE).any() for one in details)
    if options.difficulty:
        assert all(one['difficulty'].std() > 0.05 for one in details)
    assert any(
        not torch.equal(a, b)
        for a, b in zip(model.parameters(), package_teacher.parameters(), strict=True)
    )
