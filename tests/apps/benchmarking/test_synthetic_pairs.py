# Licensed under the Apache License 2.0, see LICENSE.
import torch

from mmseg_depthuda.apps.benchmarking.synthetic_pairs import SyntheticPairs


def test_samples_have_the_form_that_the_preprocessor_takes():
    pair = SyntheticPairs(size=(50, 70), num_classes=5, with_depth=True)[3]
    assert set(pair) == {'source', 'target'}
    for sample in pair.values():
        fields = sample['data_samples']
        assert sample['inputs'].shape == (3, 50, 70) and sample['inputs'].dtype == torch.uint8
        label = fields.gt_sem_seg.data
        assert label.shape == (1, 50, 70) and label.dtype == torch.int64
        assert set(label.unique().tolist()) <= {0, 1, 2, 3, 4, 255}
        depth = fields.gt_depth_map.data
        assert depth.shape == (1, 50, 70) and depth.dtype == torch.float32
        assert depth[depth > 0].min() >= 1 and depth.max() <= 257
        assert 0.05 < (depth == 0).float().mean() < 0.15


def test_domains_and_indices_differ_and_an_index_repeats():
    pairs = SyntheticPairs(size=(8, 8), num_classes=2, with_depth=False)
    first, again, other = pairs[0], pairs[0], pairs[1]
    assert torch.equal(first['source']['inputs'], again['source']['inputs'])
    assert not torch.equal(first['source']['inputs'], first['target']['inputs'])
    assert not torch.equal(first['source']['inputs'], other['source']['inputs'])
    assert 'gt_depth_map' not in first['source']['data_samples']
