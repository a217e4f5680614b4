# Licensed under the Apache License 2.0, see LICENSE.
import copy

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmseg.registry import MODELS

from mmseg_depthuda.models.segmentors import UDASegmentor
from tests.models.tiny_segmentor import (
    NUM_CLASSES,
    SIZE,
    backbone_config,
    head_config,
    make_branch,
    make_mixed,
    segmentor_config,
    tiny_segmentor,
    upsample,
)


def plain_prediction(model, inputs):
    """Logits and depth at the resolution of ``inputs``, as NumPy (N, num_classes + 1, H, W)."""
    with torch.no_grad():
        logits = model(inputs, mode='tensor')
        depth = model.decode_head.forward_depths(model.backbone(inputs))
        both = torch.cat([logits, depth[model.decode_head.predicted_depth]], dim=1)
    return upsample(both.numpy(), inputs.shape[2:])


def preprocessed(model, branch):
    return model.data_preprocessor(copy.deepcopy(branch), training=False)['inputs']


def assert_predicted(results, expected):
    """Compare with the expected logits and depth, (num_classes + 1, H, W) per image."""
    for result, values in zip(results, expected, strict=True):
        logits, depth = values[:NUM_CLASSES], values[NUM_CLASSES:]
        assert result.seg_logits.shape == logits.shape[1:]
        np.testing.assert_allclose(result.seg_logits.data.detach().numpy(), logits, atol=1e-10)
        np.testing.assert_allclose(result.pred_depth_map.data.detach().numpy(), depth, atol=1e-10)
        assert np.array_equal(result.pred_sem_seg.data[0].numpy(), logits.argmax(axis=0))


def test_tensor_mode_gives_final_logits_at_feature_resolution():
    model = tiny_segmentor().eval()
    inputs = make_mixed()['inputs']
    with torch.no_grad():
        logits = model(inputs, mode='tensor')
        expected = model.decode_head.forward_tasks(model.backbone(inputs), ()).seg
    assert logits.shape == (2, NUM_CLASSES, 4, 6)
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize('predicted_depth', ['source', 'target'])
def test_whole_image(predicted_depth):
    model = tiny_segmentor(head_config(predicted_depth=predicted_depth)).eval()
    branch = make_branch()
    expected = plain_prediction(model, preprocessed(model, branch))
    results = model.test_step(branch)
    assert_predicted(results, expected)
    # The samples still have their ground truth, and predictions vary over the image.
    assert 'gt_sem_seg' in results[0]
    assert len(np.unique(expected[0, :NUM_CLASSES].argmax(axis=0))) > 1


def test_without_samples():
    model = tiny_segmentor().eval()
    inputs = make_mixed()['inputs']
    with torch.no_grad():
        results = model(inputs, mode='predict')
    assert_predicted(results, plain_prediction(model, inputs))


@pytest.mark.parametrize('direction', ['horizontal', 'vertical'])
def test_flip_and_resize_are_undone(direction):
    model, branch, original = tiny_segmentor().eval(), make_branch(), (36, 50)
    for sample in branch['data_samples']:
        sample.set_metainfo(dict(flip=True, flip_direction=direction, ori_shape=original))
    prediction = plain_prediction(model, preprocessed(model, branch))
    flipped = prediction[..., ::-1] if direction == 'horizontal' else prediction[..., ::-1, :]
    assert_predicted(model.test_step(branch), upsample(flipped, original))


def test_padding_is_cut_off():
    model = tiny_segmentor(
        data_preprocessor=dict(
            segmentor_config()['data_preprocessor'], test_cfg=dict(size_divisor=32)
        )
    ).eval()
    branch = make_branch()
    inputs = preprocessed(model, branch)
    assert inputs.shape[2:] == (32, 64)
    expected = plain_prediction(model, inputs)[..., : SIZE[0], : SIZE[1]]
    assert_predicted(model.test_step(branch), expected)


def test_sliding_window():
    model = tiny_segmentor().eval()
    model.test_cfg = ConfigDict(mode='slide', crop_size=(16, 24), stride=(8, 16))
    branch = make_branch()
    inputs = preprocessed(model, branch)
    total, count = np.zeros((2, NUM_CLASSES + 1, *SIZE)), np.zeros(SIZE)
    for top in (0, 8):
        for left in (0, 16):
            window = np.s_[..., top : top + 16, left : left + 24]
            total[window] += plain_prediction(model, inputs[window])
            count[window] += 1
    assert count.min() == 1 and count.max() == 4
    assert_predicted(model.test_step(branch), total / count)


def test_a_head_without_depth_behaves_as_in_mmseg():
    config = segmentor_config(head_config('DeepLabV2Head'))
    config['auxiliary_head'] = dict(
        type='FCNHead',
        in_channels=32,
        in_index=2,
        channels=4,
        num_convs=1,
        num_classes=NUM_CLASSES,
        dropout_ratio=0,
    )
    torch.manual_seed(0)
    ours = MODELS.build(ConfigDict(config)).double()
    ours.init_weights()
    theirs = MODELS.build(ConfigDict(config | dict(type='EncoderDecoder'))).double()
    theirs.load_state_dict(ours.state_dict())
    assert ours.out_channels == theirs.out_channels and not ours.predicts_depth

    branch = ours.data_preprocessor(make_branch(), training=True)
    losses = ours.loss(**branch)
    expected = theirs.loss(**branch)
    assert set(losses) == {name.removeprefix('decode.') for name in expected}
    assert {'loss_seg', 'acc_seg', 'aux.loss_ce'} <= set(losses)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name.removeprefix('decode.')], value)

    ours.eval()
    theirs.eval()
    for mode in ('whole', 'slide'):
        ours.test_cfg = theirs.test_cfg = ConfigDict(mode=mode, crop_size=(16, 24), stride=(8, 16))
        pairs = zip(ours.test_step(make_branch()), theirs.test_step(make_branch()), strict=True)
        for a, b in pairs:
            assert torch.equal(a.seg_logits.data, b.seg_logits.data)
            assert torch.equal(a.pred_sem_seg.data, b.pred_sem_seg.data)
            assert 'pred_depth_map' not in a


def test_two_classes_with_one_logit_and_depth():
    """MMSeg's binary mode has a sigmoid of the only logit. It must not use the depth channel."""
    entropy = dict(type='CrossEntropyLoss', use_sigmoid=True, loss_name='loss_seg')
    head = head_config(num_classes=2, out_channels=1, threshold=0.4, loss_decode=entropy)
    model = tiny_segmentor(head).eval()
    branch = make_branch()
    with torch.no_grad():
        logits = upsample(model(preprocessed(model, branch), mode='tensor').numpy(), SIZE)
    for result, logit in zip(model.test_step(branch), logits, strict=True):
        probability = 1 / (1 + np.exp(-logit))
        np.testing.assert_allclose(result.seg_logits.data.detach().numpy(), probability, atol=1e-10)
        assert np.array_equal(result.pred_sem_seg.data.numpy(), probability > 0.4)
        assert result.pred_depth_map.shape == SIZE


@pytest.mark.parametrize('initial_seg', ['aspp', 'conv'])
def test_pseudo_label_logits(initial_seg):
    model = tiny_segmentor(head_config(initial_seg=initial_seg))
    inputs = make_mixed()['inputs']
    with torch.no_grad():
        tasks = model.decode_head.forward_tasks(model.backbone(inputs), ())
    for initial, logits in ((False, tasks.seg), (True, tasks.initial_seg)):
        result = model.pseudo_label_logits(inputs, initial=initial)
        assert not result.requires_grad
        np.testing.assert_allclose(result.numpy(), upsample(logits.numpy(), SIZE), atol=1e-10)


def test_pseudo_label_agreement_needs_depth_and_gives_no_gradient():
    model = tiny_segmentor(head_config(difficulty='paper'))
    target = make_mixed()
    agreement = model.pseudo_label_agreement(**target)
    assert agreement.shape == (2, 1, *SIZE) and not agreement.requires_grad
    assert model.pseudo_label_agreement(**make_mixed(depth=False)) is None


def test_built_from_the_registry_with_any_backbone():
    model = MODELS.build(ConfigDict(segmentor_config(backbone=backbone_config(type='ResNet'))))
    assert isinstance(model, UDASegmentor) and model.predicts_depth
    assert model.out_channels == NUM_CLASSES + 1
