# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from mmseg.structures import SegDataSample

from mmseg_depthuda.structures import (
    pack_pixel_data,
    stack_pixel_data,
    stack_required,
    upsample,
)
from tests.models.tiny_segmentor import upsample as numpy_upsample


def samples(count=2):
    return [SegDataSample(metainfo=dict(img_path=f'{i}.png')) for i in range(count)]


def test_packing_and_stacking_are_inverse():
    batch = samples()
    maps = dict(
        gt_sem_seg=torch.arange(12).view(2, 1, 2, 3),
        mix_mask=torch.arange(12).view(2, 1, 2, 3) % 2 == 0,
        gt_depth_map=torch.rand(2, 1, 2, 3),
        seg_weight=torch.rand(2, 1, 2, 3, dtype=torch.float64),
    )
    pack_pixel_data(batch, maps)
    assert batch[1].gt_sem_seg.data.tolist() == [[[6, 7, 8], [9, 10, 11]]]
    for name, values in maps.items():
        stacked = stack_pixel_data(batch, name)
        assert torch.equal(stacked, values) and stacked.dtype == values.dtype
    assert stack_pixel_data(batch, 'pseudo_label') is None


@pytest.mark.parametrize(
    'values',
    [
        torch.zeros(2, 1, 2, 3),  # float instead of int64
        torch.zeros(2, 1, 2, 3, dtype=torch.int32),
        torch.zeros(3, 1, 2, 3, dtype=torch.int64),  # of three samples
        torch.zeros(2, 2, 2, 3, dtype=torch.int64),  # two channels
        torch.zeros(2, 2, 3, dtype=torch.int64),
    ],
)
def test_a_map_of_another_kind_is_refused(values):
    with pytest.raises(ValueError, match=r'gt_sem_seg of 2 samples must be int64, \(2, 1, H, W\)'):
        pack_pixel_data(samples(), dict(gt_sem_seg=values))


def test_an_integer_depth_or_mask_is_refused():
    for name, kind in dict(gt_depth_map='float', mix_mask='bool').items():
        with pytest.raises(ValueError, match=f'{name} of 2 samples must be {kind}.*torch.int64'):
            pack_pixel_data(samples(), {name: torch.zeros(2, 1, 2, 3, dtype=torch.int64)})


def test_misspelled_names_are_refused():
    with pytest.raises(KeyError, match="Did you mean 'seg_weight'"):
        stack_pixel_data(samples(), 'seg_weights')
    with pytest.raises(KeyError, match="Did you mean 'mix_mask'"):
        pack_pixel_data(samples(), dict(mixmask=torch.zeros(2, 1, 2, 3, dtype=torch.bool)))


def test_a_field_of_some_samples_alone_is_refused():
    batch = samples(3)
    pack_pixel_data(batch[:1], dict(gt_depth_map=torch.ones(1, 1, 2, 3)))
    with pytest.raises(ValueError, match=r"'gt_depth_map' is present in some.*\['1.png', '2.png'"):
        stack_pixel_data(batch, 'gt_depth_map')


def test_a_field_that_is_needed_is_named_with_its_writer():
    batch = samples(2)
    with pytest.raises(ValueError, match="0.png has no 'pseudo_label' .*by: the pseudo-labeler"):
        stack_required(batch, 'pseudo_label')
    label = torch.tensor([3, 255]).view(2, 1, 1, 1)
    pack_pixel_data(batch, dict(pseudo_label=label))
    assert torch.equal(stack_required(batch, 'pseudo_label'), label)


@pytest.mark.parametrize('align_corners', [False, True])
def test_upsample(align_corners):
    values = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    found = upsample(values, (7, 11), align_corners)
    np.testing.assert_allclose(found, numpy_upsample(values, (7, 11), align_corners), atol=1e-12)
    assert upsample(values, (4, 5), align_corners) is values
