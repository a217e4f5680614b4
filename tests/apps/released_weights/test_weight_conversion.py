# Licensed under the Apache License 2.0, see LICENSE.
"""Released files of all methods: CorDA and DACS with a teacher; AdvEnt and DADA, plain dictionaries
of tensors without discriminators; depth distribution, whose file has them as an entry."""

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
    corda_to_mmseg,
    dacs_to_mmseg,
    dada_to_mmseg,
    deeplab_init_to_mmseg,
    depth_distribution_to_mmseg,
    mmseg_to_corda,
)
from mmseg_depthuda.apps.released_weights.network_layouts import (
    ADVENT,
    ADVENT_MULTI_LEVEL,
    CORDA_GTA,
    CORDA_SYNTHIA,
    DACS,
    DADA,
    DEPTH_DISTRIBUTION,
)
from mmseg_depthuda.apps.released_weights.weight_conversion import (
    check_tensors,
    mmseg_to_released,
    model_shapes,
    released_to_mmseg,
)
from mmseg_depthuda.datasets.label_protocols import PROTOCOLS
from mmseg_depthuda.engine.hooks import StrictLoadHook
from mmseg_depthuda.engine.launch import config_folder
from mmseg_depthuda.models.teachers import TeacherEMA
from tests.apps.released_weights.released_networks import ResNet, randomize, released_network

WITH_TEACHER = dict(gta=CORDA_GTA, synthia=CORDA_SYNTHIA, dacs=DACS)
PLAIN = dict(advent=ADVENT, advent_multi_level=ADVENT_MULTI_LEVEL, dada=DADA)
ADVERSARIAL = PLAIN | dict(depth_distribution=DEPTH_DISTRIBUTION)
LAYOUTS = WITH_TEACHER | ADVERSARIAL
# Layers of depth distribution that the released network never runs.
UNUSED = {f'{layer}.{part}' for layer in ('dec4', 'enc4_4') for part in ('bias', 'weight')}
CONVERTERS = dict(
    gta=corda_to_mmseg,
    synthia=corda_to_mmseg,
    dacs=dacs_to_mmseg,
    advent=advent_to_mmseg,
    advent_multi_level=advent_to_mmseg,
    dada=dada_to_mmseg,
    depth_distribution=depth_distribution_to_mmseg,
)
PROTOCOL_OF = {19: 'cityscapes19', 16: 'synthia16', 13: 'cityscapes13', 7: 'categories7'}


def model_config(kind, num_classes=None):
    config = Config.fromfile(config_folder() / LAYOUTS[kind].config).model
    for head in ('decode_head', 'auxiliary_head'):
        if head in config and num_classes:
            config[head].num_classes = num_classes
    return config


def small_model(kind):
    """The model of the matching config with 6 classes, a 16th as wide, with ResNet-50's blocks."""
    config = model_config(kind, 6)
    config.backbone.update(depth=50, base_channels=4, stem_channels=4, init_cfg=None)
    config.decode_head.in_channels = 128
    if 'auxiliary_head' in config:
        config.auxiliary_head.in_channels = 64
    if kind in ('gta', 'synthia'):
        config.decode_head.channels = 16
    return config


def small_released(kind):
    channels = dict(channels=16) if kind in ('gta', 'synthia') else {}
    network = released_network(kind, num_classes=6, width=4, blocks=(3, 4, 6, 3), **channels)
    return randomize(network).double().eval()


def meta_model(config):
    with torch.device('meta'):
        return MODELS.build(config)


def compact_state(network, first=0.0):
    """State dict of a network on the meta device: right names and shapes, one stored number each.

    All numbers differ, so that tensors that change places are found.
    """
    return {
        name: torch.tensor(first + index).to(value.dtype).expand(value.shape)
        for index, (name, value) in enumerate(network.state_dict().items())
    }


def full_state(kind, first=0.0, **options):
    with torch.device('meta'):
        network = released_network(kind, **options)
    return compact_state(network, first)


def write_released(path, kind, drop=(), **options):
    """A file as the authors' scripts write it, of full size; returns its content."""
    checkpoint = dict(
        iteration=249999,
        optimizer=dict(state={}, param_groups=[dict(lr=2.5e-4)]),
        config=dict(model='DeepLab', training=dict(batch_size=2)),
        model=full_state(kind, **options),
        ema_model=full_state(kind, first=5000.0, **options),
    )
    checkpoint = {name: value for name, value in checkpoint.items() if name not in drop}
    torch.save(checkpoint, path)
    return checkpoint


@pytest.fixture
def convert(tmp_path):
    """Saves what is given, converts it, and returns the report and what was written."""

    def convert(converter, content=None, **options):
        if content is not None:
            torch.save(content, tmp_path / 'in.pth')
        report = converter(tmp_path / 'in.pth', tmp_path / 'out.pth', **options)
        return report, torch.load(tmp_path / 'out.pth', weights_only=True)

    return convert


def as_released(kind, state):
    """What a released file of this kind holds."""
    return state if kind in PLAIN else dict(model=state)


def used(kind, state):
    """A state dict without the layers that the released network never runs."""
    unused = UNUSED if kind == 'depth_distribution' else ()
    return {name: value for name, value in state.items() if name not in unused}


def assert_same(state, wanted):
    assert state.keys() == wanted.keys()
    for name, value in wanted.items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name], value), name


# -- the same network ------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', LAYOUTS)
def test_same_outputs_as_the_released_network_and_back(kind):
    released = small_released(kind)
    config = small_model(kind)
    shapes = model_shapes(config)
    weights = used(kind, released.state_dict())
    state = released_to_mmseg(weights, LAYOUTS[kind], shapes, 'file')
    model = MODELS.build(config).double().eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    adversarial = {'discriminators'} if kind in ADVERSARIAL else set()
    assert not unexpected and {name.split('.')[0] for name in missing} == adversarial
    assert_same(mmseg_to_released(state, LAYOUTS[kind], shapes, 'file'), weights)

    torch.manual_seed(0)
    image = torch.randn(2, 3, 64, 97, dtype=torch.float64)
    with torch.no_grad():
        wanted = released(image)
        features = model.extract_feat(image)
        head = model.decode_head
        outputs = dict(seg=head(features))
        if kind in ('gta', 'synthia'):
            tasks = head.forward_tasks(features, ('source', 'target'))
            outputs['initial_seg'] = tasks.initial_seg
            for domain in ('source', 'target'):
                outputs[f'depth_{domain}'] = tasks.depth[domain]
                outputs[f'initial_depth_{domain}'] = tasks.initial_depth[domain]
        further = [task for task in ('depth', 'density') if task in wanted]
        if further:
            outputs |= head(features, tasks=further)
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
    compared = logits[:, : predicted.shape[1]]  # CorDA's other channels are compared above
    torch.testing.assert_close(compared, upsampled, rtol=1e-9, atol=1e-9 * upsampled.std())


@pytest.mark.parametrize('kind', LAYOUTS)
def test_every_tensor_of_the_full_model_has_its_released_name(kind):
    with torch.device('meta'):
        network = released_network(kind)
    wanted = used(kind, {name: v.shape for name, v in network.state_dict().items()})
    shapes = model_shapes(model_config(kind))
    named = {LAYOUTS[kind].released_name(name): shape for name, shape in shapes.items()}
    assert named == wanted
    assert {LAYOUTS[kind].mmseg_name(name) for name in wanted} == shapes.keys()


# -- files of full size ----------------------------------------------------------------------------


@pytest.mark.parametrize('kind', WITH_TEACHER)
def test_file_loads_strictly_and_goes_back_unchanged(kind, tmp_path):
    released = write_released(tmp_path / 'in.pth', kind)
    report = CONVERTERS[kind](tmp_path / 'in.pth', tmp_path / 'mmseg.pth')
    assert f'19 classes: {len(released["model"])} tensors of the student' in report
    assert 'Left out: config, iteration, optimizer' in report
    assert f'for configs/{LAYOUTS[kind].config}' in report
    assert 'GTA5' in report if kind == 'gta' else 'GTA5 variant' not in report

    converted = torch.load(tmp_path / 'mmseg.pth', weights_only=True)
    assert converted.keys() == {'meta', 'state_dict', 'ema_state_dict'}
    model = meta_model(model_config(kind))
    TeacherEMA(model).load_state_dict(converted['ema_state_dict'], strict=True, assign=True)
    model.load_state_dict(converted['state_dict'], strict=True, assign=True)
    student = converted['state_dict']
    teacher = {
        name.removeprefix('module.'): value
        for name, value in converted['ema_state_dict'].items()
        if name != 'steps'
    }
    offsets = {(teacher[name] - student[name]).flatten()[0].item() for name in student}
    assert offsets == {5000.0}

    report = mmseg_to_corda(tmp_path / 'mmseg.pth', tmp_path / 'back.pth')
    assert 'student and teacher' in report
    back = torch.load(tmp_path / 'back.pth', weights_only=True)
    assert back.keys() == {'model', 'ema_model'}
    for entry, state in back.items():
        assert_same(state, released[entry])


def test_teacher_alone(tmp_path, convert):
    released = write_released(tmp_path / 'in.pth', 'synthia')
    report, converted = convert(corda_to_mmseg, weights='teacher')
    assert 'tensors of the teacher\n' in report
    assert 'Left out: config, iteration, model, optimizer' in report
    assert converted.keys() == {'meta', 'state_dict'}
    report = mmseg_to_corda(tmp_path / 'out.pth', tmp_path / 'back.pth')
    assert 'no teacher: ema_model repeats the student' in report
    back = torch.load(tmp_path / 'back.pth', weights_only=True)
    assert_same(back['model'], released['ema_model'])
    assert_same(back['ema_model'], released['ema_model'])


def test_file_without_teacher(tmp_path, convert):
    write_released(tmp_path / 'in.pth', 'dacs', drop=['ema_model', 'optimizer', 'config'])
    report, converted = convert(dacs_to_mmseg)
    assert 'ema_state_dict' not in report
    assert converted.keys() == {'meta', 'state_dict'}
    with pytest.raises(ValueError, match='in.pth has no entry ema_model; it has iteration, model'):
        dacs_to_mmseg(tmp_path / 'in.pth', tmp_path / 'teacher.pth', weights='teacher')
    assert not (tmp_path / 'teacher.pth').exists()


@pytest.mark.parametrize('kind', ADVERSARIAL)
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_file_without_teacher_goes_there_and_back_unchanged(kind, prefix, tmp_path, convert):
    state = full_state(kind)
    content = as_released(kind, {f'{prefix}{n}': v for n, v in state.items()})
    report, converted = convert(CONVERTERS[kind], content)
    left_out = ', '.join(sorted(UNUSED)) if kind == 'depth_distribution' else 'nothing'
    state = used(kind, state)
    assert report.splitlines() == [
        f'{LAYOUTS[kind].title}, 16 classes: {len(state)} tensors',
        f'Left out: {left_out}',
        f'Wrote {tmp_path / "out.pth"} for configs/{LAYOUTS[kind].config}',
    ]
    assert converted.keys() == {'meta', 'state_dict'}
    back = mmseg_to_released(
        converted['state_dict'], LAYOUTS[kind], model_shapes(model_config(kind)), 'file'
    )
    assert_same(back, state)
    assert converted['meta']['dataset_meta']['classes'] == PROTOCOLS['synthia16'].classes


@pytest.mark.parametrize(
    ('kind', 'num_classes', 'config', 'settings'),
    [
        *[
            (kind, num, LAYOUTS[kind].config, '' if num == 19 else 'decode_head')
            for kind in ('gta', 'synthia')
            for num in (19, 16, 13, 5)
        ],
        ('advent', 19, 'advent/advent_r101_gta2cs.py', ''),
        ('advent', 7, 'advent/advent_r101_syn2cs_7.py', ''),
        ('dada', 7, 'dada/dada_r101_syn2cs_7.py', ''),
        ('depth_distribution', 7, 'depth_distribution/depth_distribution_r101_syn2cs_7.py', ''),
        ('advent_multi_level', 19, ADVENT_MULTI_LEVEL.config, 'decode_head auxiliary_head'),
    ],
)
def test_number_of_classes_is_read_off_the_weights(kind, num_classes, config, settings, convert):
    state = full_state(kind, num_classes=num_classes)
    report, converted = convert(CONVERTERS[kind], as_released(kind, state))
    changed = [f'model.{head}.num_classes={num_classes}' for head in settings.split()]
    assert report.endswith(
        f'for configs/{config}' + (f' with {" ".join(changed)}' if changed else '')
    )
    shapes = model_shapes(model_config(kind, num_classes))
    assert {name: v.shape for name, v in converted['state_dict'].items()} == shapes
    if num_classes not in PROTOCOL_OF:
        assert 'dataset_meta' not in converted['meta']
    else:
        meta = converted['meta']['dataset_meta']
        assert meta['classes'] == PROTOCOLS[PROTOCOL_OF[num_classes]].classes
        assert len(meta['classes']) == len(meta['palette']) == num_classes


@pytest.mark.parametrize(
    ('kind', 'protocol', 'ours', 'theirs'),
    [
        (
            'gta',
            'cityscapes19',
            'decode_head.final_depth.source.conv2d_list.3.bias',
            'heads.D_src.conv2d_list.3.bias',
        ),
        ('dada', 'categories7', 'decode_head.auxiliary_block.decoder.bias', 'dec4.bias'),
    ],
)
def test_mmseg_finds_classes_and_weights_in_the_checkpoint(
    kind, protocol, ours, theirs, tmp_path, convert
):
    classes = PROTOCOLS[protocol].classes
    state = full_state(kind, num_classes=len(classes))
    meta = convert(CONVERTERS[kind], as_released(kind, state))[1]['meta']
    config = Config.fromstring(meta['cfg'], file_format='.py')
    config.model.backbone.init_cfg = None
    model = init_model(config, str(tmp_path / 'out.pth'), device='cpu')
    assert model.dataset_meta['classes'] == classes
    assert model.dataset_meta['palette'][0] == [128, 64, 128]
    assert torch.equal(model.get_parameter(ours), state[theirs])


# -- old and wrapped files -------------------------------------------------------------------------


def without_counters(state):
    return {name: v for name, v in state.items() if not name.endswith('num_batches_tracked')}


def test_counters_of_batch_norm_may_be_absent(tmp_path):
    state = without_counters(full_state('gta'))
    torch.save(dict(model=state), tmp_path / 'in.pth')
    corda_to_mmseg(tmp_path / 'in.pth', tmp_path / 'mmseg.pth')
    converted = torch.load(tmp_path / 'mmseg.pth', weights_only=True)['state_dict']
    assert len(converted) == len(state)
    meta_model(model_config('gta')).load_state_dict(converted, strict=True, assign=True)
    mmseg_to_corda(tmp_path / 'mmseg.pth', tmp_path / 'back.pth')
    assert_same(torch.load(tmp_path / 'back.pth', weights_only=True)['model'], state)


def test_some_counters_absent_is_an_error():
    state = small_released('dacs').state_dict()
    del state['layer3.2.bn2.num_batches_tracked']
    shapes = model_shapes(small_model('dacs'))
    with pytest.raises(ValueError, match=r'1 missing:\s+layer3.2.bn2.num_batches_tracked$'):
        released_to_mmseg(state, DACS, shapes, 'file')


def test_data_parallel(tmp_path):
    plain = write_released(tmp_path / 'plain.pth', 'synthia')
    wrapped = {
        entry: {f'module.{name}': value for name, value in plain[entry].items()}
        for entry in ('model', 'ema_model')
    }
    torch.save(wrapped, tmp_path / 'wrapped.pth')
    states = []
    for name in ('plain', 'wrapped'):
        corda_to_mmseg(tmp_path / f'{name}.pth', tmp_path / 'out.pth')
        states.append(torch.load(tmp_path / 'out.pth', weights_only=True))
    for entry in ('state_dict', 'ema_state_dict'):
        assert_same(states[1][entry], states[0][entry])


def test_prefix_of_some_names_is_an_error(convert):
    state = full_state('dacs')
    state['module.conv1.weight'] = state.pop('conv1.weight')
    with pytest.raises(ValueError) as error:
        convert(dacs_to_mmseg, dict(model=state))
    assert str(error.value).splitlines()[1:] == [
        '  1 missing:',
        '    conv1.weight',
        '  1 unexpected:',
        '    module.conv1.weight',
    ]


# -- files that do not fit -------------------------------------------------------------------------


def test_every_tensor_that_does_not_fit_is_listed(tmp_path):
    released = write_released(tmp_path / 'good.pth', 'gta')
    state = released['ema_model']
    for name in ('layer4.2.bn3.running_var', 'heads.D_src.conv2d_list.2.bias'):
        del state[name]
    state['heads.N.weight'] = torch.zeros(3)
    state['conv1.weight'] = torch.zeros(64, 1, 7, 7)
    state['bn1.bias'] = torch.full((64,), torch.nan)
    state['heads.D.conv2d_list.1.bias'] = torch.tensor([-torch.inf])
    torch.save(released, tmp_path / 'bad.pth')
    with pytest.raises(ValueError) as error:
        corda_to_mmseg(tmp_path / 'bad.pth', tmp_path / 'out.pth')
    assert str(error.value).splitlines() == [
        f'{tmp_path / "bad.pth"}, entry ema_model does not hold the weights of the network:',
        '  2 missing:',
        '    heads.D_src.conv2d_list.2.bias',
        '    layer4.2.bn3.running_var',
        '  1 unexpected:',
        '    heads.N.weight',
        '  1 of another shape:',
        '    conv1.weight: (64, 1, 7, 7) in the file, (64, 3, 7, 7) in the network',
        '  2 not finite:',
        '    bn1.bias',
        '    heads.D.conv2d_list.1.bias',
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bad.pth', 'good.pth']


def test_a_state_that_fits_passes_and_only_it():
    wanted = dict(a=torch.Size([2]), b=torch.Size([]))
    check_tensors(dict(a=torch.zeros(2), b=torch.tensor(3)), wanted, 'file')
    with pytest.raises(ValueError, match=r'1 of another shape:\s+b: \(1,\) in the file, \(\) in'):
        check_tensors(dict(a=torch.zeros(2), b=torch.zeros(1)), wanted, 'file')


def test_scalar_in_place_of_the_classifier(convert):
    state = full_state('synthia')
    state['initial_task_prediction_heads.conv_out.S.weight'] = torch.tensor(1.0)
    with pytest.raises(ValueError, match=r'conv_out.S.weight: \(\) in the file, \(1, 256, 1, 1\)'):
        convert(corda_to_mmseg, dict(model=state))


@pytest.mark.parametrize(
    ('file', 'converter', 'message'),
    [
        ('dacs', corda_to_mmseg, 'entry model is of no layout .*CorDA, GTA5 variant, by'),
        ('gta', dacs_to_mmseg, 'entry model is of no layout .*DACS, by layer5.conv2d'),
        ('advent', dada_to_mmseg, r'in.pth does not hold .*:\n  8 missing:\s+dec4.bias'),
        ('dada', advent_to_mmseg, r'8 unexpected:\s+dec4.bias'),
        ('dada', depth_distribution_to_mmseg, 'in.pth has no entry model'),
        ('dada, as an entry', depth_distribution_to_mmseg, r'6 missing:\s+enc5_1.bias'),
        ('depth_distribution', dada_to_mmseg, 'must hold tensors alone'),
        ('dacs, plain', advent_to_mmseg, r'missing:\s+layer6'),
        ('dacs, plain', dada_to_mmseg, 'is of no layout .*DADA, by layer6'),
        ('mmseg', mmseg_to_corda, 'its 1 names begin with backbone$'),
    ],
)
def test_other_method(file, converter, message, tmp_path, convert):
    kind, _, form = file.partition(', ')
    if kind == 'mmseg':
        content = dict(state_dict={'backbone.conv1.weight': torch.zeros(1)})
    elif form == 'plain':
        content = full_state(kind)
    elif form == 'as an entry':
        content = dict(model=full_state(kind))
    else:
        content = as_released(kind, full_state(kind))
    with pytest.raises(ValueError, match=message):
        convert(converter, content)
    assert not (tmp_path / 'out.pth').exists()


def test_variant_with_another_backbone(convert):
    """A ResNet-50 has names that a ResNet-101 has not and the other way round."""
    state = full_state('gta', blocks=(3, 4, 6, 3))
    missing = 17 * 18  # blocks of the third stage, each 3 convolutions and 3 x 5 of BatchNorm
    with pytest.raises(ValueError, match=f'  {missing} missing:') as error:
        convert(corda_to_mmseg, dict(model=state))
    assert len(str(error.value).splitlines()) == 2 + missing


def test_unknown_weights():
    with pytest.raises(ValueError, match="weights must be one of .*, got 'ema'"):
        corda_to_mmseg('in.pth', 'out.pth', weights='ema')


def test_trained_checkpoint_goes_back_without_its_run(tmp_path):
    """What MMEngine and hooks store beside the weights is left out, and named."""
    write_released(tmp_path / 'in.pth', 'dacs')
    dacs_to_mmseg(tmp_path / 'in.pth', tmp_path / 'mmseg.pth')
    checkpoint = torch.load(tmp_path / 'mmseg.pth', weights_only=True)
    torch.save(checkpoint | dict(optimizer={}, message_hub={}), tmp_path / 'trained.pth')
    report = mmseg_to_corda(tmp_path / 'trained.pth', tmp_path / 'back.pth')
    assert 'Left out: message_hub, meta, optimizer' in report


# -- adversarial methods ---------------------------------------------------------------------------


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
def test_runs_of_these_configs_load_it(kind, num_classes, configs, convert):
    """A test as it is, a training only if told that its discriminators start anew."""
    state = full_state(kind, num_classes=num_classes)
    checkpoint = convert(CONVERTERS[kind], as_released(kind, state))[1]
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


def test_multi_level_file_tests_a_single_level_model(convert):
    """The auxiliary classifier is for training: predictions do without it."""
    checkpoint = convert(advent_to_mmseg, full_state('advent_multi_level', num_classes=19))[1]
    model = meta_model(Config.fromfile(config_folder() / 'advent/advent_r101_gta2cs.py').model)
    runner = SimpleNamespace(model=model, hooks=[], _load_from=None, _train_loop=None)
    with pytest.raises(ValueError, match='8 without a place in the model: auxiliary_head'):
        StrictLoadHook().after_load_checkpoint(runner, checkpoint)
    StrictLoadHook(allow_unexpected=['^auxiliary_head']).after_load_checkpoint(runner, checkpoint)


def test_weights_that_dacs_would_read_otherwise_do_not_become_its(tmp_path, convert):
    """The tensors are those of DACS, whose network sums two of the four branches."""
    convert(advent_to_mmseg, full_state('advent', num_classes=19))
    with pytest.raises(ValueError, match='out.pth is of a classifier that sums 4 branches'):
        mmseg_to_corda(tmp_path / 'out.pth', tmp_path / 'back.pth')
    assert not (tmp_path / 'back.pth').exists()


# -- initializations -------------------------------------------------------------------------------


def initialization(prefix='', classifier=True):
    """ResNet-101 with the 21-class classifier of PASCAL VOC, saved before PyTorch counted."""
    with torch.device('meta'):
        network = released_network('dacs', num_classes=21) if classifier else ResNet()
    return {f'{prefix}{n}': v for n, v in without_counters(compact_state(network, 0.5)).items()}


@pytest.mark.parametrize('prefix', ['', 'Scale.', 'module.Scale.'])
@pytest.mark.parametrize('classifier', [True, False])
def test_initialization(prefix, classifier, convert):
    state = initialization(prefix, classifier)
    report, converted = convert(deeplab_init_to_mmseg, state)
    left_out = [f'layer5.conv2d_list.{i}.{p}' for i in range(4) for p in ('bias', 'weight')]
    assert f'Left out: {", ".join(left_out) if classifier else "nothing"}\n' in report
    wanted = {name.removeprefix(prefix): value for name, value in state.items()}
    assert_same(converted['state_dict'], {n: v for n, v in wanted.items() if n not in left_out})
    meta_model(model_config('gta').backbone).load_state_dict(
        converted['state_dict'], strict=True, assign=True
    )


def test_config_starts_from_the_initialization(tmp_path, monkeypatch, convert):
    state = initialization('Scale.')
    convert(deeplab_init_to_mmseg, state)
    monkeypatch.setenv('DEEPLAB_INIT', str(tmp_path / 'out.pth'))
    backbone = MODELS.build(model_config('gta').backbone)
    backbone.init_weights()
    for name, value in without_counters(backbone.state_dict()).items():
        assert torch.equal(value, state[f'Scale.{name}']), name


@pytest.mark.parametrize(
    ('name', 'listed'),
    [('fc.weight', 'fc.weight'), ('Scale.conv1.weight', 'Scale.conv1.weight')],
)
def test_initialization_with_something_else(name, listed, convert):
    with pytest.raises(ValueError, match=rf'  1 unexpected:\s+{listed}$'):
        convert(deeplab_init_to_mmseg, {**initialization(), name: torch.zeros(2)})


def test_checkpoint_is_no_initialization(tmp_path):
    write_released(tmp_path / 'in.pth', 'dacs', drop=['optimizer'])
    with pytest.raises(ValueError, match=r'holds iteration \(int\), config \(dict\), model \(dict'):
        deeplab_init_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
