# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from scipy.integrate import quad
from scipy.stats import norm

from mmseg_depthuda.adaptation.depth_mixtures import DepthMixtures
from mmseg_depthuda.apps.depth_mixtures import draw_class_samples
from mmseg_depthuda.apps.depth_mixtures.mixture_pictures import (
    density_of_image,
    draw_mixtures,
    marginal_density,
)
from mmseg_depthuda.datasets.depth_mixture_files import MixtureMeta, save_mixtures
from tests.apps.depth_mixtures.tiny_source import (
    CLASSES,
    SIZE,
    model_config,
    source_config,
    write_source,
)
from tests.commands import exit_status_of

TOOL = Path(__file__).parents[3] / 'tools' / 'show_depth_mixtures.py'
META = MixtureMeta(CLASSES, (5, 9), 'dada', (9, 9, 9), (9, 9, 9), 2, 0)


@pytest.fixture
def mixtures():
    means = torch.tensor([[[2.0, 1, 60], [6, 4, 200]]]).double().expand(3, 2, 3)
    variances = torch.tensor([[[3.0, 2, 900], [1, 4, 400]]]).double().expand(3, 2, 3)
    return DepthMixtures(torch.tensor([[0.3, 0.7]]).double().expand(3, 2), means, variances)


@pytest.fixture
def dataset(tmp_path):
    write_source(tmp_path / 'source')
    init_default_scope('mmseg')
    palette = [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    metainfo = dict(classes=CLASSES, palette=palette)
    return source_config(tmp_path / 'source', metainfo=metainfo)


def test_marginal_is_the_integral_over_the_third_axis(mixtures):
    at = np.array([10.0, 150.0]), np.array([0.0, 2.5, 4.0])
    found = marginal_density(mixtures, 1, (2, 1), at)

    def density(x, y, z):
        return sum(
            w.item() * np.prod(norm.pdf([x, y, z], m.numpy(), v.sqrt().numpy()))
            for w, m, v in zip(
                mixtures.weights[1], mixtures.means[1], mixtures.variances[1], strict=True
            )
        )

    expected = [[quad(density, -20, 30, args=(y, z))[0] for z in at[0]] for y in at[1]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_density_of_an_image(mixtures, dataset):
    built = DATASETS.build(dataset)
    pictures = density_of_image(mixtures, META, built, 1, scale=1e4)
    assert list(pictures) == ['image', 'depth', 'classes', 'density']
    assert pictures['image'].shape == (*SIZE, 3)
    sample = built[1]['data_samples']
    for y, x in np.ndindex(META.grid):
        at = int((y + 0.5) * SIZE[0] / 5), int((x + 0.5) * SIZE[1] / 9)
        label, depth = (f.data[0][at].item() for f in (sample.gt_sem_seg, sample.gt_depth_map))
        color, shade = pictures['classes'][y, x], pictures['density'][y, x]
        if label == 255:
            assert not color.any() and not shade.any()
            continue
        assert color.tolist() == built.metainfo['palette'][label]
        p = sum(
            w.item() * np.prod(norm.pdf([x, y, depth], m.numpy(), v.sqrt().numpy()))
            for w, m, v in zip(
                mixtures.weights[0], mixtures.means[0], mixtures.variances[0], strict=True
            )
        )
        np.testing.assert_allclose(shade, 255 * (1 - np.exp(-1e4 * p)), atol=0.51)


def test_panels(mixtures, dataset):
    drawn = draw_class_samples(DATASETS.build(dataset), model_config())
    figure = draw_mixtures(mixtures, drawn, ['car', 'sky'], [])
    assert len(figure.axes) == 2 * 6
    counts = figure.axes[0].collections[0].get_array() ** 2  # of cars by row and column
    cars = drawn.samples[1][:, :2].astype(int)
    expected = np.zeros((5, 9))
    np.add.at(expected, (cars[:, 1], cars[:, 0]), 1)
    np.testing.assert_allclose(counts, expected)
    with pytest.raises(ValueError, match=r'bike: not a class with pixels.*road, car, sky'):
        draw_mixtures(mixtures, drawn, ['bike'], [])


def test_tool(mixtures, dataset, tmp_path, capfd):
    save_mixtures(tmp_path / 'm.json', mixtures, META)
    loader = dict(dataset=dataset)
    config = Config(dict(default_scope='mmseg', model=model_config(), train_dataloader=loader))
    config.dump(tmp_path / 'config.py')
    arguments = TOOL, tmp_path / 'config.py', tmp_path / 'm.json'
    assert exit_status_of(*arguments, tmp_path / 'out.jpg', '--workers', 1, '--images', 1) == 0
    picture = cv2.imread(str(tmp_path / 'out.jpg'))
    assert picture.shape[1] == 1300 and picture.std() > 20
    assert exit_status_of(*arguments, tmp_path / 'out.gif') == 2
    other = MixtureMeta(CLASSES, (5, 8), 'dada', (9, 9, 9), (9, 9, 9), 2, 0)
    save_mixtures(tmp_path / 'm.json', mixtures, other)
    assert exit_status_of(*arguments, tmp_path / 'out.jpg', '--workers', 1) == 2
    assert 'grid (5, 8), the training has (5, 9)' in capfd.readouterr().err
