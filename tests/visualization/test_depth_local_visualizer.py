# Licensed under the Apache License 2.0, see LICENSE.
"""All maps of a sample side by side, at the size of the maps."""

from itertools import count

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib import colormaps
from mmengine.structures import PixelData
from mmseg.registry import VISUALIZERS
from mmseg.structures import SegDataSample
from mmseg.visualization import SegLocalVisualizer

from mmseg_depthuda.visualization import DepthLocalVisualizer
from tests.visualization.strips import pictures_of

PALETTE = [[255, 0, 0], [0, 0, 255]]
BLACK_OF_MAGMA, WHITE_OF_MAGMA = [0, 0, 3], [251, 252, 191]
BLACK_OF_INFERNO = [0, 0, 3]
HEIGHT, WIDTH = 8, 12


INSTANCES = count()  # MMEngine keeps a visualizer by its name


def make_visualizer(**options):
    name = f'test {next(INSTANCES)}'
    config = dict(type='DepthLocalVisualizer', name=name, vis_backends=[], alpha=1.0)
    visualizer = VISUALIZERS.build(config | options)
    visualizer.dataset_meta = dict(classes=('a', 'b'), palette=PALETTE)
    return visualizer


@pytest.fixture
def drawn(monkeypatch):
    """Panels of a sample over an image; alpha 1 paints the labels opaque."""

    def draw(image, sample, depth_scale='shared', **options):
        # MMEngine returns the visualizer that it has built before under this name.
        visualizer = make_visualizer(depth_scale=depth_scale)
        pictures = []
        monkeypatch.setattr(
            visualizer, 'add_image', lambda name, image, step: pictures.append(image)
        )
        visualizer.add_datasample('x', image, sample, with_labels=False, **options)
        (picture,) = pictures
        assert np.array_equal(visualizer.get_image(), picture)
        assert picture.dtype == np.uint8
        return pictures_of(picture, HEIGHT, WIDTH, picture.shape[1] // (32 * WIDTH))

    return draw


def make_sample(**maps):
    labels = torch.zeros(1, HEIGHT, WIDTH, dtype=torch.long)
    labels[..., WIDTH // 2 :] = 1
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=labels), pred_sem_seg=PixelData(data=1 - labels)
    )
    for name, value in maps.items():
        sample.set_data({name: PixelData(data=torch.full((1, HEIGHT, WIDTH), value))})
    return sample


@pytest.mark.parametrize('scale', [1, 2])
def test_labels_and_prediction_in_the_size_of_the_labels(drawn, scale):
    image = np.full((HEIGHT * scale, WIDTH * scale, 3), 90, np.uint8)
    photo, truth, prediction = drawn(image, make_sample())
    red, blue = PALETTE
    assert photo.shape == (HEIGHT, WIDTH, 3) and (photo == 90).all()
    for panel, left, right in ((truth, red, blue), (prediction, blue, red)):
        assert (panel[:, : WIDTH // 2] == left).all()
        assert (panel[:, WIDTH // 2 :] == right).all()


def test_depths_share_the_scale_of_the_truth(drawn):
    sample = make_sample(gt_depth_map=2.0, pred_depth_map=0.0, depth_agreement=1.0)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    *_, truth, prediction, difficulty = panels = drawn(image, sample)
    assert len(panels) == 6
    colors = (WHITE_OF_MAGMA, BLACK_OF_MAGMA, BLACK_OF_INFERNO)
    for panel, color in zip((truth, prediction, difficulty), colors, strict=True):
        assert np.abs(panel.astype(int) - color).max() <= 1


def test_depth_of_the_prediction_alone_has_its_own_scale(drawn):
    sample = make_sample(pred_depth_map=5.0)
    *_, depth = panels = drawn(np.zeros((HEIGHT, WIDTH, 3), np.uint8), sample)
    assert len(panels) == 4
    assert np.abs(depth.astype(int) - WHITE_OF_MAGMA).max() <= 1


def columns(*values):
    """A map whose columns have these values, in equal shares."""
    return torch.tensor(values).repeat_interleave(WIDTH // len(values)).expand(1, HEIGHT, WIDTH)


def magma(*shares):
    """Colors of a row of pixels at these shares of the scale."""
    table = np.round(255 * np.array(colormaps['magma'].colors)).astype(int)
    return [table[min(int(256 * share), 255)] for share in shares]


def drawn_depths(drawn, truth, prediction, **options):
    sample = SegDataSample(gt_depth_map=PixelData(data=truth))
    sample.pred_depth_map = PixelData(data=prediction)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    _, *depths = drawn(image, sample, **options)
    return [depth[0, :: WIDTH // 4].astype(int) for depth in depths]


TRUTH = (0.0, 10.0, 20.0, 40.0)  # the first pixels are unknown; the median of the others is 20


def test_a_prediction_in_the_unit_of_the_truth_shows_a_wrong_scale(drawn):
    """CorDA, SimpleAux, DADA: half the inverse depth has the colors of half the values."""
    truth, prediction = drawn_depths(drawn, columns(*TRUTH), columns(2.5, 5.0, 10.0, 20.0))
    assert np.abs(truth - magma(0, 0.25, 0.5, 1)).max() <= 1
    assert np.abs(prediction - magma(0.0625, 0.125, 0.25, 0.5)).max() <= 1


def test_a_prediction_of_another_unit_is_drawn_at_the_median_of_the_truth(drawn):
    """1 / depth beside 655.36 / meters. Medians of known pixels: 20 and 0.04, a factor of 500;
    the second prediction is wrong in one place, where it has another color than the truth."""
    options = dict(depth_scale='median')
    truth, right = drawn_depths(drawn, columns(*TRUTH), columns(9.0, 0.02, 0.04, 0.08), **options)
    assert np.abs(truth - magma(0, 0.25, 0.5, 1)).max() <= 1
    assert np.abs(right - magma(1, 0.25, 0.5, 1)).max() <= 1
    _, wrong = drawn_depths(drawn, columns(*TRUTH), columns(0.01, 0.02, 0.04, 0.06), **options)
    assert np.abs(wrong - magma(0.125, 0.25, 0.5, 0.75)).max() <= 1


@pytest.mark.parametrize('values', [(0.0, 0.0, 0.0, 0.0), TRUTH])
def test_medians_that_say_nothing(drawn, values):
    """A truth without a known pixel and a prediction of zeros are drawn without scaling."""
    prediction = columns(0.0, 0.25, 0.5, 1.0) if values[1] == 0 else columns(*[0.0] * 4)
    truth, predicted = drawn_depths(drawn, columns(*values), prediction, depth_scale='median')
    assert np.abs(truth - magma(*np.array(values) / 40)).max() <= 1
    assert np.abs(predicted - magma(*prediction[0, 0, ::3].tolist())).max() <= 1


def test_sparse_truth_has_the_scale_of_its_known_pixels(drawn):
    """One pixel of 96, as of a lidar: the percentile of all pixels would be 0."""
    truth = torch.zeros(1, HEIGHT, WIDTH)
    truth[0, 0, 0] = 8.0
    sparse, prediction = drawn_depths(drawn, truth, columns(0.0, 2.0, 4.0, 8.0))
    assert np.abs(sparse - magma(1, 0, 0, 0)).max() <= 1
    assert np.abs(prediction - magma(0, 0.25, 0.5, 1)).max() <= 1


def test_unknown_depth_scale():
    with pytest.raises(ValueError, match="'shared' or 'median', got 'metric'"):
        make_visualizer(depth_scale='metric')


def test_only_what_is_asked_for_is_drawn(drawn):
    sample = make_sample(gt_depth_map=2.0, pred_depth_map=1.0, depth_agreement=1.0)
    image = np.full((HEIGHT, WIDTH, 3), 7, np.uint8)
    _, truth, _ = drawn(image, sample, draw_pred=False)
    assert truth[0, 0].tolist() == PALETTE[0]
    _, prediction, _, _ = drawn(image, sample, draw_gt=False)
    assert prediction[0, 0].tolist() == PALETTE[1]


@pytest.mark.parametrize('sample', [None, SegDataSample()])
def test_image_alone(drawn, sample):
    (photo,) = drawn(np.full((HEIGHT, WIDTH, 3), 7, np.uint8), sample)
    assert (photo == 7).all()


def test_arrays_are_drawn_as_tensors_are(drawn):
    """MMSeg's browse_dataset.py hands over NumPy arrays."""
    sample = make_sample(gt_depth_map=2.0)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for a, b in zip(drawn(image, sample), drawn(image, sample.numpy()), strict=True):
        assert np.array_equal(a, b)


def test_out_file_holds_the_picture_in_the_right_colors(tmp_path):
    visualizer = make_visualizer()
    path = tmp_path / 'x.png'
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    visualizer.add_datasample('x', image, make_sample(), out_file=str(path), with_labels=False)
    _, labels, _ = pictures_of(cv2.imread(str(path)), HEIGHT, WIDTH, 3)
    assert labels[0, 0].tolist() == PALETTE[0][::-1]


def test_domain_is_part_of_the_name(monkeypatch):
    visualizer, names = make_visualizer(), []
    monkeypatch.setattr(visualizer, 'add_image', lambda name, image, step: names.append(name))
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    sample = SegDataSample(metainfo=dict(domain='target'))
    visualizer.add_datasample('a.png', image, sample)
    visualizer.add_datasample('a.png', image)
    assert names == ['target_a.png', 'a.png']


@pytest.mark.parametrize(
    'backends', ['LocalVisBackend', ['LocalVisBackend'], [dict(type='LocalVisBackend')]]
)
def test_back_ends_by_name(tmp_path, backends):
    visualizer = make_visualizer(vis_backends=backends, save_dir=str(tmp_path / 'out'))
    visualizer.add_image('x', np.zeros((4, 4, 3), np.uint8))
    assert (tmp_path / 'out/vis_data/vis_image/x_0.png').exists()


@given(
    arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 1))
)
def test_names_are_written_where_mmseg_writes_them(mask):
    mask[mask.shape[0] // 2, 0] = 1
    visualizer = DepthLocalVisualizer.__new__(DepthLocalVisualizer)
    expected = SegLocalVisualizer._get_center_loc(visualizer, mask)
    assert np.array_equal(visualizer._get_center_loc(mask), expected)


def test_numbered_classes_are_written_as_their_numbers():
    pictures = []
    for classes in ((0, 1), ('0', '1')):
        visualizer = make_visualizer(name=f'numbered {classes}')
        visualizer.dataset_meta = dict(classes=classes, palette=PALETTE)
        label = PixelData(
            data=torch.arange(2).repeat_interleave(40).view(1, 1, 80).expand(1, 60, 80)
        )
        image = np.zeros((60, 80, 3), np.uint8)
        visualizer.add_datasample('a', image, SegDataSample(gt_sem_seg=label), show=False)
        pictures.append(visualizer.get_image())
    np.testing.assert_array_equal(*pictures)
