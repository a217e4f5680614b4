# Licensed under the Apache License 2.0, see LICENSE.
import copy

import numpy as np
import pytest
from mmengine.config import ConfigDict
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook

from mmseg_depthuda.datasets import LoadInverseDepth
from mmseg_depthuda.engine.hooks import SelfTrainingHook
from mmseg_depthuda.registry import PSEUDO_LABELERS
from tests.models.pair_training import Pairs, make_runner
from tests.models.tiny_segmentor import (
    NUM_CLASSES,
    SIZE,
    head_config,
    segmentor_config,
    stacked,
    upsample,
)

THRESHOLD = 0.22
MIX = dict(type='ClassMix', augment=False)


class Watch(Hook):
    """The teacher's shares of confident pixels by NumPy, and the branches of each batch."""

    priority = 'LOWEST'

    def __init__(self, hook):
        self.hook, self.shares, self.branches = hook, [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        teacher = copy.deepcopy(self.hook.teacher)
        images = data_batch['target']['inputs']
        logits = upsample(teacher.decode_head(teacher.backbone(images)).detach().numpy(), SIZE)
        probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        self.shares.append((probability.max(axis=1) >= THRESHOLD).mean())
        self.branches.append({name: copy.copy(own) for name, own in data_batch.items()})


def run(tmp_path, hook, iterations=2, **options):
    watch = Watch(hook)
    model = ConfigDict(segmentor_config(head_config('DeepLabV2Head')))
    slow = dict(optimizer=dict(type='SGD', lr=1e-4))
    runner = make_runner(
        tmp_path, 'run', [hook, watch], iterations, model=model, optim_wrapper=slow, **options
    )
    runner.train()
    return runner, watch


def test_q_is_logged_and_every_maker_makes_its_branch(tmp_path):
    hook = SelfTrainingHook(
        branches=dict(
            mixed=MIX,
            masked=dict(type='MaskImage', block_size=8, augment=False),
            both=MIX | dict(onto='masked'),
        ),
        pseudo_labels=dict(type='ConfidentShare', threshold=THRESHOLD),
    )
    assert hook.reads == {'source', 'target'}
    runner, watch = run(tmp_path, hook)
    logged, _ = runner.message_hub.get_scalar('train/pseudo_label.confident_share').data
    assert logged == pytest.approx(watch.shares) and all(0 < q < 1 for q in watch.shares)
    for q, branches in zip(watch.shares, watch.branches, strict=True):
        assert list(branches) == ['source', 'target', 'mixed', 'masked', 'both']
        for name in ('mixed', 'both'):
            own = branches[name]
            expected = np.where(stacked(own, 'mix_mask'), 1, q)
            np.testing.assert_allclose(stacked(own, 'seg_weight'), expected)
        np.testing.assert_allclose(stacked(branches['masked'], 'seg_weight'), q)
        assert (stacked(branches['target'], 'pseudo_label') < NUM_CLASSES).all()
    assert len(runner.message_hub.get_scalar('train/both.loss_seg').data[0]) == 2


DEPTH = dict(type='DepthMix', augment=False)
WITHIN = dict(paste='target', onto='target', confidence_threshold=THRESHOLD)


def test_depth_mix_across_within_and_both_beside_class_mix(tmp_path):
    """Three iterations; all pixels of a mix within a domain weigh its own share."""
    hook = SelfTrainingHook(
        branches=dict(across=DEPTH, within=DEPTH | WITHIN, classes=MIX | WITHIN),
        pseudo_labels=dict(type='ConfidentShare', threshold=THRESHOLD),
    )
    runner, watch = run(tmp_path, hook, iterations=3)
    assert len(watch.branches) == 3
    for branches in watch.branches:
        target = branches['target']
        for name in ('within', 'classes'):
            mask = stacked(branches[name], 'mix_mask')
            confidence = stacked(target, 'pseudo_confidence')
            confident = np.where(mask, confidence, confidence[::-1]) >= THRESHOLD
            weight = stacked(branches[name], 'seg_weight')
            np.testing.assert_allclose(weight, confident.mean())
        depth, covered = (stacked(branches[n], 'gt_depth_map') for n in ('within', 'target'))
        mask = stacked(branches['within'], 'mix_mask')
        np.testing.assert_array_equal(depth, np.where(mask, covered, covered[::-1]))
        assert 0.2 < mask.mean() < 0.8
    for name in ('across', 'within', 'classes'):
        losses, _ = runner.message_hub.get_scalar(f'train/{name}.loss_seg').data
        assert len(losses) == 3 and np.isfinite(losses).all() and min(losses) > 0


class WithoutDepth(BaseDataset):
    """Two images, of which the second has no depth."""

    def load_data_list(self):
        return [dict(img_path='a.png', depth_map_path='a'), dict(img_path='b.png')]


def test_images_without_stored_depth_are_named_before_the_training(tmp_path):
    dataset = Pairs()
    dataset.domains = dict(target=WithoutDepth(pipeline=[LoadInverseDepth()]))
    message = r'branches.mixed: .*target images, but 1 of them load none, such as b.png. Set data_p'
    with pytest.raises(ValueError, match=message):
        run(tmp_path, SelfTrainingHook(branches=dict(mixed=DEPTH)), dataset=dataset)
    online = DEPTH | WITHIN | dict(depth='online_disparity')  # needs none; nobody writes it here
    message = 'needs online_disparity of target, which UDASegmentor does not predict.*MultiTask'
    with pytest.raises(ValueError, match=message):
        run(tmp_path, SelfTrainingHook(branches=dict(mixed=online)), dataset=dataset)


def test_classes_are_named_as_the_training_data_name_them(tmp_path):
    hook = SelfTrainingHook(branches=dict(mixed=MIX | dict(classes=['class 3', 1])))
    _, watch = run(tmp_path, hook)
    for branches in watch.branches:
        source = stacked(branches['source'], 'gt_sem_seg')
        pasted = stacked(branches['mixed'], 'mix_mask')
        np.testing.assert_array_equal(pasted, np.isin(source, [1, 3]))
        assert 0 < pasted.mean() < 1
    with pytest.raises(ValueError, match="'class 5' is no class .* 5 classes"):
        run(tmp_path, SelfTrainingHook(branches=dict(mixed=MIX | dict(classes=['class 5']))))


def test_a_missing_domain_ends_the_run_before_its_first_step(tmp_path):
    hook = SelfTrainingHook(branches=dict(mixed=MIX | dict(onto='night')))
    message = r"needs the branches night, source, target, .*\['source', 'target'\].*DomainsDataset"
    with pytest.raises(KeyError, match=message):
        run(tmp_path, hook)


@PSEUDO_LABELERS.register_module()
class Unchecked:
    """Labels another branch; never called."""

    of = 'night'


def test_an_unlabelled_branch_must_be_pseudo_labelled(tmp_path):
    hook = SelfTrainingHook(branches=dict(mixed=MIX), pseudo_labels=dict(type='Unchecked'))
    assert hook.reads == {'source', 'target', 'night'}
    with pytest.raises(ValueError, match="branches.mixed is made of target.*of is 'night'"):
        run(tmp_path, hook)


def test_branches_are_named_and_made_in_order():
    with pytest.raises(ValueError, match='branches is empty.*ClassMix'):
        SelfTrainingHook(branches={})
    masked = dict(type='MaskImage')
    SelfTrainingHook(branches=dict(masked=masked, mixed=MIX | dict(onto='masked')))
    for branches in (
        dict(mixed=MIX | dict(onto='masked'), masked=masked),
        dict(masked=dict(type='MaskImage', of='masked')),
    ):
        with pytest.raises(ValueError, match="'masked', which is not made before it.*first"):
            SelfTrainingHook(branches=branches)
