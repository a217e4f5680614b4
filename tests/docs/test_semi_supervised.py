# Licensed under the Apache License 2.0, see LICENSE.
"""docs/semi_supervised.md from depth of video to a trained network, on two images."""

import json

import pytest

from tests.docs.pages import DOCS, checkout, follow

PAGE = DOCS / 'semi_supervised.md'
RUN = 'depthmix_r18_real_true_labels_transfer'


@pytest.mark.slow  # renders, trains and tests
def test_the_commands(tmp_path, monkeypatch):
    checkout(tmp_path)
    for config in (
        '_base_/methods/semi_supervised_r18.py',
        'annotation_selection/annotation_selection_r18_street_world.py',
    ):
        file = tmp_path / 'configs' / config
        text = file.read_text().replace('iter_1200', 'iter_2')
        file.write_text(text.replace("'monodepth2/", "'configs/monodepth2/"))  # the narrow one
    page = tmp_path / PAGE.name
    text = PAGE.read_text().replace('iter_1000', 'iter_2')
    page.write_text(
        text.replace('--steps 30', '--steps 1').replace('images_30.txt', 'images_1.txt')
    )
    commands = follow(page, tmp_path, monkeypatch)
    assert len(commands) == 5
    work_dirs = tmp_path / 'work_dirs'
    chosen = (work_dirs / 'selection/images_1.txt').read_text()
    assert (work_dirs / RUN / 'subset_labelled.txt').read_text() == chosen
    assert (work_dirs / RUN / 'subset_target.txt').read_text() == chosen
    (log,) = (p for p in (work_dirs / RUN).glob('*/*.log') if 'transfer: ' in p.read_text())
    scores = [json.loads(p.read_text()) for p in (work_dirs / RUN).glob('*/*.json')]
    assert any('mIoU' in one for one in scores)
