# Licensed under the Apache License 2.0, see LICENSE.
"""Losses and predictions are compared in tests/integration/test_adversarial_reference.py and
tests/apps/released_weights."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import MODELS

from mmseg_depthuda.datasets.transforms import LoadInverseDepth
from tests.models.adversarial_training import (
    CLASS_NAMES,
    PREPROCESSOR,
    SIZE,
    adversarial_segmentor,
    alignment,
    depth_distribution,
    make_batch,
    mixtures_file,
)
from tests.models.tiny_segmentor import make_branch, tiny_segmentor

ONE_SPACE = dict(main=alignment('density_aware'))


def build(**options):
    """The tiny network with this head, and one preprocessed branch of each domain."""
    model = adversarial_segmentor(depth_distribution(**options), ONE_SPACE)
    names = ('source', 'target')
    batch = {n: make_branch(i, name=n, size=SIZE) for i, n in enumerate(names)}
    return model, model.data_preprocessor(batch, training=True)


def losses_of(model, branch):
    features = model.extract_feat(branch['inputs'])
    return model.decode_head.loss_and_predict(features, branch['data_samples'], None)[0]


def dataset(classes=CLASS_NAMES, encoding='dada', **prefix):
    """What the head looks at of a dataset."""
    return SimpleNamespace(
        metainfo=dict(classes=classes),
        data_prefix=dict(depth_map_path='Depth') | prefix,
        pipeline=SimpleNamespace(transforms=[LoadInverseDepth(encoding=encoding)]),
    )


def test_a_prediction_carries_depth_and_density():
    model, branches = build(mixtures='no/such/file.json')  # which predictions never read
    assert model.out_channels == 5 + 2
    with torch.no_grad():
        features = model.eval().extract_feat(branches['target']['inputs'])
        low = model.decode_head(features, tasks=('depth', 'density'))
        results = model.predict(branches['target']['inputs'])
    assert not torch.allclose(low['depth'], low['density'])
    for index, result in enumerate(results):
        for task in low:
            found = result.get(f'pred_{task}_map').data
            assert found.shape == (1, *SIZE)
            # align_corners keeps the corners.
            np.testing.assert_allclose(found[..., 0, 0], low[task][index, :, 0, 0])


def test_only_the_density_branch_and_the_features_learn_from_target_density():
    model, branches = build()
    features = [
        f.detach().requires_grad_() for f in model.extract_feat(branches['target']['inputs'])
    ]
    losses, predictions = model.decode_head.unlabelled_loss_and_predict(
        features, branches['target']['data_samples'], ('seg',)
    )
    assert set(losses) == {'loss_density'} and set(predictions) == {'seg'}
    losses['loss_density'].backward()
    learned = {
        n.split('.')[0] for n, p in model.decode_head.named_parameters() if p.grad is not None
    }
    assert learned == {'density_branch'} and features[3].grad.abs().sum() > 0


@pytest.mark.parametrize(
    ('segmentor', 'further'),
    [('UDASegmentor', set()), ('MinEntSegmentor', {'target.loss_entropy'})],
)
def test_target_density_is_learned_in_every_segmentor(segmentor, further):
    model = tiny_segmentor(depth_distribution(), type=segmentor, data_preprocessor=PREPROCESSOR)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    log = model.train_step(make_batch(), OptimWrapper(optimizer))
    source = {f'source.{name}' for name in ('loss_seg', 'acc_seg', 'loss_depth', 'loss_density')}
    assert set(log) == {'loss', 'target.loss_density', *source, *further}
    assert log['target.loss_density'] > 0


def test_a_larger_scale_wants_larger_densities():
    losses = [losses_of(*_source(density_scale=scale))['loss_density'] for scale in (1e3, 1e9)]
    assert losses[0] < losses[1]


def _source(**options):
    model, branches = build(**options)
    return model, branches['source']


def test_a_labelled_branch_needs_depth_for_density():
    model, branch = _source(loss_weights=dict(source=dict(seg=1.0, density=1.0)))
    assert 'loss_depth' not in losses_of(model, branch)
    for sample in branch['data_samples']:
        del sample.gt_depth_map
    with pytest.raises(
        ValueError, match='learns density on the source .*source_0.png came without gt_depth_map'
    ):
        losses_of(model, branch)


def test_a_branch_that_does_not_name_density_reads_no_mixtures():
    model, branch = _source(mixtures=None, loss_weights=dict(source=dict(seg=1.0, depth=0.1)))
    assert {'loss_seg', 'loss_depth', 'acc_seg'} == set(losses_of(model, branch))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(mixtures=None), 'name density, which needs the mixtures.*fit_depth_mixtures.py'),
        (dict(reading='thesis'), "reading must be one of .* got 'thesis'"),
        (dict(channels=6), 'channels must be a multiple of 4'),
    ],
)
def test_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(depth_distribution(**options))


@pytest.mark.parametrize(
    ('file', 'error', 'message'),
    [
        (lambda: 'no/file.json', FileNotFoundError, 'no file of depth mixtures no/file.json'),
        (
            lambda: mixtures_file((4, 9)),
            ValueError,
            r'grid \(4, 9\), the training has \(5, 9\).*fit_depth_mixtures.py',
        ),
        (
            lambda: mixtures_file(classes=CLASS_NAMES[:4]),
            ValueError,
            'decode_head has 5 classes, its mixtures .* 4',
        ),
    ],
)
def test_mixtures_of_another_training(file, error, message):
    model, branches = build(mixtures=file())
    for branch in branches.values():
        with pytest.raises(error, match=message):
            model.loss(**branch)


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        (dataset(CLASS_NAMES[::-1]), 'classes .*the training has .*class 4'),
        (dataset(encoding='corda'), 'encoding dada, the training has corda'),
    ],
)
def test_data_of_another_training_are_refused_before_the_first_batch(source, message):
    head = MODELS.build(depth_distribution())
    head.check_data(dict(source=dataset(), night=source))  # nothing learns density at night
    with pytest.raises(ValueError, match=message) as caught:
        head.check_data(dict(source=source))
    assert re.search(r'[.]json.*fit_depth_mixtures.py', str(caught.value))


def test_the_control_learns_neither_depth_nor_density():
    options = dict(learn_depth=False, mixtures=None, loss_weights=dict(source=dict(seg=1, depth=1)))
    model = adversarial_segmentor(
        depth_distribution(**options), dict(main=alignment('self_information'))
    )
    source = model.data_preprocessor(dict(source=make_branch(0, name='source', size=SIZE)), True)
    losses = losses_of(model, source['source'])
    assert 'loss_seg' in losses and not {'loss_depth', 'loss_density'} & set(losses)
    frozen = {
        n.split('.')[0] for n, p in model.decode_head.named_parameters() if not p.requires_grad
    }
    assert frozen == {'depth_branch', 'density_branch'}
    assert model.out_channels == 5
