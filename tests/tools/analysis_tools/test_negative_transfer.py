# Licensed under the Apache License 2.0, see LICENSE.
"""The command line of the negative transfer rate."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS

from tests.apps.comparison.checkpointed_run import make_run
from tests.commands import exit_status_of, main_of

SCRIPT = Path(__file__).parents[3] / 'tools/analysis_tools/negative_transfer.py'


def write(path, *miou):
    """The file of a test, as its page describes it."""
    lines = ['image,width,height,labelled_pixels,counted_classes,mIoU,IoU.road']
    lines += [f'{index}.png,8,4,32,1,{value},{value}' for index, value in enumerate(miou)]
    path.write_text('\n'.join(lines) + '\n')


@pytest.fixture
def main(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / 'so.csv', 50.0, 40.0, 30.0, 20.0)
    write(tmp_path / 'dacs.csv', 60.0, 30.0, 40.0, 20.0)
    write(tmp_path / 's=2.csv', 40.0, 30.0, 20.0, 30.0)
    return main_of(SCRIPT)


def test_table_and_picture(tmp_path, capsys, main):
    main(['so.csv', 'dacs.csv', 'two=dacs.csv,s=2.csv', '--out', 'plots/scatter.png'])
    output = capsys.readouterr().out
    assert '| dacs          |            25.0 % |     1 |     1 |      4 |' in output
    assert '| two (2 seeds) |     50.0 ± 35.4 % |  1, 3 |  1, 0 |      4 |' in output
    assert [path.name for path in (tmp_path / 'plots').iterdir()] == ['scatter.png']


def test_without_out_it_only_prints(tmp_path, capsys, main):
    before = sorted(tmp_path.iterdir())
    main(['so.csv', 'dacs.csv'])
    assert '+2.5' in capsys.readouterr().out
    assert sorted(tmp_path.iterdir()) == before


def test_an_error_is_the_exit_status(tmp_path, capsys, main):
    write(tmp_path / 'short.csv', 50.0)
    with pytest.raises(ValueError, match='baseline so.csv .* lacks 1.png'):
        main(['so.csv', 'short.csv'])
    assert exit_status_of(SCRIPT, 'so.csv', 'gone.csv') == 2
    error = capsys.readouterr().err
    assert error.startswith('negative_transfer: ')
    assert 'gone.csv does not exist. Write it: python tools/test' in error
    with pytest.raises(SystemExit):
        main(['so.csv', 'dacs.csv', '--out', 'plots'])
    assert '--out must end in .png' in capsys.readouterr().err


def image_miou(prediction, label):
    """Mean over the classes of the label and the prediction, in percent, ignored pixels aside."""
    known = label != 255
    prediction, label = prediction[known], label[known]
    classes = np.union1d(prediction, label)
    iou = [
        ((prediction == c) & (label == c)).sum() / ((prediction == c) | (label == c)).sum()
        for c in classes
    ]
    return 100 * np.mean(iou)


def test_from_tests_of_two_checkpoints_to_the_rate(tmp_path, capsys, monkeypatch, main):
    """Against the PNGs of predictions that test.py --out writes."""
    config, work_dir = make_run(tmp_path, [1, 2])
    monkeypatch.setenv('LOCAL_RANK', '0')
    miou = []
    for step in (1, 2):
        checkpoint, out = work_dir / f'iter_{step}.pth', tmp_path / f'out{step}'
        options = ['--cfg-options', f'test_evaluator.per_image_scores=images{step}.csv']
        argv = [config, checkpoint, '--out', out, '--work-dir', work_dir, *options]
        assert exit_status_of(SCRIPT.parents[1] / 'test.py', *argv) == 0
        dataset = DATASETS.build(Config.fromfile(config).test_dataloader.dataset)
        samples = [dataset[index]['data_samples'] for index in range(len(dataset))]
        miou.append(
            [
                image_miou(
                    cv2.imread(
                        str(out / f'{Path(sample.img_path).stem}.png'), cv2.IMREAD_UNCHANGED
                    ),
                    sample.gt_sem_seg.data[0].numpy(),
                )
                for sample in samples
            ]
        )
        with open(f'images{step}.csv', newline='') as file:
            rows = list(csv.DictReader(file))
        folder = tmp_path / 'world/cityscapes/leftImg8bit/val'
        assert [str(folder / row['image']) for row in rows] == [s.img_path for s in samples]
        assert [float(row['mIoU']) for row in rows] == pytest.approx(miou[-1])
    capsys.readouterr()
    main(['images1.csv', 'images2.csv'])
    worse = sum(after < before for before, after in zip(*miou, strict=True))
    output = ' '.join(capsys.readouterr().out.split())
    assert f'| images2 | {100 * worse / len(miou[0]):.1f} % | {worse} |' in output
