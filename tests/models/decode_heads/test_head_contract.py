# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from mmseg.models.decode_heads import FCNHead
from torch import nn

from mmseg_depthuda.models.decode_heads import head_contract as contract
from tests.models.tiny_segmentor import (
    NUM_CLASSES,
    SIZE,
    cross_entropy_map,
    head_config,
    make_branch,
    stacked,
    tiny_segmentor,
    upsample,
)

FEATURES = [torch.randn(2, 6, 4, 6, generator=torch.Generator().manual_seed(0)).double()]


@pytest.fixture
def fcn():
    torch.manual_seed(0)
    return FCNHead(
        in_channels=6,
        channels=6,
        in_index=0,
        num_classes=NUM_CLASSES,
        num_convs=0,
        concat_input=False,
        dropout_ratio=0,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ).double()


def test_heads_of_a_model_by_name():
    decode, first, second = (nn.Identity() for _ in range(3))
    model = nn.Module()
    assert contract.heads_of(model) == {}
    model.decode_head = decode
    assert contract.heads_of(model) == {'decode_head': decode}
    model.auxiliary_head = nn.ModuleList([first, second])
    found = contract.heads_of(model)
    assert found == {'decode_head': decode, 'auxiliary_head.0': first, 'auxiliary_head.1': second}
    model.auxiliary_head = first
    assert contract.heads_of(model) == {'decode_head': decode, 'auxiliary_head': first}


def test_a_head_of_mmseg_offers_the_logits_alone(fcn):
    assert contract.head_tasks(fcn) == ('seg',)
    assert contract.predicted_tasks(fcn) == ()
    assert contract.branch_weights(fcn) is None
    assert not contract.judges_pseudo_labels(fcn) and not contract.has_depth_decoders(fcn)
    assert torch.equal(contract.predict_tasks(fcn, FEATURES, ['seg'])['seg'], fcn(FEATURES))
    assert contract.predict_tasks(fcn, FEATURES, []) == {}


def test_losses_and_logits_of_a_head_of_mmseg(fcn):
    """The classifier is one 1x1 convolution. The test computes it as a product of matrices."""
    branch = make_branch()
    samples = branch['data_samples']
    losses, predictions = contract.loss_and_predict(fcn, FEATURES, samples, {}, ['seg'])
    weight, bias = (p.detach().numpy() for p in fcn.conv_seg.parameters())
    low = np.einsum('kc,nchw->nkhw', weight[..., 0, 0], FEATURES[0]) + bias[:, None, None]
    logits = upsample(low, SIZE, align_corners=False)
    np.testing.assert_allclose(predictions['seg'].detach(), logits, atol=1e-12)
    label = stacked(branch, 'gt_sem_seg')[:, 0]
    expected = cross_entropy_map(logits, label)[label != 255].mean()
    assert losses['loss_ce'].item() == pytest.approx(expected, rel=1e-6)
    alone, nothing = contract.loss_and_predict(fcn, FEATURES, samples, {})
    assert nothing == {} and alone['loss_ce'].item() == pytest.approx(expected, rel=1e-6)


def test_tasks_that_a_head_has_not(fcn):
    contract.require_tasks(fcn, ['seg'])
    message = 'FCNHead does not predict depth, initial_seg; it predicts seg. Take a head that does'
    for wanted in (contract.require_tasks, lambda h, t: contract.predict_tasks(h, FEATURES, t)):
        with pytest.raises(ValueError, match=message):
            wanted(fcn, ['seg', 'initial_seg', 'depth'])


def test_a_head_of_several_tasks():
    model = tiny_segmentor(head_config('CorDAHead', difficulty='paper')).eval()
    head = model.decode_head
    assert {'seg', 'initial_seg', 'depth'} <= set(contract.head_tasks(head))
    assert contract.judges_pseudo_labels(head) and contract.has_depth_decoders(head)
    assert contract.branch_weights(head)['mixed'] == dict(seg=1.0, depth=0.001)
    images = torch.randn(2, 3, *SIZE, dtype=torch.float64)
    features = model.extract_feat(images)
    by_decoder = contract.depths_by_decoder(head, features)
    for domain, depth in zip(('source', 'target'), by_decoder, strict=True):
        found = contract.predict_tasks(head, features, ['depth'], domain)
        assert list(found) == ['depth']
        torch.testing.assert_close(found['depth'], depth)
        enlarged = contract.predict_tasks(head, features, ['depth'], domain, SIZE)['depth']
        np.testing.assert_allclose(enlarged.detach(), upsample(depth.detach(), SIZE), atol=1e-12)
    assert not torch.equal(*by_decoder)


@pytest.mark.parametrize('kind', ['CorDAHead', 'SimpleAuxHead', 'DADAHead'])
def test_a_control_offers_no_depth(kind):
    """Neither to predict nor to judge by, so that nothing untrained is taken for depth."""
    options = dict(difficulty='paper') if kind == 'CorDAHead' else {}
    head = tiny_segmentor(head_config(kind, learn_depth=False, **options)).decode_head
    assert 'depth' not in contract.head_tasks(head) and contract.predicted_tasks(head) == ()
    assert not contract.has_depth_decoders(head) and not contract.judges_pseudo_labels(head)
    weights = contract.branch_weights(head)
    assert weights and not any('depth' in tasks for tasks in weights.values())
    with pytest.raises(ValueError, match=f'{kind} does not predict depth'):
        contract.predict_tasks(head, FEATURES, ['depth'])
