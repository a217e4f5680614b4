# Licensed under the Apache License 2.0, see LICENSE.
import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.apis import inference_model, init_model
from mmseg.registry import MODELS, TRANSFORMS

from mmseg_depthuda.apps.depth_prediction.prediction import (
    disparity_png,
    normalized_png,
    predict_folder,
)
from tests.models import tiny_unet as unet
from tests.models.tiny_segmentor import head_config

MODEL = dict(
    type='UDASegmentor',
    data_preprocessor=dict(
        type='UDADataPreProcessor', mean=[104.0, 117.0, 123.0], std=[1.0, 1.0, 1.0], size_divisor=1
    ),
    backbone=dict(
        type='DeepLabV2ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='BN')
    ),
    decode_head=head_config(num_classes=3),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
PIPELINE = [dict(type='LoadImageFromFile'), dict(type='PackSegInputs')]
PALETTE = [[0, 0, 0], [9, 9, 9], [99, 99, 99]]


def write_run(folder, model=MODEL, encoding='corda', classes=('a', 'b', 'c')):
    """A config and a checkpoint of a network that always predicts inverse depth 3 and class 1."""
    init_default_scope('mmseg')
    network = MODELS.build(model)
    if hasattr(network.decode_head, 'final_depth'):
        for conv in network.decode_head.final_depth['target'].conv2d_list:
            torch.nn.init.zeros_(conv.weight)
            torch.nn.init.constant_(conv.bias, 1.5)  # two branches are summed
        for conv in network.decode_head.final_seg.conv2d_list:
            torch.nn.init.zeros_(conv.weight)
            conv.bias.data = torch.tensor([0.0, 1.0, 0.0])
    config = Config(
        dict(
            default_scope='mmseg',
            model=model,
            test_pipeline=PIPELINE,
            train_pipeline=[dict(type='LoadInverseDepth', encoding=encoding)],
            test_dataloader=dict(dataset=dict(pipeline=PIPELINE)),
        )
    )
    config.dump(folder / 'config.py')
    checkpoint = dict(
        state_dict=network.state_dict(),
        meta=dict(dataset_meta=dict(classes=classes, palette=PALETTE)),
    )
    torch.save(checkpoint, folder / 'model.pth')
    return folder / 'config.py', folder / 'model.pth'


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for name in ('first.png', 'city/second.jpg'):
        (tmp_path / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / 'images' / name), rng.integers(0, 255, (33, 65, 3), np.uint8))
    return tmp_path / 'images'


def assert_constant(path, value):
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert depth.dtype == np.uint16
    np.testing.assert_array_equal(depth, np.full((33, 65), value))


def test_disparity_png_by_hand():
    inverse_depth = np.array([[1.0, 1.5, 2.0], [0.3, 257.0, -4.0]])
    np.testing.assert_array_equal(disparity_png(inverse_depth), [[0, 128, 256], [0, 65535, 0]])
    assert disparity_png(inverse_depth).dtype == np.uint16


def test_disparity_png_is_read_back_by_the_dataset(tmp_path):
    inverse_depth = np.random.default_rng(1).uniform(1.1, 200, (7, 9))
    path = tmp_path / 'depth.png'
    cv2.imwrite(str(path), disparity_png(inverse_depth))
    load = TRANSFORMS.build(dict(type='LoadInverseDepth', encoding='corda'))
    info = dict(
        depth_map_path=str(path), depth_file='png_disparity', ori_shape=(7, 9), seg_fields=[]
    )
    read = load(info)['gt_depth_map']
    np.testing.assert_allclose(read, inverse_depth, atol=0.5 / 256 + 1e-4)


def test_disparity_png_refuses_what_is_not_finite():
    with pytest.raises(ValueError, match='not finite'):
        disparity_png(np.array([[1.0, np.nan]]))


def test_predicts_every_image_and_goes_on_where_it_stopped(tmp_path, images):
    config, checkpoint = write_run(tmp_path)
    out = tmp_path / 'depth'
    assert predict_folder(config, checkpoint, images, out, 'cpu') == (2, 0)
    for name in ('first.png', 'city/second.png'):
        assert_constant(out / name, 2 * 256)

    (out / 'first.png').unlink()
    before = (out / 'city/second.png').stat().st_mtime_ns
    assert predict_folder(config, checkpoint, images, out, 'cpu') == (1, 1)
    assert (out / 'city/second.png').stat().st_mtime_ns == before


def test_no_file_is_written_over_another(tmp_path, images):
    config, checkpoint = write_run(tmp_path)
    with pytest.raises(ValueError, match='is, or lies in, the folder of the images'):
        predict_folder(config, checkpoint, images, images / 'depth', 'cpu')
    cv2.imwrite(str(images / 'first.jpg'), np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match=r'first\.jpg and .*first\.png would have one file'):
        predict_folder(config, checkpoint, images, tmp_path / 'depth', 'cpu')


def test_sky_has_no_depth(tmp_path, images):
    config, checkpoint = write_run(tmp_path, classes=('road', 'sky', 'car'))
    predict_folder(config, checkpoint, images, tmp_path / 'out', 'cpu')
    assert_constant(tmp_path / 'out/first.png', 0)


def test_refuses_a_folder_without_images(tmp_path):
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='empty holds no image'):
        predict_folder('config.py', 'model.pth', tmp_path / 'empty', tmp_path / 'out', 'cpu')


def test_refuses_a_model_without_depth(tmp_path, images):
    head = dict(type='DeepLabV2Head', in_channels=64, in_index=3, num_classes=3)
    config, checkpoint = write_run(tmp_path, dict(MODEL, decode_head=head))
    with pytest.raises(ValueError, match='does not predict depth'):
        predict_folder(config, checkpoint, images, tmp_path / 'out', 'cpu')


def test_refuses_the_checkpoint_of_another_model(tmp_path, images):
    """MMSeg would load what fits, and predict with the rest at its initial values."""
    config, _ = write_run(tmp_path)
    (tmp_path / 'other').mkdir()
    wider = dict(MODEL, decode_head=dict(MODEL['decode_head'], channels=32))
    _, checkpoint = write_run(tmp_path / 'other', wider)
    with pytest.raises(ValueError, match='of another shape: decode_head'):
        predict_folder(config, checkpoint, images, tmp_path / 'out', 'cpu')
    assert not (tmp_path / 'out').exists()


def test_refuses_a_network_that_has_diverged(tmp_path, images):
    config, checkpoint = write_run(tmp_path)
    content = torch.load(checkpoint, weights_only=True)
    name = next(name for name in content['state_dict'] if name.endswith('conv1.weight'))
    content['state_dict'][name].fill_(np.nan)
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match=rf'model\.pth holds NaN .*: {name}'):
        predict_folder(config, checkpoint, images, tmp_path / 'out', 'cpu')
    assert not (tmp_path / 'out').exists()


def test_dadas_encoding_is_corda_s(tmp_path, images):
    """65536 / (centimeters + 1) and 655.36 / (meters + 0.01)."""
    config, checkpoint = write_run(tmp_path, encoding='dada')
    predict_folder(config, checkpoint, images, tmp_path / 'out', 'cpu')
    assert_constant(tmp_path / 'out/first.png', 2 * 256)


def test_normalized_png_by_hand():
    inverse_depth = np.array([[0.5, 1.0], [2.5, 1.5]])
    expected = [[1, round(1 + 65534 * 0.25)], [65535, round(1 + 65534 * 0.5)]]
    np.testing.assert_array_equal(normalized_png(inverse_depth), expected)
    assert normalized_png(inverse_depth).dtype == np.uint16
    np.testing.assert_array_equal(normalized_png(np.full((2, 2), 3.0)), np.full((2, 2), 65535))
    with pytest.raises(ValueError, match='not finite'):
        normalized_png(np.array([[1.0, np.inf]]))


def test_refuses_an_unknown_scale(tmp_path):
    with pytest.raises(ValueError, match="'metric', 'normalized'.*got 'feet'"):
        predict_folder('c.py', 'm.pth', tmp_path, tmp_path, 'cpu', scale='feet')


def video_network(folder, config, constant):
    """A network trained on video, some 5 m deep; ``constant`` sees sigmoid(-4) everywhere."""
    init_default_scope('mmseg')
    config = Config.fromfile(f'configs/monodepth2/{config}.py')
    config.model.backbone.update(base_channels=8, stem_channels=8)
    config.model.decode_head.in_channels = [8, 8, 16, 32, 64]
    torch.manual_seed(0)
    network = MODELS.build(config.model)
    for name, parameter in network.decode_head.named_parameters():
        if name.startswith('disparity') and name.endswith('bias'):
            torch.nn.init.constant_(parameter, -4)
        elif constant and name.startswith('disparity'):
            torch.nn.init.zeros_(parameter)
    config.dump(folder / 'video.py')
    content = dict(state_dict=network.state_dict(), meta=dict(dataset_meta={}))
    torch.save(content, folder / 'video.pth')
    return folder / 'video.py', folder / 'video.pth'


def predicted(network, images, out, scale=None):
    predict_folder(*network, images, out, 'cpu', scale)
    return cv2.imread(str(out / 'city/second.png'), cv2.IMREAD_UNCHANGED)


def test_networks_without_classes(tmp_path, images):
    network = video_network(tmp_path, 'monodepth2_r18_street_world', constant=True)
    depth = predicted(network, images, tmp_path / 'out', 'metric')
    metres = 1 / (0.01 + 9.99 / (1 + np.exp(4)))
    expected = 256 * (655.36 / (metres + 0.01) - 1)
    np.testing.assert_allclose(depth, np.full((33, 65), expected), atol=1)


def test_video_alone_knows_no_metres(tmp_path, images):
    network = video_network(tmp_path, 'monodepth2_r18_street_world', constant=False)
    depth = predicted(network, images, tmp_path / 'out')
    assert (depth.min(), depth.max(), depth.shape) == (1, 65535, (33, 65))
    np.testing.assert_array_equal(
        depth, predicted(network, images, tmp_path / 'normalized', 'normalized')
    )


def test_a_head_that_learns_disparity_knows_no_metres(tmp_path, images):
    preprocessor = dict(MODEL['data_preprocessor'], test_cfg=dict(size_divisor=16))
    head = dict(
        type='PADHead',
        in_channels=[8, 8, 16, 32, 64],
        channels=[4, 4, 6, 6, 8],
        num_classes=3,
        loss_weights=dict(source=dict(seg=1.0)),
    )
    backbone = dict(unet.ENCODER)
    model = dict(MODEL, data_preprocessor=preprocessor, backbone=backbone, decode_head=head)
    network = write_run(tmp_path, model)
    depth = predicted(network, images, tmp_path / 'out')
    model = init_model(*map(str, network), device='cpu')
    inverse = inference_model(model, str(images / 'city/second.jpg')).pred_depth_map.data[0].numpy()
    shares = (inverse - inverse.min()) / (inverse.max() - inverse.min())
    np.testing.assert_allclose(depth, 1 + 65534 * shares, atol=1)


def test_right_images_give_metres(tmp_path, images):
    network = video_network(tmp_path, 'monodepth2_r18_street_world_stereo', constant=False)
    depth = predicted(network, images, tmp_path / 'out')
    np.testing.assert_array_equal(depth, predicted(network, images, tmp_path / 'same', 'metric'))
    model = init_model(*map(str, network), device='cpu')
    result = inference_model(model, str(images / 'city/second.jpg'))
    metres = 1 / result.pred_depth_map.data[0].double().numpy()
    expected = np.rint(256 * (655.36 / (metres + 0.01) - 1)).clip(0, 65535)
    assert np.abs(depth - expected).max() <= 1  # rounding of float32
