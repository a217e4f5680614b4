# Licensed under the Apache License 2.0, see LICENSE.
"""Every experiment with some labels: what it publishes, its streams, and one iteration."""

import copy
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from mmseg.registry import DATASETS, MODELS

from mmseg_depthuda.apps.street_world import WorldConfig, generate
from tests.test_configs import CONFIGS, Recorder

EXPERIMENTS = sorted(
    str(path.relative_to(CONFIGS)) for path in CONFIGS.glob('semi_supervised*/*.py')
)
LABELLED, ALL = 2, 6
SIZE = (128, 64)


@pytest.fixture(scope='module', autouse=True)  # the configs read where data are
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'street_world'
    layouts, parts = ('gta', 'synthia', 'cityscapes'), ('image', 'label', 'depth', 'disparity')
    generate(root, WorldConfig(4, ALL, 1, size=SIZE, layouts=layouts, parts=parts))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('STREET_WORLD_ROOT', str(root))
        patch.setenv('LABELLED', str(LABELLED))
        for layout in layouts:
            patch.setenv(f'{layout.upper()}_ROOT', str(root / layout))
        for name in ('SUBSET_SEED', 'CITYSCAPES_EVALUATION_SIZE', 'EFFICIENTNET_LITE0_INIT'):
            patch.delenv(name, raising=False)
        yield root


@pytest.fixture(params=EXPERIMENTS)
def name(request):
    return request.param


@pytest.fixture
def cfg(name):
    return Config.fromfile(CONFIGS / name)


def streams(cfg):
    """The datasets of a batch by domain, with small images."""
    found = copy.deepcopy(cfg.train_dataloader.dataset.to_dict())
    assert found.pop('type') == 'DomainsDataset'
    for dataset in found.values():
        if dataset.get('match', {}).get('ignore_top') == 80:  # of 512 rows
            dataset['match'].update(ignore_top=10, ignore_bottom=12)
        for part in dataset.get('datasets', [dataset]):
            for step in part['pipeline']:
                if 'scale' in step:
                    step['scale'] = SIZE
                if 'crop_size' in step:
                    step['crop_size'] = (64, 64)
    return found


def images(dataset):
    """Paths of the images, and those whose labels are known."""
    parts = dataset['datasets'] if dataset['type'] == 'ConcatDataset' else [dataset]
    known, paths = set(), []
    for part in parts:
        built = DATASETS.build(part)
        infos = [built.get_data_info(index) for index in range(len(built))]
        paths += [info['img_path'] for info in infos]
        known |= {info['img_path'] for info in infos if info.get('seg_map_path')}
    return paths, known


def makers(cfg):
    hooks = [h for h in cfg.get('custom_hooks', []) if h.type == 'SelfTrainingHook']
    return hooks[0].branches if hooks else {}


def test_the_streams(cfg, name):
    datasets = streams(cfg)
    labelled, known = images(datasets['labelled'])
    assert len(labelled) == LABELLED and known == set(labelled)
    assert ('source' in datasets) == name.startswith('semi_supervised_da/')
    assert ('target' in datasets) == bool(makers(cfg))
    if 'target' not in datasets:
        return
    mixed, with_labels = images(datasets['target'])
    assert len(set(mixed)) == len(mixed)
    if 'true_labels' in name or 'source' in datasets:
        assert len(mixed) == ALL and with_labels == set(labelled)
    else:
        assert len(mixed) == ALL - LABELLED and not set(mixed) & set(labelled)


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
    assert [m * cfg.train_cfg.max_iters for m in step.milestones] == [30000]
    assert cfg.train_cfg.max_iters == 40000 and cfg.crop_size == (512, 512)
    assert cfg.model.backbone.depth == 101


def small(cfg):
    """The same experiment with a narrow network and small images."""
    cfg = copy.deepcopy(cfg)
    if cfg.model.backbone.type == 'ResNetWithStem':
        cfg.model.backbone.update(depth=18, base_channels=8, stem_channels=8)
        cfg.model.backbone.zero_init_residual = False  # as in a pretrained network
        cfg.model.decode_head.in_channels = [8, 8, 16, 32, 64]
    cfg.model.backbone.init_cfg = None
    cfg.model.decode_head.channels = [4, 4, 8, 8, 8]
    cfg.train_dataloader.update(
        num_workers=0, persistent_workers=False, dataset=dict(streams(cfg), type='DomainsDataset')
    )
    return cfg


def test_trains_one_iteration(cfg, name, tmp_path):
    weights = cfg.model.decode_head.loss_weights
    cfg = small(cfg)
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path),
            'experiment_name': f'step_{Path(name).stem}',
            'log_level': 'ERROR',
            'train_cfg.max_iters': 1,
            'default_hooks.checkpoint': None,
            **{
                f'{loop}_{part}': None
                for loop in ('val', 'test')
                for part in ('cfg', 'dataloader', 'evaluator')
            },
        }
    )
    runner, recorder = Runner.from_cfg(cfg), Recorder()
    runner.register_hook(recorder)
    runner.train()
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
    assert len((tmp_path / 'subset_labelled.txt').read_text().splitlines()) == LABELLED
