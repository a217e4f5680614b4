# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution, SYNTHIA to Cityscapes over 7 categories, at full size.
_base_ = [
    '../_base_/models/depth_distribution_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_7_both_760x1280.py',
    '../_base_/schedules/depth_distribution_90k.py',
    '../_base_/depth_distribution_runtime.py',
]
model = dict(
    decode_head=dict(
        num_classes=7,
        mixtures=_base_.depth_mixtures_root + '/synthia7_161x96.json',
        # All classes count alike: number of pixels / (number of classes * pixels of the class).
        loss_decode=dict(
            type='CrossEntropyLoss',
            loss_name='loss_seg',
            avg_non_ignore=True,
            class_weight=[0.349, 0.462, 11.576, 1.325, 1.993, 3.216, 3.192],
        ),
    ),
)
