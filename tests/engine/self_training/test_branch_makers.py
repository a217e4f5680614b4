# Licensed under the Apache License 2.0, see LICENSE.
import copy

import numpy as np
import pytest
import torch

from mmseg_depthuda.engine.self_training import ClassMix, MaskImage
from mmseg_depthuda.models.data_preprocessors import UDADataPreProcessor
from mmseg_depthuda.registry import BRANCH_MAKERS
from mmseg_depthuda.structures import pack_pixel_data
from tests.models.tiny_segmentor import (
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
    with pytest.raises(ValueError, match="paste and onto are the same branch, 'source'"):
        BRANCH_MAKERS.build(dict(type='ClassMix', onto='source'))
    with pytest.raises(ValueError, match='ratio must be in 0 .. 1, got 70'):
        BRANCH_MAKERS.build(dict(type='MaskImage', ratio=70))
    for sample in branches['rain']['data_samples']:
        del sample.gt_sem_seg
    with pytest.raises(ValueError, match='image_0.png has no labels to make a branch of'):
        MaskImage('rain')('masked', branches, PREPROCESSOR)
