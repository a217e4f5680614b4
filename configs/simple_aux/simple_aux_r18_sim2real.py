# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux on the street world: DACS with depth as a plain auxiliary task.
_base_ = ['../_base_/methods/simple_aux_r18.py', '../_base_/datasets/uda_street_world_128x256.py']
