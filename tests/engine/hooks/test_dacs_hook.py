# Licensed under the Apache License 2.0, see LICENSE.
import copy
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.optim import OptimWrapper
from mmseg.models.decode_heads import FCNHead
from mmseg.registry import MODELS
from torch.utils.data import Dataset

from mmseg_depthuda.engine.hooks import DACSHook
from mmseg_depthuda.engine.self_training import Networks, branch_makers
from mmseg_depthuda.models.decode_heads.seg_weight_mixin import SegWeightMixin
from tests.models.pair_training import Pairs, loader, logged, make_runner
from tests.models.tiny_segmentor import (
    IGNORE,
    MEAN,
    SIZE,
    STD,
    head_config,
    make_branch,
    make_sample,
    segmentor_config,
    stacked,
    tiny_segmentor,
    upsample,
)

ITERATIONS = 4
THRESHOLD = 0.22
ALPHA = 0.6  # reached in the third iteration: both regimes of the warm-up are seen


def parameters(module):
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def buffers(module):
    return {name: b.detach().clone() for name, b in module.named_buffers()}


def assert_equal(actual, expected):
    """Bit for bit."""
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(actual[name], value), name


class Before(Hook):
    """Runs before the DACS hook in every iteration, and fixes its random numbers."""

    priority = 'VERY_HIGH'

    def __init__(self, dacs):
        self.dacs, self.batches, self.teachers, self.students = dacs, [], [], []

    def before_run(self, runner):
        # The weights are drawn next. MMEngine 0.10.7 has started the loader by now, and that draws.
        torch.manual_seed(1)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        torch.manual_seed(1000 + runner.iter)
        self.batches.append(copy.deepcopy(data_batch))
        self.teachers.append(copy.deepcopy(self.dacs.ema_model.module))
        self.students.append(copy.deepcopy(self.dacs.src_model))


class After(Hook):
    """Runs after the DACS hook in every iteration and evaluation."""

    priority = 'LOWEST'

    def __init__(self, dacs):
        self.dacs, self.mixed, self.students, self.teachers = dacs, [], [], []
        self.evaluated, self.logs = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.mixed.append(copy.deepcopy(data_batch['mixed']))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.students.append(parameters(runner.model))
        self.teachers.append(parameters(self.dacs.ema_model.module))
        self.logs.append(outputs)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        self.evaluated.append((parameters(runner.model), buffers(runner.model)))

    def before_test_iter(self, runner, batch_idx, data_batch=None):
        self.evaluated.append((parameters(runner.model), buffers(runner.model)))


class Images(Dataset):
    """Labeled images of the target for evaluation."""

    metainfo = Pairs().metainfo

    def __len__(self):
        return 2

    def __getitem__(self, index):
        image, sample = make_sample(np.random.default_rng(index))
        return dict(inputs=image, data_samples=sample)


def evaluation(loop):
    evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
    cfg = dict(type=f'{loop.title()}Loop')
    return {
        f'{loop}_dataloader': loader(Images(), 1),
        f'{loop}_evaluator': evaluator,
        f'{loop}_cfg': cfg,
    }


def train(work_dir, name, dacs=None, **options):
    dacs = dacs or DACSHook(alpha=ALPHA, threshold=THRESHOLD)
    before, after = Before(dacs), After(dacs)
    runner = make_runner(work_dir, name, [before, dacs, after], **options)
    runner.train()
    return SimpleNamespace(runner=runner, dacs=dacs, before=before, after=after)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('dacs')


@pytest.fixture(scope='module')
def run(folder):
    """Four iterations with an evaluation of the teacher after the second and the fourth."""
    dacs = DACSHook(
        alpha=ALPHA,
        threshold=THRESHOLD,
        initial_pseudo_labels=0.5,
        augment=False,
        evaluate='teacher',
    )
    return train(
        folder,
        'run',
        dacs,
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=ITERATIONS, val_interval=2),
        **evaluation('val'),
    )


# -- the teacher -----------------------------------------------------------------------------------


def test_the_teacher_starts_as_the_initialized_student(run):
    teacher, student = run.before.teachers[0], run.before.students[0]
    assert_equal(teacher.state_dict(), student.state_dict())
    # `init_weights` has run: PyTorch's own initialization is uniform in +-1/24.
    assert student.decode_head.final_seg.conv2d_list[0].weight.std() < 0.012


def test_the_teacher_is_the_closed_form_of_the_average(run):
    """theta_T = sum_i (1 - a_i) prod_(j > i) a_j student_i with a_i = min(1 - 1/(i + 1), alpha)."""
    alphas = [min(1 - 1 / (i + 1), ALPHA) for i in range(ITERATIONS)]
    assert alphas == [0, 0.5, ALPHA, ALPHA]
    for iteration in range(ITERATIONS):
        weights = [
            (1 - alphas[i]) * math.prod(alphas[i + 1 : iteration + 1]) for i in range(iteration + 1)
        ]
        assert sum(weights) == pytest.approx(1)
        for name, averaged in run.after.teachers[iteration].items():
            students = [student[name] for student in run.after.students]
            expected = sum(w * s for w, s in zip(weights, students, strict=False))
            torch.testing.assert_close(averaged, expected, rtol=1e-12, atol=1e-14)
    last = [run.after.students[i]['backbone.conv1.weight'] for i in (-2, -1)]
    assert not torch.equal(*last)


def test_the_teachers_buffers_come_from_target_images_alone(run):
    """The running mean of the stem after one iteration: 0.9 times 0 plus 0.1 times this batch."""
    student, teacher = run.before.students[0], run.before.teachers[1]
    images = normalized(run.before.batches[0]['target'])
    with torch.no_grad():
        mean = student.backbone.conv1(images).mean(dim=(0, 2, 3))
    torch.testing.assert_close(teacher.backbone.bn1.running_mean, 0.1 * mean)
    assert teacher.backbone.bn1.num_batches_tracked == 1
    # The student has seen the source and the mixed branch.
    own = run.before.students[1].backbone.bn1
    assert own.num_batches_tracked == 2 and not torch.equal(own.running_mean, 0.1 * mean)


def checkpoint_of(run, iteration):
    path = f'{run.runner.work_dir}/iter_{iteration}.pth'
    return path, torch.load(path, map_location='cpu', weights_only=True)


def test_the_checkpoint_holds_student_and_teacher(run):
    path, checkpoint = checkpoint_of(run, 2)
    student, teacher = run.after.students[1], run.after.teachers[1]
    assert_equal({name: checkpoint['state_dict'][name] for name in student}, student)
    averaged = checkpoint['ema_state_dict']
    assert averaged.pop('steps') == 2
    assert {name.removeprefix('module.') for name in averaged} == set(checkpoint['state_dict'])
    assert_equal({name: averaged[f'module.{name}'] for name in teacher}, teacher)
    assert not torch.equal(student['backbone.conv1.weight'], teacher['backbone.conv1.weight'])


def test_resuming_goes_on_as_if_never_stopped(run, folder):
    path, checkpoint = checkpoint_of(run, 2)
    dacs = DACSHook(alpha=ALPHA, threshold=THRESHOLD, initial_pseudo_labels=0.5, augment=False)
    resumed = train(folder, 'resumed', dacs, load_from=path, resume=True)
    teacher = resumed.before.teachers[0].state_dict()
    assert_equal(
        {f'module.{name}': value for name, value in teacher.items()} | {'steps': torch.tensor(2)},
        checkpoint['ema_state_dict'],
    )
    assert len(resumed.after.teachers) == 2
    assert_equal(resumed.after.teachers[-1], run.after.teachers[-1])
    assert_equal(resumed.after.students[-1], run.after.students[-1])
    assert_equal(buffers(resumed.dacs.ema_model), buffers(run.dacs.ema_model))


def test_starting_from_a_checkpoint_starts_with_a_fresh_teacher(run, folder):
    path, checkpoint = checkpoint_of(run, ITERATIONS)
    started = train(folder, 'started', load_from=path, iterations=1)
    assert_equal(started.before.teachers[0].state_dict(), checkpoint['state_dict'])
    assert_equal(started.after.teachers[0], started.after.students[0])
    assert started.dacs.ema_model.steps == 1


def test_resuming_a_run_that_had_no_teacher_is_reported(run, folder):
    path, checkpoint = checkpoint_of(run, 2)
    del checkpoint['ema_state_dict']
    path = str(folder / 'no_teacher.pth')
    torch.save(checkpoint, path)
    resumed = train(folder, 'no_teacher', load_from=path, resume=True, iterations=3)
    assert_equal(resumed.before.teachers[0].state_dict(), checkpoint['state_dict'])
    assert logged(folder / 'no_teacher').count('holds no ema_state_dict') == 1


def test_evaluation_of_the_teacher_swaps_and_restores(run):
    per_epoch = len(Images())
    assert len(run.after.evaluated) == 2 * per_epoch
    for index, iteration in ((0, 1), (per_epoch, 3)):
        evaluated, statistics = run.after.evaluated[index]
        assert_equal(evaluated, run.after.teachers[iteration])
        if iteration == 1:
            assert_equal(statistics, buffers(run.before.teachers[2]))
    # Training went on with the student: the third step starts from what the second left.
    assert_equal(parameters(run.before.students[2]), run.after.students[1])
    assert_equal(parameters(run.runner.model), run.after.students[-1])
    assert_equal(parameters(run.dacs.ema_model.module), run.after.teachers[-1])


def evaluate_checkpoint(path, folder, evaluate):
    dacs = DACSHook(evaluate=evaluate)
    recorder = After(dacs)
    runner = make_runner(
        folder,
        f'test_{evaluate}_of_{Path(path).stem}',
        [dacs, recorder],
        train_dataloader=None,
        train_cfg=None,
        optim_wrapper=None,
        load_from=path,
        **evaluation('test'),
    )
    assert 'mIoU' in runner.test()
    return runner, recorder.evaluated[0]


def test_testing_a_checkpoint(run, folder):
    path, checkpoint = checkpoint_of(run, ITERATIONS)
    student = checkpoint['state_dict']
    teacher = {
        name.removeprefix('module.'): value
        for name, value in checkpoint['ema_state_dict'].items()
        if name != 'steps'
    }
    for evaluate, expected in (('student', student), ('teacher', teacher)):
        runner, (evaluated, statistics) = evaluate_checkpoint(path, folder, evaluate)
        evaluated.update({n: b for n, b in statistics.items() if n in expected})
        assert_equal(evaluated, expected)
        left = parameters(runner.model)
        assert_equal(left, {name: student[name] for name in left})


def test_testing_the_teacher_of_a_checkpoint_without_one(run, folder):
    path, checkpoint = checkpoint_of(run, 2)
    del checkpoint['ema_state_dict']
    path = str(folder / 'student_only.pth')
    torch.save(checkpoint, path)
    _, (evaluated, _) = evaluate_checkpoint(path, folder, 'teacher')
    assert_equal(evaluated, {name: checkpoint['state_dict'][name] for name in evaluated})
    assert 'holds no ema_state_dict' in logged(folder)


def test_testing_after_a_training_keeps_the_teacher(folder):
    dacs = DACSHook(alpha=ALPHA, threshold=THRESHOLD, evaluate='teacher')
    run = train(folder, 'train_test', dacs, iterations=2, **evaluation('test'))
    run.runner.test()
    assert_equal(run.after.evaluated[0][0], run.after.teachers[-1])
    assert_equal(parameters(run.runner.model), run.after.students[-1])


# -- the mixed branch ------------------------------------------------------------------------------


def normalized(branch):
    images = torch.stack(branch['inputs']).double()
    mean, std = (torch.tensor(x, dtype=torch.float64).view(3, 1, 1) for x in (MEAN, STD))
    return (images - mean) / std


def numpy_teacher(teacher, branch, initial):
    """Pseudo-label, confidence (N, H, W) of a teacher in NumPy."""
    with torch.no_grad():
        tasks = teacher.decode_head.forward_tasks(teacher.backbone(normalized(branch)), ())
    logits = upsample((tasks.initial_seg if initial else tasks.seg).numpy(), SIZE)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return logits.argmax(axis=1), probability.max(axis=1)


@pytest.mark.parametrize('iteration', range(ITERATIONS))
def test_the_mixed_branch_by_hand(run, iteration):
    batch, mixed = run.before.batches[iteration], run.after.mixed[iteration]
    # The first half of the iterations takes the initial prediction.
    label, confidence = numpy_teacher(
        run.before.teachers[iteration], batch['target'], initial=iteration < 2
    )
    share = (confidence >= THRESHOLD).mean()
    assert 0 < share < 1
    mask = stacked(mixed, 'mix_mask')
    source_label = stacked(batch['source'], 'gt_sem_seg')
    assert np.array_equal(
        stacked(mixed, 'gt_sem_seg'), np.where(mask, source_label, label[:, None])
    )
    np.testing.assert_allclose(stacked(mixed, 'seg_weight'), np.where(mask, 1, share), rtol=1e-12)
    depths = [stacked(batch[domain], 'gt_depth_map') for domain in ('source', 'target')]
    assert np.array_equal(stacked(mixed, 'gt_depth_map'), np.where(mask, *depths))
    images = [normalized(batch[domain]).numpy() for domain in ('source', 'target')]
    np.testing.assert_allclose(mixed['inputs'].numpy(), np.where(mask, *images), atol=1e-6)

    for image_mask, image_label in zip(mask, source_label, strict=True):
        classes = np.unique(image_label)
        pasted = [c for c in classes if image_mask[image_label == c].all()]
        assert len(pasted) == math.ceil(len(classes) / 2)
        assert np.array_equal(image_mask, np.isin(image_label, pasted))
    for index, sample in enumerate(mixed['data_samples']):
        assert sample.metainfo['branch'] == 'mixed'
        assert sample.metainfo['domain'] == ('source', 'target')
        assert (
            sample.metainfo['pasted_classes']
            == np.unique(source_label[index][mask[index]]).tolist()
        )
        number = 2 * iteration + index
        assert sample.metainfo['img_path'] == [f'source_{number}.png', f'target_{number}.png']


def test_initial_and_final_pseudo_labels_differ(run):
    """Otherwise the test above could not see the share of initial pseudo-labels."""
    teacher, target = run.before.teachers[0], run.before.batches[0]['target']
    initial, final = (numpy_teacher(teacher, target, i)[0] for i in (True, False))
    assert (initial != final).any()


def test_the_mixed_branch_is_trained_on(run):
    for log in run.after.logs:
        assert {'source.loss_seg', 'mixed.loss_seg', 'mixed.loss_depth'} <= set(log)
        assert not any(name.startswith('target') for name in log)


def stub_runner(model, **options):
    """The parts of a runner that the hook uses in a single call."""
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    options = dict(iter=0, max_iters=10, max_epochs=1, _resume=False) | options
    options['hooks'] = []
    options['message_hub'] = MessageHub.get_instance('stub')
    options['train_dataloader'] = SimpleNamespace(dataset=None)
    return SimpleNamespace(model=model, optim_wrapper=wrapper, **options)


def started_hook(model, **options):
    hook = DACSHook(**options)
    runner = stub_runner(model, logger=None)
    hook.before_run(runner)
    hook.before_train(runner)
    return hook, runner


def preprocessed_pair(model, **target_options):
    batch = dict(source=make_branch(0), target=make_branch(1, **target_options))
    return model.data_preprocessor(batch, training=True)


def test_strong_augmentation_of_the_image_alone(monkeypatch):
    """The augmentation gets the normalization to undo it; labels and depth do not change."""
    model = tiny_segmentor()
    calls = []

    def augmentation(images, mean, std, rgb):
        calls.append((mean.flatten().tolist(), std.flatten().tolist(), rgb))
        return images + 1

    monkeypatch.setattr(branch_makers, 'strong_augmentation', augmentation)
    pair = preprocessed_pair(model)
    results = []
    for augment in (False, True):
        hook, _ = started_hook(model, augment=augment)
        torch.manual_seed(3)
        batch = dict(pair)
        hook.add_branches(batch)
        results.append(batch['mixed'])
    plain, augmented = results
    assert calls == [(list(MEAN), list(STD), False)]
    assert torch.equal(augmented['inputs'], plain['inputs'] + 1)
    for name in ('gt_sem_seg', 'gt_depth_map', 'mix_mask', 'seg_weight'):
        assert np.array_equal(stacked(augmented, name), stacked(plain, name))


def test_padding_is_neither_labelled_nor_counted():
    model = tiny_segmentor()
    pair = preprocessed_pair(model, size=(20, 32))
    hook, _ = started_hook(model, threshold=0.4)
    teacher = copy.deepcopy(hook.ema_model.module)
    found = hook.pseudo_labeler(Networks(hook.student, hook.teacher, 1.0), pair['target'])
    label, trust = found.label, found.trust
    with torch.no_grad():
        tasks = teacher.decode_head.forward_tasks(teacher.backbone(pair['target']['inputs']), ())
    logits = upsample(tasks.seg.numpy(), SIZE)
    confidence = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).max(axis=1)
    inside = np.zeros((2, *SIZE), dtype=bool)
    inside[:, :20, :32] = True
    expected = np.where(inside, logits.argmax(axis=1), IGNORE)
    assert np.array_equal(label[:, 0].numpy(), expected)
    share = (confidence[inside] >= 0.4).mean()
    assert share != (confidence >= 0.4).mean()
    np.testing.assert_allclose(trust.numpy(), np.full((2, 1, *SIZE), share), rtol=1e-12)


@pytest.mark.parametrize('depth', [True, False])
def test_papers_difficulty_weights_the_pseudo_labels(depth):
    """Equation 9 on the target image with the student's decoders, on target pixels alone."""
    model = tiny_segmentor(head_config(difficulty='paper'))
    for decoder in model.decode_head.final_depth.values():
        decoder.conv2d_list[0].weight.data *= 50
    pair = preprocessed_pair(model, depth=depth)
    hook, _ = started_hook(model, threshold=0.4)
    student, teacher = copy.deepcopy(model), copy.deepcopy(hook.ema_model.module)
    hook.add_branches(pair)
    mixed = pair['mixed']

    inputs = pair['target']['inputs']
    with torch.no_grad():
        depths = student.decode_head.forward_depths(student.backbone(inputs))
        logits = teacher.decode_head(teacher.backbone(inputs))
    logits = upsample(logits.numpy(), SIZE)
    confidence = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).max(axis=1)
    trust = np.full((2, 1, *SIZE), (confidence >= 0.4).mean())
    if depth:
        reference = stacked(pair['target'], 'gt_depth_map')
        difference = upsample((depths['source'] - depths['target']).numpy(), SIZE)
        with np.errstate(divide='ignore'):
            agreement = np.maximum(1 - np.abs(difference) / reference, 0)
        agreement[reference == 0] = 1
        assert 0.05 < agreement.mean() < 0.95
        trust = trust * agreement
    expected = np.where(stacked(mixed, 'mix_mask'), 1, trust)
    np.testing.assert_allclose(stacked(mixed, 'seg_weight'), expected, rtol=1e-9)


# -- what may be missing ---------------------------------------------------------------------------


@pytest.mark.parametrize('lacking', ['source', 'target'])
def test_missing_depth_is_reported_once(folder, lacking):
    dataset = Pairs(**{lacking: dict(depth=False)})
    run = train(folder, f'no_{lacking}_depth', dataset=dataset, iterations=3)
    text = logged(folder / f'no_{lacking}_depth')
    expected = ['source', 'mixed'] if lacking == 'source' else ['mixed']
    assert re.findall(r'give depth on (\w+) a weight, but', text) == expected
    assert 'predicted_depth' in text
    for log in run.after.logs:
        assert 'mixed.loss_seg' in log and 'mixed.loss_depth' not in log
        assert ('source.loss_depth' in log) == (lacking == 'target')
    assert 'gt_depth_map' not in run.after.mixed[0]['data_samples'][0]


def test_a_head_without_depth(folder):
    """DACS."""
    model = ConfigDict(segmentor_config(head_config('DeepLabV2Head', num_summed=2)))
    run = train(folder, 'dacs', model=model, iterations=2)
    assert set(run.after.logs[0]) == {'loss'} | {
        f'{branch}.{name}' for branch in ('source', 'mixed') for name in ('loss_seg', 'acc_seg')
    }
    assert 'no depth' not in logged(folder / 'dacs')
    assert not torch.equal(*(t['backbone.conv1.weight'] for t in run.after.teachers))


class WeightedFCNHead(SegWeightMixin, FCNHead):
    pass


def test_a_head_of_mmseg_with_the_mixin(folder):
    if 'WeightedFCNHead' not in MODELS:
        MODELS.register_module(module=WeightedFCNHead)
    head = dict(type='WeightedFCNHead', in_channels=64, in_index=3, channels=8, num_classes=5)
    model = ConfigDict(segmentor_config(head))
    run = train(folder, 'fcn', model=model, iterations=1)
    assert {'source.loss_ce', 'mixed.loss_ce'} <= set(run.after.logs[0])


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(evaluate='ema'), "evaluate must be 'student' or 'teacher', got 'ema'"),
        (dict(initial_pseudo_labels=10), 'initial_pseudo_labels must be in 0..1, got 10'),
        (dict(threshold=96.8), 'threshold must be in 0..1, got 96.8'),
    ],
)
def test_arguments_are_checked(options, message):
    with pytest.raises(ValueError, match=message):
        DACSHook(**options)


def test_a_decay_out_of_range():
    with pytest.raises(ValueError, match='got 99.9'):
        started_hook(tiny_segmentor(), alpha=99.9)


FCN = dict(type='FCNHead', in_channels=64, in_index=3, channels=8, num_classes=5)


@pytest.mark.parametrize(
    ('model', 'hook', 'error', 'message'),
    [
        (dict(type='EncoderDecoder'), {}, TypeError, "set model.type='UDASegmentor'"),
        (dict(decode_head=FCN), {}, TypeError, 'FCNHead ignores the weights'),
        (dict(auxiliary_head=FCN), {}, TypeError, 'FCNHead ignores the weights'),
        (dict(auxiliary_head=[FCN]), {}, TypeError, 'FCNHead ignores the weights'),
        (
            dict(
                decode_head=head_config(
                    'DeepLabV2Head',
                    num_classes=2,
                    out_channels=1,
                    threshold=0.5,
                    loss_decode=dict(
                        type='CrossEntropyLoss', use_sigmoid=True, loss_name='loss_seg'
                    ),
                )
            ),
            {},
            ValueError,
            'one logit per class.*out_channels=1',
        ),
        (
            dict(decode_head=head_config('DeepLabV2Head')),
            dict(initial_pseudo_labels=0.1),
            ValueError,
            'need a head with an initial segmentation.*not DeepLabV2Head',
        ),
    ],
)
def test_models_that_cannot_be_trained_this_way(model, hook, error, message):
    model = MODELS.build(ConfigDict(segmentor_config(**model)))
    with pytest.raises(error, match=message):
        started_hook(model, **hook)


@pytest.mark.parametrize('present', ['source', 'target'])
def test_a_missing_branch(present):
    hook, runner = started_hook(tiny_segmentor())
    with pytest.raises(KeyError, match='SourceTargetDataset'):
        hook.before_train_iter(runner, 0, {present: make_branch()})
    with pytest.raises(KeyError, match='SourceTargetDataset'):
        hook.before_train_iter(runner, 0, make_branch())
