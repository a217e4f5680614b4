# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmseg.apis import init_model
from mmseg.registry import MODELS

from mmseg_depthuda.apps.released_weights import (
    corda_to_mmseg,
    dacs_to_mmseg,
    deeplab_init_to_mmseg,
    mmseg_to_corda,
)
from mmseg_depthuda.apps.released_weights.network_layouts import CORDA_GTA, CORDA_SYNTHIA, DACS
from mmseg_depthuda.apps.released_weights.weight_conversion import (
    check_tensors,
    mmseg_to_released,
    model_shapes,
    released_to_mmseg,
)
from mmseg_depthuda.datasets.label_protocols import CITYSCAPES_13, CITYSCAPES_16, CITYSCAPES_19
from mmseg_depthuda.engine.launch import config_folder
from mmseg_depthuda.models.teachers import TeacherEMA
from tests.apps.released_weights.released_networks import ResNet, randomize, released_network

CONFIGS = dict(
    gta='corda/corda_r101_gta2cs.py',
    synthia='corda/corda_r101_syn2cs.py',
    dacs='dacs/dacs_r101_gta2cs.py',
)
LAYOUTS = dict(gta=CORDA_GTA, synthia=CORDA_SYNTHIA, dacs=DACS)
CONVERTERS = dict(gta=corda_to_mmseg, synthia=corda_to_mmseg, dacs=dacs_to_mmseg)
KINDS = pytest.mark.parametrize('kind', list(CONFIGS))


def model_config(kind, num_classes=19):
    config = Config.fromfile(config_folder() / CONFIGS[kind]).model
    config.decode_head.num_classes = num_classes
    return config


def small_model(kind, num_classes=6):
    """The model of the matching config, a 16th as wide, with ResNet-50's blocks."""
    config = model_config(kind, num_classes)
    config.backbone.update(depth=50, base_channels=4, stem_channels=4, init_cfg=None)
    config.decode_head.in_channels = 128
    if kind != 'dacs':
        config.decode_head.channels = 16
    return config


def small_released(kind, seed=0, num_classes=6):
    channels = {} if kind == 'dacs' else dict(channels=16)
    network = released_network(
        kind, num_classes=num_classes, width=4, blocks=(3, 4, 6, 3), **channels
    )
    return randomize(network, seed).double().eval()


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


def assert_same(state, wanted):
    assert state.keys() == wanted.keys()
    for name, value in wanted.items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name], value), name


# -- the same network ------------------------------------------------------------------------------


@KINDS
def test_same_outputs_as_the_released_network(kind):
    released = small_released(kind)
    model = MODELS.build(small_model(kind)).double().eval()
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    state = released_to_mmseg(released.state_dict(), LAYOUTS[kind], shapes, 'file')
    model.load_state_dict(state, strict=True)

    torch.manual_seed(0)
    image = torch.randn(2, 3, 64, 97, dtype=torch.float64)
    with torch.no_grad():
        wanted = released(image)
        features = model.extract_feat(image)
        head = model.decode_head
        outputs = dict(seg=head(features))
        if kind != 'dacs':
            tasks = head.forward_tasks(features, ('source', 'target'))
            outputs['initial_seg'] = tasks.initial_seg
            for domain in ('source', 'target'):
                outputs[f'depth_{domain}'] = tasks.depth[domain]
                outputs[f'initial_depth_{domain}'] = tasks.initial_depth[domain]
    assert outputs.keys() == wanted.keys()
    spread = [value.std() for value in wanted.values()]
    assert min(spread) > 0.01, 'outputs that do not vary compare nothing'
    for name, value in wanted.items():
        torch.testing.assert_close(outputs[name], value, rtol=1e-9, atol=1e-9 * max(spread))

    with torch.no_grad():
        meta = [dict(ori_shape=(64, 97), img_shape=(64, 97), pad_shape=(64, 97))] * 2
        logits = model.encode_decode(image, meta)
    upsampled = F.interpolate(wanted['seg'], (64, 97), mode='bilinear', align_corners=True)
    torch.testing.assert_close(logits[:, :6], upsampled, rtol=1e-9, atol=1e-9 * max(spread))


@KINDS
def test_there_and_back_small(kind):
    state = small_released(kind).state_dict()
    shapes = model_shapes(small_model(kind))
    ours = released_to_mmseg(state, LAYOUTS[kind], shapes, 'file')
    assert_same(mmseg_to_released(ours, LAYOUTS[kind], shapes, 'file'), state)


@KINDS
def test_every_tensor_of_the_full_model_has_its_released_name(kind):
    with torch.device('meta'):
        wanted = {name: v.shape for name, v in released_network(kind).state_dict().items()}
    shapes = model_shapes(model_config(kind))
    named = {LAYOUTS[kind].released_name(name): shape for name, shape in shapes.items()}
    assert named == wanted
    assert {LAYOUTS[kind].mmseg_name(name) for name in wanted} == shapes.keys()


# -- files of full size ----------------------------------------------------------------------------


@KINDS
def test_file_loads_strictly_and_goes_back_unchanged(kind, tmp_path):
    released = write_released(tmp_path / 'in.pth', kind)
    report = CONVERTERS[kind](tmp_path / 'in.pth', tmp_path / 'mmseg.pth')
    assert f'19 classes: {len(released["model"])} tensors of the student' in report
    assert 'Left out: config, iteration, optimizer' in report
    assert f'for configs/{CONFIGS[kind]}' in report
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


def test_teacher_alone(tmp_path):
    released = write_released(tmp_path / 'in.pth', 'synthia')
    report = corda_to_mmseg(tmp_path / 'in.pth', tmp_path / 'mmseg.pth', weights='teacher')
    assert 'tensors of the teacher\n' in report
    assert 'Left out: config, iteration, model, optimizer' in report
    converted = torch.load(tmp_path / 'mmseg.pth', weights_only=True)
    assert converted.keys() == {'meta', 'state_dict'}
    report = mmseg_to_corda(tmp_path / 'mmseg.pth', tmp_path / 'back.pth')
    assert 'no teacher: ema_model repeats the student' in report
    back = torch.load(tmp_path / 'back.pth', weights_only=True)
    assert_same(back['model'], released['ema_model'])
    assert_same(back['ema_model'], released['ema_model'])


def test_file_without_teacher(tmp_path):
    write_released(tmp_path / 'in.pth', 'dacs', drop=['ema_model', 'optimizer', 'config'])
    report = dacs_to_mmseg(tmp_path / 'in.pth', tmp_path / 'mmseg.pth')
    assert 'ema_state_dict' not in report
    assert torch.load(tmp_path / 'mmseg.pth', weights_only=True).keys() == {'meta', 'state_dict'}
    with pytest.raises(ValueError, match='in.pth has no entry ema_model; it has iteration, model'):
        dacs_to_mmseg(tmp_path / 'in.pth', tmp_path / 'teacher.pth', weights='teacher')
    assert not (tmp_path / 'teacher.pth').exists()


@pytest.mark.parametrize('kind', ['gta', 'synthia'])
@pytest.mark.parametrize(
    ('num_classes', 'classes'),
    [(19, CITYSCAPES_19), (16, CITYSCAPES_16), (13, CITYSCAPES_13), (5, None)],
)
def test_number_of_classes_is_read_off_the_weights(kind, num_classes, classes, tmp_path):
    torch.save(dict(model=full_state(kind, num_classes=num_classes)), tmp_path / 'in.pth')
    report = corda_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    assert ('num_classes=' in report) == (num_classes != 19)
    converted = torch.load(tmp_path / 'out.pth', weights_only=True)
    shapes = model_shapes(model_config(kind, num_classes))
    assert {name: v.shape for name, v in converted['state_dict'].items()} == shapes
    if classes is None:
        assert 'dataset_meta' not in converted['meta']
    else:
        assert converted['meta']['dataset_meta']['classes'] == classes
        assert len(converted['meta']['dataset_meta']['palette']) == num_classes


def test_mmseg_finds_classes_and_weights_in_the_checkpoint(tmp_path):
    released = write_released(tmp_path / 'in.pth', 'gta')
    corda_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    converted = torch.load(tmp_path / 'out.pth', weights_only=True)
    config = Config.fromstring(converted['meta']['cfg'], file_format='.py')
    model = init_model(config, str(tmp_path / 'out.pth'), device='cpu')
    assert model.dataset_meta['classes'] == CITYSCAPES_19
    assert model.dataset_meta['palette'][0] == [128, 64, 128]
    source_decoder = model.decode_head.final_depth['source'].conv2d_list[3].bias
    assert torch.equal(source_decoder, released['model']['heads.D_src.conv2d_list.3.bias'])


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


def test_prefix_of_some_names_is_an_error(tmp_path):
    state = full_state('dacs')
    state['module.conv1.weight'] = state.pop('conv1.weight')
    torch.save(dict(model=state), tmp_path / 'in.pth')
    with pytest.raises(ValueError) as error:
        dacs_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
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


def test_scalar_in_place_of_the_classifier(tmp_path):
    state = full_state('synthia')
    state['initial_task_prediction_heads.conv_out.S.weight'] = torch.tensor(1.0)
    torch.save(dict(model=state), tmp_path / 'in.pth')
    with pytest.raises(ValueError, match=r'conv_out.S.weight: \(\) in the file, \(1, 256, 1, 1\)'):
        corda_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')


def test_other_method(tmp_path):
    write_released(tmp_path / 'dacs.pth', 'dacs')
    with pytest.raises(ValueError, match='entry model is of no layout .*CorDA, GTA5 variant, by'):
        corda_to_mmseg(tmp_path / 'dacs.pth', tmp_path / 'out.pth')
    write_released(tmp_path / 'corda.pth', 'gta')
    with pytest.raises(ValueError, match='entry model is of no layout .*DACS, by layer5.conv2d'):
        dacs_to_mmseg(tmp_path / 'corda.pth', tmp_path / 'out.pth')
    torch.save(dict(state_dict={'backbone.conv1.weight': torch.zeros(1)}), tmp_path / 'seg.pth')
    with pytest.raises(ValueError, match='its 1 names begin with backbone$'):
        mmseg_to_corda(tmp_path / 'seg.pth', tmp_path / 'out.pth')


def test_variant_with_another_backbone(tmp_path):
    """A ResNet-50 has names that a ResNet-101 has not and the other way round."""
    state = full_state('gta', blocks=(3, 4, 6, 3))
    torch.save(dict(model=state), tmp_path / 'in.pth')
    missing = 17 * 18  # blocks of the third stage, each 3 convolutions and 3 x 5 of BatchNorm
    with pytest.raises(ValueError, match=f'  {missing} missing:') as error:
        corda_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
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


# -- initializations -------------------------------------------------------------------------------


def initialization(prefix='', classifier=True):
    """ResNet-101 with the 21-class classifier of PASCAL VOC, saved before PyTorch counted."""
    with torch.device('meta'):
        network = released_network('dacs', num_classes=21) if classifier else ResNet()
    return {f'{prefix}{n}': v for n, v in without_counters(compact_state(network, 0.5)).items()}


@pytest.mark.parametrize('prefix', ['', 'Scale.', 'module.Scale.'])
@pytest.mark.parametrize('classifier', [True, False])
def test_initialization(prefix, classifier, tmp_path):
    state = initialization(prefix, classifier)
    torch.save(state, tmp_path / 'in.pth')
    report = deeplab_init_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    left_out = [f'layer5.conv2d_list.{i}.{p}' for i in range(4) for p in ('bias', 'weight')]
    assert f'Left out: {", ".join(left_out) if classifier else "nothing"}\n' in report
    converted = torch.load(tmp_path / 'out.pth', weights_only=True)
    wanted = {name.removeprefix(prefix): value for name, value in state.items()}
    assert_same(converted['state_dict'], {n: v for n, v in wanted.items() if n not in left_out})
    meta_model(model_config('gta').backbone).load_state_dict(
        converted['state_dict'], strict=True, assign=True
    )


def test_config_starts_from_the_initialization(tmp_path, monkeypatch):
    state = initialization('Scale.')
    torch.save(state, tmp_path / 'in.pth')
    deeplab_init_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
    monkeypatch.setenv('DEEPLAB_INIT', str(tmp_path / 'out.pth'))
    backbone = MODELS.build(model_config('gta').backbone)
    backbone.init_weights()
    for name, value in without_counters(backbone.state_dict()).items():
        assert torch.equal(value, state[f'Scale.{name}']), name


@pytest.mark.parametrize(
    ('name', 'listed'),
    [('fc.weight', 'fc.weight'), ('Scale.conv1.weight', 'Scale.conv1.weight')],
)
def test_initialization_with_something_else(name, listed, tmp_path):
    torch.save({**initialization(), name: torch.zeros(2)}, tmp_path / 'in.pth')
    with pytest.raises(ValueError, match=rf'  1 unexpected:\s+{listed}$'):
        deeplab_init_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')


def test_checkpoint_is_no_initialization(tmp_path):
    write_released(tmp_path / 'in.pth', 'dacs', drop=['optimizer'])
    with pytest.raises(ValueError, match=r'holds iteration \(int\), config \(dict\), model \(dict'):
        deeplab_init_to_mmseg(tmp_path / 'in.pth', tmp_path / 'out.pth')
