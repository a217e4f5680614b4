# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmseg_depthuda.models.decode_heads import DeepLabV2Head
from mmseg_depthuda.models.decode_heads.deeplab_v2_head import DeepLabV2Classifier


def explicit_sum(features, state, dilations):
    return sum(
        F.conv2d(
            features,
            state[f'conv2d_list.{i}.weight'],
            state[f'conv2d_list.{i}.bias'],
            padding=dilation,
            dilation=dilation,
        )
        for i, dilation in enumerate(dilations)
    )


@pytest.mark.parametrize(
    ('num_summed', 'dilations'), [(1, (6,)), (2, (6, 12)), (4, (6, 12, 18, 24))]
)
def test_sum_of_dilated_convolutions(num_summed, dilations):
    torch.manual_seed(0)
    classifier = DeepLabV2Classifier(3, 5, num_summed).double()
    features = torch.randn(2, 3, 30, 33, dtype=torch.float64)
    prediction = classifier(features)
    expected = explicit_sum(features, classifier.state_dict(), dilations)
    torch.testing.assert_close(prediction, expected)

    prediction.square().sum().backward()
    for index, conv in enumerate(classifier.conv2d_list):
        used = index < num_summed
        assert conv.weight.requires_grad == conv.bias.requires_grad == used
        assert (conv.weight.grad is not None) == used


def test_holds_the_parameters_of_all_branches():
    shapes = {k: tuple(v.shape) for k, v in DeepLabV2Classifier(3, 5, 2).state_dict().items()}
    weights = {f'conv2d_list.{i}.weight': (5, 3, 3, 3) for i in range(4)}
    assert shapes == weights | {f'conv2d_list.{i}.bias': (5,) for i in range(4)}


def test_weights_are_drawn_with_deviation_a_hundredth():
    torch.manual_seed(0)
    classifier = DeepLabV2Classifier(64, 19, 2)
    classifier.init_weights()
    for conv in classifier.conv2d_list:
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.05)
        assert abs(conv.weight.mean().item()) < 5e-4
        assert not conv.bias.any()


@pytest.mark.parametrize('num_summed', [0, 5, -1])
def test_number_of_summed_branches_is_checked(num_summed):
    with pytest.raises(ValueError, match=f'num_summed must be in 1..4, got {num_summed}'):
        DeepLabV2Classifier(3, 5, num_summed)


def test_head_is_the_classifier_on_one_feature_map():
    torch.manual_seed(0)
    head = MODELS.build(
        dict(type='DeepLabV2Head', in_channels=6, in_index=1, num_classes=3, num_summed=2)
    )
    assert isinstance(head, DeepLabV2Head)
    assert head.align_corners
    head.init_weights()
    features = torch.randn(2, 6, 9, 11)
    state = {k.removeprefix('classifier.'): v for k, v in head.state_dict().items()}
    assert all(k.startswith('conv2d_list') for k in state)  # no unused conv_seg
    expected = explicit_sum(features, state, (6, 12))
    torch.testing.assert_close(head((torch.zeros(2, 2, 18, 22), features)), expected)
    assert head.classifier.conv2d_list[0].weight.std().item() == pytest.approx(0.01, rel=0.3)
