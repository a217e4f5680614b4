# Licensed under the Apache License 2.0, see LICENSE.
"""Networks of self-supervised depth: the same outputs and gradients as a plain statement of the
released ones, and files of full size."""

import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from mmseg_depthuda.apps.released_weights import mmseg_to_sde, sde_to_mmseg
from mmseg_depthuda.apps.released_weights.network_layouts import (
    SDE_DEPTH,
    SDE_DEPTH_DEC11,
    SDE_MULTI_TASK,
    SDE_SEG,
    SDE_STUDENT,
)
from mmseg_depthuda.apps.released_weights.weight_conversion import (
    mmseg_to_released,
    model_shapes,
    released_to_mmseg,
)
from mmseg_depthuda.engine.launch import config_folder
from tests.apps.released_weights.released_networks import randomize
from tests.apps.released_weights.released_sde import Released
from tests.apps.released_weights.test_weight_conversion import (
    assert_same,
    compact_state,
    meta_model,
)

LAYOUTS = dict(
    depth=SDE_DEPTH,
    depth_dec11=SDE_DEPTH_DEC11,
    seg=SDE_SEG,
    student=SDE_STUDENT,
    multi_task=SDE_MULTI_TASK,
)
FILES = ('encoder', 'depth', 'pose_encoder', 'pose')


def model_config(kind):
    config = Config.fromfile(config_folder() / LAYOUTS[kind].config)
    config.merge_from_dict(dict(LAYOUTS[kind].settings))
    return config.model


def small_pair(kind):
    """The plain network and ours with its weights: 5 classes, a 16th as wide, ResNet-50's blocks,
    without dropout."""
    plain = Released(kind, 5, width=4, blocks=(3, 4, 6, 3), divided_by=16)
    plain = keep_sigmoids_open(randomize(plain).double().eval())
    config = model_config(kind)
    config.backbone.update(depth=50, base_channels=4, stem_channels=4, init_cfg=None)
    config.backbone.update(frozen_stages=-1, norm_eval=False)
    config.decode_head.update(in_channels=[4, 16, 32, 64, 128])
    config.decode_head.channels = [channels // 16 for channels in config.decode_head.channels]
    if 'num_classes' in config.decode_head:
        config.decode_head.num_classes = 5
    if 'pose_net' in config:
        narrow = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
        config.pose_net = dict(type='PoseNet', backbone=narrow, in_channels=32, channels=16)
    weights = {n: v for n, v in plain.state_dict().items() if not n.startswith('pose')}
    shapes = model_shapes(config)  # without the pose network, which no test needs
    state = released_to_mmseg(weights, LAYOUTS[kind], shapes, 'file')
    assert_same(mmseg_to_released(state, LAYOUTS[kind], shapes, 'file'), weights)
    model = MODELS.build(config).double()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(name.startswith('pose_net') for name in missing)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return plain, model


def keep_sigmoids_open(plain):
    """Divide what goes into a sigmoid by its deviation, one after the other, in a single pass."""

    @torch.no_grad()
    def divide(module, inputs, output):
        for parameter in module.parameters():
            parameter /= output.std()
        return output / output.std()

    hooks = [
        module.register_forward_hook(divide)
        for name, module in plain.named_modules()
        if re.search(r'attention$|decoder\.1[4-7]\.conv$', name)
    ]
    plain(example_images())
    for hook in hooks:
        hook.remove()
    return plain


def example_images():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 64, 96, dtype=torch.float64, generator=generator)


def outputs_of(model, kind, image):
    features = model.backbone(image)
    head = model.decode_head
    if kind in ('depth', 'depth_dec11'):
        return {f'disparity_{s}': one for s, one in enumerate(head(features))}
    if kind != 'multi_task':
        return dict(seg=head(features))
    disparities = head.loss_and_disparities(features, no_labels())[1]
    outputs = {f'disparity_{s}': one for s, one in enumerate(disparities)}
    return outputs | head(features, tasks=('seg', 'side_seg'))


def no_labels():
    """Samples of a branch without a loss of segmentation."""
    return [SegDataSample(metainfo=dict(branch='unlabelled'))] * 2


@pytest.mark.parametrize('training', [False, True], ids=['testing', 'training'])
@pytest.mark.parametrize('kind', LAYOUTS)
def test_same_outputs_and_gradients_as_the_released_network(kind, training):
    plain, model = small_pair(kind)
    plain.train(training), model.train(training)
    if kind == 'multi_task':
        model.decode_head.loss_weights['unlabelled'] = dict(disparity=1.0)
    image = example_images()
    wanted, outputs = plain(image), outputs_of(model, kind, image)
    assert outputs.keys() == wanted.keys()
    torch.manual_seed(1)
    factors = {name: torch.randn_like(value) for name, value in wanted.items()}
    for name, value in wanted.items():
        assert value.std() > 1e-3, 'outputs that do not vary compare nothing'
        torch.testing.assert_close(outputs[name], value, rtol=1e-9, atol=1e-9 * value.std().item())
    if 'side_seg' in wanted:
        assert wanted['side_seg'].shape[2:] == (16, 24)
    for results in (wanted, outputs):
        sum((results[name] * factor).sum() for name, factor in factors.items()).backward()
    own = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    released = {n: p.grad for n, p in plain.named_parameters() if p.grad is not None}
    layout = LAYOUTS[kind]
    assert own.keys() == {layout.mmseg_name(name) for name in released}
    for name, gradient in released.items():
        scale = gradient.std().item() if gradient.numel() > 1 else gradient.abs().item()
        torch.testing.assert_close(
            own[layout.mmseg_name(name)], gradient, rtol=1e-7, atol=1e-7 * scale + 1e-12, msg=name
        )


# -- files of full size ----------------------------------------------------------------------------


def full_state(kind, num_classes=19):
    with torch.device('meta'):
        network = Released(kind, num_classes)
    return compact_state(network)


def write(path, kind, **options):
    """Files as the authors write them, of full size; returns all tensors by name."""
    state = full_state(kind, **options)
    if not kind.startswith('depth'):
        named = {f'models.{name}': value for name, value in state.items()}
        scalars = dict(best_iou=np.float64(0.5), epoch=np.int64(3), optimizer_state=dict(state={}))
        torch.save(dict(model_state=named, **scalars), path)
        return state
    path.mkdir()
    for file in FILES:
        own = {n.removeprefix(f'{file}.'): v for n, v in state.items() if n.startswith(f'{file}.')}
        torch.save(own, path / (f'{file}.pth' if file == 'encoder' else file))
    return state


def read_back(path):
    if path.is_file():
        content = torch.load(path, weights_only=True)
        assert content.keys() == {'model_state'}
        return {name.removeprefix('models.'): v for name, v in content['model_state'].items()}
    files = {file: torch.load(path / file, weights_only=True) for file in FILES}
    return {f'{file}.{name}': v for file, own in files.items() for name, v in own.items()}


@pytest.mark.parametrize('kind', LAYOUTS)
def test_files_there_and_back(kind, tmp_path):
    released = write(tmp_path / 'in', kind)
    report = sde_to_mmseg(tmp_path / 'in', tmp_path / 'out.pth')
    assert report.startswith(f'{LAYOUTS[kind].title}') and f': {len(released)} tensors' in report
    is_depth = kind.startswith('depth')
    assert ('19 classes' in report) != is_depth
    left_out = 'nothing' if is_depth else 'best_iou, epoch, optimizer_state'
    assert f'Left out: {left_out}\nWrote {tmp_path / "out.pth"} for configs/' in report
    state = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    missing, unexpected = meta_model(model_config(kind)).load_state_dict(
        {n: v for n, v in state.items() if is_depth or not n.startswith('pose_net.')},
        strict=True,
        assign=True,
    )
    assert not missing and not unexpected

    mmseg_to_sde(tmp_path / 'out.pth', tmp_path / 'back')
    back = read_back(tmp_path / 'back')
    for name in ('pose.net.3.weight', 'pose.net.3.bias'):
        if name in released:  # the second motion is never used
            assert not back[name][6:].any()
            back[name], released[name] = back[name][:6], released[name][:6]
    assert_same(back, released)


def test_the_pose_network(tmp_path):
    """The first of the two released motions, from a pair of images."""
    write(tmp_path / 'in', 'depth')
    plain = Released('depth', blocks=(1, 1, 1, 1)).double().eval()
    for file in ('pose_encoder', 'pose'):
        torch.save(randomize(getattr(plain, file)).state_dict(), tmp_path / 'in' / file)
    sde_to_mmseg(tmp_path / 'in', tmp_path / 'out.pth')
    state = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    pose_net = MODELS.build(model_config('depth').pose_net | dict(init_cfg=None)).double()
    prefix = 'pose_net.'
    pose_net.load_state_dict({n[len(prefix) :]: v for n, v in state.items() if prefix in n})
    first, second = torch.randn(2, 1, 3, 32, 64, dtype=torch.float64)
    with torch.no_grad():
        wanted = plain.motion(first, second)[:, :6]
        convolved = pose_net.eval().pose(pose_net.backbone(torch.cat([first, second], 1))[-1])
    torch.testing.assert_close(0.01 * convolved.mean((2, 3)), wanted)


def test_other_numbers_of_classes(tmp_path):
    write(tmp_path / 'in', 'seg', num_classes=11)
    report = sde_to_mmseg(tmp_path / 'in', tmp_path / 'out.pth')
    assert '11 classes' in report and 'model.decode_head.num_classes=11' in report


def test_a_depth_network_without_its_pose_network(tmp_path):
    write(tmp_path / 'in', 'depth')
    (tmp_path / 'in/pose').unlink()
    with pytest.raises(FileNotFoundError, match='has pose_encoder, but not pose'):
        sde_to_mmseg(tmp_path / 'in', tmp_path / 'out.pth')
    (tmp_path / 'in/pose_encoder').unlink()
    sde_to_mmseg(tmp_path / 'in', tmp_path / 'out.pth')
    state = torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']
    assert not any(name.startswith('pose_net') for name in state)
    (tmp_path / 'in/depth').unlink()
    with pytest.raises(FileNotFoundError, match='in/depth does not exist'):
        sde_to_mmseg(tmp_path / 'in', tmp_path / 'out.pth')


def changed(state, name, value=None):
    state = {n: v for n, v in state.items() if n != name}
    return state if value is None else state | {name: value}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        # The layers of disparity that segmentation does not use are in the file, too.
        (
            lambda s: changed(s, 'models.segmentation.unet_dec.decoder.14.conv.bias'),
            '1 missing:\n.*unet_dec.decoder.14.conv.bias',
        ),
        (lambda s: changed(s, 'models.extra.bias', torch.zeros(1)), '1 unexpected:\n.*extra.bias'),
        (lambda s: changed(s, 'extra.bias', torch.zeros(1)), "must begin with 'models.'.*extra"),
        (
            lambda s: changed(s, 'models.segmentation.head.2.bias'),
            'no layout that is converted here',
        ),
        (
            lambda s: changed(s, 'models.encoder.encoder.bn1.bias', torch.full((64,), torch.nan)),
            '1 not finite',
        ),
    ],
)
def test_files_that_do_not_fit(change, message, tmp_path):
    state = {f'models.{name}': value for name, value in full_state('seg').items()}
    torch.save(dict(model_state=change(state)), tmp_path / 'in.pth')
    with pytest.raises(ValueError, match=message):
        sde_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


def test_only_networks_of_the_released_size_go_back(tmp_path):
    _, model = small_pair('seg')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'in.pth')
    with pytest.raises(ValueError, match='of another shape'):
        mmseg_to_sde(tmp_path / 'in.pth', tmp_path / 'out.pth')
