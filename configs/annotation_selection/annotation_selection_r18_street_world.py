# Licensed under the Apache License 2.0, see LICENSE.
# Which images of the street world to label: the small setting.
_base_ = [
    '../_base_/models/depth_student_r18.py',
    '../_base_/datasets/selection_street_world_128x256.py',
    '../_base_/schedules/street_world_depth_student.py',
    '../_base_/monodepth2_runtime.py',
]
selection_network = dict(
    config='monodepth2/monodepth2_r18_street_world.py',
    checkpoint='work_dirs/monodepth2_r18_street_world/iter_1200.pth',
    layer='decode_head.after.1',  # stage 3 of 4..0
)
default_hooks = dict(checkpoint=dict(interval=200))
