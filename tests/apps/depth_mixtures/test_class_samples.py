# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS

from mmseg_depthuda.apps.depth_mixtures import draw_class_samples
from mmseg_depthuda.datasets.depth_mixture_files import load_mixtures
from tests.apps.depth_mixtures.tiny_source import (
    SIZE,
    model_config,
    source_config,
    write_png,
    write_source,
)
from tests.commands import exit_status_of

TOOL = Path(__file__).parents[3] / 'tools' / 'fit_depth_mixtures.py'
GRID = 5, 9


@pytest.fixture
def source(tmp_path):
    return tmp_path / 'source', write_source(tmp_path / 'source')


def draw(config, model=None, **options):
    init_default_scope('mmseg')
    return draw_class_samples(DATASETS.build(config), model or model_config(), **options)


def expected_samples(maps, index, encode, padded=SIZE, grid=GRID):
    """Samples of one class, by a loop over the grid."""
    rows = []
    for label, centimetres in maps:
        for y in range(grid[0]):
            for x in range(grid[1]):
                at = int((y + 0.5) * padded[0] / grid[0]), int((x + 0.5) * padded[1] / grid[1])
                if at[0] < SIZE[0] and at[1] < SIZE[1] and label[at] == index:
                    rows.append((x, y, encode(float(centimetres[at]))))
    return sorted(rows)


def sorted_rows(samples):
    return sorted(map(tuple, samples))


def test_samples_are_those_of_a_loop(source):
    folder, maps = source
    drawn = draw(source_config(folder))
    assert (drawn.grid, drawn.encoding) == (GRID, 'dada')
    assert drawn.classes == ('road', 'car', 'sky')
    for index in range(3):
        expected = expected_samples(maps, index, lambda cm: 65536 / (cm + 1))
        np.testing.assert_allclose(sorted_rows(drawn.samples[index]), expected, rtol=1e-6)
        assert drawn.pixels[index] == len(expected)


def test_pixels_without_depth_count_and_are_not_drawn(source):
    """CorDA's encoding has no depth at 0 m, nor as far away as the sky."""
    folder, maps = source
    drawn = draw(source_config(folder, encoding='corda'))
    assert drawn.pixels == draw(source_config(folder)).pixels
    assert len(drawn.samples[2]) == 0 < drawn.pixels[2]
    missing = sum(cm == 0 for _, _, cm in expected_samples(maps, 0, lambda cm: cm))
    assert len(drawn.samples[0]) == drawn.pixels[0] - missing < drawn.pixels[0]


def test_padding_has_no_class(source):
    folder, maps = source
    drawn = draw(source_config(folder), model_config(size=(40, 72), size_divisor=None))
    assert drawn.grid == (6, 10)
    expected = expected_samples(maps, 1, lambda cm: 65536 / (cm + 1), (40, 72), (6, 10))
    np.testing.assert_allclose(sorted_rows(drawn.samples[1]), expected, rtol=1e-6)


def test_the_cap_chooses_at_random_whatever_the_workers(source):
    config = source_config(source[0])
    every = draw(config)
    capped, parallel = draw(config, cap=9), draw(config, cap=9, workers=2)
    assert [len(own) for own in capped.samples] == [9, 9, 9]
    assert capped.pixels == every.pixels
    for one, two, whole in zip(capped.samples, parallel.samples, every.samples, strict=True):
        np.testing.assert_array_equal(one, two)
        assert set(map(tuple, one)) <= set(map(tuple, whole))
    other = draw(config, cap=9, seed=1)
    assert set(map(tuple, other.samples[0])) != set(map(tuple, capped.samples[0]))


def test_some_of_the_images(source):
    folder, maps = source
    drawn = draw(source_config(folder), images=2)  # the first and the last
    expected = expected_samples([maps[0], maps[2]], 1, lambda cm: 65536 / (cm + 1))
    np.testing.assert_allclose(sorted_rows(drawn.samples[1]), expected, rtol=1e-6)


def test_bad_input(source):
    folder, _ = source
    config = source_config(folder)
    prefix = config['data_prefix']
    with pytest.raises(ValueError, match='FolderDepthDataset loads no depth'):
        draw(config | dict(data_prefix=dict(prefix, depth_map_path=None)))
    with pytest.raises(ValueError, match='no labels'):
        draw(config | dict(data_prefix=dict(prefix, seg_map_path=None)))
    for kind, shape in dict(images=(16, 32, 3), labels=(16, 32), depth=(16, 32)).items():
        dtype = np.uint16 if kind == 'depth' else np.uint8
        write_png(folder / kind / '2.png', np.ones(shape, dtype))
    with pytest.raises(ValueError, match=r'2\.png is 32x16 after the pipeline.*first image 65x33'):
        draw(config)


def test_tool(source, tmp_path, capfd):
    dataset = source_config(source[0])
    config = dict(
        default_scope='mmseg', model=model_config(), train_dataloader=dict(dataset=dataset)
    )
    Config(config).dump(tmp_path / 'config.py')
    arguments = TOOL, tmp_path / 'config.py', tmp_path / 'out.json', '--workers', 1, '--samples', 20
    assert exit_status_of(*arguments, '--components', 2) == 0
    mixtures, meta = load_mixtures(tmp_path / 'out.json')
    assert mixtures.weights.shape == (3, 2) and meta.grid == GRID
    assert max(meta.samples) <= 20 < max(meta.pixels)
    (tmp_path / 'out.json').unlink()
    assert exit_status_of(*arguments, '--components', 21) == 2
    assert 'than the 21 components have the classes road (' in capfd.readouterr().err
    assert not (tmp_path / 'out.json').exists()
