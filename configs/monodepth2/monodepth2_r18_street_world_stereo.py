# Licensed under the Apache License 2.0, see LICENSE.
# The right image of the stereo pair as a third source view: depth in meters, evaluated as such.
_base_ = './monodepth2_r18_street_world.py'
model = dict(decode_head=dict(initial_disparity=0.01))  # 9 m
train_dataloader = dict(dataset=dict(data_prefix=dict(right_path='rightImg8bit/train')))
val_evaluator = dict(scale='metric')
test_evaluator = val_evaluator
