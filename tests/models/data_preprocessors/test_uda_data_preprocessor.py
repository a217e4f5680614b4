# Licensed under the Apache License 2.0, see LICENSE.
import copy

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS

from mmseg_depthuda.adaptation.depth import valid_depth
from tests.models.tiny_segmentor import MEAN, SIZE, STD, make_branch, make_sample


def build(**options):
    config = dict(type='UDADataPreProcessor', mean=MEAN, std=STD, seg_pad_val=255)
    return MODELS.build(config | (options or dict(size=SIZE)))


def unequal_branch():
    """Two images of different size: the first is wider, the second higher."""
    rng = np.random.default_rng(0)
    pairs = [make_sample(rng, size=size) for size in ((20, 40), (24, 33))]
    images, samples = zip(*pairs, strict=True)
    return dict(inputs=list(images), data_samples=list(samples))


def normalized(image, rgb=False):
    image = image.numpy().astype(np.float64)
    image = image[::-1] if rgb else image
    return (image - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]


@pytest.mark.parametrize('rgb', [False, True])
def test_every_branch_is_normalized_and_knows_its_domain(rgb):
    batch = dict(source=make_branch(0), target=make_branch(1, depth=False))
    images = {name: list(branch['inputs']) for name, branch in batch.items()}
    preprocessor = build(bgr_to_rgb=rgb, size=SIZE)
    assert preprocessor.is_rgb == rgb
    result = preprocessor(batch, training=True)
    assert set(result) == {'source', 'target'}
    for name, branch in result.items():
        assert [s.metainfo['domain'] for s in branch['data_samples']] == [name] * 2
        assert branch['inputs'].dtype == torch.float32
        expected = np.stack([normalized(image, rgb) for image in images[name]])
        np.testing.assert_allclose(branch['inputs'].numpy(), expected, atol=1e-5)
    assert 'gt_depth_map' not in result['target']['data_samples'][0]


def test_preprocessing_twice_is_preprocessing_once():
    preprocessor = build()
    once = preprocessor(dict(source=make_branch(0), target=make_branch(1)), training=True)
    inputs = {name: branch['inputs'].clone() for name, branch in once.items()}
    twice = preprocessor(dict(once, mixed=once['source']), training=True)
    for name, branch in inputs.items():
        torch.testing.assert_close(twice[name]['inputs'], branch, rtol=0, atol=0)
        assert twice[name] is once[name]
    # A branch that a hook has added keeps the domain that the hook wrote.
    assert twice['mixed']['data_samples'][0].metainfo['domain'] == 'source'


@pytest.mark.parametrize(
    ('options', 'size'),
    [
        (dict(size_divisor=1), (24, 40)),
        (dict(size=(32, 48)), (32, 48)),
        (dict(size_divisor=16), (32, 48)),
    ],
)
@pytest.mark.parametrize('by_domain', [True, False])
def test_padding_has_neither_label_nor_depth(options, size, by_domain):
    branch = unequal_branch()
    before = copy.deepcopy(branch)
    if by_domain:
        result = build(**options)(dict(target=branch), training=True)['target']
    else:
        result = build(**options)(branch, training=True)
    assert result['inputs'].shape == (2, 3, *size)
    for index, sample in enumerate(result['data_samples']):
        height, width = before['inputs'][index].shape[1:]
        depth, label = sample.gt_depth_map.data, sample.gt_sem_seg.data
        original = before['data_samples'][index]
        assert depth.shape == label.shape == (1, *size)
        assert torch.equal(depth[:, :height, :width], original.gt_depth_map.data)
        assert torch.equal(label[:, :height, :width], original.gt_sem_seg.data)
        inside = torch.zeros(1, *size, dtype=torch.bool)
        inside[:, :height, :width] = True
        assert not valid_depth(depth[~inside]).any()
        assert (label[~inside] == 255).all()
        assert not result['inputs'][index][:, ~inside[0]].any()
        assert tuple(sample.metainfo['img_shape']) == (height, width)


@pytest.mark.parametrize('training', [True, False])
def test_an_ordinary_batch_goes_through_as_in_mmseg(training):
    options = dict(mean=MEAN, std=STD, size=(32, 48))
    if not training:
        options['test_cfg'] = dict(size_divisor=32)
    batch = make_branch(0, depth=False)
    theirs = MODELS.build(dict(type='SegDataPreProcessor', **options))(
        copy.deepcopy(batch), training
    )
    ours = MODELS.build(dict(type='UDADataPreProcessor', **options))(batch, training)
    torch.testing.assert_close(ours['inputs'], theirs['inputs'], rtol=0, atol=0)
    for a, b in zip(ours['data_samples'], theirs['data_samples'], strict=True):
        assert a.metainfo == b.metainfo
        assert torch.equal(a.gt_sem_seg.data, b.gt_sem_seg.data)


def test_normalization_is_not_optional():
    """Hooks undo the normalization, so mean and std are needed."""
    with pytest.raises(TypeError, match='mean'):
        MODELS.build(dict(type='UDADataPreProcessor', size=(32, 48)))


def test_padding_to_a_divisor_in_testing_adds_to_that_of_the_transform():
    branch = unequal_branch()
    image, sample = branch['inputs'][0], branch['data_samples'][0]  # 40x20
    sample.set_metainfo(dict(img_padding_size=(1, 2, 3, 4)))
    labels = sample.gt_sem_seg.data.clone()
    result = build(test_cfg=dict(size_divisor=16))(dict(inputs=[image], data_samples=[sample]))
    assert result['inputs'].shape == (1, 3, 32, 48)
    assert (result['inputs'][..., 40:] == 0).all()
    (packed,) = result['data_samples']
    assert packed.img_padding_size == (1, 2 + 8, 3, 4 + 12)
    torch.testing.assert_close(packed.gt_sem_seg.data, labels)


def test_images_with_neighboring_frames_are_not_padded():
    branch = make_branch(0)
    for sample in branch['data_samples']:
        sample.source_views = PixelData(data=torch.zeros(6, *SIZE, dtype=torch.uint8))
    build()(dict(source=branch), training=True)
    with pytest.raises(ValueError, match='image_0.png has neighboring frames.*8x8 pixels'):
        build(size=(SIZE[0] + 8, SIZE[1] + 8))(dict(target=branch), training=True)
