# Licensed under the Apache License 2.0, see LICENSE.
"""What docs/metrics.md shows: a training that is measured in every way, and its comparison."""

import csv

from tests.docs.pages import DOCS, checkout, follow


def test_the_measured_training_and_its_comparison(tmp_path, monkeypatch, street_world):
    page = DOCS / 'metrics.md'
    checkout(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/street_world').symlink_to(street_world)
    page_copy = tmp_path / 'metrics.md'
    # Two iterations are trained: look at each.
    page_copy.write_text(page.read_text().replace('interval=100', 'interval=1'))
    assert len(follow(page_copy, tmp_path, monkeypatch, only='corda_r18_sim2real_measured')) == 2
    with open(tmp_path / 'work_dirs/comparison/comparison.csv', newline='') as file:
        rows = {row['metric']: row for row in csv.DictReader(file)}
    assert rows['mIoU']['size'] == '256x128'
    assert {'IoU.road', 'mIoU_16', 'mIoU_13', 'abs_rel', 'rmse_log', 'd3'} <= rows.keys()
    (scalars,) = tmp_path.glob('work_dirs/corda_r18_sim2real_measured/*/vis_data/scalars.json')
    assert scalars.read_text().count('"pseudo_label.coverage"') == 2
    assert scalars.read_text().count('"pseudo_label.agreement_0.80_1.00.share"') == 2
