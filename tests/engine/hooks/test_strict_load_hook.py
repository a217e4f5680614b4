# Licensed under the Apache License 2.0, see LICENSE.
"""Checkpoints that fit in part, or hold NaN, are refused however the runner loads them."""

import math
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.model import BaseTTAModel, MMSeparateDistributedDataParallel
from mmengine.runner import IterBasedTrainLoop
from torch import nn

from mmseg_depthuda.engine.hooks import StrictLoadHook
from mmseg_depthuda.engine.hooks.strict_load_hook import check_weights_of_test


def make_model(num_classes=3, depth_head=False):
    model = nn.ModuleDict(dict(backbone=nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))))
    model['decode_head'] = nn.Conv2d(4, num_classes, 1)
    if depth_head:
        model['depth_head'] = nn.Conv2d(4, 1, 1)
    return model


def check(model, checkpoint, trains=False, hooks=(), **options):
    loop = object.__new__(IterBasedTrainLoop) if trains else dict(max_iters=2)
    runner = SimpleNamespace(model=model, _train_loop=loop, _load_from='model.pth', hooks=hooks)
    StrictLoadHook(**options).after_load_checkpoint(runner, checkpoint)


@pytest.mark.parametrize(
    'wrap', [lambda weights: dict(state_dict=weights), lambda weights: weights]
)
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_a_fitting_checkpoint_passes(wrap, prefix):
    weights = {prefix + name: value for name, value in make_model().state_dict().items()}
    check(make_model(), wrap(weights))


def test_other_number_of_classes_names_tensor_and_shapes():
    with pytest.raises(ValueError, match='does not fit') as caught:
        check(make_model(3), dict(state_dict=make_model(19).state_dict()))
    message = str(caught.value)
    assert 'decode_head.weight (checkpoint (19, 4, 1, 1), model (3, 4, 1, 1))' in message
    assert '2 of another shape' in message
    assert 'missing' not in message.split('.')[0]
    assert 'allow_missing' in message


def test_checkpoint_of_a_method_without_depth_lacks_tensors():
    with pytest.raises(
        ValueError, match='2 missing in the checkpoint: depth_head.bias, depth_head.'
    ):
        check(make_model(depth_head=True), dict(state_dict=make_model().state_dict()))


def test_checkpoint_of_a_method_with_depth_has_too_many():
    with pytest.raises(ValueError, match='2 without a place in the model: depth_head.bias'):
        check(make_model(), dict(state_dict=make_model(depth_head=True).state_dict()))


def test_long_lists_are_shortened():
    unknown = {f'x{index}': torch.zeros(1) for index in range(50)}
    with pytest.raises(ValueError, match=r'50 without a place.*: x0, x1, x10, x11, x12, \.\.\.'):
        check(make_model(), dict(state_dict={**make_model().state_dict(), **unknown}))


def test_batch_norm_counter_may_be_absent():
    weights = make_model().state_dict()
    del weights['backbone.1.num_batches_tracked']
    check(make_model(), dict(state_dict=weights))


def test_running_mean_may_not_be_absent():
    weights = make_model().state_dict()
    del weights['backbone.1.running_mean']
    with pytest.raises(ValueError, match='running_mean'):
        check(make_model(), dict(state_dict=weights))


def test_named_parts_may_be_missing_or_unexpected():
    source_only = dict(state_dict=make_model().state_dict())
    corda = dict(state_dict=make_model(depth_head=True).state_dict())
    check(make_model(depth_head=True), source_only, allow_missing=['^depth_head'])
    check(make_model(), corda, allow_unexpected=['^depth_head'])
    with pytest.raises(ValueError, match='depth_head'):
        check(make_model(depth_head=True), source_only, allow_missing=['^decode_head'])
    with pytest.raises(ValueError, match='depth_head'):
        check(make_model(), corda, allow_missing=['^depth_head'])


def test_another_shape_needs_both_permissions():
    checkpoint = dict(state_dict=make_model(19).state_dict())
    both = dict(allow_missing=['^decode_head'], allow_unexpected=['^decode_head'])
    check(make_model(3), checkpoint, **both)
    for option in both:
        with pytest.raises(ValueError, match='of another shape'):
            check(make_model(3), checkpoint, **{option: ['^decode_head']})


def test_a_foreign_file_is_refused_whatever_is_allowed():
    foreign = dict(state_dict={'encoder.weight': torch.zeros(2)}, meta={})
    with pytest.raises(ValueError, match='shares no tensor with'):
        check(make_model(), foreign, allow_missing=['.'], allow_unexpected=['.'])


def test_test_time_augmentation_is_looked_through():
    class Averaging(BaseTTAModel):
        def merge_preds(self, data_samples_list):
            raise NotImplementedError

    model = make_model()
    model.test_step = None
    augmented = Averaging(module=model)
    check(augmented, dict(state_dict=make_model().state_dict()))
    with pytest.raises(ValueError, match='of another shape'):
        check(augmented, dict(state_dict=make_model(5).state_dict()))


def adversarial_model(num_classes=3):
    model = make_model(num_classes)
    model['discriminators'] = nn.Conv2d(num_classes, 1, 1)
    model.training_only = ('^discriminators',)
    return model


def test_parts_of_a_training_may_be_missing_in_a_test_alone():
    converted = dict(state_dict=make_model().state_dict())
    check(adversarial_model(), converted)
    with pytest.raises(ValueError, match=r'2 missing in the checkpoint: discriminators\.bias'):
        check(adversarial_model(), converted, trains=True)
    check(adversarial_model(), converted, trains=True, allow_missing=['^discriminators'])


def test_parts_of_a_training_must_fit_where_they_are_given():
    other = make_model()
    other['discriminators'] = nn.Conv2d(1, 1, 1)
    with pytest.raises(ValueError, match='1 of another shape: discriminators.weight'):
        check(adversarial_model(), dict(state_dict=other.state_dict()))


@pytest.mark.parametrize('trains', [True, False])
def test_parts_that_are_wrapped_one_by_one_are_looked_into(tmp_path, trains):
    weights = adversarial_model().state_dict()
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/rendezvous', rank=0, world_size=1
    )
    try:
        wrapped = MMSeparateDistributedDataParallel(adversarial_model())
        assert any('.module.' in name for name in wrapped.state_dict())
        check(wrapped, dict(state_dict=weights), trains)
        with pytest.raises(ValueError, match=r'3 of another shape: decode_head\.bias \('):
            check(wrapped, dict(state_dict=adversarial_model(4).state_dict()), trains)
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize('resume', [True, False])
def test_runner_stops_before_it_changes_the_model(tmp_path, tiny_runner, resume):
    """MMEngine alone would go on here with a warning and an initial weight."""
    tiny_runner('run', 2).train()
    path = str(tmp_path / 'run' / 'iter_2.pth')
    other = tiny_runner('wide', 4).model
    other.linear = nn.Linear(1, 2, bias=False)
    runner = tiny_runner(
        'other', 4, model=other, load_from=path, resume=resume, hooks=[StrictLoadHook()]
    )
    before = other.linear.weight.clone()
    with pytest.raises(ValueError, match=r'linear.weight \(checkpoint \(1, 1\), model \(2, 1\)\)'):
        runner.train()
    assert torch.equal(other.linear.weight, before)


def test_runner_loads_a_fitting_checkpoint(tmp_path, tiny_runner):
    trained = tiny_runner('run', 2).train()
    path = str(tmp_path / 'run' / 'iter_2.pth')
    runner = tiny_runner('same', 4, load_from=path, hooks=[StrictLoadHook()])
    runner.load_or_resume()
    assert torch.equal(runner.model.linear.weight, trained.linear.weight)


def with_value(name, value, model=None):
    weights = (model or make_model()).state_dict()
    weights[name] = weights[name].clone()
    weights[name].view(-1)[-1] = value
    return weights


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('name', ['decode_head.weight', 'backbone.1.running_var'])
@pytest.mark.parametrize('trains', [True, False])
def test_weights_that_are_not_finite_are_refused(value, name, trains):
    with pytest.raises(ValueError, match=rf'model.pth holds NaN .* 1 of its tensors: {name}\.'):
        check(make_model(), dict(state_dict=with_value(name, value)), trains)
    with pytest.raises(ValueError, match=rf'last.pth holds NaN .*: {name}\.'):
        check_weights_of_test(make_model(), with_value(name, value), 'last.pth')


def test_what_is_not_loaded_need_not_be_finite():
    depth = with_value('depth_head.weight', math.nan, make_model(depth_head=True))
    check(make_model(), dict(state_dict=depth), allow_unexpected=['^depth_head'])


def test_constants_of_the_model_may_be_infinite():
    model = make_model()
    model.register_buffer('mask', torch.tensor([0, -math.inf]))
    check(model, dict(state_dict=model.state_dict()))
    with pytest.raises(ValueError, match='1 of its tensors: mask'):
        check(model, dict(state_dict=model.state_dict() | dict(mask=torch.full([2], math.nan))))


def test_a_teacher_must_be_finite_where_a_hook_takes_it():
    teacher = {
        f'module.{name}': value for name, value in with_value('backbone.0.bias', math.nan).items()
    }
    checkpoint = dict(state_dict=make_model().state_dict(), ema_state_dict=teacher)
    check(make_model(), checkpoint)
    with pytest.raises(ValueError, match=r'backbone\.0\.bias of ema_state_dict'):
        check(make_model(), checkpoint, hooks=[EMAHook()])


def test_runner_does_not_test_what_has_diverged(tmp_path, tiny_runner):
    weights = tiny_runner('run', 2).model.state_dict()
    torch.save(
        dict(state_dict={name: w * math.nan for name, w in weights.items()}), tmp_path / 'x.pth'
    )
    runner = tiny_runner('test', 4, load_from=str(tmp_path / 'x.pth'), hooks=[StrictLoadHook()])
    with pytest.raises(ValueError, match=r'x\.pth holds NaN .*: linear\.weight'):
        runner.load_or_resume()
