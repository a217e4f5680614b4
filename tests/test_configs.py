# Licensed under the Apache License 2.0, see LICENSE.
"""Every experiment: it parses, its model is built, its parts agree, and it trains one iteration."""

import copy
import functools
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmseg.registry import DATASETS, MODELS, VISUALIZERS
from scipy.io import savemat

from mmseg_depthuda.apps.depth_mixtures import feature_grid
from mmseg_depthuda.apps.street_world import WorldConfig, generate
from mmseg_depthuda.datasets.label_protocols import PROTOCOLS
from tests.models.adversarial_training import mixtures_file

CONFIGS = Path(__file__).parents[1] / 'configs'
# Experiments of other kinds have tests of their own: tests/test_depth_configs.py,
# tests/test_selection_configs.py, tests/test_semi_supervised_configs.py.
OTHERS = ('monodepth2', 'annotation_selection', 'semi_supervised', 'semi_supervised_da')
EXPERIMENTS = sorted(
    str(path.relative_to(CONFIGS))
    for path in CONFIGS.glob('*/*.py')
    if path.parts[-2] not in ('_base_', *OTHERS)
)
DEPTH_OF_SOURCE_ALONE = (
    'corda/corda_effl0_sim2camvid.py',
    'corda/corda_r18_sim2camvid.py',
    'corda/corda_r18_sim2own.py',
    'simple_aux/simple_aux_effl0_sim2camvid.py',
)
LADDER = (
    'source_only/source_only',
    'dacs/dacs',
    'simple_aux/simple_aux',
    'corda/corda',
)
ADVERSARIAL = ('advent/advent', 'dada/dada')
DENSITY = 'depth_distribution/depth_distribution'


@pytest.fixture(scope='module', autouse=True)  # the configs read where data are
def roots(tmp_path_factory):
    """A small world in all layouts of the street world; CamVid's; plain folders."""
    root = tmp_path_factory.mktemp('data')
    layouts = ('gta', 'synthia', 'cityscapes', 'mapillary')
    parts = ('image', 'label', 'depth', 'disparity')
    world = WorldConfig(2, 2, 1, size=(96, 48), layouts=layouts, parts=parts)
    generate(root / 'street_world', world)
    rng = np.random.default_rng(0)

    def write(folder, high, shape=(48, 96), dtype=np.uint8):
        (root / folder).mkdir(parents=True)
        for index in range(2):
            path = root / folder / f'{index}.png'
            assert cv2.imwrite(str(path), rng.integers(high, size=shape, dtype=dtype))

    for folder in ('camvid/train', 'camvid/val', 'own_source/images', 'own_target/images'):
        write(folder, 256, (48, 96, 3))
    (root / 'own_target/depth').mkdir()
    for index in range(2):
        metres = rng.uniform(1, 50, (48, 96))
        savemat(root / f'own_target/depth/{index}.mat', dict(depth_map=metres))
    for folder in ('camvid/trainannot', 'camvid/valannot'):
        write(folder, 12)
    write('own_source/labels', 2)
    for folder in ('camvid_pseudo_depth/train', 'own_target/pseudo_depth'):
        write(folder, 2**16, dtype=np.uint16)
    write_stored_labels(root)
    places = {f'{name.upper()}_ROOT': root / 'street_world' / name for name in layouts}
    for name in ('street_world', 'camvid', 'camvid_pseudo_depth', 'own_source', 'own_target'):
        places[f'{name.upper()}_ROOT'] = root / name
    with pytest.MonkeyPatch.context() as patch:
        for name, place in places.items():
            patch.setenv(name, str(place))
        patch.setenv('PSEUDO_LABELS_ROOT', str(root / 'pseudo_labels'))
        patch.delenv('CITYSCAPES_EVALUATION_SIZE', raising=False)
        patch.delenv('OWN_TARGET_SIZE', raising=False)
        patch.delenv('DEEPLAB_INIT', raising=False)
        patch.delenv('DEEPLAB_IMAGENET_INIT', raising=False)
        patch.delenv('EFFICIENTNET_LITE0_INIT', raising=False)
        yield root


def write_stored_labels(root):
    """For each self-training, of the training images in the size that ``small`` gives them."""
    rng = np.random.default_rng(0)
    cityscapes = root / 'street_world/cityscapes/leftImg8bit/train'
    names = [
        f'{p.parent.name}/{p.stem.removesuffix("_leftImg8bit")}' for p in cityscapes.glob('*/*')
    ]
    names += [path.stem for path in (root / 'street_world/mapillary/training/images').iterdir()]
    for stem in (Path(name).stem for name in EXPERIMENTS if 'self_training' in name):
        size = (128, 256) if 'sim2real' in stem else (40, 80) if '320x640' in stem else (95, 160)
        for name in names:
            path = root / 'pseudo_labels' / stem.replace('_self_training', '') / f'{name}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), rng.integers(7, size=size, dtype=np.uint8))


@functools.cache
def load(name):
    return Config.fromfile(CONFIGS / name)


@pytest.fixture(params=EXPERIMENTS)
def name(request):
    return request.param


@pytest.fixture
def cfg(roots, name):
    return load(name)


@functools.cache
def built(model_cfg):
    """The model without memory and weights, and the shape of its logits; once for equal models."""
    with torch.device('meta'):
        model = MODELS.build(Config.fromstring(f'model = {model_cfg}', '.py').model)
        return model, model(torch.empty(2, 3, 128, 256), mode='tensor').shape


def build(cfg):
    model_cfg = copy.deepcopy(cfg.model.to_dict())
    model_cfg['backbone']['init_cfg'] = None
    return built(repr(model_cfg))


def number_of_classes(dataset):
    if 'metainfo' in dataset:
        return len(dataset.metainfo.classes)
    defaults = dict(CamVidDataset='camvid11', MapillaryDepthDataset='categories7')
    default = defaults.get(dataset.type, 'cityscapes19')
    return len(PROTOCOLS[dataset.get('protocol', default)].classes)


def has_depth_head(cfg):
    head = MODELS.get(cfg.model.decode_head.type)
    return 'depth' in getattr(head, 'predicted_tasks', ())


def predicts_depth(cfg):
    return has_depth_head(cfg) and cfg.model.decode_head.get('learn_depth', True)


def datasets_of(cfg):
    """Training datasets by domain; an ordinary one is the source."""
    training = cfg.train_dataloader.dataset
    found = {name: training[name] for name in ('source', 'target') if name in training}
    return found or dict(source=training)


def is_adversarial(cfg):
    return cfg.model.type == 'AdversarialSegmentor'


# -- the parts of a config -------------------------------------------------------------------------


def test_every_rung_of_the_ladder_has_its_experiments():
    expected = {'source_only/oracle_r101_cs2cs', 'source_only/oracle_r18_sim2real'}
    expected |= {f'{rung}_r18_sim2real' for rung in LADDER}
    for pair in ('gta2cs', 'syn2cs'):
        corda = f'corda/corda_r101_{pair}'
        expected |= {f'{rung}_r101_{pair}' for rung in LADDER}
        expected |= {f'source_only/source_only_r101_{pair}_imagenet', f'{corda}_imagenet'}
        expected |= {f'dacs/dacs_r101_{pair}_imagenet', f'simple_aux/simple_aux_r101_{pair}_mono'}
        expected |= {f'{corda}{rung}' for rung in ('_f', '_no_distillation')}
        expected |= {f'{corda}{rung}_mono' for rung in ('', '_f', '_no_distillation')}
    for rung in ('_f', '_no_distillation'):
        expected.add(f'corda/corda_r18_sim2real{rung}')
    assert {f'{name}.py' for name in expected} <= set(EXPERIMENTS)


@pytest.mark.parametrize('pair', ['sim2real', 'sim2camvid'])
def test_every_method_has_a_pretrained_network_and_a_control_where_it_learns_depth(pair):
    small = [path for path in EXPERIMENTS if path.endswith(f'_effl0_{pair}.py')]
    methods = {path.partition('_effl0_')[0] for path in small}
    of_all = {p.partition('_r101_')[0] for p in EXPERIMENTS if '_r101_' in p}
    assert methods == of_all
    controlled = {p for p in small if has_depth_head(load(p))}
    assert len(controlled) == 4
    for path in controlled:
        assert not predicts_depth(load(path.replace('.py', '_no_depth.py')))


def test_the_adversarial_family_has_its_experiments():
    expected = {'advent/minent_r101_syn2cs_16', 'advent/advent_r101_syn2cs_16_multi_level'}
    expected |= {'advent/advent_r101_gta2cs', 'advent/minent_r18_sim2real'}
    expected |= {f'dada/dada_r101_syn2cs_16_s{number}' for number in (3, 4, 5, 6)}
    for method in ADVERSARIAL:
        expected |= {f'{method}_r18_{pair}' for pair in ('sim2real', 'sim2camvid')}
    for method in ('source_only/source_only', *ADVERSARIAL):
        expected.add(f'{method}_r101_syn2cs_16')
        for target in ('cs', 'vistas'):
            expected |= {f'{method}_r101_syn2{target}_7{size}' for size in ('', '_320x640')}
    assert {f'{name}.py' for name in expected} <= set(EXPERIMENTS)


def test_head_and_datasets_have_the_same_classes(cfg):
    labelled = [next(iter(datasets_of(cfg).values()))]
    if cfg.val_dataloader is not None:
        labelled.append(cfg.val_dataloader.dataset)
    if 'sim2own' in cfg.filename:
        names = PROTOCOLS['cityscapes19'].classes
        assert list(cfg.test_dataloader.dataset.metainfo.classes) == list(names)
    classes = {number_of_classes(dataset) for dataset in labelled}
    assert classes == {cfg.model.decode_head.num_classes}


def test_model_gives_logits(cfg):
    model, shape = build(cfg)
    rounded_up = cfg.model.backbone.type == 'DeepLabV2ResNet'  # its pooling's; output stride 8
    size = (17, 33) if rounded_up else (16, 32)
    assert shape == (2, cfg.model.decode_head.num_classes, *size)
    assert model.predicts_depth == predicts_depth(cfg)


def test_optimizer_and_schedule(cfg):
    model, _ = build(cfg)
    optim_wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    ends = {scheduler.get('end') for scheduler in cfg.param_scheduler}
    assert ends == ({90000} if cfg.filename.count(f'{DENSITY}_r101') else {None})
    wrappers = [optim_wrapper]
    if is_adversarial(cfg):
        wrappers = [optim_wrapper['segmentor'], optim_wrapper['discriminator']]
        assert wrappers[1].optimizer.defaults['betas'] == (0.9, 0.99)
        faster = f'{DENSITY}_r101_syn2cs' in cfg.filename
        assert wrappers[1].optimizer.defaults['lr'] == (1e-3 if faster else 1e-4)
    trained = [
        id(p)
        for wrapper in wrappers
        for group in wrapper.optimizer.param_groups
        for p in group['params']
    ]
    assert len(trained) == len(set(trained))
    assert {id(p) for p in model.parameters() if p.requires_grad} <= set(trained)
    optimizer = wrappers[0].optimizer
    if type(optimizer).__name__ == 'SGD':
        assert len(optimizer.param_groups) == 1 and optimizer.defaults['lr'] == 2.5e-4
    if type(optimizer).__name__ == 'RepeatedSGD':
        assert sorted({group['repeats'] for group in optimizer.param_groups}) == [1, 3, 4]
        assert len(optimizer.param_groups) == 4


def test_hooks_are_built(cfg, tmp_path):
    VISUALIZERS.build(dict(cfg.visualizer, save_dir=str(tmp_path)))  # SegVisualizationHook wants it
    for hook in [*cfg.get('custom_hooks', []), *cfg.default_hooks.values()]:
        HOOKS.build(hook)
    adapts_alone = cfg.model.type in ('AdversarialSegmentor', 'MinEntSegmentor')
    self_training = set(datasets_of(cfg)) == {'source', 'target'} and not adapts_alone
    hooks = {hook.type for hook in cfg.get('custom_hooks', [])}
    assert bool(hooks & {'DACSHook', 'SelfTrainingHook'}) == self_training


def test_methods_without_depth_load_none(cfg):
    if has_depth_head(cfg):  # a control has the data of its method
        return
    for dataset in datasets_of(cfg).values():
        assert dataset.get('depth') is None
        assert dataset.get('data_prefix', {}).get('depth_map_path') is None


def test_name_says_what_it_is(cfg, name):
    if name.startswith(DENSITY):
        check_depth_distribution(cfg, Path(name).stem.removeprefix('depth_distribution_'))
        return
    method, backbone, pair, *variant = (
        Path(name)
        .stem.replace('_only', '-only')
        .replace('simple_aux', 'simple-aux')
        .replace('own_images', 'own-images')
        .replace('no_distillation', 'no-distillation')
        .replace('multi_level', 'multi-level')
        .replace('no_depth', 'no-depth')
        .replace('corda_head', 'corda-head')
        .split('_')
    )
    heads = {'corda': 'CorDAHead', 'simple-aux': 'SimpleAuxHead', 'dada': 'DADAHead'}
    if 'corda-head' in variant:
        heads['dacs'] = 'CorDAHead'
    assert cfg.model.decode_head.type == heads.get(method, 'DeepLabV2Head')
    learns_depth = not {'no-depth', 'corda-head'} & set(variant)
    assert cfg.model.decode_head.get('learn_depth', True) == learns_depth
    segmentors = dict.fromkeys(('advent', 'dada'), 'AdversarialSegmentor')
    segmentors['minent'] = 'MinEntSegmentor'
    assert cfg.model.type == segmentors.get(method, 'UDASegmentor')
    if backbone == 'effl0':
        check_budget(cfg, pair)
    else:
        assert cfg.model.backbone.depth == int(backbone[1:])
    training = cfg.train_dataloader.dataset
    if method == 'corda':
        keeps_f = {'f', 'no-distillation'} & set(variant)
        assert (cfg.model.decode_head.get('difficulty', 'release') is None) == bool(keeps_f)
        distilled = cfg.model.decode_head.get('distillation', True)
        assert distilled == ('no-distillation' not in variant)
    if backbone != 'r101':
        return
    source = training.get('source', training)
    kinds = dict(gta2cs='GTA5', syn2cs='SYNTHIA', cs2cs='Cityscapes', syn2vistas='SYNTHIA')
    assert source.type == f'{kinds[pair]}DepthDataset'
    checkpoint = cfg.model.backbone.init_cfg.checkpoint
    if 'imagenet' in variant or cfg.train_cfg.max_iters == 90000:
        assert checkpoint == 'open-mmlab://detectron2/resnet101_caffe'
    else:
        assert checkpoint == 'pretrained/resnet101_imagenet_coco.pth'
    if cfg.train_cfg.max_iters == 90000:
        check_adversarial_family(cfg, method, pair, variant)
    elif predicts_depth(cfg):
        assert training.target.depth == ('mono' if 'mono' in variant else 'stereo')
        initial_seg = dict(gta2cs='aspp', syn2cs='conv')[pair]
        assert cfg.model.decode_head.get('initial_seg', initial_seg) == initial_seg
        hook = cfg.custom_hooks[0]
        expected = 0.1 if method == 'corda' and pair == 'gta2cs' else 0.0
        assert hook.get('initial_pseudo_labels', 0.0) == expected


def check_budget(cfg, pair):
    """One for all methods."""
    wrapper = cfg.optim_wrapper.get('segmentor', cfg.optim_wrapper)
    backbone = dict(cfg.model.backbone)
    assert backbone.pop('init_cfg').checkpoint.startswith('package://efficientnet_lite0')
    common = [
        {name: wrapper[name] for name in ('optimizer', 'paramwise_cfg')},
        backbone,
        cfg.model.data_preprocessor,
        cfg.param_scheduler,
        cfg.train_cfg,
        cfg.train_dataloader.batch_size,
    ]
    reference = load(f'dacs/dacs_effl0_{pair}.py')
    optimizer = {n: reference.optim_wrapper[n] for n in ('optimizer', 'paramwise_cfg')}
    assert common[0] == optimizer and common[0]['optimizer'].lr > 0
    assert common[2:] == [
        reference.model.data_preprocessor,
        reference.param_scheduler,
        reference.train_cfg,
        reference.train_dataloader.batch_size,
    ]
    assert backbone == {k: v for k, v in reference.model.backbone.items() if k != 'init_cfg'}


# Table 3 of DADA: what is adapted, and whether depth is fed back.
ABLATIONS = {
    's3': (['self_information'], True),
    's4': (['depth'], False),
    's5': (['depth'], True),
    's6': (['self_information', 'depth'], True),
}


def check_adversarial_family(cfg, method, pair, variant):
    """The settings that AdvEnt and DADA publish, and those that the config's name stands for."""
    assert cfg.model.decode_head.num_summed == 4
    assert cfg.train_dataloader.batch_size == 1 and cfg.randomness.seed == 1234
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 2000
    assert cfg.default_hooks.checkpoint.save_best == 'mIoU'
    number = dict(gta2cs=19).get(pair) or int(variant[0])
    assert cfg.model.decode_head.num_classes == number
    validation = cfg.val_dataloader.dataset
    target = dict(cs='Cityscapes', vistas='Mapillary')[pair.partition('2')[2]]
    assert validation.type == f'{target}DepthDataset'
    pipelines = [
        validation.pipeline,
        cfg.train_dataloader.dataset.get('target', {}).get('pipeline'),
    ]
    scales = {step.scale for steps in pipelines for step in steps or () if 'scale' in step}
    assert scales == {(640, 320) if '320x640' in variant else (1024, 512)}
    alignments = cfg.model.get('alignments', {})
    spaces = [alignment.space for alignment in alignments.values()]
    weights = [alignment.adversarial_weight for alignment in alignments.values()]
    losses = {alignment.discriminator_weight for alignment in alignments.values()}
    if method == 'advent':
        levels = 2 if 'multi-level' in variant else 1
        assert spaces == ['self_information'] * levels and losses == {0.5}
        assert weights == [0.001, 0.0002][:levels]
        assert ('auxiliary_head' in cfg.model) == (levels == 2)
    if method == 'dada':
        expected, fusion = ABLATIONS.get(variant[-1], (['depth_aware'], True))
        assert spaces == expected and losses == {1.0} and set(weights) == {0.001}
        assert cfg.model.decode_head.get('feature_fusion', True) == fusion


# What tells the protocols apart: weights of source depth and density, target density, adversarial.
CITYSCAPES, VISTAS = (0.005, 0.01, 0.05, 0.05), (0.0001, 0.005, 0.001, 0.001)
PROTOCOL_WEIGHTS = {
    'syn2cs_16': CITYSCAPES,
    'syn2cs_7': CITYSCAPES,
    'syn2cs_7_320x640': (0.001, 0.01, 0.05, 0.05),
    'syn2vistas_7': VISTAS,
    'syn2vistas_7_320x640': VISTAS,
}
SEEN = {
    'discriminator_on_seg': 'self_information',
    'discriminator_on_depth': 'depth',
    'discriminator_on_density': 'density',
    'discriminator_on_depth_and_seg': 'depth_aware',
    'no_density': 'self_information',
}


def check_depth_distribution(cfg, name):
    """What the release trains with, and what the name promises."""
    backbone, _, name = name.partition('_')
    pair = max((pair for pair in PROTOCOL_WEIGHTS if name.startswith(pair)), key=len, default='')
    variant = name.removeprefix(pair).strip('_')
    head = cfg.model.decode_head
    assert head.type == 'DepthDistributionHead'
    if backbone == 'effl0':
        check_budget(cfg, variant.partition('_')[0])
        assert head.get('learn_depth', True) == (not variant.endswith('no_depth'))
    else:
        assert cfg.model.backbone.depth == int(backbone[1:])
    if 'self_training' in name:
        assert cfg.model.type == 'UDASegmentor' and list(cfg.model.unlabelled) == []
        assert head.loss_weights == dict(target=dict(seg=1.0)) and 'loss_decode' not in head
        assert set(datasets_of(cfg)) == {'target'}
        first = f'depth_distribution_{backbone}_{name.partition("_self_training")[0]}'
        assert Path(cfg.load_from).parent.name == first
    if backbone in ('r18', 'effl0'):
        return
    assert cfg.randomness.seed == 1234 and cfg.train_dataloader.batch_size == 1
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 1000
    assert cfg.model.backbone.init_cfg.checkpoint == 'open-mmlab://detectron2/resnet101_caffe'
    assert head.num_summed == 4 and head.num_classes == int(pair.split('_')[1])
    scale = (640, 320) if '320x640' in pair else (1280, 760)
    pipelines = [d.pipeline for d in datasets_of(cfg).values()] + [
        cfg.val_dataloader.dataset.pipeline
    ]
    assert {s.scale for steps in pipelines for s in steps if 'scale' in s} == {scale}
    if 'self_training' in name:
        iterations = 10000 if pair == 'syn2cs_7' else 30000
        assert cfg.train_cfg.max_iters == iterations
        vistas = 'vistas' in pair
        assert cfg.train_dataloader.dataset.target.get('indices') == (9000 if vistas else None)
        return
    depth, density, target, adversarial = PROTOCOL_WEIGHTS[pair]
    weights = dict(source=dict(seg=1.0, depth=depth))
    if variant not in ('no_balance_loss', 'no_density'):
        weights['source']['density'], weights['target'] = density, dict(density=target)
    assert head.loss_weights == weights and cfg.train_cfg.max_iters == 90000
    assert cfg.model.alignments == dict(
        main=dict(
            space=SEEN.get(variant, 'density_aware'),
            adversarial_weight=adversarial,
            discriminator_weight=1.0,
            discriminator=dict(type='FCNDiscriminator'),
        )
    )
    balanced = head.get('loss_decode', {}).get('class_weight')
    plain = 'vistas' in pair or variant == 'plain_cross_entropy'
    assert (balanced is None) == plain
    # The weight of a class is the inverse of its share, over the number of classes.
    assert plain or sum(1 / (len(balanced) * w) for w in balanced) == pytest.approx(1, abs=2e-3)
    assert plain or len(balanced) == head.num_classes


# -- one iteration -------------------------------------------------------------------------------


def small(cfg):
    """The same experiment with a small backbone, and small crops where they were 512x512."""
    cfg = copy.deepcopy(cfg)
    if cfg.model.backbone.type == 'EfficientNetLite':
        cfg.model.backbone.update(num_stages=3, init_cfg=None)
        cfg.model.decode_head.in_channels = 40
    else:
        cfg.model.backbone.update(depth=18, base_channels=8, stem_channels=8, init_cfg=None)
        cfg.model.decode_head.in_channels = 64
    if has_depth_head(cfg):
        cfg.model.decode_head.channels = 16
    if 'auxiliary_head' in cfg.model:
        cfg.model.auxiliary_head.in_channels = 32
    for dataset in datasets_of(cfg).values():
        cropped = [step for step in dataset.pipeline if step.get('crop_size') == (512, 512)]
        for step in dataset.pipeline:
            if step.get('crop_size') == (240, 384):  # CamVid for the pretrained network
                step.crop_size = (120, 192)
            if step.get('scale') in ((480, 240), (384, 288)):
                step.scale = tuple(side // 2 for side in step.scale)
            if 'scale' in step and (cropped or max(step.scale) >= 640):
                step.scale = tuple(side // 8 for side in step.scale)
        for step in cropped:
            step.crop_size = (64, 64)
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    return cfg


class Recorder(Hook):
    """Keeps the losses of an iteration and the names of the parameters that it moved."""

    priority = 'LOWEST'

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.before = {n: p.detach().clone() for n, p in runner.model.named_parameters()}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.losses = {name: value.item() for name, value in outputs.items()}
        parameters = dict(runner.model.named_parameters())
        self.moved = {n for n, p in parameters.items() if not torch.equal(p, self.before[n])}
        self.trainable = {name for name, p in parameters.items() if p.requires_grad}
        self.state = runner.model.state_dict()


def train(cfg, tmp_path, name, iterations):
    cfg = small(cfg)
    if cfg.model.decode_head.get('mixtures'):
        source = DATASETS.build(datasets_of(cfg)['source'])
        grid = feature_grid(cfg.model, source[0])
        cfg.model.decode_head.mixtures = mixtures_file(grid, classes=source.metainfo['classes'])
    cfg.merge_from_dict(
        {
            'load_from': None,
            'work_dir': str(tmp_path),
            'experiment_name': f'step_{Path(name).stem}',
            'log_level': 'ERROR',
            'train_cfg.max_iters': iterations,
            'default_hooks.checkpoint': None,
            **{
                f'{loop}_{part}': None for loop in ('val', 'test') for part in ('cfg', 'dataloader')
            },
            'val_evaluator': None,
            'test_evaluator': None,
        }
    )
    runner, recorder = Runner.from_cfg(cfg), Recorder()
    runner.register_hook(recorder)
    runner.train()
    return recorder


def train_one_iteration(cfg, tmp_path, name):
    return train(cfg, tmp_path, name, iterations=1)


def expected_losses(cfg, name):
    if 'target' not in cfg.train_dataloader.dataset:
        return {'loss', 'loss_seg', 'acc_seg'}
    if cfg.model.type == 'MinEntSegmentor':
        return {'loss', 'source.loss_seg', 'source.acc_seg', 'target.loss_entropy'}
    if set(datasets_of(cfg)) == {'target'}:
        return {'loss', 'target.loss_seg', 'target.acc_seg'}
    if is_adversarial(cfg):
        learns_depth = cfg.model.decode_head.get('learn_depth', True)
        weights = cfg.model.decode_head.get('loss_weights', {}) if learns_depth else {}
        source = ['loss_seg', 'acc_seg'] + ['loss_depth'] * predicts_depth(cfg)
        source += ['loss_density'] * ('density' in weights.get('source', {}))
        if 'auxiliary_head' in cfg.model:
            source += ['aux.loss_seg', 'aux.acc_seg']
        target = {'target.loss_density'} if 'density' in weights.get('target', {}) else set()
        return {'loss', *(f'source.{name}' for name in source)}.union(
            target,
            *(
                [f'target.loss_adversarial_{name}']
                + [
                    f'discriminator.{kind}_{name}_{domain}'
                    for kind in ('loss', 'acc')
                    for domain in ('source', 'target')
                ]
                for name in cfg.model.alignments
            ),
        )
    seg, depth = {'loss_seg'}, {'loss_depth'}
    if cfg.model.decode_head.type == 'CorDAHead':
        seg, depth = seg | {'loss_initial_seg'}, depth | {'loss_initial_depth'}
    has_depth = dict.fromkeys(('source', 'mixed'), predicts_depth(cfg))
    if name in DEPTH_OF_SOURCE_ALONE:
        has_depth['mixed'] = False
    if name == 'corda/corda_r18_own_images.py':  # it names depth, and there is none
        has_depth = dict.fromkeys(has_depth, False)
    losses = {'loss'}
    for branch, with_depth in has_depth.items():
        names = seg | {'acc_seg'} | (depth if with_depth else set())
        losses |= {f'{branch}.{loss}' for loss in names}
    return losses


def expected_unmoved(name):
    """Decoders of a depth that nobody teaches."""
    if name.startswith(DENSITY) and 'self_training' in name:
        return ('decode_head.depth_branch', 'decode_head.density_branch')
    if name.startswith(DENSITY) and 'no_density' in name:
        return ('decode_head.density_branch',)
    if name in DEPTH_OF_SOURCE_ALONE:  # SimpleAux has one decoder, which the source teaches
        return ('decode_head.initial_depth.target', 'decode_head.final_depth.target')
    if name == 'corda/corda_r18_own_images.py':
        names = ('initial_depth', 'final_depth', 'depth_from_seg')
        return tuple(f'decode_head.{part}' for part in names)
    return ()


def test_trains_one_iteration(cfg, name, tmp_path):
    recorder = train_one_iteration(cfg, tmp_path, name)
    assert set(recorder.losses) == expected_losses(cfg, name)
    assert all(np.isfinite(value) for value in recorder.losses.values()), recorder.losses
    terms = {term: v for term, v in recorder.losses.items() if '_' in term and 'acc' not in term}
    assert min(terms.values()) > 0
    of_segmentor = [v for term, v in terms.items() if not term.startswith('discriminator.')]
    assert recorder.losses['loss'] == pytest.approx(sum(of_segmentor), rel=1e-5)
    unmoved = {n for n in recorder.trainable if n.startswith(expected_unmoved(name) or 'none')}
    assert recorder.trainable - recorder.moved == unmoved
    assert recorder.moved <= recorder.trainable


@pytest.mark.parametrize(
    ('method', 'options'),
    [
        ('simple_aux/simple_aux_effl0_sim2real', {}),
        ('corda/corda_effl0_sim2real', dict(decode_head=dict(difficulty=None))),
        ('corda/corda_effl0_sim2real_no_distillation', {}),
        ('dada/dada_effl0_sim2real', dict(alignments=dict(main=dict(space='self_information')))),
    ],
)
def test_control_is_its_method_but_for_the_depth_terms(roots, tmp_path, method, options):
    """Two iterations, so that gradients count: with its depth terms multiplied by 0 the method
    has the losses and the weights of its control, bit by bit."""
    weightless = copy.deepcopy(load(f'{method}.py'))
    weightless.merge_from_dict(dict(model=options))
    for weights in weightless.model.decode_head.loss_weights.values():
        weights.update({task: 0.0 for task in weights if task == 'depth'})
    control = train(load(f'{method}_no_depth.py'), tmp_path / 'control', 'control', 2)
    expected = train(weightless, tmp_path / 'method', 'method', 2)
    terms = {n: v for n, v in expected.losses.items() if not n.endswith('_depth')}
    assert control.losses == terms and len(terms) < len(expected.losses)
    assert control.state.keys() == expected.state.keys()
    frozen = control.state.keys() - control.trainable
    differing = {n for n, v in control.state.items() if not torch.equal(v, expected.state[n])}
    assert control.moved and all('depth' in name and name in frozen for name in differing)


# -- evaluation ----------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def full_size_cityscapes(tmp_path_factory):
    """One validation image of the real size: its upper half is building, its lower half road."""
    root = tmp_path_factory.mktemp('cityscapes')
    labels = np.full((1024, 2048), 7, np.uint8)
    labels[:512] = 11
    for folder, kind, pixels in (
        ('leftImg8bit', 'leftImg8bit', np.repeat(10 * labels[..., None], 3, axis=2)),
        ('gtFine', 'gtFine_labelIds', labels),
    ):
        (root / folder / 'val/lindau').mkdir(parents=True)
        stem = f'{folder}/val/lindau/lindau_000000_000019_{kind}.png'
        assert cv2.imwrite(str(root / stem), pixels)
    return root


@pytest.mark.parametrize(
    ('setting', 'width', 'height'),
    [(None, 1024, 512), ('1024x512', 1024, 512), ('2048x1024', 2048, 1024)],
)
def test_evaluation_size(full_size_cityscapes, monkeypatch, setting, width, height):
    monkeypatch.setenv('CITYSCAPES_ROOT', str(full_size_cityscapes))
    monkeypatch.delenv('CITYSCAPES_EVALUATION_SIZE', raising=False)
    if setting:
        monkeypatch.setenv('CITYSCAPES_EVALUATION_SIZE', setting)
    cfg = small(Config.fromfile(CONFIGS / 'dacs/dacs_r101_syn2cs.py'))
    assert cfg.val_evaluator == cfg.test_evaluator
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        dataset = DATASETS.build(loader.dataset)
        batch = pseudo_collate([dataset[0]])
        assert batch['inputs'][0].shape == (3, 512, 1024)  # what the network sees
        assert batch['data_samples'][0].gt_sem_seg.shape == (height, width)
    model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        (sample,) = model.test_step(batch)
    assert sample.pred_sem_seg.shape == (height, width)
    # The prediction is right except in the upper rows of road.
    prediction = sample.gt_sem_seg.data.clone()
    prediction[:, : height // 4] = 0
    sample.pred_sem_seg.data = prediction
    metric = Evaluator(cfg.test_evaluator)
    metric.dataset_meta = dataset.metainfo
    metric.process([sample], batch)
    scores = metric.evaluate(1)
    iou = (100 * (1 / 2) / (3 / 4) + 100 * (1 / 2)) / 2  # road, building; no other class occurs
    for mean in ('mIoU', 'mIoU_16', 'mIoU_13'):
        assert scores[mean] == pytest.approx(iou, abs=0.01)
    assert (scores['eval_width'], scores['eval_height']) == (width, height)


@pytest.mark.parametrize(
    ('target', 'size'),
    [('cs_7_320x640', (640, 320)), ('cs_7', 'file'), ('vistas_7_320x640', (640, 320))]
    + [('vistas_7', 'file')],
)
def test_seven_categories_are_scored_at_their_size(roots, tmp_path, target, size):
    """The pipelines with their own sizes; the only image has 96x48 pixels."""
    cfg = small(load(f'dada/dada_r101_syn2{target}.py'))
    cfg.merge_from_dict(
        {'work_dir': str(tmp_path), 'experiment_name': target, 'log_level': 'ERROR'}
    )
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    scores = Runner.from_cfg(cfg).test()
    expected = (96, 48) if size == 'file' else size
    assert (scores['eval_width'], scores['eval_height']) == expected
    assert 0 <= scores['mIoU'] <= 100
    assert sum(name.startswith('IoU.') for name in scores) == 7


def test_evaluation_size_is_checked(monkeypatch):
    monkeypatch.setenv('CITYSCAPES_EVALUATION_SIZE', 'full')
    with pytest.raises(ValueError, match='must be 1024x512 or 2048x1024, not .*full'):
        Config.fromfile(CONFIGS / 'dacs/dacs_r101_gta2cs.py')


def test_only_training_needs_the_initialization(roots, tmp_path, monkeypatch):
    """Testing the config of the paper goes without the file; training says what is missing."""
    monkeypatch.chdir(tmp_path)
    cfg = small(load('source_only/source_only_r101_gta2cs.py'))
    cfg.model.backbone.init_cfg = load('dacs/dacs_r101_gta2cs.py').model.backbone.init_cfg
    cfg.merge_from_dict(
        {'work_dir': str(tmp_path), 'experiment_name': 'init', 'log_level': 'ERROR'}
    )
    for step in cfg.test_dataloader.dataset.pipeline:
        if 'scale' in step:
            step.scale = (96, 48)
    for loader in (cfg.val_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    runner = Runner.from_cfg(cfg)
    torch.save(runner.model.state_dict(), tmp_path / 'trained.pth')
    runner._load_from = str(tmp_path / 'trained.pth')
    assert 0 <= runner.test()['mIoU_16'] <= 100
    with pytest.raises(FileNotFoundError, match=r'pretrained.resnet101_imagenet_coco\.pth'):
        runner.train()
