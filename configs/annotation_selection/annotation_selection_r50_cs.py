# Licensed under the Apache License 2.0, see LICENSE.
# Which images of Cityscapes to label, as released: steps 25 50 100 200 372 744.
_base_ = [
    '../_base_/models/depth_student_r50.py',
    '../_base_/datasets/selection_cityscapes_512x512.py',
    '../_base_/schedules/depth_student.py',
    '../_base_/monodepth2_runtime.py',
]
selection_network = dict(
    config='monodepth2/monodepth2_r101_cs_unfrozen.py',
    checkpoint='work_dirs/monodepth2_r101_cs_unfrozen/iter_50000.pth',
    layer='decode_head.after.1',  # stage 3 of 4..0
)
