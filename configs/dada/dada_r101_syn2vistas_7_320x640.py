# Licensed under the Apache License 2.0, see LICENSE.
# DADA, SYNTHIA to Mapillary Vistas over 7 categories, at 640x320.
_base_ = ['../_base_/methods/dada_r101.py', '../_base_/datasets/uda_synthia_to_vistas_7_320x640.py']
model = dict(decode_head=dict(num_classes=7))
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path='Depth'))))
