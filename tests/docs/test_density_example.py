# Licensed under the Apache License 2.0, see LICENSE.
"""The Python that docs/depth_distribution.md shows."""

import numpy as np

from mmseg_depthuda.apps.benchmarking.depth_distribution import pixel_by_pixel, random_mixtures
from mmseg_depthuda.datasets.depth_mixture_files import MixtureMeta, save_mixtures
from tests.docs.pages import DOCS, code_blocks


def test_density_of_the_page(tmp_path, monkeypatch):
    (code,) = (
        block.code
        for block in code_blocks(DOCS / 'depth_distribution.md')
        if 'load_mixtures(' in block.code
    )
    mixtures = random_mixtures(2, 3, (17, 33))
    meta = MixtureMeta(('road', 'sky'), (17, 33), 'dada', (9, 9), (9, 9), 3, 0)
    save_mixtures(tmp_path / 'data/depth_mixtures/street_world_33x17.json', mixtures, meta)
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    expected = 255 * (1 - np.exp(-1e6 * pixel_by_pixel(mixtures, np.ones((17, 33)))[0]))
    np.testing.assert_allclose(names['density'][0], expected, rtol=1e-4, atol=0.01)
