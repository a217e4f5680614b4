# Licensed under the Apache License 2.0, see LICENSE.
"""A checkpoint that carries code is refused at every entry: each command in a new process."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import mmseg
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[2]
MMSEG_TOOLS = Path(mmseg.__file__).parent / '.mim/tools'

CONFIG = """
custom_imports = dict(imports=['mmseg_depthuda'], allow_failed_imports=False)
default_scope = 'mmseg'
default_hooks = dict(visualization=dict(type='SegVisualizationHook'))
visualizer = dict(type='SegLocalVisualizer')
work_dir = {work_dir!r}
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', size=(32, 32)),
    backbone=dict(
        type='ResNetV1c', depth=18, base_channels=4, stem_channels=4, norm_cfg=dict(type='BN')
    ),
    decode_head=dict(
        type='FCNHead', in_channels=32, channels=4, num_classes=2, norm_cfg=dict(type='BN')
    ),
    test_cfg=dict(mode='whole'),
)
pipeline = [dict(type=name) for name in ('LoadImageFromFile', 'LoadAnnotations', 'PackSegInputs')]
dataset = dict(
    type='BaseSegDataset', metainfo=dict(classes=['a', 'b']), data_root={data_root!r},
    data_prefix=dict(img_path='images', seg_map_path='labels'), img_suffix='.png',
    pipeline=pipeline)
train_dataloader = dict(
    batch_size=2, sampler=dict(type='InfiniteSampler'), dataset=dataset, num_workers=0)
test_dataloader = dict(batch_size=1, sampler=dict(type='DefaultSampler'), dataset=dataset)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)
test_cfg = dict(type='TestLoop')
test_evaluator = dict(type='IoUMetric')
"""

INFERENCER = """
from mmseg.apis import MMSegInferencer
MMSegInferencer(model={config!r}, weights={checkpoint!r}, device='cpu')
"""


class Touch:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def files(tmp_path):
    """Paths by name; the data are valid, the checkpoint is malicious."""
    for kind in ('images', 'labels'):
        (tmp_path / 'data' / kind).mkdir(parents=True)
        shape = (32, 32, 3) if kind == 'images' else (32, 32)
        for name in ('a.png', 'b.png'):
            cv2.imwrite(str(tmp_path / 'data' / kind / name), np.zeros(shape, np.uint8))
    run = tmp_path / 'run'
    run.mkdir()
    checkpoint = run / 'iter_1.pth'
    torch.save(dict(state_dict={}, meta=Touch(tmp_path / 'executed')), checkpoint)
    (run / 'last_checkpoint').write_text(str(checkpoint))
    config = tmp_path / 'config.py'
    config.write_text(CONFIG.format(work_dir=str(run), data_root=str(tmp_path / 'data')))
    return dict(
        config=str(config),
        checkpoint=str(checkpoint),
        run=str(run),
        images=str(tmp_path / 'data/images'),
        out=str(tmp_path / 'out'),
        tools=str(ROOT / 'tools'),
        mmseg=str(MMSEG_TOOLS),
    )


TRAIN, TEST = '{tools}/train.py {config}', '{tools}/test.py {config} {checkpoint}'
TORCHRUN = '-m torch.distributed.run --nproc_per_node=2 --master_port={port}'
ENTRIES = {
    'test': TEST,
    'load_from': f'{TRAIN} --cfg-options load_from={{checkpoint}}',
    'resume': f'{TRAIN} --resume',
    'resume from': f'{TRAIN} --resume {{checkpoint}}',
    'Pretrained': f'{TRAIN} --cfg-options model.backbone.init_cfg.type=Pretrained '
    'model.backbone.init_cfg.checkpoint={checkpoint}',
    'pretrained model': f'{TRAIN} --cfg-options model.pretrained={{checkpoint}}',
    'predict_depth': '{tools}/depth/predict_depth.py {config} {checkpoint} {images} {out}',
    'evaluate_checkpoints': '{tools}/analysis_tools/evaluate_checkpoints.py {config} {run}',
    'converter': '{tools}/model_converters/corda_to_mmseg.py {checkpoint} {out}',
    'MMSeg test': '{mmseg}/test.py {config} {checkpoint}',
    'MMSeg train': '{mmseg}/train.py {config} --resume',
    'MMSeg inferencer': '-c INFERENCER',
    'distributed test': f'{TORCHRUN} {TEST} --launcher pytorch',
    'distributed train': f'{TORCHRUN} {TRAIN} --resume --launcher pytorch',
}


@pytest.mark.parametrize('entry', ENTRIES)
def test_nothing_is_executed(tmp_path, files, entry):
    port = 29500 + os.getpid() % 1000
    command = [part.format(port=port, **files) for part in ENTRIES[entry].split(' ')]
    command = [INFERENCER.format(**files) if part == 'INFERENCER' else part for part in command]
    environment = {name: value for name, value in os.environ.items() if 'WEIGHTS_ONLY' not in name}
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', *command],
        env=environment | dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not (tmp_path / 'executed').exists()
    assert done.returncode != 0
    assert f'checkpoint {files["checkpoint"]} holds a Python object (pathlib' in done.stderr


def test_the_file_would_do_harm(tmp_path, files, monkeypatch):
    """Otherwise the tests above could not fail."""
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    torch.load(files['checkpoint'], weights_only=False)
    assert (tmp_path / 'executed').exists()
