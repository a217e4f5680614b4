# Licensed under the Apache License 2.0, see LICENSE.
"""docs/depth_distribution.md is done from top to bottom: fit, train, write, self-train, test."""

import json

import pytest
import torch

from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate
from tests.docs.pages import DOCS, checkout, follow

SELF_TRAINING = 'depth_distribution_r18_sim2real_self_training'
# What two images and two iterations need: not all classes are there, and nothing is confident.
SHORTER = {
    'iter_1000': 'iter_2',
    'street_world_33x17.json\n': 'street_world_33x17.json --skip-missing-classes\n',
    'street_world_32x16.json\n': 'street_world_32x16.json --skip-missing-classes\n',
    '--component-pixels 2 160': '--component-pixels 2 160 --threshold 0.05',
}


@pytest.mark.slow
def test_the_page(tmp_path, monkeypatch):
    checkout(tmp_path)
    world = WorldConfig(2, 2, 2, size=(256, 128), layouts=('synthia', 'cityscapes'))
    generate(tmp_path / 'data/street_world', world)
    stage = tmp_path / f'configs/depth_distribution/{SELF_TRAINING}.py'
    stage.write_text(stage.read_text().replace('iter_1000', 'iter_2'))
    text = (DOCS / 'depth_distribution.md').read_text()
    for shown, short in SHORTER.items():
        assert shown in text
        text = text.replace(shown, short)
    (tmp_path / 'page.md').write_text(text)
    assert len(follow(tmp_path / 'page.md', tmp_path, monkeypatch, only='sim2real')) == 10
    assert (tmp_path / 'mixtures.jpg').is_file()

    first, second = (
        torch.load(tmp_path / f'work_dirs/{name}/iter_2.pth', weights_only=True)['state_dict']
        for name in ('depth_distribution_r18_sim2real', SELF_TRAINING)
    )
    assert second.keys() == {name for name in first if not name.startswith('discriminators.')}
    # The second stage begins with the weights of the first, and teaches neither depth nor density.
    branches = [name for name in second if '_branch.' in name]
    assert len(branches) == 12
    assert all(torch.equal(first[name], second[name]) for name in branches)
    assert not torch.equal(
        *(s['decode_head.classifier.conv2d_list.0.weight'] for s in (first, second))
    )
    for run in ('depth_distribution_r18_sim2real_measured', SELF_TRAINING):
        scores = [
            json.loads(p.read_text()) for p in (tmp_path / 'work_dirs' / run).glob('2*/2*.json')
        ]
        assert scores and all('mIoU' in one for one in scores)
        assert all(('abs_rel' in one) == ('measured' in run) for one in scores)
