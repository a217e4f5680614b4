# Licensed under the Apache License 2.0, see LICENSE.
# DADA on the street world: depth of the source alone.
_base_ = ['../_base_/methods/dada_r18.py', '../_base_/datasets/uda_street_world_synthia_128x256.py']
train_dataloader = dict(dataset=dict(source=dict(data_prefix=dict(depth_map_path='Depth'))))
