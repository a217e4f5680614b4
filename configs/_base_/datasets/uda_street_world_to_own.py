# Licensed under the Apache License 2.0, see LICENSE.
# The street world (sim) -> your own images, of which there are no labels: nothing is validated, and
# tools/test.py segments all of them. Target depth is absent unless a config adds it.
_base_ = './street_world_source.py'

crop_size = (128, 256)
# Width and height that your images are resized to before crops of 256x128 are cut. Images of 16:9
# keep their shape with 256x144, those of 4:3 with 256x192.
own_size = '{{$OWN_TARGET_SIZE:256x128}}'
target_scale = tuple(int(side) if side.isdecimal() else 0 for side in own_size.split('x'))
if len(target_scale) != 2 or target_scale[0] < 256 or target_scale[1] < 128:
    raise ValueError(
        f'OWN_TARGET_SIZE must be WIDTHxHEIGHT in pixels, at least 256x128, not {own_size!r}'
    )
target_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadInverseDepth', encoding='corda'),  # does nothing without depth
    dict(type='ResizeWithDepth', scale=target_scale, depth_interpolation='nearest'),
    dict(type='LoadPseudoLabels'),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='PackSegInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=target_scale),
    dict(type='PackSegInputs'),
]
tta_pipeline = [*test_pipeline[:-1], *_base_.tta_steps]

# Your images are segmented into the classes of the source.
classes = ['road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light']
classes += ['traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck']
classes += ['bus', 'train', 'motorcycle', 'bicycle']
palette = [
    [128, 64, 128], [244, 35, 232], [70, 70, 70], [102, 102, 156], [190, 153, 153],
    [153, 153, 153], [250, 170, 30], [220, 220, 0], [107, 142, 35], [152, 251, 152],
    [70, 130, 180], [220, 20, 60], [255, 0, 0], [0, 0, 142], [0, 0, 70], [0, 60, 100],
    [0, 80, 100], [0, 0, 230], [119, 11, 32],
]  # fmt: skip

target_dataset = dict(
    type='FolderDepthDataset',
    data_root=_base_.own_target_root,
    data_prefix=dict(img_path='images'),
    pipeline=target_pipeline,
)
train_dataloader = dict(dataset=dict(target=target_dataset))
test_dataloader = dict(
    dataset=dict(
        type='FolderDepthDataset',
        metainfo=dict(classes=classes, palette=palette),
        data_root=_base_.own_target_root,
        data_prefix=dict(img_path='images'),
        pipeline=test_pipeline,
    ),
)
# Writes files instead of scores, in the subfolders of the images. `--out` names another folder.
test_evaluator = dict(
    format_only=True,
    keep_results=True,
    output_dir='work_dirs/own_segmented',
    image_root=_base_.own_target_root + '/images',
)
