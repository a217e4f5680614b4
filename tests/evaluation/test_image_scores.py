# Licensed under the Apache License 2.0, see LICENSE.
"""Scores of single images against numbers by hand, their file, and two processes against one."""

import csv
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

import mmseg_depthuda  # noqa: F401
from mmseg_depthuda.evaluation import read_image_scores, score_images, write_image_scores
from tests.gloo import gloo_rank, run_ranks

CLASSES = ('road', 'sky', 'car')
IGNORE = 255

# By hand: intersection / union of road, sky, car.
FRAMES = {
    # road 2/3, sky 1/2; no car.
    'aachen/1.png': ([[0, 0], [0, 1]], [[0, 0], [1, 1]]),
    # Road 1/2, car 0/1, which is in the prediction alone; the ignored pixel counts nowhere,
    # although sky is predicted there.
    'aachen/2.png': ([[0, 2], [1, 0]], [[0, 0], [IGNORE, IGNORE]]),
    # Everything ignored.
    'bochum/1.png': ([[0, 1], [2, 0]], [[IGNORE, IGNORE], [IGNORE, IGNORE]]),
    # Right everywhere, at another size.
    'bochum/2.png': ([[2, 2, 2]], [[2, 2, 2]]),
    # Wrong everywhere: sky 0/2, car 0/2 of four pixels.
    'bochum/3.png': ([[1, 1], [IGNORE - 1, 0]], [[2, 2], [IGNORE, IGNORE]]),
}
NAN = float('nan')
IOU = [[200 / 3, 50, NAN], [50, NAN, 0], [NAN] * 3, [NAN, NAN, 100], [NAN, 0, 0]]
MIOU = [(200 / 3 + 50) / 2, 25, NAN, 100, 0]


def samples(root):
    return [
        SegDataSample(
            metainfo=dict(img_path=f'{root}/{name}'),
            pred_sem_seg=PixelData(data=torch.tensor([prediction])),
            gt_sem_seg=PixelData(data=torch.tensor([label])),
        )
        for name, (prediction, label) in FRAMES.items()
    ]


def evaluate(path, root='data', order=None, batch_size=2):
    """Evaluate as a test loop does."""
    evaluator = Evaluator(dict(type='PerClassIoUMetric', per_image_scores=str(path)))
    evaluator.dataset_meta = dict(classes=CLASSES)
    frames = samples(root)
    order = list(range(len(frames)) if order is None else order)
    for first in range(0, len(order), batch_size):
        evaluator.process([frames[index] for index in order[first : first + batch_size]])
    return evaluator.evaluate(len(frames))


def test_an_image_is_scored_over_the_classes_of_its_label_and_prediction(tmp_path):
    metrics = evaluate(tmp_path / 'new' / 'scores.csv', root=tmp_path / 'leftImg8bit/val')
    scores = read_image_scores(tmp_path / 'new' / 'scores.csv')
    assert scores.images == list(FRAMES)
    assert scores.classes == CLASSES
    np.testing.assert_allclose(scores.iou, IOU, rtol=1e-15)
    np.testing.assert_allclose(scores.miou, MIOU, rtol=1e-15)
    assert scores.counted_classes.tolist() == [2, 2, 0, 1, 2]
    assert scores.labelled_pixels.tolist() == [4, 2, 0, 3, 2]
    assert scores.sizes.tolist() == [[2, 2], [2, 2], [2, 2], [1, 3], [2, 2]]
    assert metrics['image_mIoU'] == pytest.approx(np.mean([MIOU[i] for i in (0, 1, 3, 4)]))
    # Areas summed over the images: road 3/5, sky 1/4, car 3/6.
    assert metrics['mIoU'] == pytest.approx((60 + 25 + 50) / 3, abs=0.01)


def test_columns_can_be_read_by_any_program(tmp_path):
    evaluate(tmp_path / 'scores.csv')
    with open(tmp_path / 'scores.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        'image': 'aachen/2.png',
        'width': '2',
        'height': '2',
        'labelled_pixels': '2',
        'counted_classes': '2',
        'mIoU': '25.0',
        'IoU.road': '50.0',
        'IoU.sky': '',
        'IoU.car': '0.0',
    }
    assert rows[2]['mIoU'] == ''


def test_names_do_not_depend_on_where_the_data_lie(tmp_path):
    evaluate(tmp_path / 'a.csv', root=tmp_path / 'one')
    evaluate(tmp_path / 'b.csv', root='another/place')
    assert (tmp_path / 'a.csv').read_bytes() == (tmp_path / 'b.csv').read_bytes()


def test_images_of_one_folder_are_named_by_their_files():
    zero = np.zeros((1, 2))
    scores = score_images(['/data/x/a.png'], ['p', 'q'], zero, zero, zero, [(1, 1)])
    assert scores.images == ['a.png']


@given(
    arrays.arrays(np.int64, (3, 4), elements=st.integers(0, 2**21)),
    arrays.arrays(np.int64, (3, 4), elements=st.integers(0, 2**21)),
)
def test_the_file_keeps_every_bit(tmp_path_factory, intersection, misses):
    path = tmp_path_factory.mktemp('scores') / 'scores.csv'
    names = ['a,b.png', 'c "d".png', 'é.png']
    union = intersection + misses
    scores = score_images(names, list('pqrs'), intersection, union, union, [(5, 7)] * 3)
    write_image_scores(path, scores)
    read = read_image_scores(path)
    assert read.images == names
    for name in ('iou', 'miou', 'sizes', 'labelled_pixels'):
        np.testing.assert_array_equal(getattr(read, name), getattr(scores, name))


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'holds no per-image scores'),
        ('image,mIoU\na.png,3\n', 'holds no per-image scores: the first line must be image,width'),
        ('{HEADER}\na.png,2,2,4,1,50.0\n', 'holds no per-image scores'),
        ('\0' * 200_000, 'holds no per-image scores'),
        ('{HEADER}\na.png,,2,4,1,50.0,50.0\n', 'scores.csv: invalid literal'),
        ('{HEADER}\n', 'scores.csv holds no image'),
        ('{HEADER}\na.png,2,2,4,1,50.0,half\n', "scores.csv: .*'half'"),
        ('{HEADER}\n{ROW}\n{ROW}\n', 'rows of the same image, a.png'),
    ],
    ids=range(8),
)
def test_files_that_hold_no_scores(tmp_path, text, message):
    header = 'image,width,height,labelled_pixels,counted_classes,mIoU,IoU.road'
    (tmp_path / 'scores.csv').write_text(
        text.replace('{HEADER}', header).replace('{ROW}', 'a.png,2,2,4,1,50.0,50.0')
    )
    with pytest.raises(ValueError, match=message):
        read_image_scores(tmp_path / 'scores.csv')


def test_a_missing_file_is_named_with_the_command_that_writes_it(tmp_path):
    with pytest.raises(ValueError, match=r'gone.csv does not exist.*test_evaluator.per_image_sco'):
        read_image_scores(tmp_path / 'gone.csv')


# -- two processes ---------------------------------------------------------------------------------


def run_rank(folder):
    with gloo_rank(folder) as rank:
        order = list(DefaultSampler(list(FRAMES), shuffle=False))
        assert order == [[0, 2, 4], [1, 3, 0]][rank]  # the last one is padding
        with DefaultScope.overwrite_default_scope('mmseg'):
            metrics = evaluate(f'{folder}/two.csv', order=order)
        torch.save(metrics, f'{folder}/rank{rank}.pt')


def test_two_processes_write_the_file_of_one(tmp_path):
    run_ranks(__file__, tmp_path)
    alone = evaluate(tmp_path / 'one.csv')
    assert (tmp_path / 'two.csv').read_bytes() == (tmp_path / 'one.csv').read_bytes()
    for rank in range(2):
        assert torch.load(tmp_path / f'rank{rank}.pt', weights_only=False) == alone


if __name__ == '__main__':
    run_rank(sys.argv[1])
