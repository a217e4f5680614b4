# Licensed under the Apache License 2.0, see LICENSE.
"""The dataset configs, built on small files in the layouts they expect."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.apis import MMSegInferencer
from mmseg.registry import DATASETS
from mmseg.utils import register_all_modules

CONFIGS = Path(__file__).parents[2] / 'configs' / '_base_'
UDA = sorted(path.name for path in (CONFIGS / 'datasets').glob('uda_*.py'))

# AdvEnt and DADA train on whole images: height and width of source and target.
WHOLE = {
    'uda_gta_to_cityscapes_720x1280.py': ((720, 1280), (512, 1024)),
    'uda_synthia_to_cityscapes_760x1280.py': ((760, 1280), (512, 1024)),
    'uda_synthia_to_cityscapes_7_760x1280.py': ((760, 1280), (512, 1024)),
    'uda_synthia_to_cityscapes_7_320x640.py': ((320, 640), (320, 640)),
    'uda_synthia_to_vistas_7_760x1280.py': ((760, 1280), (512, 1024)),
    'uda_synthia_to_vistas_7_320x640.py': ((320, 640), (320, 640)),
    # Depth distribution has one size for both domains.
    'uda_synthia_to_cityscapes_both_760x1280.py': ((760, 1280), (760, 1280)),
    'uda_synthia_to_cityscapes_7_both_760x1280.py': ((760, 1280), (760, 1280)),
    'uda_synthia_to_cityscapes_7_both_320x640.py': ((320, 640), (320, 640)),
    'uda_synthia_to_vistas_7_both_760x1280.py': ((760, 1280), (760, 1280)),
    'uda_synthia_to_vistas_7_both_320x640.py': ((320, 640), (320, 640)),
}
# Depth is added by DADA's configs.
WITHOUT_SOURCE_DEPTH = {
    *(name for name in WHOLE if '_both_' not in name),
    'uda_street_world_synthia_128x256.py',
    'uda_street_world_synthia_to_camvid.py',
    'uda_street_world_synthia_to_camvid_288x384.py',
    'uda_street_world_synthia_to_camvid_whole_240x384.py',
}
WITHOUT_TARGET_DEPTH = {
    *WITHOUT_SOURCE_DEPTH,
    *WHOLE,
    'uda_street_world_to_camvid.py',
    'uda_street_world_to_camvid_288x384.py',
    'uda_street_world_to_own.py',
}


@pytest.fixture
def roots(files, gta_root, cityscapes_root, image, label_ids, depth16, monkeypatch) -> Path:
    (files.root / 'street_world').mkdir()
    places = dict(gta=gta_root, cityscapes=cityscapes_root, synthia=files.root / 'synthia')
    for name, root in places.items():
        (files.root / 'street_world' / name).symlink_to(root)
    ids = np.minimum(label_ids, 22).astype(np.uint16)
    files.png('synthia/RGB/0.png', image)
    files.png('synthia/GT/LABELS/0.png', np.repeat(ids[..., None], 3, axis=-1))
    files.png('synthia/Depth/0.png', depth16 // 8)  # centimeters: up to 82 m
    for split in ('train', 'val'):
        files.png(f'camvid/{split}/a.png', image)
        files.png(f'camvid/{split}annot/a.png', np.minimum(label_ids, 11))
    files.png('camvid_pseudo_depth/train/a.png', depth16)
    files.png('own_target/images/drive/a.png', image)
    for split in ('training', 'validation'):
        files.png(f'mapillary/{split}/images/a.jpg', image)
        files.palette_png(f'mapillary/{split}/labels/a.png', label_ids)
    names = ('gta', 'synthia', 'cityscapes', 'mapillary', 'camvid', 'street_world')
    for name in (*names, 'camvid_pseudo_depth', 'own_target'):
        monkeypatch.setenv(f'{name.upper()}_ROOT', str(files.root / name))
    register_all_modules()
    return files.root


def test_data_roots_have_defaults(monkeypatch):
    monkeypatch.delenv('GTA_ROOT', raising=False)
    assert Config.fromfile(CONFIGS / 'data_roots.py').gta_root == 'data/gta'


@pytest.mark.parametrize('name', UDA)
def test_training_pairs(roots, name):
    cfg = Config.fromfile(CONFIGS / 'datasets' / name)
    loader = Runner.build_dataloader(
        dict(cfg.train_dataloader, num_workers=0, persistent_workers=False), seed=0
    )
    batch = next(iter(loader))
    batch_size = 1 if name in WHOLE else 2
    assert cfg.train_dataloader.batch_size == batch_size
    sizes = []
    for domain in ('source', 'target'):
        assert len(batch[domain]['inputs']) == batch_size
        ((_, *size),) = {tuple(inputs.shape) for inputs in batch[domain]['inputs']}
        sizes.append(tuple(size))
    if name in WHOLE:
        assert tuple(sizes) == WHOLE[name]
    else:
        assert sizes[0] == sizes[1]
    source, target = batch['source']['data_samples'][0], batch['target']['data_samples'][0]
    assert ('gt_depth_map' in source) == (name not in WITHOUT_SOURCE_DEPTH)
    assert (source.gt_sem_seg.data != 255).any()
    assert 'gt_sem_seg' not in target
    assert ('gt_depth_map' in target) == (name not in WITHOUT_TARGET_DEPTH)


@pytest.mark.parametrize(
    ('name', 'network_size', 'evaluated_size'),
    [
        ('uda_gta_to_cityscapes_512x512.py', (512, 1024), (512, 1024)),
        ('uda_synthia_to_cityscapes_512x512.py', (512, 1024), (512, 1024)),
        ('uda_synthia_to_vistas_7_320x640.py', (320, 640), (320, 640)),
        ('uda_synthia_to_vistas_7_760x1280.py', (512, 1024), (12, 20)),
        ('uda_street_world_128x256.py', (128, 256), (128, 256)),
        ('uda_street_world_to_camvid.py', (192, 256), (12, 20)),
    ],
)
def test_validation_sizes(roots, name, network_size, evaluated_size):
    dataset = DATASETS.build(Config.fromfile(CONFIGS / 'datasets' / name).val_dataloader.dataset)
    sample = dataset[0]
    assert sample['inputs'].shape == (3, *network_size)
    assert sample['data_samples'].ori_shape == evaluated_size
    assert sample['data_samples'].gt_sem_seg.data.shape == (1, *evaluated_size)


@pytest.mark.parametrize('name', UDA)
def test_inferencer_takes_the_test_pipeline(roots, name, image):
    """As MMSegInferencer prepares it: from an array and from a file, at the image's own size."""
    cfg = Config.fromfile(CONFIGS / 'datasets' / name)
    pipeline = MMSegInferencer._init_pipeline(MMSegInferencer.__new__(MMSegInferencer), cfg)
    for given in (image, str(next((roots / 'gta' / 'images').glob('*.png')))):
        sample = pipeline(given)
        assert sample['data_samples'].ori_shape == (12, 20)
        assert sample['inputs'].shape[1] > 12


def test_depth_is_dropped_by_none_in_an_inheriting_config(roots, files):
    child = files.root / 'child.py'
    child.write_text(
        f'_base_ = [{str(CONFIGS / "datasets" / "uda_street_world_128x256.py")!r}]\n'
        'train_dataloader = dict(dataset=dict('
        'source=dict(data_prefix=dict(depth_map_path=None)), target=dict(depth=None)))\n'
    )
    pair = DATASETS.build(Config.fromfile(child).train_dataloader.dataset)[0]
    for domain in ('source', 'target'):
        assert 'gt_depth_map' not in pair[domain]['data_samples']
