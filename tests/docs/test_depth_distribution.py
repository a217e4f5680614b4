# Licensed under the Apache License 2.0, see LICENSE.
"""What docs/depth_distribution.md shows up to its section on training."""

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.street_world.generation import WorldConfig, generate
from tests.docs.pages import DOCS, checkout, code_blocks, follow, run_line

PAGE = DOCS / 'depth_distribution.md'


@pytest.mark.slow
def test_mixtures_and_pseudo_labels(tmp_path, monkeypatch):
    checkout(tmp_path)
    size = dict(source_images=3, train_images=2, val_images=1, size=(256, 128))
    generate(tmp_path / 'data/street_world', WorldConfig(layouts=('synthia', 'cityscapes'), **size))
    monkeypatch.chdir(tmp_path)
    run_line('python tools/train.py configs/dada/dada_r18_sim2real.py', tmp_path, monkeypatch)
    run = tmp_path / 'work_dirs/dada_r18_sim2real'
    (run / 'iter_2.pth').rename(run / 'iter_1000.pth')
    page = tmp_path / 'page.md'
    few = 'fit_depth_mixtures.py --skip-missing-classes --workers 1 '  # three images
    page.write_text(PAGE.read_text().replace('fit_depth_mixtures.py ', few))
    commands = follow(page, tmp_path, monkeypatch, only='street_world_33x17.json')
    assert [line.split()[1] for line in commands][:3] == [
        'tools/fit_depth_mixtures.py',
        'tools/show_depth_mixtures.py',
        'tools/write_pseudo_labels.py',
    ]
    assert cv2.imread(str(tmp_path / 'mixtures.jpg')).std() > 20
    labels = sorted((tmp_path / 'data/pseudo_labels/street_world').glob('*/*.png'))
    assert [cv2.imread(str(path), 0).shape for path in labels] == [(128, 256)] * 2
    (python,) = (b.code for b in code_blocks(PAGE) if 'load_mixtures(' in b.code)
    names: dict = {}
    exec(python, names)
    density = names['density'].numpy()
    assert density.shape == (1, 17, 33) and density.min() >= 0 and density.max() <= 255
    assert np.isfinite(density).all()
