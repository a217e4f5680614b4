# Licensed under the Apache License 2.0, see LICENSE.
"""Table and scatter plot of negative transfer, with numbers by hand."""

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from mmseg_depthuda.apps.comparison import transfers
from mmseg_depthuda.apps.comparison.transfers import AdaptedNetwork
from mmseg_depthuda.evaluation import NegativeTransfer, score_images, write_image_scores

# Worse, better, better, equal.
FIRST = NegativeTransfer(np.array([40.0, 20, 30, 10]), np.array([30.0, 40, 50, 10]))
# Better, worse, worse, worse.
SECOND = NegativeTransfer(np.array([40.0, 20, 30, 10]), np.array([60.0, 10, 20, 0]), 1)


def write(path, hits):
    """One class; an image has 100 labeled pixels of which ``hits`` are right."""
    hits = np.array(hits)[:, None]
    label = np.full_like(hits, 100)
    names = [f'{index}.png' for index in range(len(hits))]
    scores = score_images(names, ['road'], hits, label, label, [(10, 10)] * len(hits))
    write_image_scores(path, scores)
    return path


def cells(table):
    return [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]


def test_table():
    table = transfers.transfer_table(
        [AdaptedNetwork('dacs', [FIRST]), AdaptedNetwork('corda', [FIRST, SECOND])]
    )
    assert ['dacs', '25.0 %', '1', '1', '4', '25.0', '32.5', '+7.5'] in cells(table)
    # Rates 25 and 75, means 32.5 and 22.5, gains 7.5 and -2.5.
    row = ['corda (2 seeds)', '50.0 ± 35.4 %', '1, 3', '1, 0', '4', '25.0 ± 0.0']
    assert [*row, '27.5 ± 7.1', '+2.5 ± 7.1'] in cells(table)
    assert table.endswith('1 images without a labeled pixel are left out.')
    assert 'left out' not in transfers.transfer_table([AdaptedNetwork('dacs', [FIRST])])


def test_one_baseline_for_all_seeds_or_one_for_each(tmp_path):
    before, other = write(tmp_path / 'a.csv', [10, 20]), write(tmp_path / 'b.csv', [90, 90])
    seeds = [write(tmp_path / 'c.csv', [20, 10]), write(tmp_path / 'd.csv', [30, 30])]
    network = transfers.read_adapted('dacs', [before], seeds)
    assert [seed.rate for seed in network.transfers] == [50, 0]
    network = transfers.read_adapted('dacs', [before, other], seeds)
    assert [seed.rate for seed in network.transfers] == [50, 100]
    with pytest.raises(ValueError, match=r'dacs has 2 seeds, the baseline 3: name one baseline'):
        transfers.read_adapted('dacs', [before] * 3, seeds)


def test_files_that_cannot_be_compared_are_named(tmp_path):
    before, after = write(tmp_path / 'a.csv', [10, 20]), write(tmp_path / 'b.csv', [10])
    with pytest.raises(ValueError, match=r'baseline .*a.csv and adapted network .*b.csv: the imag'):
        transfers.read_adapted('dacs', [before], [after])


def test_scatter_plot(tmp_path, monkeypatch):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, 'savefig', lambda self, *args: (figures.append(self), save(self, *args))
    )
    path = tmp_path / 'new' / 'scatter.png'
    networks = [AdaptedNetwork('dacs', [FIRST]), AdaptedNetwork('corda', [FIRST, SECOND])]
    transfers.draw_transfers(path, networks)
    dacs, corda = figures[0].axes
    assert dacs.get_title() == 'dacs: 25.0 % negative transfer'
    assert corda.get_title() == 'corda (2 seeds): 50.0 ± 35.4 % negative transfer'
    better, worse = dacs.collections
    assert better.get_offsets().tolist() == [[20, 40], [30, 50], [10, 10]]
    assert worse.get_offsets().tolist() == [[40, 30]]
    assert (better.get_facecolor()[0] != worse.get_facecolor()[0]).any()
    names = [text.get_text() for text in corda.get_legend().get_texts()]
    assert names == ['not worse (4)', 'worse (4)']
    assert dacs.get_xlim() == dacs.get_ylim() == (0, 63)
    assert cv2.imread(str(path)).std() > 1
