# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from mmseg_depthuda.adaptation.selection import depth_disagreement
from mmseg_depthuda.apps.annotation_selection.image_pool import ImagePool
from mmseg_depthuda.apps.annotation_selection.pool_passes import (
    depth_errors,
    entropies,
    pool_features,
)
from mmseg_depthuda.apps.checked_model import load_checked_model
from tests.models.tiny_segmentor import segmentor_config

from .conftest import LOAD, PACK

LAYER = 'decode_head.after.1'


@pytest.fixture
def teacher(network):
    return load_checked_model(network['config'], network['checkpoint'], 'cpu')


@pytest.fixture
def pool(cfg):
    return ImagePool(cfg)


def plain_features(teacher, sample):
    """The decoder's own parts, called one after the other down to stage 3 (8 channels, 1/8)."""
    image = sample['inputs'].flip(0).float()
    with torch.no_grad():
        *skips, x = teacher.backbone((image - 120)[None] / 60)
        head = teacher.decode_head
        for stage in (0, 1):
            x = torch.nn.functional.interpolate(head.before[stage](x), scale_factor=2)
            x = head.after[stage](torch.cat([x, skips.pop()], dim=1))
    return x[0].numpy()


def test_features_are_the_means_of_cells(teacher, pool, tmp_path):
    images = pool.images([LOAD[0], PACK])
    found = pool_features(teacher, LAYER, images, tmp_path / 'f.npy', 0).numpy()
    assert found.shape == (9, 8, 4, 8) and found.dtype == np.float32
    for i in (0, 5, 8):
        features = plain_features(teacher, images[i])
        assert features.shape == (8, 8, 12)
        rows = features.reshape(8, 4, 2, 12).mean(axis=2)
        for k in range(8):  # cells of 12 / 8 columns overlap
            expected = rows[:, :, k * 12 // 8 : -(-(k + 1) * 12 // 8)].mean(axis=2)
            np.testing.assert_allclose(found[i, :, :, k], expected, rtol=1e-4, atol=1e-5)


def test_a_stopped_pass_goes_on_where_it_was(teacher, pool, tmp_path, monkeypatch):
    images = pool.images([LOAD[0], PACK])
    whole = pool_features(teacher, LAYER, images, tmp_path / 'whole.npy', 0)
    path, step, asked = tmp_path / 'f.npy', teacher.test_step, []

    def stopped(batch):
        asked.append(batch['data_samples'][0].img_path)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return step(batch)

    monkeypatch.setattr(teacher, 'test_step', stopped)
    with pytest.raises(KeyboardInterrupt):
        pool_features(teacher, LAYER, images, path, 0)
    found = pool_features(teacher, LAYER, images, path, 0)
    assert len(asked) == 4 + 6 and asked[4:] == [s['data_samples'].img_path for s in images][3:]
    torch.testing.assert_close(found, whole, rtol=0, atol=0)
    pool_features(teacher, LAYER, images, path, 0)
    assert len(asked) == 10


@pytest.mark.parametrize(
    ('layer', 'message'),
    [
        ('decode_head.afte.1', 'no such layer. Similar ones: .*decode_head.after.1'),
        ('backbone', 'does not return one feature map'),
        ('', 'no such layer'),
    ],
)
def test_layers_that_are_none(teacher, pool, tmp_path, layer, message):
    with pytest.raises(ValueError, match=message):
        pool_features(teacher, layer, pool.images([LOAD[0], PACK]), tmp_path / 'f.npy', 0)
    assert not (tmp_path / 'f.npy').exists()


def test_features_that_are_not_finite(teacher, pool, tmp_path):
    teacher.decode_head.after[1][0].bias.data[0] = float('nan')
    with pytest.raises(ValueError, match=r'not finite for .*a/0\.png'):
        pool_features(teacher, LAYER, pool.images([LOAD[0], PACK]), tmp_path / 'f.npy', 0)


def test_a_file_of_other_features(teacher, pool, tmp_path):
    images, path = pool.images([LOAD[0], PACK]), tmp_path / 'f.npy'
    np.save(path, np.zeros((8, 8, 4, 8), np.float32))
    with pytest.raises(ValueError, match='holds no features of 9 images'):
        pool_features(teacher, LAYER, images, path, 0)
    path.write_bytes(b'no array')
    with pytest.raises(ValueError, match='f.npy is damaged'):
        pool_features(teacher, LAYER, images, path, 0)


def test_depth_errors_compare_at_the_size_of_the_network(cfg, pool):
    torch.manual_seed(3)
    student = MODELS.build(cfg.model).eval()
    resized = [*LOAD[:2], dict(type='ResizeWithDepth', scale=(64, 64)), LOAD[2], PACK]
    images = pool.images(resized, with_depth=True)
    found = depth_errors(student, images, 0)
    assert len(set(found)) == 9
    for i in (0, 7):
        sample = images[i]
        with torch.no_grad():
            disparity = student((sample['inputs'].float()[None] - 120) / 60)
        expected = depth_disagreement(disparity, sample['data_samples'].gt_depth_map.data[None])
        assert found[i] == pytest.approx(expected.item(), rel=1e-5)
    student.decode_head.disparity[-1].bias.data[0] = float('nan')
    with pytest.raises(ValueError, match=r'NaN for .*a/0\.png'):
        depth_errors(student, images, 0)


def test_entropies_equal_a_plain_statement(pool):
    torch.manual_seed(0)
    student = MODELS.build(Config(segmentor_config())).eval()
    images = pool.images([LOAD[0], PACK])
    found = entropies(student, images, 0)
    batch = dict(inputs=[images[4]['inputs']], data_samples=[images[4]['data_samples']])
    with torch.no_grad():
        logits = student.test_step(batch)[0].seg_logits.data.double().numpy()
    p = np.exp(logits) / np.exp(logits).sum(axis=0)
    assert found[4] == pytest.approx((-p * np.log(p)).sum(axis=0).mean() / np.log(len(p)), rel=1e-4)
