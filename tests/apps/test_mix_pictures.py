# Licensed under the Apache License 2.0, see LICENSE.
import numpy as np
import pytest

from mmseg_depthuda.apps.mix_pictures import draw_mixes
from tests.apps.tiny_domains import tiny_domains


@pytest.mark.parametrize('paste', ['source', 'target'])
def test_orange_pixels_are_those_of_the_image_that_is_cut_out(tmp_path, paste):
    cfg = tiny_domains(tmp_path)
    if paste == 'source':  # labels of the target are not needed
        cfg.train_dataloader.dataset.target.data_prefix.pop('seg_map_path')
    figure = draw_mixes(cfg, paste, 'target', images=3, seed=1)
    drawn = [ax.get_images()[0].get_array() for ax in figure.axes]
    rows = [drawn[start : start + 4] for start in range(0, len(drawn), 4)]
    titles = [ax.get_title() for ax in figure.axes[:4]]
    assert titles == ['cut out', 'below', 'ClassMix', 'DepthMix']
    assert len(rows) == 6
    for (cut, below, *mixes), (_, _, *tinted) in zip(rows[::2], rows[1::2], strict=True):
        assert not np.array_equal(cut, below)
        for mixed, colors in zip(mixes, tinted, strict=True):
            pasted = colors[..., :1] != colors[..., 2:]
            assert 0 < pasted.mean() < 1
            np.testing.assert_array_equal(mixed, np.where(pasted, cut, below))


def test_what_cannot_be_drawn(tmp_path):
    cfg = tiny_domains(tmp_path)
    with pytest.raises(ValueError, match=r"no domain 'rain', but \['source', 'target'\]"):
        draw_mixes(cfg, 'rain')
    cfg.train_dataloader.dataset.target.data_prefix.pop('depth_map_path')
    with pytest.raises(ValueError, match='target images, but 3 of them load none'):
        draw_mixes(cfg)
