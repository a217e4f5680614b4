# Licensed under the Apache License 2.0, see LICENSE.
import copy
import math
import weakref

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper

from tests.models.tiny_segmentor import head_config, make_branch, make_mixed, tiny_segmentor

LEARNING_RATE = 0.125


def wrapper_of(model, wrapper=OptimWrapper, **options):
    parameters = [p for p in model.parameters() if p.requires_grad]
    return wrapper(optimizer=torch.optim.SGD(parameters, lr=LEARNING_RATE), **options)


def make_batch(seed=0, depth=True):
    return dict(
        source=make_branch(seed, name='source', depth=depth),
        target=make_branch(seed + 1, name='target', depth=depth),
        mixed=make_mixed(seed + 2, depth=depth),
    )


def in_float32(batch):
    batch['mixed']['inputs'] = batch['mixed']['inputs'].float()
    for branch in batch.values():
        for sample in branch['data_samples']:
            sample.gt_depth_map.data = sample.gt_depth_map.data.float()
    return batch


def gradients_in_one_graph(model, batch):
    """Gradient of the sum of all losses of both branches, by name, and the losses."""
    model = copy.deepcopy(model)
    model.zero_grad()
    batch = model.data_preprocessor(copy.deepcopy(batch), training=True)
    losses = {}
    for branch in ('source', 'mixed'):
        terms = model.loss(batch[branch]['inputs'], batch[branch]['data_samples'])
        losses.update({f'{branch}.{name}': value for name, value in terms.items()})
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    gradients = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return gradients, {name: value.item() for name, value in losses.items()}


def parameters_of(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def assert_moved(model, before, gradients, **tolerance):
    for name, parameter in model.named_parameters():
        step = LEARNING_RATE * gradients[name] if name in gradients else 0
        torch.testing.assert_close(parameter.data, before[name] - step, **tolerance)


@pytest.mark.parametrize('depth', [True, False])
def test_the_step_is_that_of_the_summed_loss(depth):
    model, batch = tiny_segmentor(), make_batch(depth=depth)
    gradients, losses = gradients_in_one_graph(model, batch)
    before = parameters_of(model)
    log = model.train_step(batch, wrapper_of(model))
    assert_moved(model, before, gradients)
    assert len(gradients) > 40 and all(g.any() for g in gradients.values())

    total = sum(value for name, value in losses.items() if 'loss' in name)
    assert {k: float(v) for k, v in log.items()} == pytest.approx(dict(losses, loss=total))
    assert all(not v.requires_grad for v in log.values())
    terms = ['seg', 'initial_seg'] + ['depth', 'initial_depth'] * depth
    assert {k for k in log if 'loss_' in k} == {
        f'{branch}.loss_{term}' for branch in ('source', 'mixed') for term in terms
    }


def test_source_alone_and_ordinary_batches_train_as_well():
    model = tiny_segmentor()
    gradients, _ = gradients_of_source(model)
    before = parameters_of(model)
    log = model.train_step(dict(source=make_branch(0)), wrapper_of(model))
    assert_moved(model, before, gradients)
    assert 'source.loss_seg' in log

    model = tiny_segmentor()
    log = model.train_step(make_branch(0), wrapper_of(model))
    assert_moved(model, before, gradients)
    assert 'loss_seg' in log


def gradients_of_source(model):
    model = copy.deepcopy(model)
    branch = model.data_preprocessor(dict(source=make_branch(0)), training=True)['source']
    losses = model.loss(branch['inputs'], branch['data_samples'])
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, losses


def test_the_first_graph_is_gone_before_the_second_is_built():
    class Saved:
        """Replaces a saved tensor in the graph, and lives as long as the graph."""

        def __init__(self, tensor):
            self.tensor = tensor

    model, saved, alive = tiny_segmentor(), [], []

    def pack(tensor):
        entry = Saved(tensor)
        saved.append(weakref.ref(entry))
        return entry

    def count(*_):
        alive.append((len(saved), sum(ref() is not None for ref in saved)))

    model.register_forward_pre_hook(count)
    # The graph must be alive between forward and backward. Else the count is no proof.
    model.register_forward_hook(count)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda entry: entry.tensor):
        model.train_step(make_batch(), wrapper_of(model))
    (_, before_source), (of_source, after_source), (_, before_mixed), (of_both, after_mixed) = alive
    assert before_source == 0
    assert after_source > 0.9 * of_source > 100
    assert before_mixed == 0
    assert after_mixed > 0.9 * (of_both - of_source) > 100


def test_gradient_accumulation():
    model, batches = tiny_segmentor(), [make_batch(0), make_batch(10)]
    (first, _), (second, _) = (gradients_in_one_graph(model, batch) for batch in batches)
    before = parameters_of(model)
    wrapper = wrapper_of(model, accumulative_counts=2)
    model.train_step(batches[0], wrapper)
    assert_moved(model, before, {}, rtol=0, atol=0)
    model.train_step(batches[1], wrapper)
    assert_moved(model, before, {n: (first[n] + second[n]) / 2 for n in first})
    assert wrapper._inner_count == 2


def test_mixed_precision_with_loss_scaling(monkeypatch):
    """MMEngine's AMP wrapper on the CPU. Only its check of the device refuses the CPU."""
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    model, batch = tiny_segmentor().float(), in_float32(make_batch())
    with torch.autocast('cpu', dtype=torch.bfloat16):
        gradients, _ = gradients_in_one_graph(model, batch)
    dtypes = []
    model.decode_head.final_seg.conv2d_list[0].register_forward_hook(
        lambda module, args, output: dtypes.append(output.dtype)
    )
    wrapper = wrapper_of(model, AmpOptimWrapper, dtype='bfloat16')
    wrapper.loss_scaler = torch.amp.GradScaler('cpu', init_scale=2.0**14)
    before = parameters_of(model)
    log = model.train_step(batch, wrapper)
    assert dtypes == [torch.bfloat16] * 2
    assert math.isfinite(log['loss'])
    for name, gradient in gradients.items():
        moved = (before[name] - model.get_parameter(name).data) / LEARNING_RATE
        # One graph adds the branches' gradients in bfloat16, two graphs add them in float32.
        assert (moved - gradient).abs().max() < 2**-7 * gradient.abs().max(), name


def test_a_batch_without_a_trained_branch():
    model = tiny_segmentor(head_config('DeepLabV2Head'))
    with pytest.raises(ValueError, match=r"branches \['target'\], none of which has a loss"):
        model.train_step(dict(target=make_branch()), wrapper_of(model))
