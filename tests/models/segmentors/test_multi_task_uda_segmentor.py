# Licensed under the Apache License 2.0, see LICENSE.
"""Depth from video as a task of a segmentor: its passes, precision, control and bad input.

Whole iterations are compared in tests/integration/test_multi_task_reference.py.
"""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim.optimizer import amp_optimizer_wrapper

from tests.integration.test_multi_task_reference import train_package
from tests.models.tiny_multi_task import WEIGHTS, build_multi_task, make_multi_task_batch

JITTER = dict(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1, p=1.0)


def preprocessed(model, **options):
    return model.data_preprocessor(make_multi_task_batch(**options), training=True)


def test_every_image_goes_through_the_student_once(tmp_path):
    """The pass that gives the depth for the mix is the one whose loss is trained."""
    model = build_multi_task()
    sizes = []

    def count(module, inputs, output):
        if module is model.backbone:  # not the teacher's copy
            sizes.append(len(inputs[0]))

    model.backbone.register_forward_hook(count)
    train_package(model, [make_multi_task_batch()], tmp_path)
    assert sizes == [2, 2, 2]  # target, `labelled`, mixed


def test_what_is_run_ahead_is_the_loss_of_the_branch_and_its_depth():
    model = build_multi_task()
    model.decode_head.depth_decoder.before[0].project[-1].p = 0.0
    model.decode_head.seg_decoder.before[0].project[-1].p = 0.0
    target = preprocessed(model)['target']
    torch.manual_seed(0)
    expected = model.loss(**target)
    torch.manual_seed(0)
    model.run_ahead(dict(target=target))
    assert model.trained_branches(['labelled', 'target', 'mixed'])[0] == 'target'
    found = model.loss(**target)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    assert found['loss_photometric'].requires_grad
    disparity = model.decode_head(model.backbone(target['inputs']), tasks=['disparity'])
    for sample, values in zip(target['data_samples'], disparity['disparity'], strict=True):
        torch.testing.assert_close(sample.online_disparity.data, values.detach())
        assert not sample.online_disparity.data.requires_grad
    assert not model._ahead  # used once


def test_the_networks_see_jitter_and_the_loss_does_not(monkeypatch):
    model = build_multi_task(color_jitter=JITTER)
    labelled = preprocessed(model)['labelled']
    seen = {}
    monkeypatch.setattr(
        model,
        'view_synthesis_losses',
        lambda disparities, poses, images, intrinsics: seen.update(images=images) or {},
    )
    model.backbone.register_forward_hook(lambda module, inputs, _: seen.update(frame=inputs[0]))
    model.pose_net.register_forward_hook(lambda module, inputs, _: seen.update(pairs=inputs))
    model.loss(**labelled)
    samples = labelled['data_samples']
    frames = torch.stack([s.source_views.data.view(2, 3, 32, 48).flip(1) for s in samples])
    torch.testing.assert_close(seen['images'][:, 1:], frames.double() / 255)
    plain = labelled['inputs']
    torch.testing.assert_close(seen['images'][:, 0], (plain * 57.375 + 114.75) / 255)
    assert (seen['frame'] - plain).abs().mean() > 0.05
    # The frame is the later one of the first pair: all views have the same jitter.
    assert torch.equal(seen['pairs'][1][:2], seen['frame'])


def test_mixed_precision(tmp_path, monkeypatch):
    """Of one iteration of the real hook; the student's own pass must not lose its gradient to the
    weights that autocast has cast for the teacher."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    monkeypatch.setattr(
        amp_optimizer_wrapper, 'GradScaler', lambda **_: torch.amp.GradScaler('cpu', 2.0**10)
    )
    changes = []
    for number, options in enumerate((dict(), dict(type='AmpOptimWrapper', dtype='bfloat16'))):
        torch.manual_seed(0)
        model = build_multi_task().float()
        start = copy.deepcopy(model)
        losses, _ = train_package(
            model, [make_multi_task_batch()], tmp_path / str(number), **options
        )
        assert all(torch.isfinite(torch.tensor(losses)))
        changes.append(
            {
                name: p.detach() - before
                for (name, p), before in zip(
                    model.named_parameters(), start.parameters(), strict=True
                )
            }
        )
    full, half = changes
    for part in ('backbone', 'decode_head.seg', 'decode_head.depth'):
        a, b = (
            torch.cat([v.flatten() for n, v in found.items() if n.startswith(part)])
            for found in (full, half)
        )
        assert torch.cosine_similarity(a, b, dim=0) > 0.8, part
    assert full['pose_net.pose.6.bias'].abs().max() > 0
    assert half['pose_net.pose.6.bias'].abs().max() > 0


def test_the_control_has_no_depth():
    model = build_multi_task(head=dict(learn_depth=False))
    batch = preprocessed(model)
    assert model.trained_branches(batch) == ['labelled']
    for sample in batch['labelled']['data_samples']:
        del sample.source_views
    assert set(model.loss(**batch['labelled'])) == {'loss_seg', 'acc_seg', 'loss_side_seg'}
    assert not any(p.requires_grad for p in model.pose_net.parameters())
    model.check_data(dict(target=SimpleNamespace()))


# -- bad input -------------------------------------------------------------------------------------


def test_images_without_frames_are_refused():
    model = build_multi_task()
    labelled = preprocessed(model)['labelled']
    for sample in labelled['data_samples']:
        del sample.source_views
    with pytest.raises(ValueError, match='labelled_0.png has no .source_views.*LoadNeighboring'):
        model.loss(**labelled)


def test_datasets_without_frames_are_refused_before_the_training():
    plain = SimpleNamespace(pipeline=SimpleNamespace(transforms=[]))
    build_multi_task().check_data(dict(source=plain))
    with pytest.raises(ValueError, match='loss_weights.target names disparity.*sequence_path'):
        build_multi_task().check_data(dict(source=plain, target=plain))


def test_a_single_image_is_refused():
    model = build_multi_task()
    batch = preprocessed(model, images=1)
    with pytest.raises(ValueError, match='single image'):
        model.loss(**batch['labelled'])
    with pytest.raises(ValueError, match='single image'):
        model.run_ahead(dict(target=batch['target']))


def test_online_depth_of_a_branch_without_a_loss_of_disparity():
    model = build_multi_task(head=dict(loss_weights=dict(WEIGHTS, target=dict(seg=1.0))))
    with pytest.raises(ValueError, match=r'loss_weights.target=dict\(disparity=1.0\)'):
        model.check_online('online_disparity', ['target'])


def test_a_segmentor_and_a_head_that_do_not_learn_disparity():
    with pytest.raises(TypeError, match='such as PADHead, got UNetSegHead'):
        build_multi_task(
            decode_head=dict(
                type='UNetSegHead',
                in_channels=[8, 8, 16, 32, 64],
                channels=[4, 4, 6, 6, 8],
                num_classes=5,
            )
        )
