# Licensed under the Apache License 2.0, see LICENSE.
# What every run shares: registration, logging, checkpoints, distributed training.
import importlib

# A config with `custom_imports` of its own replaces the list below. This line is always read, also
# by MMSeg's tools.
importlib.import_module('mmseg_depthuda')
custom_imports = dict(
    imports=[
        'mmseg_depthuda',
        # Without CUDA: connects the processes of dist_train.sh, which MMEngine would refuse.
        'mmseg_depthuda.engine.cpu_launch',
    ],
    allow_failed_imports=False,
)
default_scope = 'mmseg'

env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=1)
# A branch does not use the depth decoder of the other domain, so some parameters have no gradient.
model_wrapper_cfg = dict(
    type='mmseg.UDADistributedDataParallel',  # MMEngine finds it only by its full name
    find_unused_parameters=True,
    broadcast_buffers=False,
)

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    # MMSeg's hook; its files keep the folders of the images.
    visualization=dict(type='OutputFoldersHook'),
    # Classes, depth and optimizers that do not fit together end a training before it begins.
    training_check=dict(type='TrainingCheckHook'),
    # Reads some files of each dataset first: labels that cannot be right are refused.
    data_check=dict(type='DataCheckHook'),
    # Where a dataset has a subset, its images are listed in the work dir.
    subset_record=dict(type='SubsetRecordHook'),
    # Checkpoints of another method or number of classes are refused; see StrictLoadHook to allow
    # loading in part.
    strict_load=dict(type='StrictLoadHook'),
    # A resumed run ends like a run without a stop. A NaN ends any run. See docs/training.md.
    iteration_seed=dict(type='IterationSeedHook'),
    resume=dict(type='ResumeHook'),
    schedule=dict(type='ScheduleHook'),
    invalid_loss=dict(type='InvalidLossHook'),
    # Any process can read the checkpoints, MMSeg's publish_model.py included.
    plain_checkpoint=dict(type='PlainCheckpointHook'),
    # `atomic` writes a checkpoint under another name and renames it when it is complete.
    # MMEngine deletes the oldest checkpoint BEFORE it saves the next: keep at least 2, or a full
    # disk leaves none.
    checkpoint=dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=5000,
        max_keep_ckpts=2,
        backend_args=dict(backend='atomic'),
    ),
)

# TensorBoard too, after `pip install tensorboard`:
# --cfg-options visualizer.vis_backends=LocalVisBackend,TensorboardVisBackend
visualizer = dict(type='DepthLocalVisualizer', vis_backends=['LocalVisBackend'], name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False

tta_model = dict(type='DepthTTAModel')
