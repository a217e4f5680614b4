# Licensed under the Apache License 2.0, see LICENSE.
import copy

import numpy as np
import pytest
import torch

from mmseg_depthuda.engine.self_training import ClassMix, DepthMix, MaskImage, branch_makers
from mmseg_depthuda.models.data_preprocessors import UDADataPreProcessor
from mmseg_depthuda.registry import BRANCH_MAKERS
from mmseg_depthuda.structures import pack_pixel_data
from tests.models.tiny_segmentor import (
    IGNORE,
    MEAN,
    NUM_CLASSES,
    SIZE,
    STD,
    make_branch,
    stacked,
)

PREPROCESSOR = UDADataPreProcessor(MEAN, STD, size=SIZE)


@pytest.fixture
def branches():
    """A labeled source, and a pseudo-labeled target whose own labels must not be used."""
    batch = dict(source=make_branch(0), target=make_branch(1), rain=make_branch(2, depth=False))
    batch = PREPROCESSOR(batch, training=True)
    generator = torch.Generator().manual_seed(0)
    shape = (2, 1, *SIZE)
    label = torch.randint(NUM_CLASSES, shape, generator=generator)
    trust = torch.rand(shape, generator=generator, dtype=torch.float64)
    pack_pixel_data(
        batch['target']['data_samples'],
        dict(pseudo_label=label, pseudo_trust=trust, pseudo_confidence=trust),
    )
    return batch


def per_image(label):
    return [[1, 250], [0, 3, 4]]


@pytest.mark.parametrize(
    ('classes', 'chosen'), [([1, 3], [[1, 3], [1, 3]]), (per_image, [[1, 250], [0, 3, 4]])]
)
def test_class_mix_of_given_classes(branches, classes, chosen):
    made = ClassMix(classes=classes, augment=False)('mixed', branches, PREPROCESSOR)
    source, target = branches['source'], branches['target']
    label = stacked(source, 'gt_sem_seg')
    mask = np.stack([np.isin(own, c) for own, c in zip(label, chosen, strict=True)])
    assert 0 < mask.mean() < 1
    expected = dict(
        mix_mask=mask,
        gt_sem_seg=np.where(mask, label, stacked(target, 'pseudo_label')),
        seg_weight=np.where(mask, 1, stacked(target, 'pseudo_trust')),
        gt_depth_map=np.where(
            mask, stacked(source, 'gt_depth_map'), stacked(target, 'gt_depth_map')
        ),
    )
    for name, values in expected.items():
        np.testing.assert_array_equal(stacked(made, name), values, err_msg=name)
    images = np.where(mask, source['inputs'], target['inputs'])
    np.testing.assert_array_equal(made['inputs'], images)
    for index, sample in enumerate(made['data_samples']):
        assert sample.metainfo['pasted_classes'] == chosen[index]
        assert (sample.branch, sample.domain) == ('mixed', ('source', 'target'))
        assert sample.img_path == [f'image_{index}.png'] * 2 and sample.img_shape == SIZE


def test_onto_a_labelled_branch_every_pixel_counts_and_depth_needs_both(branches):
    made = ClassMix('source', 'rain', [2], augment=False)('wet', branches, PREPROCESSOR)
    mask = stacked(branches['source'], 'gt_sem_seg') == 2
    np.testing.assert_array_equal(
        stacked(made, 'gt_sem_seg'), np.where(mask, 2, stacked(branches['rain'], 'gt_sem_seg'))
    )
    assert (stacked(made, 'seg_weight') == 1).all()
    assert all('gt_depth_map' not in sample for sample in made['data_samples'])


def test_pasted_pseudo_labels_keep_their_trust(branches):
    made = ClassMix('target', 'source', [0, 1], augment=False)('mixed', branches, PREPROCESSOR)
    mask = np.isin(stacked(branches['target'], 'pseudo_label'), [0, 1])
    trust = stacked(branches['target'], 'pseudo_trust')
    np.testing.assert_array_equal(stacked(made, 'seg_weight'), np.where(mask, trust, 1))


def test_mixing_onto_a_made_branch_keeps_its_weights(branches):
    """The labels of the made branch are still pseudo-labels."""
    branches['masked'] = MaskImage(augment=False)('masked', branches, PREPROCESSOR)
    made = ClassMix('source', 'masked', [2], augment=False)('mixed', branches, PREPROCESSOR)
    mask = stacked(branches['source'], 'gt_sem_seg') == 2
    trust = stacked(branches['target'], 'pseudo_trust')
    np.testing.assert_array_equal(stacked(made, 'seg_weight'), np.where(mask, 1, trust))


def test_each_pixel_of_a_mix_of_a_mix_knows_its_domain(branches):
    """Source classes onto a mixed branch, and a mixed branch masked."""

    def make(name, maker):
        branches[name] = maker(name, branches, PREPROCESSOR)
        return branches[name]['data_samples'][0].domain, stacked(branches[name], 'mix_mask')

    _, first = make('mixed', ClassMix(classes=[1], augment=False))
    again = stacked(branches['source'], 'gt_sem_seg') == 2
    domain, mask = make('twice', ClassMix('source', 'mixed', [2], augment=False))
    assert domain == ('source', 'target')
    np.testing.assert_array_equal(mask, first | again)
    pasted = np.isin(stacked(branches['mixed'], 'gt_sem_seg'), [0, 1])
    domain, mask = make('back', ClassMix('mixed', 'target', [0, 1], augment=False))
    assert domain == ('source', 'target')
    np.testing.assert_array_equal(mask, pasted & first)
    domain, mask = make('masked', MaskImage('mixed', augment=False))
    assert domain == ('source', 'target')
    np.testing.assert_array_equal(mask, first)
    with pytest.raises(ValueError, match='domains rain, source, target, .*two domains'):
        make('three', ClassMix('rain', 'mixed', [2]))


def test_half_of_the_classes_by_default(branches):
    torch.manual_seed(0)  # draws an augmentation
    made = ClassMix()('mixed', branches, PREPROCESSOR)
    labels = stacked(branches['source'], 'gt_sem_seg')
    for own, sample in zip(labels, made['data_samples'], strict=True):
        present, pasted = set(np.unique(own)), set(sample.pasted_classes)
        assert pasted <= present and len(pasted) == -(-len(present) // 2)
    images = np.where(
        stacked(made, 'mix_mask'), branches['source']['inputs'], branches['target']['inputs']
    )
    assert not np.array_equal(made['inputs'], images)  # augmented


@pytest.mark.parametrize('augment', [False, True])
def test_mask_image(branches, augment):
    maker = MaskImage(block_size=8, ratio=0.5, augment=augment)
    torch.manual_seed(2)
    made = maker('masked', branches, PREPROCESSOR)
    target = branches['target']
    images, found = target['inputs'].numpy(), made['inputs'].numpy()
    hidden = (found == 0).all(axis=1).reshape(2, 3, 8, 5, 8).all(axis=(2, 4))
    assert 0 < hidden.sum() < hidden.size
    if augment:
        assert not np.array_equal(found[found != 0], images[found != 0])
    else:
        torch.manual_seed(2)
        kept = np.kron(torch.rand(2, 1, 3, 5) > 0.5, np.ones((8, 8)))
        np.testing.assert_array_equal(found, images * kept)
        np.testing.assert_array_equal(hidden, kept[:, 0, ::8, ::8] == 0)
    for name, of in dict(
        gt_sem_seg='pseudo_label', seg_weight='pseudo_trust', gt_depth_map='gt_depth_map'
    ).items():
        np.testing.assert_array_equal(stacked(made, name), stacked(target, of), err_msg=name)
    for sample in made['data_samples']:
        assert (sample.branch, sample.domain) == ('masked', 'target')
        assert 'mix_mask' not in sample


def test_masked_true_labels_have_no_weights(branches):
    made = MaskImage('rain')('masked', branches, PREPROCESSOR)
    np.testing.assert_array_equal(
        stacked(made, 'gt_sem_seg'), stacked(branches['rain'], 'gt_sem_seg')
    )
    assert set(made['data_samples'][0].keys()) == {'gt_sem_seg'}


def test_makers_leave_the_branches_and_one_another_as_they_are(branches):
    before = copy.deepcopy(branches)
    mixed = ClassMix()('mixed', branches, PREPROCESSOR)
    kept = copy.deepcopy(mixed)
    MaskImage()('masked', branches, PREPROCESSOR)
    ClassMix('source', 'rain')('wet', branches, PREPROCESSOR)
    assert branches.keys() == before.keys()
    for one, other in [*((branches[n], before[n]) for n in before), (mixed, kept)]:
        assert torch.equal(one['inputs'], other['inputs'])
        for sample, past in zip(one['data_samples'], other['data_samples'], strict=True):
            assert sample.metainfo == past.metainfo
            assert set(sample.all_keys()) == set(past.all_keys())  # kept in a set: no order
            assert all(torch.equal(field.data, past.get(key).data) for key, field in sample.items())


def test_what_is_refused(branches):
    with pytest.raises(ValueError, match='ratio must be in 0 .. 1, got 70'):
        BRANCH_MAKERS.build(dict(type='MaskImage', ratio=70))
    for sample in branches['rain']['data_samples']:
        del sample.gt_sem_seg
    with pytest.raises(ValueError, match='image_0.png has no labels to make a branch of'):
        MaskImage('rain')('masked', branches, PREPROCESSOR)
    alone = {n: {k: v[:1] for k, v in branch.items()} for n, branch in branches.items()}
    with pytest.raises(ValueError, match='images of target with one another.*batch_size=2'):
        ClassMix('target', 'target')('mixed', alone, PREPROCESSOR)
    with pytest.raises(ValueError, match='has 2 and 1 of them: set the same per_draw'):
        ClassMix()('mixed', branches | dict(target=alone['target']), PREPROCESSOR)
    branches['masked'] = MaskImage()('masked', branches, PREPROCESSOR)
    with pytest.raises(ValueError, match="no 'pseudo_confidence' in its sample"):
        ClassMix('masked', 'target', [0], confidence_threshold=0.9)('m', branches, PREPROCESSOR)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(margin=-0.03), 'margin must not be negative, got -0.03'),
        (dict(threshold=(0.5, 0.1)), r'threshold must be a number or \(low, high\)'),
        (dict(confidence_threshold=96.8), 'confidence_threshold must be in 0..1, got 96.8'),
    ],
)
def test_wrong_arguments_of_depth_mix(options, message):
    with pytest.raises(ValueError, match=message):
        BRANCH_MAKERS.build(dict(type='DepthMix', **options))
    with pytest.raises(KeyError, match="Did you mean 'online_disparity'"):
        DepthMix(depth='online_disparty')


def unit(depth):
    """Min-max scaled over the pixels with depth of each image, NaN elsewhere."""
    depth = np.where(depth > 0, depth, np.nan)
    low, high = (f(depth, axis=(1, 2, 3), keepdims=True) for f in (np.nanmin, np.nanmax))
    return (depth - low) / (high - low)


def in_front(pasted, onto, margin, threshold):
    i, j = unit(pasted), unit(onto)
    with np.errstate(invalid='ignore'):
        return (np.isnan(j) | (i >= j - margin)) & (i >= threshold)


def drawn(made, name):
    return np.array([s.metainfo[name] for s in made['data_samples']]).reshape(-1, 1, 1, 1)


def test_depth_mix_across_domains(branches):
    torch.manual_seed(1)
    made = DepthMix(threshold=(0.1, 0.4), augment=False)('mixed', branches, PREPROCESSOR)
    source, target = branches['source'], branches['target']
    margin, threshold = drawn(made, 'depth_margin'), drawn(made, 'depth_threshold')
    assert set(margin.flatten()) == {-0.03, 0.03}
    assert len(set(threshold.flatten())) == 2 and (threshold >= 0.1).all()
    depths = [stacked(b, 'gt_depth_map') for b in (source, target)]
    mask = in_front(*depths, margin, threshold)
    assert 0.2 < mask.mean() < 0.8 and (depths[0] == 0).any()
    expected = dict(
        mix_mask=mask,
        gt_sem_seg=np.where(mask, stacked(source, 'gt_sem_seg'), stacked(target, 'pseudo_label')),
        seg_weight=np.where(mask, 1, stacked(target, 'pseudo_trust')),
        gt_depth_map=np.where(mask, *depths),
    )
    for name, values in expected.items():
        np.testing.assert_array_equal(stacked(made, name), values, err_msg=name)
    np.testing.assert_array_equal(
        made['inputs'], np.where(mask, source['inputs'], target['inputs'])
    )


def test_depth_mix_and_class_mix_within_a_domain(branches):
    """Both directions, on the student's own depth; every pixel weighs the share of the mix."""
    target = branches['target']
    disparity = torch.rand(2, 1, *SIZE, dtype=torch.float64) + 0.1
    label = torch.from_numpy(stacked(target, 'pseudo_label').copy())
    label[0, 0, :9] = IGNORE  # as the labeler leaves a true label
    trust = torch.full_like(disparity, 0.5)
    trust[:, :, -2:] = 0
    maps = dict(online_disparity=disparity, pseudo_label=label, pseudo_trust=trust)
    pack_pixel_data(target['data_samples'], maps)
    confidence = stacked(target, 'pseudo_confidence') * (label.numpy() != IGNORE)
    other = [1, 0]
    for name, maker in dict(
        depth=DepthMix('target', 'target', depth='online_disparity', confidence_threshold=0.6,
                       augment=False),
        classes=ClassMix('target', 'target', confidence_threshold=0.6, augment=False),
    ).items():  # fmt: skip
        made = maker(name, branches, PREPROCESSOR)
        if name == 'depth':
            mask = in_front(disparity.numpy(), disparity.numpy()[other], 0.03, 0)
        else:
            chosen = drawn_classes(made)
            counted = np.where(label == IGNORE, 0, label)
            mask = np.stack([np.isin(own, c) for own, c in zip(counted, chosen, strict=True)])
            for own, taken in zip(counted, chosen, strict=True):
                assert len(set(taken) - {IGNORE}) == len(np.unique(own)) // 2
        assert 0 < mask.mean() < 1
        share = (np.where(mask, confidence, confidence[other]) >= 0.6).mean()
        trusted = np.where(mask, trust, trust[other]) > 0
        expected = dict(
            mix_mask=mask,
            gt_sem_seg=np.where(mask, label, label[other]),
            seg_weight=share * trusted,
        )
        for field, values in expected.items():
            np.testing.assert_allclose(stacked(made, field), values, rtol=1e-12, err_msg=field)
        images = np.where(mask, target['inputs'], target['inputs'][other])
        np.testing.assert_array_equal(made['inputs'], images)
        sample = made['data_samples'][0]
        assert sample.domain == 'target' and sample.img_path == ['image_0.png', 'image_1.png']


def drawn_classes(made):
    return [sample.pasted_classes for sample in made['data_samples']]


def test_argmax_and_maximum_of_mixed_probabilities_are_those_of_the_labels():
    """So that makers need neither the probabilities nor the one-hot labels."""
    rng = np.random.default_rng(0)
    probability = rng.dirichlet(np.ones(4), (2, 3, 5))
    probability[1] = np.eye(5)[rng.integers(5, size=(3, 5))][..., :4]  # one-hot, or ignored
    label = np.where(probability.max(-1) > 0, probability.argmax(-1), IGNORE)
    mask = rng.random((3, 5)) < 0.5
    mixed = mask[..., None] * probability[0] + (1 - mask[..., None]) * probability[1]
    np.testing.assert_array_equal(
        np.where(mixed.max(-1) > 0, mixed.argmax(-1), IGNORE), np.where(mask, *label)
    )
    np.testing.assert_array_equal(mixed.max(-1), np.where(mask, *probability.max(-1)))


def test_pairs_within_a_batch_do_not_depend_on_the_number_of_processes(branches):
    """Of four images, those that two processes with every second image would mix."""
    four = PREPROCESSOR(dict(target=make_branch(3, batch_size=4)), training=True)
    maker = DepthMix('target', 'target', augment=False)
    whole = maker('mixed', four, PREPROCESSOR)
    for rank in (0, 1):
        part = {k: v[rank::2] for k, v in four['target'].items()}
        made = maker('mixed', dict(target=part), PREPROCESSOR)
        assert torch.equal(made['inputs'], whole['inputs'][rank::2])


def test_sigma_is_drawn_once_within_a_domain(branches, monkeypatch):
    drawn = []

    def augmentation(images, mean, std, rgb, draws=None):
        drawn.append(draws)
        return images

    monkeypatch.setattr(branch_makers, 'strong_augmentation', augmentation)
    for onto, options in (('source', {}), ('target', {}), ('target', dict(one_sigma=True))):
        ClassMix(onto=onto, **options)('mixed', branches, PREPROCESSOR)
    within, across, asked = drawn
    assert across is None  # drawn there, one for each image
    assert within.sigma.unique().numel() == asked.sigma.unique().numel() == 1
