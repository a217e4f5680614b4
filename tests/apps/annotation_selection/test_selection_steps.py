# Licensed under the Apache License 2.0, see LICENSE.
import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from scipy.spatial.distance import cdist

from mmseg_depthuda.apps.annotation_selection import selection_steps
from mmseg_depthuda.apps.annotation_selection.selection_steps import STRATEGIES, select_annotations
from tests.commands import exit_status_of
from tests.models.tiny_segmentor import segmentor_config

from .conftest import LOAD, NAMES, PACK, SIZE

TOOL = Path(__file__).parents[3] / 'tools' / 'select_annotations.py'
ORDER = np.random.RandomState(42).permutation(9).tolist()  # noqa: NPY002


def chosen(out, count):
    return [NAMES.index(line) for line in (out / f'images_{count}.txt').read_text().splitlines()]


def errors_after(out, count):
    with open(out / f'errors_{count}.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['image'] for row in rows] == NAMES
    return np.array([float(row['error']) for row in rows])


def distances(out):
    values = np.load(out / 'features.npy').astype(np.float64)
    mean, std = (f(values, axis=(0, 2, 3), keepdims=True) for f in (np.mean, np.std))
    values = ((values - mean) / np.where(std > 0, std, 1)).reshape(9, -1)
    return cdist(values, values)


def plain_farthest(between, before, count, added=0.0):
    found = list(before)
    while len(found) < count:
        score = between[:, found].min(axis=1) + added
        score[found] = -1
        found.append(int(score.argmax()))
    return found


def test_random_is_the_permutation_of_the_seed(cfg, tmp_path):
    steps = select_annotations(cfg, tmp_path / 'out', [2, 5], strategy='random')
    assert [step.names for step in steps] == [tuple(NAMES[i] for i in ORDER[:n]) for n in (2, 5)]
    assert not (tmp_path / 'out/features.npy').exists()
    other = select_annotations(cfg, tmp_path / 'other', [9], strategy='random', seed=1)
    assert sorted(other[0].names) == NAMES and other[0].names[:5] != steps[1].names


def test_diversity_needs_neither_depth_nor_a_student(cfg, tmp_path):
    shutil.rmtree(tmp_path / 'depth')
    select_annotations(cfg, tmp_path / 'out', [3, 9], strategy='diversity')
    expected = plain_farthest(distances(tmp_path / 'out'), ORDER[:1], 9)
    assert chosen(tmp_path / 'out', 9) == expected and chosen(tmp_path / 'out', 3) == expected[:3]
    assert not list((tmp_path / 'out').glob('student_*'))


def test_combined_adds_the_errors_of_the_student_of_the_step_before(cfg, tmp_path):
    out = tmp_path / 'out'
    select_annotations(cfg, out, [2, 4, 6])
    between = distances(out)
    expected = plain_farthest(between, ORDER[:1], 2)
    for count in (4, 6):
        errors = errors_after(out, len(expected))
        assert (errors > 0).sum() > 5
        added = 1000 * np.delete(errors, expected)
        assert np.ptp(added) > 0
        expected = plain_farthest(between, expected, count, 1000 * errors)
        assert chosen(out, count) == expected
    # The student grows with the steps, from scratch, on the images of the step.
    assert sorted(path.name for path in out.glob('student_*/iter_*.pth')) == [
        'iter_1.pth',
        'iter_2.pth',
        'iter_3.pth',
        'iter_4.pth',
    ]
    trained = Config.fromfile(next(out.glob('student_4/*/vis_data/config.py')))
    assert trained.train_dataloader.dataset.ann_file == str(out / 'images_4.txt')
    assert trained.get('load_from') is None and not (out / 'student_6').exists()
    assert cv2.imread(str(out / 'images_6.jpg')) is not None


@pytest.mark.parametrize(
    ('strategy', 'same'), [('combined', 'diversity'), ('uncertainty', 'random')]
)
def test_one_step_asks_no_student_and_says_so(cfg, tmp_path, monkeypatch, strategy, same):
    told = []
    monkeypatch.setattr(selection_steps, 'print_log', lambda message, *_: told.append(message))
    (one,) = select_annotations(cfg, tmp_path / 'out', [4], strategy=strategy)
    assert (
        f'--strategy {strategy} is {same}. Give smaller steps before, such as --steps 1 4'
        in told[0]
    )
    (other,) = select_annotations(cfg, tmp_path / 'other', [4], strategy=same)
    assert one.names == other.names and len(told) == 1


def test_uncertainty_takes_the_greatest_errors_after_random_ones(cfg, tmp_path):
    out = tmp_path / 'out'
    select_annotations(cfg, out, [2, 5], strategy='uncertainty')
    errors = errors_after(out, 2)
    errors[ORDER[:2]] = -1
    assert chosen(out, 5) == [*ORDER[:2], *np.argsort(-errors, kind='stable')[:3]]
    assert not (out / 'features.npy').exists()


def test_a_stopped_selection_ends_as_a_whole_one(cfg, tmp_path, monkeypatch):
    whole = select_annotations(cfg, tmp_path / 'whole', [2, 4, 6])
    out, train, sizes = tmp_path / 'out', selection_steps.train_student, []

    def stopped(cfg, dataset, iterations, work_dir):
        sizes.append(work_dir.name)
        if len(sizes) == 2:
            raise KeyboardInterrupt
        return train(cfg, dataset, iterations, work_dir)

    monkeypatch.setattr(selection_steps, 'train_student', stopped)
    with pytest.raises(KeyboardInterrupt):
        select_annotations(cfg, out, [2, 4, 6])
    assert [path.name for path in sorted(out.glob('*.txt'))] == ['images_2.txt', 'images_4.txt']
    assert len(select_annotations(cfg, out, [2, 4])) == 2
    steps = select_annotations(cfg, out, [2, 4, 6])
    assert sizes == ['student_2', 'student_4', 'student_4']
    assert [step.is_new for step in steps] == [False, False, True]
    assert [step.names for step in steps] == [step.names for step in whole]


def test_depth_that_is_missing_comes_from_the_network(cfg, tmp_path):
    shutil.rmtree(tmp_path / 'depth')
    del cfg.train_dataloader.dataset.data_prefix.depth_map_path
    out = tmp_path / 'out'
    select_annotations(cfg, out, [2, 3], strategy='uncertainty')
    for name in NAMES:
        depth = cv2.imread(str(out / 'depth' / name), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16 and depth.shape == SIZE
        assert (depth.min(), depth.max()) == (1, 65535)
    assert errors_after(out, 2).any()
    select_annotations(cfg, out, [2, 3, 4], strategy='uncertainty')
    assert len(chosen(out, 4)) == 4


def test_entropy_waits_for_the_labels_of_each_step(cfg, tmp_path):
    config = segmentor_config()
    cfg.merge_from_dict(dict(model=config | dict(_delete_=True)))
    dataset = cfg.train_dataloader.dataset
    dataset.update(
        metainfo=dict(classes=['x', 'y', 'z'][: config['decode_head']['num_classes']]),
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=[LOAD[0], dict(type='LoadLabels'), PACK],
    )
    (tmp_path / 'labels').mkdir()
    out = tmp_path / 'out'
    with pytest.raises(FileNotFoundError, match='2 of the 2 images in .*images_2.txt have no lab'):
        select_annotations(cfg, out, [2, 4], strategy='entropy')
    for i in chosen(out, 2):
        path = tmp_path / 'labels' / NAMES[i]
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), np.random.default_rng(i).integers(0, 2, SIZE, np.uint8))
    select_annotations(cfg, out, [2, 4], strategy='entropy')
    errors = errors_after(out, 2)
    assert ((errors > 0) & (errors <= 1)).all()
    errors[ORDER[:2]] = -1
    assert chosen(out, 4) == [*ORDER[:2], *np.argsort(-errors, kind='stable')[:2]]


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        ([5, 10], '--steps 10: the pool has only 9 images'),
        ([5, 5], 'positive and increase'),
        ([0, 5], 'positive and increase'),
        ([], 'positive and increase'),
    ],
)
def test_steps(cfg, tmp_path, steps, message):
    with pytest.raises(ValueError, match=message):
        select_annotations(cfg, tmp_path / 'out', steps)
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('key', ['strategy', 'seed', 'images', 'network', 'layer', 'student'])
def test_another_selection(cfg, tmp_path, key):
    out, options = tmp_path / 'out', dict(strategy='combined')
    select_annotations(cfg, out, [2], **options)
    if key in ('strategy', 'seed'):
        options[key] = dict(strategy='random', seed=7)[key]
    elif key == 'images':
        (tmp_path / 'images/a/0.png').unlink()
    elif key == 'network':
        with open(cfg.selection_network.checkpoint, 'ab') as file:
            file.write(b'0')
    elif key == 'layer':
        cfg.selection_network.layer = 'backbone.conv1'
    else:
        cfg.train_cfg.max_iters = 3
    with pytest.raises(ValueError, match=f'holds a selection of other settings: .*{key}.* differ'):
        select_annotations(cfg, out, [2], **options)


def test_lists_that_are_not_those_of_the_steps(cfg, tmp_path):
    out = tmp_path / 'out'
    select_annotations(cfg, out, [2, 4], strategy='diversity')
    for steps in ([3], [2, 3, 4], [1, 2, 4], [4]):
        with pytest.raises(ValueError, match='holds a selection with the steps 2 4'):
            select_annotations(cfg, out, steps, strategy='diversity')
    (out / 'images_4.txt').write_text('a/0.png\na/2.png\na/4.png\nc/1.png\n')
    with pytest.raises(ValueError, match='images_4.txt was changed'):
        select_annotations(cfg, out, [2, 4], strategy='diversity')
    (out / 'selection.json').unlink()
    with pytest.raises(ValueError, match='but no selection.json that says what it is'):
        select_annotations(cfg, out, [2, 4], strategy='diversity')


def test_images_without_depth(cfg, tmp_path):
    (tmp_path / 'depth/a/4.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'depth_map_path: 1 of 9 files.*a/4\.png'):
        select_annotations(cfg, tmp_path / 'out', [2, 4])


def test_networks(cfg, tmp_path):
    other = tmp_path / 'other.pth'
    Path(cfg.selection_network.checkpoint).rename(other)
    with pytest.raises(FileNotFoundError, match=r'network\.pth does not exist'):
        select_annotations(cfg, tmp_path / 'out', [2])
    cfg.selection_network.checkpoint = None
    with pytest.raises(ValueError, match='has no selection_network.checkpoint'):
        select_annotations(cfg, tmp_path / 'out', [2])
    cfg.selection_network.checkpoint = str(other)
    config = Config.fromfile(cfg.selection_network.config)
    config.model.decode_head.channels[3] = 9
    config.dump(cfg.selection_network.config)
    with pytest.raises(ValueError, match='does not fit the model'):
        select_annotations(cfg, tmp_path / 'out', [2])


def test_students(cfg, tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(ValueError, match='asked about classes must be a BaseSegmentor'):
        select_annotations(cfg, out, [2], strategy='entropy')
    cfg.test_pipeline = [LOAD[0], LOAD[1], PACK]
    with pytest.raises(ValueError, match=r'test_pipeline must give depth in 0\.\.1'):
        select_annotations(cfg, out, [2])
    cfg.test_pipeline = None
    with pytest.raises(ValueError, match='has no test_pipeline'):
        select_annotations(cfg, out, [2])
    cfg.model = segmentor_config()
    with pytest.raises(ValueError, match='asked about depth must be a SupervisedDepth'):
        select_annotations(cfg, out, [2])
    with pytest.raises(ValueError, match='--strategy must be one of'):
        select_annotations(cfg, out, [2], strategy='guess')
    assert set(STRATEGIES) == {'combined', 'diversity', 'uncertainty', 'entropy', 'random'}


def test_tool(cfg, tmp_path, capsys):
    arguments = [tmp_path / 'student.py', tmp_path / 'out', '--workers', 0, '--device', 'cpu']
    assert exit_status_of(TOOL, *arguments, '--steps', 2, 3, '--strategy', 'diversity') == 0
    said = capsys.readouterr().out
    assert f'3 images chosen: {tmp_path}/out/images_3.txt' in said
    options = ['--strategy', 'diversity', '--cfg-options', 'train_cfg.max_iters=1']
    assert exit_status_of(TOOL, *arguments, '--steps', 2, 3, 4, *options) == 0
    assert '3 images chosen before' in capsys.readouterr().out
    assert exit_status_of(TOOL, *arguments, '--steps', 2, 50) == 2
    assert 'the pool has only 9 images' in capsys.readouterr().err
