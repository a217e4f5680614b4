# Licensed under the Apache License 2.0, see LICENSE.
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample

from mmseg_depthuda.engine.self_training import ConfidentShare, Networks, StoredLabels
from mmseg_depthuda.structures import pack_pixel_data
from tests.models.tiny_segmentor import IGNORE, head_config, tiny_segmentor

SHAPE = (2, 3, 6, 8)
LOGITS = dict(
    final=3 * np.random.default_rng(0).normal(size=SHAPE),
    initial=3 * np.random.default_rng(1).normal(size=SHAPE),
)


def networks(progress=1.0, agreement=None):
    """A teacher that gives the logits above, and a student that says how far it agrees."""
    teacher = SimpleNamespace(
        pseudo_label_logits=lambda images, initial: torch.from_numpy(
            LOGITS['initial' if initial else 'final']
        )
    )
    student = SimpleNamespace(
        decode_head=SimpleNamespace(ignore_index=IGNORE),
        pseudo_label_agreement=lambda images, samples: agreement,
    )
    return Networks(student, teacher, progress)


def branch(*img_shape):
    samples = [SegDataSample(metainfo=dict(img_shape=img_shape or SHAPE[2:])) for _ in range(2)]
    return dict(inputs=torch.zeros(2, 3, *SHAPE[2:]), data_samples=samples)


def softmax(logits):
    exponential = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponential / exponential.sum(axis=1, keepdims=True)


def test_labels_confidence_and_q_against_numpy():
    found = ConfidentShare(threshold=0.9)(networks(), branch())
    probability = softmax(LOGITS['final'])
    share = (probability.max(axis=1) >= 0.9).mean()
    assert 0.1 < share < 0.9
    np.testing.assert_array_equal(found.label, LOGITS['final'].argmax(axis=1)[:, None])
    np.testing.assert_allclose(found.confidence[:, 0], probability.max(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.trust, np.full((2, 1, *SHAPE[2:]), share), rtol=1e-12)
    assert found.log == dict(confident_share=pytest.approx(share))


@pytest.mark.parametrize(
    ('progress', 'kind'), [(0.0, 'initial'), (0.249, 'initial'), (0.25, 'final'), (1.0, 'final')]
)
def test_initial_labels_during_a_share_of_the_training(progress, kind):
    found = ConfidentShare(initial=0.25)(networks(progress), branch())
    np.testing.assert_array_equal(found.label[:, 0], LOGITS[kind].argmax(axis=1))
    assert (LOGITS['initial'].argmax(axis=1) != LOGITS['final'].argmax(axis=1)).any()


@pytest.mark.parametrize('height', [6, 4])
@pytest.mark.parametrize(('top', 'bottom'), [(1, 0), (0, 2), (2, 1), (9, 9)])
def test_margins_of_the_image(height, top, bottom):
    """Margins are counted from the edges of the image, not of the padding; q includes them."""
    options = dict(threshold=0.9, ignore_top=top, ignore_bottom=bottom)
    found = ConfidentShare(**options)(networks(), branch(height, 8))
    share = (softmax(LOGITS['final']).max(axis=1)[:, :height] >= 0.9).mean()
    rows = np.arange(height)
    inside = (rows >= top) & (rows < height - bottom)
    expected = np.broadcast_to((share * inside)[:, None], (2, 1, height, 8))
    np.testing.assert_allclose(found.trust[:, :, :height], expected, rtol=1e-12)
    assert (found.label[:, :, height:] == IGNORE).all()
    assert found.log['confident_share'].item() == pytest.approx(share)


def test_agreement_weights_the_trust():
    agreement = torch.rand(2, 1, *SHAPE[2:], dtype=torch.float64)
    plain, judged = (
        ConfidentShare(threshold=0.9)(networks(agreement=a), branch()) for a in (None, agreement)
    )
    torch.testing.assert_close(judged.trust, plain.trust * agreement)
    assert judged.log == plain.log


def test_labeled_images_keep_their_labels():
    """They count in q, with the confidence 1; ignored pixels with 0."""
    given = branch()
    truth = np.random.default_rng(2).choice([0, 1, IGNORE], (1, 1, *SHAPE[2:]))
    pack_pixel_data(given['data_samples'][1:], dict(gt_sem_seg=torch.from_numpy(truth)))
    found = ConfidentShare(threshold=0.9, true_labels=True)(networks(), given)
    confidence = softmax(LOGITS['final']).max(axis=1)
    confidence[1] = truth[0, 0] != IGNORE
    np.testing.assert_array_equal(found.label[0, 0], LOGITS['final'].argmax(axis=1)[0])
    np.testing.assert_array_equal(found.label[1:], truth)
    np.testing.assert_allclose(found.confidence[:, 0], confidence, rtol=1e-12)
    share = np.full((2, 1, *SHAPE[2:]), (confidence >= 0.9).mean())
    np.testing.assert_allclose(found.trust, share, rtol=1e-12)
    plain = ConfidentShare(threshold=0.9)(networks(), given)
    np.testing.assert_array_equal(plain.label[:, 0], LOGITS['final'].argmax(axis=1))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(threshold=96.8), 'threshold must be in 0..1, got 96.8'),
        (dict(initial=-0.1), 'initial must be in 0..1, got -0.1'),
        (dict(ignore_bottom=-1), 'must not be negative, got 0 and -1'),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        ConfidentShare(**options)


def test_check_of_the_head():
    ConfidentShare(initial=0.1).check(tiny_segmentor())  # CorDAHead has an initial segmentation
    plain = tiny_segmentor(head_config('DeepLabV2Head'))
    ConfidentShare().check(plain)
    with pytest.raises(ValueError, match='initial segmentation such as CorDAHead.*set 0'):
        ConfidentShare(initial=0.1).check(plain)


def stored_branch(**metainfo):
    labels = np.random.default_rng(2).choice([0, 1, IGNORE], (2, 1, *SHAPE[2:]))
    stored = branch()
    pack_pixel_data(stored['data_samples'], dict(gt_sem_seg=torch.from_numpy(labels)))
    for sample in stored['data_samples']:
        sample.set_metainfo(metainfo)
    return stored, labels


def test_stored_labels_are_trusted_where_they_are():
    stored, labels = stored_branch()
    student = SimpleNamespace(decode_head=SimpleNamespace(ignore_index=IGNORE))
    found = StoredLabels()(Networks(student, None, 0.5), stored)
    np.testing.assert_array_equal(found.label, labels)
    for weight in (found.trust, found.confidence):
        np.testing.assert_array_equal(weight, labels != IGNORE)
    assert found.log['stored_share'].item() == pytest.approx((labels != IGNORE).mean())


def test_stored_labels_refuses_none_and_true_ones():
    stored, _ = stored_branch(seg_map_path='gt/1.png')
    with pytest.raises(ValueError, match=r'true labels, gt/1\.png.*pseudo_label_path=FOLDER'):
        StoredLabels()(networks(), stored)
    with pytest.raises(ValueError, match=r'which has none.*of the night dataset'):
        StoredLabels(of='night')(networks(), branch())
