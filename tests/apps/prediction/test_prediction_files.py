# Licensed under the Apache License 2.0, see LICENSE.
"""Names, what is kept, and what is refused; the network is another test's business."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from mmseg_depthuda.apps.prediction.prediction_files import find_inputs, predict_files, summary


def write(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((32, 48, 3), value, np.uint8))


def write_video(path, frames):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 10, (48, 32))
    for index in range(frames):
        writer.write(np.full((32, 48, 3), 80 * index, np.uint8))
    writer.release()


@pytest.fixture
def predictor():
    """Says the gray value of a picture as its label, and counts."""

    def predict(image):
        predict.calls += 1
        pixels = cv2.imread(str(image)) if not isinstance(image, np.ndarray) else image
        if pixels is None:
            raise ValueError(f'{image} is damaged')
        picture = np.zeros((32, 48, 3), np.uint8)
        return SimpleNamespace(
            labels=pixels[..., 0],
            pictures=lambda: dict(overlay=picture, depth=picture, confidence=picture),
        )

    predict.calls, predict.size, predict.classes, predict.palette = 0, 'image', ['a'], [[1, 2, 3]]
    predict.predicts_classes = predict.predicts_depth = predict.depth_is_metric = True
    return predict


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / 'in/a/1.png', 7)
    write(tmp_path / 'in/b/2.JPG', 7)
    (tmp_path / 'in/notes.txt').touch()
    (tmp_path / 'model.pth').write_bytes(b'weights')
    return tmp_path


def run(predictor, folder, source='in', **options):
    return predict_files(
        predictor, folder / 'model.pth', folder / source, folder / 'out', **options
    )


def written(folder):
    files = (path for path in (folder / 'out').rglob('*') if path.is_file())
    return {path.relative_to(folder / 'out').as_posix() for path in files}


@pytest.mark.parametrize(
    ('source', 'names'),
    [
        ('in', {'a/1', 'b/2'}),
        ('in/a/1.png', {'1'}),
        ('in/**/*.png', {'a/1'}),
        ('in/?/*', {'a/1', 'b/2'}),
    ],
)
def test_names_keep_their_folders(folder, source, names):
    found = find_inputs(folder / source)
    assert {name.as_posix() for name in found.values()} == names
    assert all(file.is_file() for file in found)


def test_a_folder_is_predicted_once(folder, predictor):
    counts = run(predictor, folder)
    assert (counts.predicted, counts.present, counts.problems) == (2, 0, [])
    expected = {'predictions.json', 'labels/a/1.png', 'labels/b/2.png'}
    expected |= {f'{kind}/{name}.jpg' for kind in ('overlay', 'depth') for name in ('a/1', 'b/2')}
    assert written(folder) == expected
    assert (cv2.imread(str(folder / 'out/labels/a/1.png'), cv2.IMREAD_UNCHANGED) == 7).all()
    record = json.loads((folder / 'out/predictions.json').read_text())
    assert (record['classes'], record['depth']) == (['a'], 'meters')

    (folder / 'out/depth/a/1.jpg').unlink()
    counts = run(predictor, folder, confidence=False)
    assert (counts.predicted, counts.present, predictor.calls) == (1, 1, 3)
    run(predictor, folder, confidence=True)
    assert 'confidence/b/2.jpg' in written(folder)


def test_a_video_becomes_one(folder, predictor):
    write_video(folder / 'drive.avi', 3)
    assert run(predictor, folder, 'drive.avi').predicted == 3
    names = {f'drive/{index:06d}' for index in range(3)}
    assert {f'labels/{name}.png' for name in names} | {'overlay/drive.mp4'} <= written(folder)
    capture = cv2.VideoCapture(str(folder / 'out/depth/drive.mp4'))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and capture.get(cv2.CAP_PROP_FPS) == 10
    last = cv2.imread(str(folder / 'out/labels/drive/000002.png'), cv2.IMREAD_UNCHANGED)
    assert abs(int(np.median(last)) - 160) < 5  # frames come in their order
    assert run(predictor, folder, 'drive.avi').present == 3


def test_what_cannot_be_read_is_left_out_and_named(folder, predictor):
    (folder / 'in/a/bad.png').write_bytes(b'no picture')
    (folder / 'in/bad.mp4').write_bytes(b'no video')
    counts = run(predictor, folder)
    assert counts.predicted == 2
    assert [('a/bad.png' in one, 'bad.mp4' in one) for one in counts.problems] == [
        (True, False),
        (False, True),
    ]
    assert 'a/bad.png is damaged' in summary(counts, folder / 'out')


def test_predictions_of_two_networks_are_not_mixed(folder, predictor):
    run(predictor, folder)
    (folder / 'model.pth').write_bytes(b'other weights')
    with pytest.raises(ValueError, match='out has predictions of .*model.pth'):
        run(predictor, folder)


@pytest.mark.parametrize('source', ['gone', 'in/*.bmp', 'in/notes.txt', 'in/notes'])
def test_no_input(folder, source):
    with pytest.raises(FileNotFoundError, match=source.replace('*', r'\*')):
        find_inputs(folder / source)


def test_outputs_that_would_meet_are_refused(folder, predictor):
    with pytest.raises(ValueError, match='lies in, the folder of the inputs'):
        predict_files(predictor, folder / 'model.pth', folder / 'in', folder / 'in/out')
    write(folder / 'in/a/1.bmp')
    with pytest.raises(ValueError, match=r'1\.bmp and .*1\.png would have the same output'):
        run(predictor, folder)
