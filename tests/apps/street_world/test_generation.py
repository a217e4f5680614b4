# Licensed under the Apache License 2.0, see LICENSE.
import json
from dataclasses import replace

import pytest

from mmseg_depthuda.apps.street_world.generation import (
    RENDERER_VERSION,
    WorldConfig,
    generate,
)

CONFIG = WorldConfig(
    source_images=2,
    train_images=2,
    val_images=1,
    size=(64, 32),
    seed=4,
    layouts=('gta', 'synthia', 'cityscapes', 'mapillary'),
)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob('*') if not p.is_dir()}


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """The contents of a world rendered by one process."""
    folder = tmp_path_factory.mktemp('world')
    assert generate(folder, CONFIG, workers=1) == 5
    return contents(folder)


def test_files_of_a_world(world):
    # 3 files per scene of GTA5, 4 of SYNTHIA and of Cityscapes, 2 of Vistas, and the manifest
    assert len(world) == 2 * 3 + 2 * 4 + 3 * 4 + 3 * 2 + 1
    assert not [path for path in world if path.endswith('.tmp')]


def test_number_of_workers_does_not_matter(world, tmp_path):
    generate(tmp_path, CONFIG, workers=2)
    assert contents(tmp_path) == world


def test_complete_world_is_left_alone(world, tmp_path, monkeypatch):
    generate(tmp_path, CONFIG)
    monkeypatch.setattr('mmseg_depthuda.apps.street_world.generation._render', pytest.fail)
    assert generate(tmp_path, CONFIG) == 0


def test_interrupted_run_continues(world, tmp_path):
    """As after a kill: files are missing, one lies half written under its temporary name."""
    generate(tmp_path, CONFIG)
    image = tmp_path / 'gta/images/00002.png'
    image.rename(image.with_name('00002.png.tmp'))
    image.with_name('00002.png.tmp').write_bytes(b'half')
    kept = tmp_path / 'gta/labels/00002.png'
    times = kept.stat().st_mtime_ns
    for path in (tmp_path / 'cityscapes/depth').rglob('aachen*.mat'):
        path.unlink()
    assert generate(tmp_path, CONFIG) == 2
    assert contents(tmp_path) == world
    assert kept.stat().st_mtime_ns == times


def test_world_grows(world, tmp_path):
    small = replace(CONFIG, source_images=1, layouts=('gta',), parts=('image',))
    generate(tmp_path, small)
    generate(tmp_path, CONFIG)
    assert contents(tmp_path) == world


@pytest.mark.parametrize(
    ('change', 'key'),
    [
        (dict(seed=5), 'seed'),
        (dict(size=(64, 48)), 'size'),
        (dict(train_images=1), 'train_images'),
    ],
)
def test_other_parameters_in_the_same_folder(tmp_path, change, key):
    empty = replace(CONFIG, source_images=0, train_images=0, val_images=0)
    manifest = json.loads(json.dumps(CONFIG.__dict__))
    generate(tmp_path, empty)
    (tmp_path / 'street_world.json').write_text(
        json.dumps({**manifest, 'renderer_version': RENDERER_VERSION})
    )
    with pytest.raises(ValueError, match=rf'street_world\.json records {key} = .*delete'):
        generate(tmp_path, replace(CONFIG, **change))


def test_other_renderer(tmp_path, monkeypatch):
    empty = replace(CONFIG, source_images=0, train_images=0, val_images=0)
    generate(tmp_path, empty)
    monkeypatch.setattr('mmseg_depthuda.apps.street_world.generation.RENDERER_VERSION', 99)
    with pytest.raises(ValueError, match='renderer_version'):
        generate(tmp_path, empty)


def test_broken_manifest(tmp_path):
    (tmp_path / 'street_world.json').write_text('{"seed"')
    with pytest.raises(ValueError, match='not valid JSON.*delete'):
        generate(tmp_path, CONFIG)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(seed=-1), 'seed must not be negative, got -1'),
        (dict(val_images=-3), 'val_images must not be negative'),
        (dict(size=(512, 8)), 'at least 32x32, got 512x8'),
        (
            dict(layouts=('kitti',)),
            r"must be some of \['gta', 'synthia', 'cityscapes', 'mapillary'\]",
        ),
        (dict(parts=()), 'parts must be some of'),
        (dict(train_images=2_000_000), 'at most 1000000'),
    ],
)
def test_bad_configuration(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CONFIG, **change)
