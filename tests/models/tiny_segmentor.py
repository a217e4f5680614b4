# Licensed under the Apache License 2.0, see LICENSE.
"""A network small enough for tests, batches for it, and its pixel math in NumPy."""

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import mmseg_depthuda  # noqa: F401

NUM_CLASSES = 5
IGNORE = 255
SIZE = (24, 40)  # height, width; 4 x 6 features
MEAN, STD = (104.0, 117.0, 123.0), (50.0, 60.0, 70.0)
FEATURES = 64  # channels of the backbone's last stage

# As published. There, a target branch has no weights; here it has those of mixed images.
SELF_TRAINING = dict(
    source=dict(seg=1.0, depth=0.01),
    mixed=dict(seg=1.0, depth=0.001),
    target=dict(seg=1.0, depth=0.001),
)
LOSS_WEIGHTS = dict(
    CorDAHead=SELF_TRAINING,
    SimpleAuxHead=SELF_TRAINING,
    DADAHead=dict(source=dict(seg=1.0, depth=0.001), target=dict(seg=1.0, depth=0.001)),
)


def source_depth(weight):
    """Weights of the losses of a head that is trained on the source."""
    return dict(source=dict(seg=1.0, depth=weight))


def backbone_config(**options):
    return (
        dict(type='DeepLabV2ResNet', depth=18, base_channels=8, stem_channels=8, num_stages=4)
        | options
    )


def head_config(type='CorDAHead', **options):
    config = dict(type=type, in_channels=FEATURES, in_index=3, num_classes=NUM_CLASSES)
    if type == 'CorDAHead':
        config['channels'] = 16
    if type in LOSS_WEIGHTS:
        config['loss_weights'] = LOSS_WEIGHTS[type]
    return config | options


def segmentor_config(decode_head=None, **options):
    return (
        dict(
            type='UDASegmentor',
            data_preprocessor=dict(type='UDADataPreProcessor', mean=MEAN, std=STD, size=SIZE),
            backbone=backbone_config(),
            decode_head=decode_head or head_config(),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
        | options
    )


def tiny_segmentor(decode_head=None, seed=0, **options):
    """Initialized network in float64 and training mode. Classifiers get weights that matter."""
    torch.manual_seed(seed)
    model = MODELS.build(ConfigDict(segmentor_config(decode_head, **options)))
    model.init_weights()
    enlarge_classifiers(model)
    return model.double().train()


def enlarge_classifiers(model):
    """Draw larger weights. With those of N(0, 0.01) every prediction would be near 0."""
    for name, parameter in model.decode_head.named_parameters():
        if 'conv2d_list' in name:
            parameter.data *= 10


def make_sample(rng, size=SIZE, depth=True, path='image.png', block=4):
    """An image (uint8, BGR) and its sample: blocks of classes, one ignored, one without depth."""
    height, width = size
    image = torch.from_numpy(rng.integers(0, 256, (3, height, width), dtype=np.uint8))
    blocks = rng.integers(0, NUM_CLASSES, (-(-height // block), -(-width // block)))
    blocks[0, 0] = IGNORE
    label = np.kron(blocks, np.ones((block, block), dtype=np.int64))[:height, :width]
    sample = SegDataSample(metainfo=dict(img_path=path, img_shape=size, ori_shape=size))
    sample.gt_sem_seg = PixelData(data=torch.from_numpy(label)[None])
    inverse_depth = rng.uniform(1, 50, (1, height, width))
    inverse_depth[:, -3:, -3:] = 0
    if depth:
        sample.gt_depth_map = PixelData(data=torch.from_numpy(inverse_depth))
    return image, sample


def make_branch(seed=0, batch_size=2, name='image', **options):
    """A branch as the data loader gives it."""
    rng = np.random.default_rng(seed)
    pairs = [make_sample(rng, path=f'{name}_{i}.png', **options) for i in range(batch_size)]
    images, samples = zip(*pairs, strict=True)
    return dict(inputs=list(images), data_samples=list(samples))


def make_mixed(seed=0, batch_size=2, **options):
    """A preprocessed mixed branch, float64."""
    branch = make_branch(seed, batch_size, name='mixed', **options)
    generator = torch.Generator().manual_seed(seed)
    for sample in branch['data_samples']:
        shape = sample.gt_sem_seg.data.shape
        sample.set_metainfo(dict(branch='mixed', domain=('source', 'target')))
        mask = torch.rand(shape, generator=generator) < 0.5
        # float32 has these weights exactly. MMSeg's cross entropy casts them to it.
        weight = torch.randint(0, 65, shape, generator=generator).double() / 64
        sample.mix_mask = PixelData(data=mask)
        sample.seg_weight = PixelData(data=weight)
    inputs = torch.stack(branch['inputs']).double()
    mean, std = (torch.tensor(x).double().view(3, 1, 1) for x in (MEAN, STD))
    return dict(inputs=(inputs - mean) / std, data_samples=branch['data_samples'])


def stacked(branch, name):
    """A field of all samples as a NumPy array (N, 1, H, W)."""
    return np.stack([sample.get(name).data.numpy() for sample in branch['data_samples']])


def bilinear_matrix(size, new_size, align_corners):
    """Matrix (new_size, size) that resizes a line of ``size`` values to ``new_size`` values."""
    index = np.arange(new_size)
    if align_corners:
        position = index * (size - 1) / (new_size - 1)
    else:
        position = ((index + 0.5) * size / new_size - 0.5).clip(0)
    lower = np.floor(position).astype(int).clip(0, size - 1)
    upper = (lower + 1).clip(0, size - 1)
    matrix = np.zeros((new_size, size))
    np.add.at(matrix, (index, lower), 1 - (position - lower))
    np.add.at(matrix, (index, upper), position - lower)
    return matrix


def upsample(values, size, align_corners=True):
    """Bilinear resize of (..., h, w) in NumPy."""
    values = np.asarray(values)
    rows = bilinear_matrix(values.shape[-2], size[0], align_corners)
    columns = bilinear_matrix(values.shape[-1], size[1], align_corners)
    return rows @ values @ columns.T


def cross_entropy_map(logits, label):
    """Cross entropy per pixel (N, H, W), 0 where ignored; logits (N, C, H, W), label (N, H, W)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probability = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    known = np.where(label == IGNORE, 0, label)
    picked = np.take_along_axis(log_probability, known[:, None], axis=1)[:, 0]
    return np.where(label == IGNORE, 0.0, -picked)


def berhu(prediction, target):
    """Reverse Huber loss, the mean over the pixels with depth."""
    error = np.abs(prediction - target)[target > 0]
    if not error.size or not error.max():
        return 0.0
    c = 0.2 * error.max()
    return np.where(error <= c, error, (error**2 + c**2) / (2 * c)).mean()
