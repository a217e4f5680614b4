# Licensed under the Apache License 2.0, see LICENSE.
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS

from mmseg_depthuda.apps.pseudo_label_writing import label_writing
from mmseg_depthuda.apps.pseudo_label_writing.label_writing import write_pseudo_labels
from mmseg_depthuda.datasets import FolderDepthDataset
from tests.apps.depth_mixtures.tiny_source import CLASSES, model_config
from tests.commands import exit_status_of

TOOL = Path(__file__).parents[3] / 'tools' / 'write_pseudo_labels.py'
NAMES = ['a/1', 'a/2', 'b/3']
FILE_SIZE, INPUT_SIZE = (66, 130), (33, 65)


@pytest.fixture
def cfg(tmp_path):
    """Three images of noise of twice the network's input, and a network of random weights."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        (tmp_path / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(
            str(tmp_path / f'images/{name}_x.png'), rng.integers(0, 255, (*FILE_SIZE, 3), np.uint8)
        )
    init_default_scope('mmseg')
    torch.manual_seed(0)
    network = MODELS.build(model_config())
    for parameter in network.decode_head.parameters():
        torch.nn.init.normal_(parameter, std=0.06)
    palette = [[9, 9, 9], [90, 0, 0], [0, 0, 200]]
    meta = dict(dataset_meta=dict(classes=CLASSES, palette=palette))
    torch.save(dict(state_dict=network.state_dict(), meta=meta), tmp_path / 'model.pth')
    load = dict(type='LoadImageFromFile')
    target = dict(
        type='FolderDepthDataset',
        metainfo=dict(classes=CLASSES),
        data_root=str(tmp_path),
        data_prefix=dict(img_path='images', seg_map_path='of_no_use'),
        img_suffix='_x.png',
        pipeline=[load, dict(type='RandomCrop', crop_size=(8, 8)), dict(type='PackSegInputs')],
    )
    test = [load, dict(type='Resize', scale=INPUT_SIZE[::-1]), dict(type='PackSegInputs')]
    config = Config(
        dict(
            default_scope='mmseg',
            model=model_config(),
            train_dataloader=dict(dataset=dict(source=dict(), target=target)),
            test_pipeline=test,
            test_dataloader=dict(dataset=dict(pipeline=test)),
        )
    )
    config.dump(tmp_path / 'config.py')
    return Config.fromfile(tmp_path / 'config.py')


def write(cfg, folder, name='out', **options):
    return write_pseudo_labels(cfg, folder / 'model.pth', folder / name, **options)


def read(folder, name):
    return cv2.imread(str(folder / f'{name}.png'), cv2.IMREAD_UNCHANGED)


def softmax(cfg, folder, name):
    """Of logits upsampled to the network's input, by PyTorch's own functions."""
    network = MODELS.build(cfg.model).eval()
    network.load_state_dict(torch.load(folder / 'model.pth', weights_only=True)['state_dict'])
    image = cv2.resize(cv2.imread(str(folder / f'images/{name}_x.png')), INPUT_SIZE[::-1])
    with torch.no_grad():
        logits = network.encode_decode(
            torch.from_numpy(image).permute(2, 0, 1)[None].float(), [dict(img_shape=INPUT_SIZE)]
        )
        logits = torch.nn.functional.interpolate(logits, INPUT_SIZE, mode='bilinear')
    return logits.softmax(dim=1)[0].numpy()


def test_labels_are_the_confident_classes_at_input_size(cfg, tmp_path):
    found = write(cfg, tmp_path, threshold=0.6)
    assert (found.written, found.skipped, found.missing) == (3, 0, 0)
    predicted, kept = np.zeros(3, int), np.zeros(3, int)
    for name in NAMES:
        probability = softmax(cfg, tmp_path, name)
        label = probability.argmax(axis=0)
        expected = np.where(probability.max(axis=0) >= 0.6, label, 255)
        assert 0.05 < (expected == 255).mean() < 0.95
        written = read(tmp_path / 'out', name)
        assert written.dtype == np.uint8 and written.shape == INPUT_SIZE
        assert (written != expected).mean() < 0.001  # rounding at the threshold
        predicted += np.bincount(label.ravel(), minlength=3)
        kept += np.bincount(written[written != 255], minlength=3)
    assert found.predicted == tuple(predicted) and found.kept == tuple(kept)
    assert (tmp_path / 'out/images.txt').read_text() == 'a/1\na/2\nb/3\n'
    picture = cv2.imread(str(tmp_path / 'out/pseudo_labels.jpg'))
    assert picture.shape[1] == 4 * 320 and picture.shape[0] % 3 == 0


def test_a_stopped_run_and_shards_give_the_same_files(cfg, tmp_path):
    whole = write(cfg, tmp_path, 'whole')
    first = write(cfg, tmp_path, shard=(1, 2))
    assert (first.written, first.missing) == (2, 1) and not first.kept
    assert not (tmp_path / 'out/images.txt').exists()
    (tmp_path / 'out/a/1.png').unlink()
    before = (tmp_path / 'out/b/3.png').stat().st_mtime_ns
    assert write(cfg, tmp_path, shard=(2, 2)).missing == 1
    last = write(cfg, tmp_path)
    assert (last.written, last.skipped) == (1, 2)
    assert (tmp_path / 'out/b/3.png').stat().st_mtime_ns == before
    assert (last.predicted, last.kept) == (whole.predicted, whole.kept)
    for name in NAMES:
        np.testing.assert_array_equal(read(tmp_path / 'out', name), read(tmp_path / 'whole', name))


def test_small_components_are_left_out(cfg, tmp_path):
    (tmp_path / 'prior.json').write_text(
        json.dumps(dict(classes=CLASSES, thresholds=[0, 10**6, 60]))
    )
    write(cfg, tmp_path, 'all', threshold=0.5)
    write(cfg, tmp_path, threshold=0.5, prior=tmp_path / 'prior.json')
    for name in NAMES:
        everything, kept = read(tmp_path / 'all', name), read(tmp_path / 'out', name)
        np.testing.assert_array_equal(kept == 0, everything == 0)
        assert (everything == 1).any() and not (kept == 1).any()
        count, components = cv2.connectedComponents((everything == 2).astype(np.uint8))
        sizes = np.bincount(components.ravel(), minlength=count)
        np.testing.assert_array_equal(kept == 2, (sizes[components] >= 60) & (components > 0))


def test_an_image_without_a_confident_pixel_is_told_and_not_listed(cfg, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(label_writing, 'print_log', lambda message, *_: told.append(message))
    found = write(cfg, tmp_path, threshold=1.0)
    assert set(found.empty) == set(NAMES) and sum(found.kept) == 0
    assert (tmp_path / 'out/images.txt').read_text() == ''
    assert (read(tmp_path / 'out', 'a/1') == 255).all()
    assert len(told) == 3 and told[0].endswith('a/1.png: no pixel is kept of this image')


def test_a_part_of_the_dataset(cfg, tmp_path):
    write(cfg, tmp_path, 'whole')
    cfg.train_dataloader.dataset.target.indices = [2, 0]
    assert write(cfg, tmp_path).written == 2
    assert (tmp_path / 'out/images.txt').read_text() == 'b/3\na/1\n'
    for name in ('a/1', 'b/3'):
        np.testing.assert_array_equal(read(tmp_path / 'out', name), read(tmp_path / 'whole', name))
    assert not (tmp_path / 'out/a/2.png').exists()


def test_padding_is_not_labelled(cfg, tmp_path):
    pad = dict(type='ResizeAndPad', scale=(65, 41), pad_val=[0, 0, 0])
    keys = ('img_path', 'ori_shape', 'img_shape', 'pad_shape', 'img_padding_size')
    cfg.test_dataloader.dataset.pipeline[1:] = [pad, dict(type='PackSegInputs', meta_keys=keys)]
    write(cfg, tmp_path, threshold=0)
    written = read(tmp_path / 'out', 'b/3')
    assert written.shape == (41, 65)
    assert (written[33:] == 255).all() and (written[:33] != 255).all()


def test_the_labels_are_read_by_the_dataset(cfg, tmp_path):
    write(cfg, tmp_path, threshold=0.6)
    target = cfg.train_dataloader.dataset.target
    target.data_prefix = dict(img_path='images', pseudo_label_path=str(tmp_path / 'out'))
    target.ann_file = str(tmp_path / 'out/images.txt')
    resize, pack = cfg.test_pipeline[1:]
    target.pipeline = [dict(type='LoadImageFromFile'), resize, dict(type='LoadPseudoLabels'), pack]
    dataset: FolderDepthDataset = DATASETS.build(target)
    for sample, name in zip(dataset, NAMES, strict=True):
        np.testing.assert_array_equal(
            sample['data_samples'].gt_sem_seg.data[0], read(tmp_path / 'out', name)
        )


def test_bad_input(cfg, tmp_path):
    for options, message in (
        (dict(threshold=1.5), 'threshold must be in 0..1'),
        (dict(shard=(3, 2)), 'must have K in 1..N, got 3/2'),
    ):
        with pytest.raises(ValueError, match=message):
            write(cfg, tmp_path, **options)
    write(cfg, tmp_path)
    with pytest.raises(ValueError, match='of other settings: threshold differ'):
        write(cfg, tmp_path, threshold=0.8)
    (tmp_path / 'out/a/1.png').write_bytes(b'\x89PNG')
    with pytest.raises(ValueError, match=r'a/1\.png is damaged'):
        write(cfg, tmp_path)
    (tmp_path / 'out/pseudo_labels.json').write_text('{')
    with pytest.raises(ValueError, match=r'pseudo_labels\.json is damaged'):
        write(cfg, tmp_path)
    (tmp_path / 'out/pseudo_labels.json').unlink()
    with pytest.raises(ValueError, match='png, but no pseudo_labels.json'):
        write(cfg, tmp_path)


def test_a_network_that_predicts_nan(cfg, tmp_path):
    content = torch.load(tmp_path / 'model.pth', weights_only=True)
    for name, value in content['state_dict'].items():
        if name.startswith('decode_head') and name.endswith('weight'):
            value.fill_(1e38)  # finite, so that the checkpoint is not refused
    torch.save(content, tmp_path / 'model.pth')
    with pytest.raises(ValueError, match=r'predicts NaN for .*a/1_x\.png'):
        write(cfg, tmp_path)


def test_tool(cfg, tmp_path, capsys):
    arguments = TOOL, tmp_path / 'config.py', tmp_path / 'model.pth', tmp_path / 'out'
    options = '--device', 'cpu', '--workers', 0, '--threshold', 0.6
    assert exit_status_of(*arguments, *options, '--shard', '2/3') == 0
    assert '1 images labelled' in (said := capsys.readouterr().out) and '2 are left' in said
    assert exit_status_of(*arguments, *options) == 0
    said = capsys.readouterr().out
    assert '2 images labelled, 1 were there already' in said and '(all)' in said
    sizes = tmp_path / 'prior.json'
    sizes.write_text(json.dumps(dict(classes=CLASSES, thresholds=[1, 59.5, 7])))
    arguments = *arguments[:-1], tmp_path / 'with_prior'
    assert exit_status_of(*arguments, *options, '--spatial-prior', sizes) == 0
    said = capsys.readouterr().out
    rows = [line.split('│')[1:6] for line in said.splitlines() if line.startswith('│')]
    assert [row[-1].strip() for row in rows] == ['1', '60', '7', '']
    assert exit_status_of(*arguments, *options, '--shard', '2:3') == 2
