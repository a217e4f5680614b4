# Licensed under the Apache License 2.0, see LICENSE.
# DACS from the street world to real CamVid frames, from a pretrained network.
_base_ = [
    '../_base_/models/deeplabv2_effl0.py',
    '../_base_/datasets/uda_street_world_to_camvid_288x384.py',
    '../_base_/schedules/camvid_pretrained.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=11))
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path=None))))
# A short training needs a faster teacher than the published 0.999.
custom_hooks = [
    dict(type='DACSHook', alpha=0.99),
    dict(type='UDAVisualizationHook', interval=100),
]
default_hooks = dict(checkpoint=dict(interval=100))
