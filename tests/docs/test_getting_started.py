# Licensed under the Apache License 2.0, see LICENSE.
"""What docs/getting_started.md shows of a project of one's own."""

import json

from tests.docs.pages import DOCS, checkout, follow


def test_a_model_of_mmseg_is_adapted(tmp_path, monkeypatch, street_world):
    checkout(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/street_world').symlink_to(street_world)
    assert follow(DOCS / 'getting_started.md', tmp_path, monkeypatch, only='segformer')
    run = tmp_path / 'work_dirs/dacs_segformer_b0_sim2real'
    (scalars,) = run.glob('*/vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    assert {'source.loss_ce', 'mixed.loss_ce'} <= rows[0].keys()
    assert 'mIoU' in rows[-1]
