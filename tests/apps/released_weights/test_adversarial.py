# Licensed under the Apache License 2.0, see LICENSE.
"""AdvEnt and DADA: plain dictionaries of tensors, without teacher and discriminators; and depth
distribution, whose file has them as an entry."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.runner import IterBasedTrainLoop
from mmseg.apis import init_model
from mmseg.registry import MODELS

from mmseg_depthuda.apps.released_weights import (
    advent_to_mmseg,
    dada_to_mmseg,
    depth_distribution_to_mmseg,
    mmseg_to_corda,
)
from mmseg_depthuda.apps.released_weights.network_layouts import (
    ADVENT,
    ADVENT_MULTI_LEVEL,
    DADA,
    DEPTH_DISTRIBUTION,
)
from mmseg_depthuda.apps.released_weights.weight_conversion import (
    mmseg_to_released,
    model_shapes,
    released_to_mmseg,
)
from mmseg_depthuda.datasets.label_protocols import PROTOCOLS
from mmseg_depthuda.engine.hooks import StrictLoadHook
from mmseg_depthuda.engine.launch import config_folder
from tests.apps.released_weights.released_networks import randomise, released_network
from tests.apps.released_weights.test_weight_conversion import assert_same, full_state, meta_model

LAYOUTS = dict(
    advent=ADVENT,
    advent_multi_level=ADVENT_MULTI_LEVEL,
    dada=DADA,
    depth_distribution=DEPTH_DISTRIBUTION,
)
CONVERTERS = dict(
    advent=advent_to_mmseg,
    advent_multi_level=advent_to_mmseg,
    dada=dada_to_mmseg,
    depth_distribution=depth_distribution_to_mmseg,
)
KINDS = pytest.mark.parametrize('kind', list(LAYOUTS))
UNUSED = {f'{layer}.{part}' for layer in ('dec4', 'enc4_4') for part in ('bias', 'weight')}


def model_config(kind):
    return Config.fromfile(config_folder() / LAYOUTS[kind].config).model


def used(kind, state):
    """Without the layers that the released network never runs."""
    unused = UNUSED if kind == 'depth_distribution' else ()
    return {name: value for name, value in state.items() if name not in unused}


def write_file(path, kind, **options):
    """As the authors' scripts write it, of full size; returns its state dict."""
    state = full_state(kind, **options)
    torch.save(dict(model=state, optimizer={}) if kind == 'depth_distribution' else state, path)
    return state


def small_model(kind, num_classes=6):
    """The model of the matching config, a 16th as wide, with ResNet-50's blocks."""
    config = model_config(kind)
    config.backbone.update(depth=50, base_channels=4, stem_channels=4, init_cfg=None)
    config.decode_head.update(in_channels=128, num_classes=num_classes)
    if 'auxiliary_head' in config:
        config.auxiliary_head.update(in_channels=64, num_classes=num_classes)
    return config


@KINDS
def test_same_outputs_as_the_released_network(kind):
    released = released_network(kind, num_classes=6, width=4, blocks=(3, 4, 6, 3))
    released = randomise(released).double().eval()
    config = small_model(kind)
    shapes = model_shapes(config)
    weights = used(kind, released.state_dict())
    state = released_to_mmseg(weights, LAYOUTS[kind], shapes, 'file')
    model = MODELS.build(config).double().eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and {name.split('.')[0] for name in missing} == {'discriminators'}
    assert_same(mmseg_to_released(state, LAYOUTS[kind], shapes, 'file'), weights)

    torch.manual_seed(0)
    image = torch.randn(2, 3, 64, 97, dtype=torch.float64)
    with torch.no_grad():
        wanted = released(image)
        features = model.extract_feat(image)
        outputs = dict(seg=model.decode_head(features))
        further = [task for task in ('depth', 'density') if task in wanted]
        if further:
            outputs |= model.decode_head(features, tasks=further)
        if kind == 'advent_multi_level':
            outputs['auxiliary_seg'] = model.auxiliary_head(features)
        meta = [dict(ori_shape=(64, 97), img_shape=(64, 97), pad_shape=(64, 97))] * 2
        logits = model.encode_decode(image, meta)
    assert outputs.keys() == wanted.keys()
    for name, value in wanted.items():
        assert value.std() > 0.01, 'outputs that do not vary compare nothing'
        torch.testing.assert_close(outputs[name], value, rtol=1e-9, atol=1e-9 * value.std())
    predicted = torch.cat([wanted[task] for task in ('seg', *further)], dim=1)
    upsampled = F.interpolate(predicted, (64, 97), mode='bilinear', align_corners=True)
    torch.testing.assert_close(logits, upsampled, rtol=1e-9, atol=1e-9 * upsampled.std())


@KINDS
def test_every_tensor_of_the_full_model_has_its_released_name(kind):
    with torch.device('meta'):
        wanted = {name: v.shape for name, v in released_network(kind).state_dict().items()}
    named = {
        LAYOUTS[kind].released_name(name): shape
        for name, shape in model_shapes(model_config(kind)).items()
    }
    assert named == used(kind, wanted)


@KINDS
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_file_of_full_size(kind, prefix, tmp_path):
    state = full_state(kind)
    entry = {f'{prefix}{n}': v for n, v in state.items()}
    is_entry = kind == 'depth_distribution'
    torch.save(dict(model=entry, optimizer={}) if is_entry else entry, tmp_path / 'in.pth')
    report = CONVERTERS[kind](tmp_path / 'in.pth', tmp_path / 'out.pth').splitlines()
    left_out = ', '.join(sorted({'optimizer', *UNUSED})) if is_entry else 'nothing'
    state = used(kind, state)
    assert report == [
        f'{LAYOUTS[kind].title}, 16 classes: {len(state)} tensors',
        f'Left out: {left_out}',
        f'Wrote {tmp_path / "out.pth"} for configs/{LAYOUTS[kind].config}',
    ]
    converted = torch.load(tmp_path / 'out.pth', weights_only=True)
    assert converted.keys() == {'meta', 'state_dict'}
    back = mmseg_to_released(
        converted['state_dict'], LAYOUTS[kind], model_shapes(model_config(kind)), 'file'
    )
    assert_same(back, state)
    assert converted['meta']['dataset_meta']['classes'] == PROTOCOLS['synthia16'].classes


@pytest.mark.parametrize(
    ('kind', 'num_classes', 'line'),
    [
        ('advent', 19, 'for configs/advent/advent_r101_gta2cs.py'),
        ('advent', 7, 'for configs/advent/advent_r101_syn2cs_7.py'),
        ('dada', 7, 'for configs/dada/dada_r101_syn2cs_7.py'),
        (
            'depth_distribution',
            7,
            'for configs/depth_distribution/depth_distribution_r101_syn2cs_7.py',
        ),
        (
            'advent_multi_level',
            19,
            'for configs/advent/advent_r101_syn2cs_16_multi_level.py with '
            'model.decode_head.num_classes=19 model.auxiliary_head.num_classes=19',
        ),
    ],
)
def test_number_of_classes_is_read_off_the_weights(kind, num_classes, line, tmp_path):
    write_file(tmp_path / 'in.pth', kind, num_classes=num_classes)
    report = CONVERTERS[kind](tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert report.endswith(line)
    meta = torch.load(tmp_path / 'out.pth', weights_only=True)['meta']
    assert len(meta['dataset_meta']['classes']) == num_classes


@pytest.mark.parametrize(
    ('kind', 'num_classes', 'configs'),
    [
        ('advent', 16, ['advent/advent_r101_syn2cs_16.py', 'advent/minent_r101_syn2cs_16.py']),
        ('advent', 19, ['advent/advent_r101_gta2cs.py']),
        ('advent_multi_level', 16, ['advent/advent_r101_syn2cs_16_multi_level.py']),
        ('dada', 16, ['dada/dada_r101_syn2cs_16.py']),
        ('dada', 7, ['dada/dada_r101_syn2cs_7.py', 'dada/dada_r101_syn2vistas_7.py']),
        (
            'depth_distribution',
            16,
            [
                'depth_distribution/depth_distribution_r101_syn2cs_16.py',
                'depth_distribution/depth_distribution_r101_syn2cs_16_self_training.py',
            ],
        ),
    ],
)
def test_runs_of_these_configs_load_it(kind, num_classes, configs, tmp_path):
    """A test as it is, a training only if told that its discriminators start anew."""
    write_file(tmp_path / 'in.pth', kind, num_classes=num_classes)
    CONVERTERS[kind](tmp_path / 'in.pth', tmp_path / 'out.pth')
    checkpoint = torch.load(tmp_path / 'out.pth', weights_only=True)
    train_loop = object.__new__(IterBasedTrainLoop)
    anew = StrictLoadHook(allow_missing=['^discriminators'])
    for config in configs:
        model = meta_model(Config.fromfile(config_folder() / config).model)
        test = SimpleNamespace(
            model=model, hooks=[], _load_from=None, _train_loop=dict(max_iters=2)
        )
        train = SimpleNamespace(model=model, hooks=[], _load_from=None, _train_loop=train_loop)
        StrictLoadHook().after_load_checkpoint(test, checkpoint)
        anew.after_load_checkpoint(train, checkpoint)
        if 'discriminators' in dict(model.named_children()):
            with pytest.raises(ValueError, match='[12]0 missing in the checkpoint: discrim'):
                StrictLoadHook().after_load_checkpoint(train, checkpoint)


def test_multi_level_file_tests_a_single_level_model(tmp_path):
    """The auxiliary classifier is for training: predictions do without it."""
    torch.save(full_state('advent_multi_level', num_classes=19), tmp_path / 'in.pth')
    advent_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    checkpoint = torch.load(tmp_path / 'out.pth', weights_only=True)
    model = meta_model(Config.fromfile(config_folder() / 'advent/advent_r101_gta2cs.py').model)
    runner = SimpleNamespace(model=model, hooks=[], _load_from=None, _train_loop=None)
    with pytest.raises(ValueError, match='8 without a place in the model: auxiliary_head'):
        StrictLoadHook().after_load_checkpoint(runner, checkpoint)
    StrictLoadHook(allow_unexpected=['^auxiliary_head']).after_load_checkpoint(runner, checkpoint)


def test_weights_that_dacs_would_read_otherwise_do_not_become_its(tmp_path):
    """The tensors are those of DACS, whose network sums two of the four branches."""
    torch.save(full_state('advent', num_classes=19), tmp_path / 'in.pth')
    advent_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    with pytest.raises(ValueError, match='out.pth is of a classifier that sums 4 branches'):
        mmseg_to_corda(tmp_path / 'out.pth', tmp_path / 'back.pth')
    assert not (tmp_path / 'back.pth').exists()


def test_mmseg_loads_the_file(tmp_path):
    state = full_state('dada', num_classes=7)
    torch.save(state, tmp_path / 'in.pth')
    dada_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    meta = torch.load(tmp_path / 'out.pth', weights_only=True)['meta']
    config = Config.fromstring(meta['cfg'], file_format='.py')
    config.model.backbone.init_cfg = None
    model = init_model(config, str(tmp_path / 'out.pth'), device='cpu')
    assert model.dataset_meta['classes'] == PROTOCOLS['categories7'].classes
    assert torch.equal(model.decode_head.auxiliary_block.decoder.bias, state['dec4.bias'])


def test_one_method_is_not_the_other(tmp_path):
    torch.save(full_state('advent'), tmp_path / 'advent.pth')
    torch.save(full_state('dada'), tmp_path / 'dada.pth')
    with pytest.raises(ValueError, match='dada.pth has no entry model'):
        depth_distribution_to_mmseg(tmp_path / 'dada.pth', tmp_path / 'out.pth')
    torch.save(dict(model=full_state('dada')), tmp_path / 'entry.pth')
    with pytest.raises(ValueError, match=r'6 missing:\s+enc5_1.bias'):
        depth_distribution_to_mmseg(tmp_path / 'entry.pth', tmp_path / 'out.pth')
    write_file(tmp_path / 'density.pth', 'depth_distribution')
    with pytest.raises(ValueError, match='must hold tensors alone'):
        dada_to_mmseg(tmp_path / 'density.pth', tmp_path / 'out.pth')
    with pytest.raises(ValueError, match=r'8 missing:\s+dec4.bias'):
        dada_to_mmseg(tmp_path / 'advent.pth', tmp_path / 'out.pth')
    with pytest.raises(ValueError, match=r'8 unexpected:\s+dec4.bias'):
        advent_to_mmseg(tmp_path / 'dada.pth', tmp_path / 'out.pth')
    torch.save(full_state('dacs'), tmp_path / 'dacs.pth')
    with pytest.raises(ValueError, match=r'missing:\s+layer6'):
        advent_to_mmseg(tmp_path / 'dacs.pth', tmp_path / 'out.pth')
    with pytest.raises(ValueError, match='is of no layout .*DADA, by layer6'):
        dada_to_mmseg(tmp_path / 'dacs.pth', tmp_path / 'out.pth')
    assert not (tmp_path / 'out.pth').exists()


def test_every_tensor_that_does_not_fit_is_listed(tmp_path):
    state = full_state('dada')
    del state['enc4_2.weight'], state['layer1.0.bn1.running_mean']
    state['enc4_3.bias'] = torch.zeros(7)
    state['layer6.conv2d_list.1.bias'] = torch.full((16,), torch.nan)
    torch.save(state, tmp_path / 'in.pth')
    with pytest.raises(ValueError) as error:
        dada_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert str(error.value).splitlines() == [
        f'{tmp_path / "in.pth"} does not hold the weights of the network:',
        '  2 missing:',
        '    enc4_2.weight',
        '    layer1.0.bn1.running_mean',
        '  1 of another shape:',
        '    enc4_3.bias: (7,) in the file, (128,) in the network',
        '  1 not finite:',
        '    layer6.conv2d_list.1.bias',
    ]
