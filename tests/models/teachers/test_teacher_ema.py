# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
from mmseg.registry import MODELS
from torch import nn

from mmseg_depthuda.models.teachers import TeacherEMA


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.norm.weight.requires_grad_(False)

    def forward(self, x):
        return self.norm(self.conv(x))


@pytest.mark.parametrize('alpha', [0.999, 0.6, 0.0])
def test_closed_form_of_the_average(alpha):
    """theta_T = sum_i (1 - a_i) prod_(j > i) a_j student_i with a_i = min(1 - 1/(i + 1), alpha)."""
    torch.manual_seed(0)
    student = Student().double()
    teacher = MODELS.build(
        dict(type='TeacherEMA', alpha=alpha), default_args=dict(model=student.eval())
    )
    assert isinstance(teacher, TeacherEMA)
    history = []
    for _ in range(7):
        for parameter in student.parameters():
            parameter.data.add_(torch.randn_like(parameter))
        history.append([p.detach().clone() for p in student.parameters()])
        teacher.update_parameters(student)
    alphas = [min(1 - 1 / (i + 1), alpha) for i in range(7)]
    weights = [
        (1 - alphas[i]) * torch.tensor(alphas[i + 1 :], dtype=torch.float64).prod()
        for i in range(7)
    ]
    assert sum(weights) == pytest.approx(1)
    for index, parameter in enumerate(teacher.module.parameters()):
        expected = sum(w * past[index] for w, past in zip(weights, history, strict=True))
        torch.testing.assert_close(parameter.data, expected)
    assert teacher.steps == 7


def test_buffers_are_its_own():
    torch.manual_seed(0)
    student = Student()
    teacher = TeacherEMA(student)
    student(torch.randn(4, 2, 5, 5))
    teacher.update_parameters(student)
    assert student.norm.running_mean.any() and student.norm.num_batches_tracked == 1
    assert not teacher.module.norm.running_mean.any()
    assert teacher.module.norm.num_batches_tracked == 0
    images = torch.randn(4, 2, 5, 5)
    teacher(images)
    mean = student.conv(images).mean(dim=(0, 2, 3)).detach()
    torch.testing.assert_close(teacher.module.norm.running_mean, 0.1 * mean)


def test_it_trains_nothing_and_stays_in_training_mode():
    student = Student().eval()
    teacher = TeacherEMA(student)
    assert teacher.module.norm.training and not student.training
    assert not any(p.requires_grad for p in teacher.parameters())
    assert student.conv.weight.requires_grad


@pytest.mark.parametrize('alpha', [-0.1, 1.5])
def test_an_alpha_outside_its_range_is_refused(alpha):
    with pytest.raises(ValueError, match=f'must be in 0 .. 1, got {alpha}'):
        TeacherEMA(Student(), alpha=alpha)
