# Licensed under the Apache License 2.0, see LICENSE.
"""The average of a plain model without domains."""

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import EMAHook, Hook
from mmengine.model import BaseModel
from mmengine.registry import METRICS
from torch import nn

from mmseg_depthuda.engine.hooks import MeanTeacherHook
from tests.models.pair_training import loader, make_runner

RATE, ALPHA, START = 0.25, 0.6, 3.0
XS = [1.0, 0.5, -1.0, 2.0]


class Line(BaseModel):
    """(w x)^2 / 2, whose gradient is w x^2; predicts w."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(()))

    def init_weights(self):
        self.w.data.fill_(START)

    def forward(self, inputs, mode):
        if mode == 'loss':
            return dict(loss=(self.w * torch.stack(inputs)).square().sum() / 2)
        return [dict(w=self.w.item())]


@METRICS.register_module()
class Weight(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [sample['w'] for sample in data_samples]

    def compute_metrics(self, results):
        return dict(w=results[0])


class Record(Hook):
    priority = 'LOWEST'

    def __init__(self):
        self.scores = []

    def after_val_epoch(self, runner, metrics=None):
        self.scores.append(metrics['w'])

    after_test_epoch = after_val_epoch


def evaluation(loop):
    data = loader([dict(inputs=torch.tensor(1.0))], 1)
    cfg = dict(type=f'{loop.title()}Loop')
    return {
        f'{loop}_dataloader': data,
        f'{loop}_evaluator': dict(type='Weight'),
        f'{loop}_cfg': cfg,
    }


def make(folder, name, *hooks, **options):
    data = [dict(inputs=torch.tensor(x).double()) for x in XS]
    record = Record()
    runner = make_runner(
        folder,
        name,
        [*hooks, record],
        dataset=data,
        model=Line(),
        train_dataloader=loader(data, 1),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=len(XS), val_interval=2),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=RATE)),
        **evaluation('val'),
        **evaluation('test'),
        **options,
    )
    return runner, record


def by_hand():
    """Student and teacher after each iteration."""
    w = teacher = START
    history = []
    for iteration, x in enumerate(XS):
        w -= RATE * w * x**2
        alpha = min(1 - 1 / (iteration + 1), ALPHA)
        teacher = alpha * teacher + (1 - alpha) * w
        history.append((w, teacher))
    return history


@pytest.mark.parametrize('evaluate', ['student', 'teacher'])
def test_averages_evaluates_and_saves(tmp_path, evaluate):
    hook = MeanTeacherHook(dict(type='TeacherEMA', alpha=ALPHA), evaluate)
    runner, record = make(tmp_path, 'run', hook)
    runner.train()
    history = by_hand()
    student, teacher = history[-1]
    assert len({round(value, 6) for pair in history for value in pair}) > 4
    assert runner.model.w.item() == hook.student.w.item() == pytest.approx(student)
    assert hook.teacher.w.item() == pytest.approx(teacher)
    which = ['student', 'teacher'].index(evaluate)
    assert record.scores == pytest.approx([history[1][which], history[3][which]])

    path = tmp_path / 'run' / 'iter_4.pth'
    checkpoint = torch.load(path, weights_only=False)
    assert checkpoint['state_dict']['w'].item() == pytest.approx(student)
    assert checkpoint['ema_state_dict']['module.w'].item() == pytest.approx(teacher)
    assert checkpoint['ema_state_dict']['steps'] == 4

    fresh = MeanTeacherHook(dict(type='TeacherEMA', alpha=ALPHA), evaluate)
    tested, record = make(tmp_path, 'test', fresh, load_from=str(path))
    tested.test()
    assert record.scores == pytest.approx([history[3][which]])
    assert tested.model.w.item() == pytest.approx(student)


def test_resuming_goes_on(tmp_path):
    make(tmp_path, 'run', MeanTeacherHook(dict(alpha=ALPHA)))[0].train()
    hook = MeanTeacherHook(dict(alpha=ALPHA))
    path = str(tmp_path / 'run' / 'iter_2.pth')
    runner, _ = make(tmp_path, 'resumed', hook, load_from=path, resume=True)
    runner.train()
    assert (hook.student.w.item(), hook.teacher.w.item()) == pytest.approx(by_hand()[-1])


@pytest.mark.parametrize(
    'other',
    [
        MeanTeacherHook(dict(alpha=ALPHA)),  # both would exchange their teacher with the student
        MeanTeacherHook(dict(alpha=0.5), 'student'),
        EMAHook(),
    ],
)
def test_a_second_teacher_is_refused(tmp_path, other):
    runner, _ = make(tmp_path, 'run', MeanTeacherHook(dict(alpha=ALPHA)), other)
    with pytest.raises(ValueError, match='both keep a teacher, .*one SelfTrainingHook'):
        runner.train()


def test_two_hooks_may_share_one_average(tmp_path):
    hooks = [MeanTeacherHook(dict(alpha=ALPHA), e) for e in ('student', 'teacher')]
    runner, record = make(tmp_path, 'run', *hooks)
    runner.train()
    history = by_hand()
    assert runner.model.w.item() == pytest.approx(history[3][0])
    assert [h.teacher.w.item() for h in hooks] == pytest.approx([history[3][1]] * 2)
    assert record.scores == pytest.approx([history[1][1], history[3][1]])


def test_arguments():
    assert MeanTeacherHook().evaluate == 'teacher'
    with pytest.raises(ValueError, match="must be 'student' or 'teacher', got 'both'"):
        MeanTeacherHook(evaluate='both')
