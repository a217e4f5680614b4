# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution, SYNTHIA to Cityscapes over 7 categories, at 640x320.
_base_ = [
    '../_base_/models/depth_distribution_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_7_both_320x640.py',
    '../_base_/schedules/depth_distribution_90k.py',
    '../_base_/depth_distribution_runtime.py',
]
model = dict(
    decode_head=dict(
        num_classes=7,
        mixtures=_base_.depth_mixtures_root + '/synthia7_81x41.json',
        loss_weights=dict(source=dict(depth=0.001)),
        # All classes count alike: number of pixels / (number of classes * pixels of the class).
        loss_decode=dict(
            type='CrossEntropyLoss',
            loss_name='loss_seg',
            avg_non_ignore=True,
            class_weight=[0.349, 0.462, 11.576, 1.325, 1.993, 3.216, 3.192],
        ),
    ),
)
