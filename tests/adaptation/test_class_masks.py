# Licensed under the Apache License 2.0, see LICENSE.
import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmseg_depthuda.adaptation import class_mix_mask
from mmseg_depthuda.adaptation.class_masks import class_mask, draw_half_of_classes


@settings(max_examples=60, deadline=None)
@given(
    classes=st.lists(st.sets(st.integers(0, 255), min_size=1, max_size=24), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
    channel=st.booleans(),
)
def test_half_of_the_classes_of_each_image_whole(classes, seed, channel):
    generator = torch.Generator().manual_seed(seed)
    label = torch.empty(len(classes), 6, 8, dtype=torch.int64)
    for image_label, present in zip(label, classes, strict=True):
        values = torch.tensor(sorted(present))
        filler = values[torch.randint(len(values), (48 - len(values),), generator=generator)]
        image_label.copy_(torch.cat([values, filler]).view(6, 8))
    given_label = label.unsqueeze(1) if channel else label

    mask = class_mix_mask(given_label, generator)

    assert mask.dtype == torch.bool
    assert mask.shape == given_label.shape
    for image_label, image_mask, present in zip(label, mask.view_as(label), classes, strict=True):
        kept = set(image_label[image_mask].tolist())
        removed = set(image_label[~image_mask].tolist())
        assert kept.isdisjoint(removed)
        assert kept | removed == present
        assert len(kept) == math.ceil(len(present) / 2)


def test_ignored_pixels_are_a_class():
    label = torch.tensor([[[3, 255]]])
    masks = {tuple(class_mix_mask(label).flatten().tolist()) for _ in range(64)}
    assert masks == {(True, False), (False, True)}


def test_every_subset_is_equally_likely():
    label = torch.arange(4).view(1, 1, 4).expand(6000, 1, 4)
    mask = class_mix_mask(label, torch.Generator().manual_seed(0))
    subsets = Counter(map(tuple, mask.flatten(1).tolist()))
    assert len(subsets) == math.comb(4, 2)
    # Binomial(6000, 1/6): mean 1000, standard deviation 29.
    assert all(abs(count - 1000) < 5 * 29 for count in subsets.values())


def test_draws_follow_the_seed():
    label = torch.arange(20).view(1, 4, 5)
    first = class_mix_mask(label, torch.Generator().manual_seed(3))
    assert torch.equal(first, class_mix_mask(label, torch.Generator().manual_seed(3)))
    torch.manual_seed(3)
    assert torch.equal(first, class_mix_mask(label))
    assert not torch.equal(first, class_mix_mask(label))


def test_mask_of_given_classes():
    """Classes that the image does not have, more than it has, none, and the ignore value."""
    label = torch.tensor([[0, 1, 2], [255, 1, 0], [3, 3, 0]]).unsqueeze(1)
    chosen = [[1, 7], torch.tensor([255, 300]), []]
    mask = class_mask(label, chosen)
    expected = [np.isin(own, list(c)) for own, c in zip(label.numpy(), chosen, strict=True)]
    assert mask.dtype == torch.bool
    np.testing.assert_array_equal(mask, np.stack(expected))
    with pytest.raises(ValueError, match='shorter'):
        class_mask(label, chosen[:2])


def test_the_mask_is_that_of_the_drawn_classes():
    label = torch.arange(9).view(1, 3, 3)
    (drawn,) = draw_half_of_classes(label, torch.Generator().manual_seed(5))
    assert drawn.dtype == torch.int64 and len(set(drawn.tolist())) == 5
    mask = class_mix_mask(label, torch.Generator().manual_seed(5))
    assert sorted(label[mask].tolist()) == sorted(drawn.tolist())


@pytest.mark.parametrize(('classes', 'half'), [(1, 0), (2, 1), (3, 1), (9, 4)])
def test_half_rounded_down(classes, half):
    label = torch.arange(classes).view(1, 1, -1)
    (drawn,) = draw_half_of_classes(label, round_up=False)
    assert drawn.dtype == torch.int64 and len(set(drawn.tolist())) == half
    assert class_mask(label, [drawn]).sum() == half


@pytest.mark.parametrize(
    ('label', 'message'),
    [
        (torch.zeros(4, 4, dtype=torch.int64), r'label must be \(N, H, W\).*\(4, 4\)'),
        (torch.zeros(1, 2, 4, 4, dtype=torch.int64), r'got \(1, 2, 4, 4\)'),
        (torch.zeros(1, 4, 4), 'label must be int64, got torch.float32'),
    ],
)
def test_errors(label, message):
    for wrong in (class_mix_mask, draw_half_of_classes, lambda label: class_mask(label, [[0]])):
        with pytest.raises(ValueError, match=message):
            wrong(label)


def test_negative_label():
    with pytest.raises(RuntimeError, match='non-negative'):
        class_mix_mask(torch.full((1, 2, 2), -1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_cuda_draws_as_the_cpu():
    label = torch.randint(0, 19, (3, 1, 32, 32))
    on_cpu = class_mix_mask(label, torch.Generator().manual_seed(1))
    on_gpu = class_mix_mask(label.cuda(), torch.Generator().manual_seed(1))
    assert on_gpu.is_cuda
    assert torch.equal(on_cpu, on_gpu.cpu())
