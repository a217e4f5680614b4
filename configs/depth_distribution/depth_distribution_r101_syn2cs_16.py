# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution, SYNTHIA to Cityscapes over 16 classes, before self-training ("S5" of its Table
# 4).
_base_ = [
    '../_base_/models/depth_distribution_r101.py',
    '../_base_/datasets/uda_synthia_to_cityscapes_both_760x1280.py',
    '../_base_/schedules/depth_distribution_90k.py',
    '../_base_/depth_distribution_runtime.py',
]
# All classes count alike: number of pixels / (number of classes * pixels of the class).
class_weight = [
    0.327, 0.313, 0.206, 22.427, 22.558, 5.811, 155.643, 59.528,
    0.586, 0.882, 1.423, 12.871, 1.488, 3.955, 29.164, 27.563,
]  # fmt: skip
model = dict(
    decode_head=dict(
        num_classes=16,
        mixtures=_base_.depth_mixtures_root + '/synthia16_161x96.json',
        loss_decode=dict(
            type='CrossEntropyLoss',
            loss_name='loss_seg',
            avg_non_ignore=True,
            class_weight=class_weight,
        ),
    ),
)
