# Licensed under the Apache License 2.0, see LICENSE.
"""The configs of docs/mixing.md train, with the losses that their mixes stand for."""

import pytest
from mmengine.config import Config

from tests.docs.pages import DOCS, checkout, code_blocks
from tests.test_configs import train_one_iteration

FILES = {b.file: b.code for b in code_blocks(DOCS / 'mixing.md') if b.file}
CORDA = ('loss_seg', 'loss_initial_seg', 'loss_depth', 'loss_initial_depth')
LOSSES = dict(
    corda_both={f'{b}.{loss}' for b in ('source', 'mixed', 'depth_mixed') for loss in CORDA},
    dacs_within={'source.loss_seg', 'within.loss_seg'},
    corda_matched={f'{b}.{loss}' for b in ('source', 'mixed') for loss in CORDA},
    dacs_lower_half={'source.loss_seg', 'mixed.loss_seg'},
)


def test_all_configs_are_trained():
    configs = {f'my_project/{name}_r18_sim2real.py' for name in LOSSES}
    assert set(FILES) == {*configs, 'my_project/lower_half_mix.py'}


@pytest.mark.parametrize('name', LOSSES)
def test_a_config_trains(name, tmp_path, street_world, monkeypatch):
    checkout(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/street_world').symlink_to(street_world)
    (tmp_path / 'my_project').mkdir()
    for file, code in FILES.items():
        (tmp_path / file).write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / 'my_project'))
    cfg = Config.fromfile(f'my_project/{name}_r18_sim2real.py')
    recorder = train_one_iteration(cfg, tmp_path, name)
    losses = {key for key in recorder.losses if 'acc_' not in key}
    assert losses == LOSSES[name] | {'loss'}
    assert recorder.moved == recorder.trainable
