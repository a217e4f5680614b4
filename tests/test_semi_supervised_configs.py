# Licensed under the Apache License 2.0, see LICENSE.
"""Every experiment with some labels: what it publishes, its streams, and one iteration."""

import copy
import functools
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.optim.optimizer import amp_optimizer_wrapper
from mmengine.runner import Runner
from mmseg.registry import DATASETS, MODELS

from mmseg_depthuda.apps.street_world import WorldConfig, generate
from mmseg_depthuda.models.decode_heads import SegWeightMixin, UNetSegHead
from tests.test_configs import CONFIGS, Recorder

# With depth from video as a task: tests/test_multi_task_configs.py.
EXPERIMENTS = sorted(
    str(path.relative_to(CONFIGS))
    for path in CONFIGS.glob('semi_supervised*/*.py')
    if 'pad_' not in path.name
)
LABELLED, ALL = 2, 6
SIZE = (128, 64)


@pytest.fixture(scope='module', autouse=True)  # the configs read where data are
def world(tmp_path_factory):
    """A street world in all layouts, and files in CamVid's."""
    root = tmp_path_factory.mktemp('data')
    layouts, parts = ('gta', 'synthia', 'cityscapes'), ('image', 'label', 'depth', 'disparity')
    world = WorldConfig(4, ALL, 1, size=SIZE, layouts=layouts, parts=parts)
    generate(root / 'street_world', world)
    rng = np.random.default_rng(0)
    for folder, dtype in (
        ('camvid/train', np.uint8),
        ('camvid/trainannot', np.uint8),
        ('camvid_depth/train', np.uint16),
    ):
        (root / folder).mkdir(parents=True)
        high = 12 if 'annot' in folder else np.iinfo(dtype).max
        for index in range(ALL):
            pixels = rng.integers(high, size=SIZE[::-1], dtype=dtype)
            assert cv2.imwrite(str(root / folder / f'{index}.png'), pixels)
    places = {f'{layout}_root': root / 'street_world' / layout for layout in layouts}
    places |= dict(street_world_root=root / 'street_world', camvid_root=root / 'camvid')
    places['camvid_pseudo_depth_root'] = root / 'camvid_depth'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('LABELLED', str(LABELLED))
        for name, place in places.items():
            patch.setenv(name.upper(), str(place))
        for name in ('SUBSET_SEED', 'CITYSCAPES_EVALUATION_SIZE', 'EFFICIENTNET_LITE0_INIT'):
            patch.delenv(name, raising=False)
        yield root


@pytest.fixture(params=EXPERIMENTS)
def name(request):
    return request.param


@functools.cache
def load(name):
    return Config.fromfile(CONFIGS / name)


@pytest.fixture
def cfg(world, name):
    return load(name)


def streams(cfg):
    """The datasets of a batch by domain, with small images."""
    found = copy.deepcopy(cfg.train_dataloader.dataset.to_dict())
    assert found.pop('type') == 'DomainsDataset'
    for dataset in found.values():
        if dataset.get('match', {}).get('ignore_top') == 80:  # of 512 rows
            dataset['match'].update(ignore_top=10, ignore_bottom=12)
        for step in dataset['pipeline']:
            if 'scale' in step:
                step['scale'] = SIZE
            if 'crop_size' in step:
                step['crop_size'] = (64, 64)
    return found


def images(dataset):
    """Paths of the images, those with labels, and whether they have depth."""
    built = DATASETS.build({key: value for key, value in dataset.items() if key != 'match'})
    infos = [built.get_data_info(index) for index in range(len(built))]
    labeled = {info['img_path'] for info in infos if 'seg_map_path' in info}
    return [i['img_path'] for i in infos], labeled, all('depth_map_path' in i for i in infos)


def makers(cfg):
    hooks = [h for h in cfg.get('custom_hooks', []) if h.type == 'SelfTrainingHook']
    return hooks[0].branches if hooks else {}


def test_the_streams(cfg, name):
    datasets = streams(cfg)
    found = {domain: images(dataset) for domain, dataset in datasets.items()}
    compared = {b for m in makers(cfg).values() if m.type == 'DepthMix' for b in (m.paste, m.onto)}
    assert {domain for domain, (*_, has_depth) in found.items() if has_depth} == compared
    labelled, known, _ = found['labelled']
    assert len(labelled) == LABELLED and known == set(labelled)
    assert ('source' in datasets) == name.startswith('semi_supervised_da/')
    assert ('target' in datasets) == bool(makers(cfg))
    if 'target' not in datasets:
        return
    mixed, with_labels, _ = found['target']
    if 'true_labels' in name or 'source' in datasets:
        assert len(mixed) == ALL and with_labels == known
    else:
        assert len(mixed) == ALL - LABELLED and not set(mixed) & known


def test_the_published_iteration(cfg, name):
    assert cfg.train_dataloader.batch_size == 2
    if not makers(cfg):
        assert 'unlabelled' not in cfg.model or 'target' not in cfg.train_dataloader.dataset
        return
    (hook,) = (h for h in cfg.custom_hooks if h.type == 'SelfTrainingHook')
    assert (hook.teacher.alpha, hook.teacher.dropout, hook.teacher.first_iteration) == (
        0.99,
        True,
        1,
    )
    true_labels = 'true_labels' in name or name.startswith('semi_supervised_da/')
    assert hook.pseudo_labels.get('true_labels', False) == true_labels
    assert set(cfg.model.decode_head.loss_weights) == (
        set(cfg.train_dataloader.dataset) - {'type', 'target'} | set(hook.branches)
    )
    for maker in hook.branches.values():
        if maker.type == 'MaskImage':
            assert maker.ratio == 0
            continue
        within = maker.paste == maker.onto == 'target'
        assert within or (maker.paste, maker.onto) == ('source', 'target')
        assert maker.get('confidence_threshold') == (0.968 if within else None)
        assert maker.get('margin', 0.03) == 0.03 and not maker.get('normalize', False)
    match = cfg.train_dataloader.dataset.get('source', {}).get('match')
    assert ('matching' in name) == (match is not None)
    if match is not None and '_r101_' in name:
        assert match == dict(to='target', ignore_top=80, ignore_bottom=100)  # of 5 candidates


@pytest.mark.parametrize('name', [n for n in EXPERIMENTS if '_r101_' in n], indirect=True)
def test_the_published_schedule(cfg):
    model = MODELS.build(small(cfg).model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    encoder = {id(p) for p in model.backbone.parameters()}
    for group in wrapper.optimizer.param_groups:
        (parameter,) = group['params']
        assert group['lr'] == pytest.approx(1e-3 if id(parameter) in encoder else 1e-2)
        assert (group['momentum'], group['weight_decay']) == (0.9, 5e-4)
    assert wrapper.clip_grad_kwargs == dict(max_norm=10)
    (step,) = cfg.param_scheduler
    assert (step.type, step.gamma) == ('RunMultiStepLR', 0.1)
    length, falls = (20000, 15000) if 'camvid' in cfg.filename else (40000, 30000)
    assert cfg.train_cfg.max_iters == length and cfg.crop_size == (512, 512)
    assert [m * length for m in step.milestones] == [falls]
    assert cfg.model.backbone.depth == 101


def narrow(model):
    """Make a network of a config small, in place."""
    if model.backbone.type == 'ResNetWithStem':
        model.backbone.update(depth=18, base_channels=8, stem_channels=8)
        model.backbone.zero_init_residual = False  # as in a pretrained network
        model.decode_head.in_channels = [8, 8, 16, 32, 64]
    model.backbone.init_cfg = None
    model.decode_head.channels = [4, 4, 8, 8, 8]


def depth_checkpoint(cfg, folder):
    """What the depth network of the named experiment ends with, narrow."""
    named = Path(cfg.model.transfer.checkpoint)
    depth = Config.fromfile(CONFIGS / f'monodepth2/{named.parent.name}.py')
    assert named.name == f'iter_{depth.train_cfg.max_iters}.pth'
    narrow(depth.model)
    for name in ('backbone', 'decode_head'):  # the same before it is narrow
        part = cfg.model[name]
        assert part.get('aspp_dilations') == depth.model[name].get('aspp_dilations')
        assert part.get('strides') == depth.model[name].get('strides')
    depth.model.pose_net.backbone.init_cfg = None
    network = MODELS.build(depth.model)
    torch.save(dict(state_dict=network.state_dict()), folder / 'depth.pth')
    return network, str(folder / 'depth.pth')


def small(cfg):
    """The same experiment with a narrow network and small images."""
    cfg = copy.deepcopy(cfg)
    narrow(cfg.model)
    cfg.train_dataloader.update(
        num_workers=0, persistent_workers=False, dataset=dict(streams(cfg), type='DomainsDataset')
    )
    return cfg


def train(cfg, work_dir, **options):
    """One iteration of the small experiment."""
    cfg = small(cfg)
    cfg.merge_from_dict(
        {
            'work_dir': str(work_dir),
            'experiment_name': work_dir.name,
            'log_level': 'ERROR',
            'train_cfg.max_iters': 1,
            'default_hooks.checkpoint': None,
            **{
                f'{loop}_{part}': None
                for loop in ('val', 'test')
                for part in ('cfg', 'dataloader', 'evaluator')
            },
            **options,
        }
    )
    runner, recorder = Runner.from_cfg(cfg), Recorder()
    runner.register_hook(recorder)
    runner.train()
    return recorder


def test_trains_one_iteration(cfg, name, tmp_path):
    weights, depth = cfg.model.decode_head.loss_weights, None
    assert ('transfer' in cfg.model) == name.endswith('_transfer.py')
    if 'transfer' in cfg.model:
        assert cfg.model.backbone.init_cfg is None
        cfg = copy.deepcopy(cfg)
        depth, cfg.model.transfer.checkpoint = depth_checkpoint(cfg, tmp_path)
    recorder = train(cfg, tmp_path)
    losses = recorder.losses
    assert set(losses) == {'loss'}.union(
        *({f'{branch}.loss_seg', f'{branch}.acc_seg'} for branch in weights)
    )
    terms = {term: value for term, value in losses.items() if term.endswith('.loss_seg')}
    assert losses['loss'] == pytest.approx(sum(terms.values()), rel=1e-5)
    assert np.isfinite(list(terms.values())).all()
    # Labels of the teacher alone need not be confident.
    assert all(v > 0 for t, v in terms.items() if t.partition('.')[0] in ('labelled', 'source'))
    assert recorder.moved == recorder.trainable
    if depth is not None:
        parts = dict(recorder.before), dict(depth.named_parameters())
        for own, origin in (('backbone.', 'backbone.'), ('decode_head.decoder.', 'decode_head.')):
            assert any(key.startswith(own) for key in parts[0])
            for key, value in parts[0].items():
                if key.startswith(own):
                    assert torch.equal(value, parts[1][origin + key.removeprefix(own)])
    assert len((tmp_path / 'subset_labelled.txt').read_text().splitlines()) == LABELLED


@pytest.mark.parametrize(
    'name',
    [
        'semi_supervised/classmix_r101_cs_true_labels.py',
        'semi_supervised_da/ssda_depthmix_r18_sim2real.py',
    ],
    indirect=True,
)
def test_mixed_precision(cfg, tmp_path, monkeypatch):
    monkeypatch.setattr(amp_optimizer_wrapper, 'is_cuda_available', lambda: True)
    seen = set()
    monkeypatch.setattr(
        UNetSegHead,
        'seg_losses',
        lambda self, logits, *args, **kwargs: (
            seen.add(logits.dtype) or SegWeightMixin.seg_losses(self, logits, *args, **kwargs)
        ),
        raising=False,
    )
    amp = {'optim_wrapper.type': 'AmpOptimWrapper', 'optim_wrapper.dtype': 'bfloat16'}
    recorder = train(cfg, tmp_path, **amp)
    assert seen == {torch.bfloat16}
    assert np.isfinite(list(recorder.losses.values())).all()
    assert recorder.moved == recorder.trainable


# -- bad input -------------------------------------------------------------------------------------

WITH_ASPP = 'semi_supervised/depthmix_r101_cs_true_labels.py'
BAD_INPUT = {
    'a subset larger than the set': (
        {'train_dataloader.dataset.labelled.subset.size': ALL + 1},
        rf'subset.size is {ALL + 1}, but there are only {ALL} images .*leftImg8bit',
    ),
    'one image per process': (
        {'train_dataloader.batch_size': 1},
        r'aspp_dilations: .* set train_dataloader.batch_size to 2|a single one: set train_dataload',
    ),
    'sides that the output stride does not divide': (
        {'train_dataloader.dataset.labelled.pipeline.4.crop_size': (56, 60)},
        r'the output stride, 16, does not divide the sides of the image',
    ),
    'no stored depth': (
        {'train_dataloader.dataset.target.depth': None},
        rf'branches.mixed: DepthMix .*{ALL} of them load none, such as .*_leftImg8bit.png',
    ),
}


@pytest.mark.parametrize('name', [WITH_ASPP], indirect=True)
@pytest.mark.parametrize('case', BAD_INPUT)
def test_bad_input(cfg, case, tmp_path):
    options, message = BAD_INPUT[case]
    with pytest.raises(ValueError, match=f'(?is){message}'):
        train(cfg, tmp_path, **options)


@pytest.mark.parametrize('name', [WITH_ASPP], indirect=True)
def test_an_image_whose_stored_depth_is_missing_is_named(world, cfg, tmp_path):
    target = DATASETS.build(streams(cfg)['target'])
    depth = Path(target.get_data_info(0)['depth_map_path'])
    away = depth.rename(tmp_path / depth.name)
    try:
        with pytest.raises(FileNotFoundError, match=rf'depth_map_path: 1 of {ALL} .*{depth.name}'):
            train(cfg, tmp_path / 'run')
    finally:
        away.rename(depth)
