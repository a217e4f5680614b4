# Licensed under the Apache License 2.0, see LICENSE.
# The same from ImageNet weights instead of ImageNet+COCO.
_base_ = './dacs_r101_syn2cs.py'
model = dict(backbone=dict(init_cfg=dict(checkpoint=_base_.imagenet_init)))
