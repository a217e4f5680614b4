# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux, GTA5 to Cityscapes with stereo depth: DACS with depth as a plain auxiliary task.
_base_ = [
    '../_base_/methods/simple_aux_r101.py',
    '../_base_/datasets/uda_gta_to_cityscapes_512x512.py',
]
