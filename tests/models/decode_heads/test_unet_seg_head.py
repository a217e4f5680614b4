# Licensed under the Apache License 2.0, see LICENSE.
"""What the head refuses, and whole predictions; its numbers are compared in
tests/apps/released_weights/test_sde_conversion.py."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_depthuda.engine.launch import config_folder
from tests.models.tiny_unet import (
    CLASSES,
    SIZE,
    WEIGHTS,
    build_head,
    build_segmentor,
    make_features,
    make_samples,
)


@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('stage', [0, 1])
def test_loss_reaches_all_that_is_used(stage, weighted):
    head = build_head(stage=stage, decoder_norm_cfg=dict(type='BN'))
    features, samples = make_features(), make_samples('source', weighted=weighted)
    logits, label = head(features), torch.stack([s.gt_sem_seg.data[0] for s in samples])
    assert logits.shape == (2, CLASSES, *SIZE)
    each = F.cross_entropy(logits, label, ignore_index=255, reduction='none')
    if weighted:  # a mean over all pixels
        wanted = (each * torch.stack([s.seg_weight.data[0] for s in samples])).mean()
    else:
        wanted = each.sum() / (label != 255).sum()
    loss = head.loss(features, samples, {})['loss_seg']
    torch.testing.assert_close(loss, wanted)
    loss.backward()
    without = {name for name, p in head.named_parameters() if p.grad is None}
    assert without == {name for name, p in head.named_parameters() if not p.requires_grad}
    parts = {'.'.join(name.split('.')[:3]) for name in without}
    unused = {f'decoder.disparity.{scale}' for scale in range(4)}
    assert parts == unused | ({'decoder.before.4', 'decoder.after.4'} if stage else set())


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda f: f[:4], r'takes the features \(0, 1, 2, 3, 4\), but the backbone gives 4'),
        (lambda f: [f[0][..., :-1], *f[1:]], r'23x16, 12x8.*output stride, 16, does not divide'),
        (lambda f: [f[0], *f[2:], f[4]], 'got features of 24x16, 6x4'),
        (lambda f: [*f[:4], torch.cat([f[4]] * 2, 1)], 'gives 5 features of .* 14'),
        (lambda f: [x[:1] for x in f], 'cannot be normalized over a single image'),
    ],
)
def test_features_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        build_head()(change(make_features()))


def test_labels_of_a_size_that_the_output_stride_does_not_divide():
    samples = make_samples('source', size=(31, 47))  # the stem still has 16x24
    with pytest.raises(ValueError, match='predicts 48x32 pixels for an image of 47x31'):
        build_head().loss(make_features(), samples, {})


def test_any_image_is_predicted_with_padding():
    """Padding to a multiple of the stride is cut off the prediction."""
    image = torch.randint(256, (3, 40, 50), dtype=torch.uint8)
    meta = dict(ori_shape=(40, 50), img_shape=(40, 50))

    def data():
        return dict(inputs=[image], data_samples=[SegDataSample(metainfo=meta)])

    plain = build_segmentor().eval()
    with pytest.raises(ValueError, match=r'test_cfg=dict\(size_divisor=16\)'):
        plain.test_step(data())
    preprocessor = dict(mean=[114.75] * 3, std=[57.375] * 3, test_cfg=dict(size_divisor=16))
    model = build_segmentor(data_preprocessor=dict(type='UDADataPreProcessor', **preprocessor))
    result = model.eval().test_step(data())[0].seg_logits.data
    normalized = F.pad((image.double() - 114.75) / 57.375, (0, 14, 0, 8))[None]
    with torch.no_grad():
        wanted = model.decode_head(model.backbone(normalized))[0, :, :40, :50]
    torch.testing.assert_close(result, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('backbone', ['r101', 'r18', 'effl0'])
@pytest.mark.parametrize('kind', ['unet', 'pad'])
def test_configs(kind, backbone):
    config = Config.fromfile(config_folder() / f'_base_/models/sde_{kind}_{backbone}.py').model
    config.backbone.init_cfg = None
    if backbone == 'r101':
        config.backbone.depth = 50  # for speed; the same features
    if kind == 'pad':
        config.decode_head.loss_weights = WEIGHTS
    model = MODELS.build(config).eval()
    preprocessed = model.data_preprocessor(
        dict(
            inputs=[torch.full((3, 64, 64), 255, dtype=torch.uint8)], data_samples=[SegDataSample()]
        )
    )
    with torch.no_grad():
        assert model(preprocessed['inputs'], mode='tensor').shape == (1, 19, 64, 64)
    if backbone == 'r101':
        torch.testing.assert_close(
            preprocessed['inputs'], torch.full((1, 3, 64, 64), (1 - 0.45) / 0.225)
        )


def test_an_unknown_stage():
    with pytest.raises(ValueError, match='stage must be 0'):
        build_head(stage=2)
