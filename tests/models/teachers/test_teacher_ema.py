# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
from mmcv.cnn.bricks import DropPath
from mmengine.config import ConfigDict
from mmseg.registry import MODELS
from torch import nn

from mmseg_depthuda.models.teachers import TeacherEMA
from tests.models.tiny_segmentor import head_config, tiny_segmentor


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 1)
        self.norm = nn.BatchNorm2d(3)
        self.norm.weight.requires_grad_(False)

    def forward(self, x):
        return self.norm(self.conv(x))


@pytest.mark.parametrize('first', [0, 1])
@pytest.mark.parametrize('alpha', [0.999, 0.6, 0.0])
def test_closed_form_of_the_average(alpha, first):
    """theta_T = sum_i (1 - a_i) prod_(j > i) a_j student_i with a_i = min(1 - 1/(i + 1), alpha).

    Counted from 1, the initial weights are one of the students, with a_0 = 0.
    """
    torch.manual_seed(0)
    student = Student().double()
    teacher = MODELS.build(
        dict(type='TeacherEMA', alpha=alpha, first_iteration=first),
        default_args=dict(model=student.eval()),
    )
    assert isinstance(teacher, TeacherEMA)
    history = [[p.detach().clone() for p in student.parameters()]] * first
    for _ in range(7):
        for parameter in student.parameters():
            parameter.data.add_(torch.randn_like(parameter))
        history.append([p.detach().clone() for p in student.parameters()])
        teacher.update_parameters(student)
    alphas = [min(1 - 1 / (i + 1), alpha) for i in range(7 + first)]
    weights = [
        (1 - alphas[i]) * torch.tensor(alphas[i + 1 :], dtype=torch.float64).prod()
        for i in range(7 + first)
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


class StochasticDepth(nn.Module):
    """A class with the name of torchvision's drop path. It has nothing to do with MMCV's."""

    def forward(self, x):
        return x * (torch.rand(len(x), 1, 1) > 0.5) if self.training else x


class Dropping(nn.Module):
    """Every kind of layer that drops at random, one of them at a time."""

    def __init__(self, kind):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.layer = dict(
            dropout=nn.Dropout(0.5),
            dropout2d=nn.Dropout2d(0.5),
            alpha=nn.AlphaDropout(0.5),
            path=DropPath(0.5),
            depth=StochasticDepth(),
            attention=nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True),
        )[kind]

    def forward(self, x):  # (N, 6, 8)
        x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        if isinstance(self.layer, nn.MultiheadAttention):
            return self.layer(x, x, x)[0]
        if isinstance(self.layer, nn.Dropout2d):  # takes (N, C, H, W)
            return self.layer(x.unsqueeze(-1)).squeeze(-1)
        return self.layer(x)


@pytest.mark.parametrize('kind', ['dropout', 'dropout2d', 'alpha', 'path', 'depth', 'attention'])
def test_the_teacher_drops_nothing_unless_asked(kind):
    torch.manual_seed(0)
    x = torch.randn(16, 6, 8)
    student = Dropping(kind).train()
    teacher, dropping = TeacherEMA(student), TeacherEMA(student, dropout=True)
    for _ in range(2):
        assert teacher.module.norm.training  # batch statistics
        torch.testing.assert_close(teacher(x), teacher(x), rtol=0, atol=0)
        assert not torch.equal(dropping(x), dropping(x))
        teacher.train()  # as a runner does after an evaluation
    assert student.layer.training
    mean = x.mean(dim=(0, 1))
    tracked = 1 - 0.9 ** teacher.module.norm.num_batches_tracked.item()
    torch.testing.assert_close(teacher.module.norm.running_mean, tracked * mean)


def test_a_transformer_teacher_says_the_same_twice():
    backbone = dict(
        type='MixVisionTransformer',
        embed_dims=8,
        num_layers=[1, 1, 1, 1],
        num_heads=[1, 1, 1, 1],
        patch_sizes=[7, 3, 3, 3],
        sr_ratios=[8, 4, 2, 1],
        drop_rate=0.3,
        attn_drop_rate=0.3,
        drop_path_rate=0.5,
    )
    head = head_config('DeepLabV2Head', in_channels=8)
    student = tiny_segmentor(head, backbone=ConfigDict(backbone))
    x = torch.randn(2, 3, 32, 64, dtype=torch.float64)
    for dropout in (False, True):
        teacher = TeacherEMA(student, dropout=dropout).module
        first, second = (teacher.pseudo_label_logits(x) for _ in range(2))
        assert torch.equal(first, second) != dropout
