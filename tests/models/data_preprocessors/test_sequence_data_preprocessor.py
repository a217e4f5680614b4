# Licensed under the Apache License 2.0, see LICENSE.
import kornia
import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

MEAN, STD = [120.0, 110.0, 100.0], [60.0, 50.0, 40.0]
JITTER = dict(brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1, p=1.0)


def build(**options):
    return MODELS.build(dict(type='SequenceDataPreProcessor', mean=MEAN, std=STD, **options))


def batch(shape=(3, 3, 8, 12), n=2):
    generator = torch.Generator().manual_seed(0)
    return dict(
        inputs=[
            torch.randint(256, shape, generator=generator, dtype=torch.uint8) for _ in range(n)
        ],
        intrinsics=[(i + 1) * torch.eye(3) for i in range(n)],
        stereo_pose=[(i + 1) * torch.eye(4) for i in range(n)],
        data_samples=[SegDataSample(metainfo=dict(img_path=f'{i}.png')) for i in range(n)],
    )


def normalized(images):
    """RGB in 0..1, normalized for the network."""
    return (255 * images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def test_without_jitter_networks_and_loss_see_the_same():
    data = batch()
    out = build()(data, training=True)
    expected = torch.stack(data['inputs'])[:, :, [2, 1, 0]].float() / 255
    torch.testing.assert_close(out['images'], expected)
    torch.testing.assert_close(out['inputs'], normalized(expected))
    assert out['intrinsics'].shape == (2, 3, 3) and out['stereo_pose'].shape == (2, 4, 4)
    assert out['intrinsics'][1, 0, 0] == 2 and out['stereo_pose'][1, 0, 0] == 2
    assert [sample.img_path for sample in out['data_samples']] == ['0.png', '1.png']
    del data['stereo_pose']
    assert 'stereo_pose' not in build()(data, training=True)


def test_jitter_is_one_per_sample_and_not_seen_by_the_loss():
    data = batch(n=3)
    model = build(color_jitter=dict(JITTER, contrast=0.0))
    torch.manual_seed(0)
    out = model(data, training=True)
    plain = build()(data, training=True)
    torch.testing.assert_close(out['images'], plain['images'])
    # Each view on its own with the same draws. All operations work pixel by pixel.
    parameters = model.color_jitter._params
    for view in range(3):
        alone = model.color_jitter(plain['images'][:, view], params=parameters)
        torch.testing.assert_close(out['inputs'][:, view], normalized(alone), rtol=1e-4, atol=1e-4)
    differences = (out['inputs'] - plain['inputs']).abs().mean((1, 2, 3, 4))
    assert differences.min() > 0.01 and len(set(differences.tolist())) == 3


def test_jitter_sometimes():
    torch.manual_seed(0)
    data = batch(n=40)
    out = build(color_jitter=dict(JITTER, p=0.5))(data, training=True)
    jittered = ((out['inputs'] - normalized(out['images'])).abs().amax((1, 2, 3, 4)) > 1e-4).sum()
    assert 8 < jittered < 32


def test_a_mirrored_sample_by_hand():
    """The width is 12 and pixel centers are integers: the principal point moves from 4 to 7."""
    data = batch(n=1)
    data['intrinsics'][0][0] = torch.tensor([9.0, 0.0, 4.0])
    data['stereo_pose'][0][0, 3] = -0.25
    before = [data[key][0].clone() for key in ('inputs', 'intrinsics', 'stereo_pose')]
    out = build(flip_prob=1.0)(data, training=True)
    assert torch.equal(out['images'], build()(data, training=True)['images'].flip(-1))
    torch.testing.assert_close(out['inputs'], normalized(out['images']))
    assert out['intrinsics'][0].tolist() == [[9, 0, 7], [0, 1, 0], [0, 0, 1]]
    expected = torch.eye(4)
    expected[0, 3] = 0.25
    assert torch.equal(out['stereo_pose'][0], expected)
    for key, value in zip(('inputs', 'intrinsics', 'stereo_pose'), before, strict=True):
        assert torch.equal(data[key][0], value)  # what the loader gave is left as it was


def test_some_samples_are_mirrored_with_their_camera():
    torch.manual_seed(0)
    data = batch(n=40)
    for matrix, pose in zip(data['intrinsics'], data['stereo_pose'], strict=True):
        matrix[0, 2], pose[0, 3] = 4, -1
    out, plain = (build(flip_prob=p)(data, training=True) for p in (0.5, 0.0))
    mirrored = out['intrinsics'][:, 0, 2] == 7
    assert 8 < mirrored.sum() < 32
    assert torch.equal(out['stereo_pose'][:, 0, 3] == 1, mirrored)
    for sample, reference, flipped in zip(out['images'], plain['images'], mirrored, strict=True):
        assert torch.equal(sample, reference.flip(-1) if flipped else reference)


def test_tests_are_those_of_mmseg():
    data = batch(shape=(3, 8, 12))
    out = build(color_jitter=JITTER)(data, training=False)
    expected = torch.stack(data['inputs'])[:, [2, 1, 0]].float() / 255
    torch.testing.assert_close(out['inputs'], normalized(expected))


def test_frames_of_different_size_are_an_error():
    data = batch()
    data['inputs'][1] = data['inputs'][1][..., :10]
    with pytest.raises(ValueError, match='differ in size.*1.png.*ResizeSequence'):
        build()(data, training=True)


def test_kornias_jitter_takes_the_published_arguments():
    assert isinstance(
        build(color_jitter=dict(JITTER, p=0.5)).color_jitter, kornia.augmentation.ColorJitter
    )
