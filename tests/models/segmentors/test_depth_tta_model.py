# Licensed under the Apache License 2.0, see LICENSE.
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_depthuda.models.wrappers import bare_model
from tests.models.tiny_segmentor import tiny_segmentor


def view(scale, logits, depth=None):
    """Prediction for one view of an image that has one pixel."""
    sample = SegDataSample(metainfo=dict(scale_factor=(scale, scale), img_path='a.png'))
    sample.seg_logits = PixelData(data=torch.tensor(logits).view(-1, 1, 1))
    sample.gt_sem_seg = PixelData(data=torch.zeros(1, 1, 1, dtype=torch.long))
    if depth is not None:
        sample.pred_depth_map = PixelData(data=torch.tensor(depth).view(1, 1, 1))
    return sample


def merge(*views):
    model = MODELS.build(dict(type='DepthTTAModel', module=tiny_segmentor()))
    (merged,) = model.merge_preds([views])
    return merged


def test_depth_comes_from_the_views_nearest_to_scale_1():
    scales, depths = (0.5, 0.5, 0.8, 0.8, 1.75), (99.0, 99.0, 4.0, 12.0, 99.0)
    merged = merge(*(view(s, [0.0, 1.0], d) for s, d in zip(scales, depths, strict=True)))
    torch.testing.assert_close(merged.pred_depth_map.data, torch.tensor([[[8.0 / 0.8]]]))


def test_classes_are_merged_by_mmseg_from_all_views():
    merged = merge(view(1.0, [0.0, 0.1], 3.0), view(2.0, [9.0, 0.0], 5.0))
    assert merged.pred_sem_seg.data.item() == 0
    assert merged.pred_depth_map.data.item() == 3.0
    assert merged.gt_sem_seg.data.item() == 0


def test_a_head_without_depth():
    assert 'pred_depth_map' not in merge(view(1.0, [0.0, 1.0]), view(2.0, [0.0, 1.0]))


def test_the_segmentor_under_the_wrapper():
    segmentor = tiny_segmentor()
    assert bare_model(MODELS.build(dict(type='DepthTTAModel', module=segmentor))) is segmentor
    assert bare_model(segmentor) is segmentor
