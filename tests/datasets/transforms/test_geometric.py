# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mmengine.config import ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModule
from mmseg.datasets.transforms import RandomCrop, RandomFlip, Resize
from mmseg.registry import MODELS

from mmseg_depthuda.datasets import MapillaryDepthDataset
from mmseg_depthuda.datasets.transforms import (
    CutPadding,
    MatchOriShapeToLabels,
    ResizeAndPad,
    ResizeWithDepth,
    resize_depth_bilinear,
)
from mmseg_depthuda.evaluation import PerClassIoUMetric
from mmseg_depthuda.models import UDASegmentor  # noqa: F401


def reference_resize(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear over the valid of the four neighbors, loop by loop, in float64."""
    height, width = depth.shape
    out = np.zeros((size[1], size[0]))
    for i in range(size[1]):
        for j in range(size[0]):
            y = np.clip((i + 0.5) * height / size[1] - 0.5, 0, height - 1)
            x = np.clip((j + 0.5) * width / size[0] - 0.5, 0, width - 1)
            top, left = min(int(y), height - 2), min(int(x), width - 2)
            total = weight = 0.0
            for a in (top, top + 1):
                for b in (left, left + 1):
                    share = (1 - abs(y - a)) * (1 - abs(x - b)) * (depth[a, b] > 0)
                    total += share * depth[a, b]
                    weight += share
            out[i, j] = total / weight if weight else 0
    return out


depth_maps = st.tuples(st.integers(2, 9), st.integers(2, 9)).flatmap(
    lambda shape: arrays(
        np.float32, shape, elements=st.one_of(st.just(0.0), st.floats(1, 256, width=32))
    )
)
sizes = st.tuples(st.integers(1, 14), st.integers(1, 14))


@given(depth_maps, sizes)
def test_bilinear_stays_between_the_valid_values(depth, size):
    resized = resize_depth_bilinear(depth, size)
    assert resized.shape == size[::-1]
    assert resized.dtype == np.float32
    valid = resized[resized > 0]
    if valid.size:
        low, high = depth[depth > 0].min(), depth.max()
        assert low * (1 - 1e-4) <= valid.min()
        assert valid.max() <= high * (1 + 1e-4)
    assert not (resized < 0).any()


@given(depth_maps, sizes)
def test_bilinear_agrees_with_the_loop_where_valid(depth, size):
    resized = resize_depth_bilinear(depth, size)
    where = resized > 0
    # OpenCV's weights have float32 precision, which the normalization amplifies up to fourfold.
    np.testing.assert_allclose(resized[where], reference_resize(depth, size)[where], rtol=2e-3)


@given(depth_maps, sizes)
def test_a_pixel_is_valid_where_its_nearest_source_is(depth, size):
    def nearest(length: int, new: int) -> tuple[np.ndarray, np.ndarray]:
        center = (np.arange(new) + 0.5) * length / new - 0.5
        decided = np.abs(center - np.floor(center) - 0.5) > 1e-3  # no tie between two neighbors
        return np.clip(np.rint(center), 0, length - 1).astype(int), decided

    rows, rows_decided = nearest(depth.shape[0], size[1])
    columns, columns_decided = nearest(depth.shape[1], size[0])
    decided = rows_decided[:, None] & columns_decided
    expected = depth[np.ix_(rows, columns)] > 0
    np.testing.assert_array_equal(
        (resize_depth_bilinear(depth, size) > 0)[decided], expected[decided]
    )


def test_no_mixing_by_hand():
    """Upsampling (8, 0, 0, 4): no value in between appears, and half the pixels stay valid."""
    depth = np.array([[8, 0, 0, 4]], dtype=np.float32).repeat(2, axis=0)
    np.testing.assert_array_equal(
        resize_depth_bilinear(depth, (8, 2)), [[8, 8, 0, 0, 0, 0, 4, 4]] * 2
    )
    full = np.array([[8, 4]], dtype=np.float32).repeat(2, axis=0)
    np.testing.assert_array_equal(resize_depth_bilinear(full, (4, 2)), [[8, 7, 5, 4]] * 2)


def sample(shape=(8, 12)) -> dict:
    generator = np.random.default_rng(0)
    depth = generator.uniform(1, 9, size=shape).astype(np.float32)
    depth[:3, :3] = 0
    return dict(
        img=generator.integers(256, size=(*shape, 3), dtype=np.uint8),
        gt_seg_map=generator.integers(19, size=shape, dtype=np.uint8),
        gt_depth_map=depth,
        seg_fields=['gt_seg_map', 'gt_depth_map'],
        img_shape=shape,
        ori_shape=shape,
    )


def test_nearest_is_mmsegs_resize():
    ours = ResizeWithDepth(scale=(6, 4), depth_interpolation='nearest')(sample())
    theirs = Resize(scale=(6, 4))(sample())
    for key in ('img', 'gt_seg_map', 'gt_depth_map'):
        np.testing.assert_array_equal(ours[key], theirs[key])


@pytest.mark.parametrize(
    'arguments',
    [dict(scale=(18, 16)), dict(scale=(30, 10), keep_ratio=True), dict(scale_factor=0.5)],
)
def test_bilinear_changes_the_depth_only(arguments):
    before = sample()
    ours = ResizeWithDepth(depth_interpolation='bilinear', **arguments)(sample())
    theirs = Resize(**arguments)(sample())
    for key in ('img', 'gt_seg_map'):
        np.testing.assert_array_equal(ours[key], theirs[key])
    assert ours['seg_fields'] == before['seg_fields']
    assert ours['img_shape'] == ours['gt_depth_map'].shape == theirs['gt_depth_map'].shape
    height, width = ours['img_shape']
    np.testing.assert_array_equal(
        ours['gt_depth_map'], resize_depth_bilinear(before['gt_depth_map'], (width, height))
    )


def test_bilinear_without_depth():
    before = sample()
    del before['gt_depth_map']
    before['seg_fields'] = ['gt_seg_map']
    assert ResizeWithDepth(scale=(6, 4), depth_interpolation='bilinear')(before)[
        'gt_seg_map'
    ].shape == (4, 6)


def test_unknown_interpolation_is_an_error():
    with pytest.raises(ValueError, match="depth_interpolation='bicubic'"):
        ResizeWithDepth(scale=(6, 4), depth_interpolation='bicubic')


def test_crop_and_flip_of_mmseg_move_depth_with_the_image():
    """All three maps hold the pixel's number, so that they must stay equal."""
    number = np.arange(96, dtype=np.uint8).reshape(8, 12)
    moved = dict(
        img=np.repeat(number[..., None], 3, axis=-1),
        gt_seg_map=number,
        gt_depth_map=number.astype(np.float32),
        seg_fields=['gt_seg_map', 'gt_depth_map'],
        img_shape=(8, 12),
    )
    moved = RandomFlip(prob=1.0)(RandomCrop(crop_size=(5, 6))(moved))
    assert moved['img'].shape == (5, 6, 3)
    assert moved['img'][0, 0, 0] == moved['img'][0, 1, 0] + 1
    np.testing.assert_array_equal(moved['gt_seg_map'], moved['img'][..., 0])
    np.testing.assert_array_equal(moved['gt_depth_map'], moved['img'][..., 0])


# -- any aspect ratio ------------------------------------------------------------------------------

MEAN = (104.00698793, 116.66876762, 122.67891434)


@pytest.mark.parametrize(
    ('shape', 'content', 'padding'),  # (height, width), and (left, right, top, bottom)
    [
        ((40, 30), (32, 24), (0, 40, 0, 0)),  # portrait
        ((30, 40), (32, 43), (0, 21, 0, 0)),  # 4:3
        ((10, 40), (16, 64), (0, 0, 0, 16)),  # panorama
        ((20, 40), (32, 64), (0, 0, 0, 0)),  # the ratio of the box
        ((1, 300), (1, 64), (0, 0, 0, 31)),  # would vanish when rounded
    ],
)
def test_fits_the_box_and_pads_the_rest(shape, content, padding):
    before = sample(shape)
    padded = ResizeAndPad(scale=(64, 32), pad_val=MEAN, interpolation='area')(sample(shape))
    assert padded['img'].shape == padded['pad_shape'] == (32, 64, 3)
    assert padded['img_shape'] == (32, 64)
    assert padded['img_padding_size'] == padding
    assert padded['scale_factor'] == (content[1] / shape[1], content[0] / shape[0])
    inside = np.zeros((32, 64), dtype=bool)
    inside[: content[0], : content[1]] = True
    for key, interpolation, fill in (
        ('img', cv2.INTER_AREA, (104, 117, 123)),
        ('gt_seg_map', cv2.INTER_NEAREST, 255),
        ('gt_depth_map', cv2.INTER_NEAREST, 0),
    ):
        expected = cv2.resize(before[key], content[::-1], interpolation=interpolation)
        np.testing.assert_array_equal(padded[key][inside].ravel(), expected.ravel())
        assert (padded[key][~inside] == fill).all()
        assert padded[key].dtype == before[key].dtype


@given(st.tuples(st.integers(1, 90), st.integers(1, 90)))
def test_ratio_is_kept_and_the_box_is_touched(shape):
    padded = ResizeAndPad(scale=(64, 32), pad_val=MEAN)(sample(shape))
    _, right, _, bottom = padded['img_padding_size']
    width, height = 64 - right, 32 - bottom
    assert min(right, bottom) == 0 and padded['img'].shape == (32, 64, 3)
    # Half a pixel of rounding, at least one pixel.
    exact = min(64 / shape[1], 32 / shape[0])
    assert abs(width - shape[1] * exact) <= 0.5 or width == 1
    assert abs(height - shape[0] * exact) <= 0.5 or height == 1


def test_bilinear_depth_of_any_aspect_ratio():
    before = sample((40, 30))
    padded = ResizeAndPad(scale=(64, 32), pad_val=MEAN, depth_interpolation='bilinear')(
        sample((40, 30))
    )['gt_depth_map']
    np.testing.assert_array_equal(
        padded[:, :24], resize_depth_bilinear(before['gt_depth_map'], (24, 32))
    )
    assert (padded[:, 24:] == 0).all()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(scale=640), 'scale=640 must be .width, height.'),
        (dict(scale=(640, 0)), 'must be .width, height.'),
        (dict(pad_val=0), 'pad_val=0 must be three values'),
        (dict(pad_val=(0, 0, 256)), 'pad_val=.* must be three values'),
        (dict(keep_ratio=True), r"does not take \['keep_ratio'\]"),
    ],
)
def test_bad_arguments_of_resize_and_pad(arguments, message):
    with pytest.raises(ValueError, match=message):
        ResizeAndPad(**(dict(scale=(64, 32), pad_val=MEAN) | arguments))


@MODELS.register_module()
class Brightness(BaseModule):
    """Backbone of stride 4: the mean of the normalized image."""

    def forward(self, inputs):
        return (torch.nn.functional.avg_pool2d(inputs.mean(1, keepdim=True), 4),)


@pytest.fixture
def brightness_segmentor():
    """Calls what is brighter than the mean sky, and the rest flat."""
    head = dict(type='FCNHead', in_channels=1, channels=1, num_classes=7, in_index=0)
    model = MODELS.build(
        ConfigDict(
            type='UDASegmentor',
            data_preprocessor=dict(type='UDADataPreProcessor', mean=MEAN, std=(1, 1, 1)),
            backbone=dict(type='Brightness'),
            decode_head=dict(head, num_convs=0, concat_input=False),
            test_cfg=dict(mode='whole'),
        )
    )
    classifier = model.decode_head.conv_seg
    with torch.no_grad():
        classifier.weight.zero_()
        classifier.weight[0], classifier.weight[4] = -1, 1
        classifier.bias[:] = torch.tensor([0.0, -1e4, -1e4, -1e4, 0, -1e4, -1e4])
    return model.eval()


@pytest.fixture
def vistas(tmp_path):
    """A portrait and a panorama. The quarter toward the padding is bright sky, the rest dark road,
    both as far from the mean, so that the interpolated prediction changes at the very boundary."""
    for folder in ('images', 'labels'):
        (tmp_path / 'validation' / folder).mkdir(parents=True)
    portrait, panorama = np.full((128, 64), 13, np.uint8), np.full((64, 256), 13, np.uint8)
    portrait[:, 48:], panorama[48:] = 27, 27
    for name, ids in (('portrait', portrait), ('panorama', panorama)):
        image = np.repeat(np.where(ids == 27, 215, 14)[..., None], 3, axis=2)
        cv2.imwrite(str(tmp_path / f'validation/images/{name}.jpg'), image)
        cv2.imwrite(str(tmp_path / f'validation/labels/{name}.png'), ids)
    return tmp_path


RESIZED = dict(type='ResizeAndPad', scale=(64, 32), pad_val=MEAN, interpolation='area')
PACKED = dict(
    type='PackSegInputs',
    meta_keys=('img_path', 'ori_shape', 'img_shape', 'pad_shape', 'img_padding_size'),
)
LABELS, MATCHED = dict(type='LoadLabels'), dict(type='MatchOriShapeToLabels')


def vistas_dataset(root, *steps, labels=True, **options):
    return MapillaryDepthDataset(
        protocol='categories7',
        split='validation',
        data_root=str(root),
        data_prefix={} if labels else dict(seg_map_path=None),
        pipeline=[dict(type='LoadImageFromFile'), *steps],
        **{'test_mode': True} | options,
    )


@pytest.mark.parametrize(
    ('steps', 'shapes', 'road', 'sky'),
    [
        # Compared at the network's size: 3/4 and 1/4 of 16x32 and 64x16.
        ([LABELS, RESIZED, MATCHED], [(32, 64)] * 2, 384 + 768, 128 + 256),
        # Compared at the size of the files: the prediction loses its padding and is enlarged.
        ([RESIZED, LABELS], [(64, 256), (128, 64)], 12288 + 6144, 4096 + 2048),
    ],
    ids=['resized', 'full'],
)
def test_padding_does_not_count(brightness_segmentor, vistas, steps, shapes, road, sky):
    """Test pipeline, network and metric, on images of two shapes in a batch."""
    dataset = vistas_dataset(vistas, *steps, PACKED)
    batch = pseudo_collate([dataset[0], dataset[1]])
    with torch.no_grad():
        samples = brightness_segmentor.test_step(batch)
    assert [one.pred_sem_seg.shape for one in samples] == shapes
    metric = PerClassIoUMetric()
    metric.dataset_meta = dataset.metainfo
    metric.process(batch, [one.to_dict() for one in samples])
    areas = sum(one[3] for one in metric.results)  # labeled pixels of each class
    assert areas.tolist() == [road, 0, 0, 0, sky, 0, 0]
    scores = metric.evaluate(2)
    assert scores['IoU.flat'] == scores['IoU.sky'] == scores['mIoU'] == 100


def test_without_labels_the_prediction_has_the_shape_of_the_file(brightness_segmentor, vistas):
    """As MMSegInferencer runs the test pipeline of a network that is evaluated at its own size."""
    dataset = vistas_dataset(
        vistas, LABELS, RESIZED, MATCHED, PACKED, labels=False, test_mode=False
    )
    (predicted,) = brightness_segmentor.test_step(pseudo_collate([dataset[1]]))
    expected = np.zeros((1, 128, 64))
    expected[:, :, 48:] = 4
    np.testing.assert_array_equal(predicted.pred_sem_seg.data, expected)


CUT = dict(type='CutPadding')
VIEWS = dict(
    type='TestTimeAug',
    transforms=[
        [dict(type='Resize', scale_factor=s, keep_ratio=True) for s in (0.5, 1.0, 1.75)],
        [dict(type='RandomFlip', prob=p) for p in (0.0, 1.0)],
        [dict(type='PackSegInputs')],
    ],
)


@pytest.mark.parametrize('name', [0, 1], ids=['panorama', 'portrait'])
@pytest.mark.parametrize(
    ('steps', 'labels'), [([RESIZED, CUT, MATCHED], False), ([RESIZED, LABELS, CUT, MATCHED], True)]
)
def test_every_view_of_a_padded_image_lies_over_the_file(
    brightness_segmentor, vistas, steps, labels, name
):
    """A quarter of the file is sky, at its right or lower border. A view that is mirrored with its
    padding, or stretched over it, has it elsewhere."""
    views = vistas_dataset(vistas, *steps, VIEWS, labels=labels)[name]
    expected = np.zeros((64, 256) if name == 0 else (128, 64), dtype=int)
    expected[(slice(48, None),) if name == 0 else (slice(None), slice(48, None))] = 4
    assert len(views['inputs']) == 6
    for image, packed in zip(views['inputs'], views['data_samples'], strict=True):
        batch = dict(inputs=[image], data_samples=[packed])
        with torch.no_grad():
            (predicted,) = brightness_segmentor.test_step(batch)
        found = predicted.pred_sem_seg.data[0].numpy()
        assert (found == expected).mean() > 0.95


def test_labels_that_are_padded_keep_image_and_padding():
    padded = ResizeAndPad(scale=(64, 32), pad_val=MEAN)(sample((40, 30)))
    cut = CutPadding()(dict(padded))
    assert cut['img'].shape == (32, 64, 3) and cut['img_padding_size'] == (0, 40, 0, 0)


@pytest.mark.parametrize(
    ('steps', 'labels', 'message'),
    [
        ([RESIZED, LABELS, dict(type='PackSegInputs')], True, 'img_padding_size.*meta_keys='),
        ([LABELS, RESIZED, MATCHED, dict(type='PackSegInputs')], False, "Add 'img_padding_size'"),
        (
            [RESIZED, VIEWS],
            False,
            r"TestTimeAug after .*dict\(type='CutPadding'\) before TestTime",
        ),
        ([RESIZED, dict(type='RandomFlip', prob=1.0), PACKED], False, 'RandomFlip after'),
        ([dict(type='Pad', size_divisor=32), PACKED], False, 'test_cfg=dict.size_divisor=32'),
    ],
)
def test_pipelines_that_predict_padding_are_refused(vistas, steps, labels, message):
    with pytest.raises(ValueError, match=message):
        vistas_dataset(vistas, *steps, labels=labels)


def test_padding_that_is_compared_with_padding_needs_no_note(vistas):
    steps = [LABELS, RESIZED, MATCHED, dict(type='PackSegInputs')]
    assert len(vistas_dataset(vistas, *steps)) == 2


def test_padded_image_with_labels_of_the_file_cannot_be_matched():
    before = sample((40, 30)) | dict(img_path='a.jpg', seg_fields=[])
    padded = ResizeAndPad(scale=(64, 32), pad_val=MEAN)(before)
    with pytest.raises(
        ValueError, match='a.jpg is padded, and its labels are not.*Load the labels'
    ):
        MatchOriShapeToLabels()(padded)
    whole = sample((20, 40)) | dict(seg_fields=[])  # has the ratio of the box
    whole = MatchOriShapeToLabels()(ResizeAndPad(scale=(64, 32), pad_val=MEAN)(whole))
    assert whole['ori_shape'] == (20, 40)


# -- size of the evaluation ------------------------------------------------------------------------


def test_ori_shape_follows_the_labels():
    resized = MatchOriShapeToLabels()(Resize(scale=(6, 4))(sample()))
    assert resized['ori_shape'] == (4, 6)


def test_labels_stay_after_it_while_the_image_moves():
    """As in the views of test-time augmentation."""
    matched = MatchOriShapeToLabels()(sample())
    labels, depth = matched['gt_seg_map'].copy(), matched['gt_depth_map'].copy()
    view = RandomFlip(prob=1.0)(Resize(scale_factor=0.5, keep_ratio=True)(matched))
    assert view['img'].shape[:2] == (labels.shape[0] // 2, labels.shape[1] // 2)
    np.testing.assert_array_equal(view['gt_seg_map'], labels)
    np.testing.assert_array_equal(view['gt_depth_map'], depth)


def test_ori_shape_stays_without_labels():
    without = dict(img=np.zeros((4, 6, 3)), ori_shape=(8, 12))
    assert MatchOriShapeToLabels()(without)['ori_shape'] == (8, 12)
