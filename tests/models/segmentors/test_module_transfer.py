# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
from mmengine.config import Config

from mmseg_depthuda.apps.released_weights.weight_conversion import model_shapes
from mmseg_depthuda.engine.launch import config_folder
from tests.models import tiny_depth
from tests.models.tiny_unet import CLASSES, WEIGHTS, build_segmentor

ENCODER = dict(type='ResNetWithStem', **tiny_depth.ENCODER)
SINGLE = {'backbone': 'backbone', 'decode_head.decoder': 'decode_head'}
BOTH = {
    'backbone': 'backbone',
    'decode_head.seg_decoder': 'decode_head',
    'decode_head.depth_decoder': 'decode_head',
}


@pytest.fixture
def depth_network(tmp_path):
    """A checkpoint of a depth network, as a training writes it."""
    state = tiny_depth.build(seed=5).state_dict()
    torch.save(dict(meta={}, state_dict=state), tmp_path / 'depth.pth')
    return state


def build(path, modules, type='UNetSegHead', **transfer):
    head = dict(
        type=type,
        in_channels=tiny_depth.WIDTHS,
        channels=[4, 4, 8, 8, 8],
        aspp_dilations=None,
        num_classes=CLASSES,
    )
    if type == 'PADHead':
        head['loss_weights'] = WEIGHTS
    transfer = dict(checkpoint=str(path), modules=modules) | transfer
    return build_segmentor(backbone=ENCODER, decode_head=head, transfer=transfer).float()


@pytest.mark.parametrize(('type', 'modules'), [('UNetSegHead', SINGLE), ('PADHead', BOTH)])
def test_modules_start_from_a_depth_network(type, modules, depth_network, tmp_path):
    model = build(tmp_path / 'depth.pth', modules, type)
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    model.init_weights()
    state = model.state_dict()
    for name, value in state.items():
        origin = next((m for m in modules if name.startswith(f'{m}.')), None)
        if origin is None:  # what a depth network does not have keeps its own start
            assert torch.equal(value, fresh[name])
        else:
            assert torch.equal(value, depth_network[name.replace(origin, modules[origin], 1)])
    assert any(name.startswith('decode_head.classifier') for name in state)


def test_the_log_counts_the_tensors(depth_network, tmp_path, monkeypatch):
    lines = []
    name = 'mmseg_depthuda.models.segmentors.module_transfer.print_log'
    monkeypatch.setattr(name, lambda text, **_: lines.append(text))
    build(tmp_path / 'depth.pth', SINGLE).init_weights()
    parts = [sum(n.startswith(f'{m}.') for n in depth_network) for m in ('backbone', 'decode_head')]
    (line,) = lines
    assert f'{sum(parts)} tensors of {tmp_path / "depth.pth"}' in line
    assert f'{parts[1]} of decode_head for decode_head.decoder' in line


@pytest.mark.parametrize('backbone', ['r101', 'r18'])
@pytest.mark.parametrize(('kind', 'modules'), [('unet', SINGLE), ('pad', BOTH)])
def test_published_configs_fit_their_depth_network(kind, modules, backbone):
    def shapes(name, **head):
        config = Config.fromfile(config_folder() / f'_base_/models/{name}_{backbone}.py').model
        config.decode_head.update(head)
        return config.data_preprocessor.mean, model_shapes(config)

    def part(all_shapes, name):
        return {n.removeprefix(f'{name}.'): s for n, s in all_shapes.items() if n.startswith(name)}

    mean, own = shapes(f'sde_{kind}', **(dict(loss_weights=WEIGHTS) if kind == 'pad' else {}))
    depth_mean, depth = shapes('monodepth2')
    assert mean == depth_mean
    for module, origin in modules.items():
        assert part(own, module) == part(depth, origin)


def without(state, name):
    return {n: v for n, v in state.items() if n != name}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda s: without(s, 'backbone.conv1.weight'), '1 missing: conv1.weight'),
        (
            lambda s: s | {'decode_head.extra': torch.zeros(1)},
            '1 without a place in the module: extra',
        ),
        (
            lambda s: s | {'decode_head.after.4.0.bias': torch.zeros(5)},
            '1 of another shape: after.4.0.bias',
        ),
        (
            lambda s: s | {'backbone.bn1.bias': torch.full((8,), torch.nan)},
            '1 not finite: bn1.bias',
        ),
        (lambda s: {f'x.{n}': v for n, v in s.items()}, 'nothing of this name.*begin with x'),
    ],
)
def test_files_that_do_not_fit(change, message, depth_network, tmp_path):
    torch.save(dict(state_dict=change(depth_network)), tmp_path / 'depth.pth')
    model = build(tmp_path / 'depth.pth', SINGLE)
    with pytest.raises(ValueError, match=f'depth.pth, .*{message}'):
        model.init_weights()
    own = model.state_dict()  # no module was changed
    assert not any(torch.equal(own[n], v) for n, v in depth_network.items() if n.endswith('conv1'))


def test_names_and_files_that_do_not_exist(depth_network, tmp_path):
    with pytest.raises(ValueError, match="names 'decode_head.decode', but the model has no such"):
        build(tmp_path / 'depth.pth', {'decode_head.decode': 'decode_head'}).init_weights()
    with pytest.raises(FileNotFoundError, match='none.pth does not exist'):
        build(tmp_path / 'none.pth', SINGLE).init_weights()
    with pytest.raises(ValueError, match=r'must be dict\(checkpoint=FILE'):
        build(tmp_path / 'depth.pth', SINGLE, prefix='decode_head')


def test_files_without_counters(depth_network, tmp_path):
    """BatchNorm's counter may be missing, as in files of old versions of PyTorch."""
    state = {n: v for n, v in depth_network.items() if not n.endswith('num_batches_tracked')}
    torch.save(state, tmp_path / 'depth.pth')  # a plain dictionary
    model = build(tmp_path / 'depth.pth', SINGLE)
    model.init_weights()
    assert torch.equal(model.backbone.conv1.weight, state['backbone.conv1.weight'])
