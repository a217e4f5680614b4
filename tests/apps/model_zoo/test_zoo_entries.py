# Licensed under the Apache License 2.0, see LICENSE.
from pathlib import Path

import pytest

from mmseg_depthuda.apps.model_zoo import read_experiments, read_methods

ROOT = Path(__file__).parents[3]
HEADER = (ROOT / 'configs/results.csv').read_text().splitlines()[0]


def test_methods_name_files_that_exist():
    methods = read_methods(ROOT)
    for method in methods.values():
        assert method.paper_url.startswith('https://')
        assert (ROOT / method.guide).is_file() and (ROOT / method.code).is_file()


def said(one):
    return (one.training_data, one.network, one.batch_size, one.initialization, one.target_depth)


def test_what_the_config_says(experiments):
    """One experiment of each kind, read off its config by hand."""
    assert said(experiments['oracle_r101_cs2cs_imagenet']) == (
        ['Cityscapes'], 'R-101-D8 (DeepLab-v2)', 2, 'ImageNet', None,
    )  # fmt: skip
    assert said(experiments['corda_r101_syn2cs_mono']) == (
        ['SYNTHIA', 'Cityscapes'], 'R-101-D8 (DeepLab-v2)', '2 source + 2 target',
        'ImageNet+COCO', 'mono',
    )  # fmt: skip
    assert said(experiments['dada_r18_sim2camvid']) == (
        ['Street world (sim)', 'CamVid'], 'R-18-D8, half width', '2 source + 2 target',
        'random', None,
    )  # fmt: skip
    assert said(experiments['depth_distribution_r101_syn2vistas_7_self_training']) == (
        ['Mapillary Vistas'], 'R-101-D8 (DeepLab-v2)', '1 target',
        'depth_distribution_r101_syn2vistas_7', None,
    )  # fmt: skip
    assert said(experiments['monodepth2_r18_street_world_stereo']) == (
        ['Street world (real, video and stereo)'], 'R-18-D32 with stem, half width', 4,
        'random', None,
    )  # fmt: skip
    assert said(experiments['corda_effl0_sim2real']) == (
        ['Street world (sim)', 'Street world (real)'], 'EfficientNet-Lite0-D8',
        '2 source + 2 target', 'ImageNet', 'stereo',
    )  # fmt: skip
    assert experiments['monodepth2_r101_cs'].network == 'R-101-D16 with stem'
    assert experiments['advent_r101_syn2vistas_7'].evaluation_data == 'Mapillary Vistas'
    assert experiments['dada_r101_syn2cs_16'].parts == [
        'DeepLabV2ResNet', 'DADAHead', 'FCNDiscriminator',
    ]  # fmt: skip


def test_paths_of_this_machine_change_nothing(experiments, monkeypatch):
    monkeypatch.setenv('STREET_WORLD_ROOT', '/elsewhere')
    monkeypatch.setenv('DEEPLAB_INIT', 'other.pth')
    again = {one.name: said(one) for one in read_experiments(ROOT)}
    assert again == {name: said(one) for name, one in experiments.items()}


def test_who_measured_and_where_the_number_stands(experiments):
    """We have trained the small experiments alone; nothing published is of those."""
    benchmarks = (ROOT / 'docs/benchmarks.md').read_text()
    for name, one in experiments.items():
        for result in one.results:
            assert (result.reported_by == 'this project') == ('_r101_' not in name)
            if result.reported_by == 'this project':
                assert result.metrics['mIoU'] in benchmarks


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('t,toy_r18,Toy,,521,,,1x1,paper,Table 1', r'line 2 \(toy_r18\).*not a percentage'),
        ('t,toy_r18,Toy,,52.1,,,,paper,Table 1', 'go together'),
        ('t,toy_r18,Toy,,,,,1x1,paper,Table 1', 'go together'),
        ('t,toy_r18,Toy,,52.1,,,1x1,me,Table 1', 'must be one of paper, release'),
        ('t,other_r18,Toy,,,,,,,', r"without a line: \['toy_r18'\].*config: \['other_r18'\]"),
    ],
)
def test_wrong_lines(tmp_path, line, message):
    (tmp_path / 'configs/toy').mkdir(parents=True)
    (tmp_path / 'configs/toy/toy_r18.py').write_text('')
    (tmp_path / 'configs/results.csv').write_text(f'{HEADER}\n{line}\n')
    with pytest.raises(ValueError, match=message):
        read_experiments(tmp_path)
