# Licensed under the Apache License 2.0, see LICENSE.
"""The two ways of an iteration must give one result, or comparing their cost means nothing."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from mmseg_depthuda.apps.benchmarking.instrumentation import Parts, instrumented
from mmseg_depthuda.apps.benchmarking.naive_iteration import (
    all_predictions,
    naive_iteration,
    plain_ema_update,
    plain_step,
)
from mmseg_depthuda.apps.benchmarking.stopwatch import Stopwatch
from mmseg_depthuda.engine.hooks import DACSHook
from mmseg_depthuda.engine.optimizers import DeepLabOptimWrapperConstructor, RepeatedSGD
from mmseg_depthuda.models.teachers import TeacherEMA
from tests.models.tiny_segmentor import NUM_CLASSES, SIZE, head_config, make_branch, tiny_segmentor

HEADS = {
    'CorDA, release': head_config(),
    'CorDA, paper': head_config(difficulty='paper', initial_seg='conv'),
    'DACS': head_config('DeepLabV2Head'),
}


class Training:
    """Student, teacher and optimizer, and the package's and the naive iteration on them."""

    def __init__(self, decode_head):
        self.model = tiny_segmentor(deepcopy(decode_head))
        self.hook = DACSHook(alpha=0.9)
        self.hook.before_run(SimpleNamespace(model=self.model, hooks=[]))
        self.optim_wrapper = DeepLabOptimWrapperConstructor(
            dict(optimizer=dict(type='RepeatedSGD', lr=1e-3, momentum=0.9, weight_decay=5e-4))
        )(self.model)
        self.watch = Stopwatch(torch.device('cpu'))

    def run(self, is_naive, seed, depth):
        batch = dict(
            source=make_branch(seed, depth=depth), target=make_branch(seed + 100, depth=depth)
        )
        torch.manual_seed(seed)
        with instrumented(self.hook, self.optim_wrapper, self.watch):
            if is_naive:
                naive_iteration(self.hook, self.optim_wrapper, batch, self.watch)
            else:
                runner = SimpleNamespace(
                    iter=seed,
                    max_iters=10,
                    optim_wrapper=self.optim_wrapper,
                    logger=SimpleNamespace(warning=lambda message: None),
                    message_hub=MessageHub.get_instance('naive'),
                )
                self.hook.before_train_iter(runner, seed, batch)
                self.model.train_step(batch, self.optim_wrapper)
                self.hook.after_train_iter(runner, seed)
        return self.watch.read()


@pytest.mark.parametrize('name', HEADS)
def test_naive_iterations_update_student_and_teacher_as_the_package_does(name):
    depth = name != 'DACS'
    package, naive = Training(HEADS[name]), Training(HEADS[name])
    start = deepcopy(package.model.state_dict())
    for seed in range(3):
        package.run(is_naive=False, seed=seed, depth=depth)
        naive.run(is_naive=True, seed=seed, depth=depth)
    moved = 0
    for of in (lambda t: t.model, lambda t: t.hook.ema_model.module):
        expected = dict(of(naive).named_parameters())
        for key, parameter in of(package).named_parameters():
            # MMSeg's cross entropy rounds weights to float32.
            torch.testing.assert_close(parameter, expected[key], rtol=1e-5, atol=1e-7)
            moved += not torch.equal(parameter, start[key])
    assert moved > 50


def test_parts_of_the_package():
    parts = Training(HEADS['CorDA, release']).run(is_naive=False, seed=0, depth=True)
    assert set(parts) == set(Parts.ALL) - {Parts.OTHER, Parts.JOINT_BACKWARD}
    assert min(parts.values()) > 0


def test_parts_of_the_naive_iteration():
    training = Training(HEADS['CorDA, release'])
    training.run(is_naive=False, seed=0, depth=True)
    parts = training.run(is_naive=True, seed=1, depth=True)
    assert set(parts) == set(Parts.ALL) - {Parts.OTHER}


def test_nothing_is_left_of_the_instruments():
    training = Training(HEADS['CorDA, release'])
    parties = [training.hook, training.optim_wrapper, training.optim_wrapper.optimizer]
    parties += [training.model, training.model.data_preprocessor, training.hook.ema_model.module]
    before = [set(vars(party)) for party in parties]
    training.run(is_naive=True, seed=0, depth=True)
    assert [set(vars(party)) for party in parties] == before


def test_all_predictions_are_of_the_size_of_the_images():
    predictions = all_predictions(tiny_segmentor(), torch.zeros(2, 3, *SIZE, dtype=torch.float64))
    assert predictions.seg.shape == predictions.initial_seg.shape == (2, NUM_CLASSES, *SIZE)
    for depths in (predictions.depth, predictions.initial_depth):
        assert {key: depth.shape for key, depth in depths.items()} == dict.fromkeys(
            ('source', 'target'), (2, 1, *SIZE)
        )


def parameter(values, gradient):
    param = nn.Parameter(torch.tensor(values, dtype=torch.float64))
    param.grad = torch.tensor(gradient, dtype=torch.float64)
    return param


def test_plain_step_repeats_the_whole_update():
    param = parameter([1.0], [0.5])
    optimizer = RepeatedSGD([param], lr=0.1, momentum=0.9, weight_decay=0.2, repeats=2)
    plain_step(optimizer)
    # First: d = b = 0.5 + 0.2 = 0.7, x = 0.93. Second: d = 0.686, b = 1.316, x = 0.7984.
    torch.testing.assert_close(param.data, torch.tensor([0.7984], dtype=torch.float64))


def test_plain_step_of_another_optimizer_is_its_own_without_foreach():
    param = parameter([1.0, -2.0], [0.5, 3.0])
    optimizer = torch.optim.AdamW([param], lr=0.1, weight_decay=0.01)
    plain_step(optimizer)
    # The first step of Adam is lr * sign(gradient), after the decay by 1 - lr * weight_decay.
    expected = torch.tensor([0.999 - 0.1, -1.998 - 0.1], dtype=torch.float64)
    torch.testing.assert_close(param.data, expected)
    assert optimizer.param_groups[0]['foreach'] is None


def test_plain_ema_update():
    student = nn.Linear(2, 1, bias=False)
    teacher = TeacherEMA(student, alpha=0.75)
    teacher.steps += 9
    teacher.module.weight.data = torch.tensor([[1.0, 4.0]])
    student.weight.data = torch.tensor([[3.0, 0.0]])
    plain_ema_update(teacher, student)
    assert teacher.module.weight.tolist() == [[1.5, 3.0]]
    assert int(teacher.steps) == 10
