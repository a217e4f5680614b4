# Licensed under the Apache License 2.0, see LICENSE.
"""The examples of docs/add_a_method.md: short, trainable, with the losses that the page names."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.special import log_expit, log_softmax, softmax

from tests.docs.pages import DOCS, checkout, code_blocks, follow
from tests.test_configs import train_one_iteration

PAGE = DOCS / 'add_a_method.md'
FILES = {block.file: block.code for block in code_blocks(PAGE) if block.file}
FLIP = 'my_project/flip_consistency.py'
# Losses of each combination beside `loss`, in the order of the page.
SEG = ('source.loss_seg', 'mixed.loss_seg')
ADVERSARIAL = (
    'target.loss_adversarial_main',
    'discriminator.loss_main_source',
    'discriminator.loss_main_target',
)
CORDA = [
    f'{branch}.loss_{initial}{task}'
    for branch in ('source', 'mixed')
    for initial in ('', 'initial_')
    for task in ('seg', 'depth')
]
COMBINATIONS = dict(
    dacs_semi=(*SEG, 'target_labelled.loss_seg'),
    dacs_minent=(*SEG, 'target.loss_entropy'),
    dacs_advent=(*SEG, *ADVERSARIAL),
    corda_dada=(*CORDA, *ADVERSARIAL),
    dacs_masked=(*SEG, 'masked.loss_seg'),
    borders=('source.loss_seg', 'source.loss_border', *ADVERSARIAL),
)


@pytest.fixture(scope='module')
def example():
    """The names that the example defines."""
    code = FILES[FLIP]
    names = {'__name__': 'flip_consistency_of_the_page'}
    registration = code.index('@MODELS')  # once per process, by the training below
    exec(compile(code[:registration], str(PAGE), 'exec'), names)
    return names


def test_the_example_is_short():
    lines = [line for file in FILES if 'flip' in file for line in FILES[file].splitlines()]
    assert 30 < len(lines) <= 60


def test_the_loss_is_the_cross_entropy_of_the_mirrored_prediction(example):
    rng = np.random.default_rng(0)
    logits, mirrored = rng.normal(size=(2, 3, 4, 5, 6))
    mask = rng.random((3, 1, 5, 6)) < 0.5
    truth = softmax(logits, axis=1)
    cross_entropy = -(truth * log_softmax(mirrored[..., ::-1], axis=1)).sum(1)
    expected = cross_entropy[mask[:, 0]].mean()
    found = example['flip_disagreement'](*map(torch.tensor, (logits, mirrored, mask)))
    assert found.item() == pytest.approx(expected)


def test_no_target_pixel_gives_no_loss(example):
    logits = torch.randn(1, 3, 4, 4)
    loss = example['flip_disagreement'](logits, logits, torch.zeros(1, 1, 4, 4, dtype=bool))
    assert loss == 0


@pytest.fixture
def project(tmp_path, street_world):
    """A checkout with the rendered data and the files of the page."""
    checkout(tmp_path)
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/street_world').symlink_to(street_world)
    (tmp_path / 'my_project').mkdir()
    for file, code in FILES.items():
        (tmp_path / file).write_text(code)
    return tmp_path


def test_the_example_trains(project, monkeypatch):
    assert len(follow(PAGE, project, monkeypatch)) == 1
    (scalars,) = project.glob('work_dirs/dacs_flip_r18_sim2real/*/vis_data/scalars.json')
    rows = [json.loads(line) for line in scalars.read_text().splitlines()]
    rows = [row for row in rows if 'loss' in row]
    assert len(rows) == 2
    for row in rows:
        assert row['mixed.loss_flip'] > 0
        parts = row['source.loss_seg'] + row['mixed.loss_seg'] + row['mixed.loss_flip']
        assert row['loss'] == pytest.approx(parts)
        assert 'source.loss_flip' not in row


def test_the_page_shows_the_six_combinations():
    configs = [file for file in FILES if '_r18_' in file and 'flip' not in file]
    assert configs == [f'my_project/{name}_r18_sim2real.py' for name in COMBINATIONS]


@pytest.mark.parametrize('name', COMBINATIONS)
def test_a_combination_is_short(name):
    """Config and user code, blank lines apart."""
    files = [code for file, code in FILES.items() if file.startswith(f'my_project/{name}')]
    assert 0 < sum(bool(line) for code in files for line in code.splitlines()) <= 40


@pytest.mark.parametrize('name', COMBINATIONS)
def test_a_combination_trains(name, project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project / 'my_project'))
    cfg = Config.fromfile(f'my_project/{name}_r18_sim2real.py')
    if name == 'dacs_masked':  # an untrained teacher is confident nowhere
        cfg.merge_from_dict({'custom_hooks.0.pseudo_labels.threshold': 0.0})
    recorder = train_one_iteration(cfg, project, name)
    losses = {key: value for key, value in recorder.losses.items() if 'acc_' not in key}
    total = losses.pop('loss')
    assert losses.keys() == set(COMBINATIONS[name])
    assert min(losses.values()) > 0
    of_segmentor = [value for key, value in losses.items() if 'discriminator.' not in key]
    assert total == pytest.approx(sum(of_segmentor), rel=1e-5)
    assert recorder.moved == recorder.trainable


def test_the_border_is_where_neighbors_differ(project, monkeypatch):
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(str(project / 'my_project'))
    cfg = Config.fromfile('my_project/borders_r18_sim2real.py')
    model = MODELS.build(cfg.model).eval()
    label = torch.randint(2, (1, 8, 16)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    sample = SegDataSample(gt_sem_seg=PixelData(data=label))
    features = model.extract_feat(torch.randn(1, 3, 32, 64))
    losses, found = model.decode_head.loss_and_predict(features, [sample], None, ['border'])
    labels, logits = label.numpy()[0], found['border'].detach().numpy()[0, 0]
    border = maximum_filter(labels, 3) != minimum_filter(labels, 3)
    expected = -np.where(border, log_expit(logits), log_expit(-logits)).mean()
    assert 0 < border.mean() < 1
    assert losses['loss_border'].item() == pytest.approx(expected, rel=1e-5)
    (result,) = model.predict(torch.randn(1, 3, 32, 64))
    assert result.pred_border.shape == (32, 64)
