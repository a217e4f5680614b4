# Licensed under the Apache License 2.0, see LICENSE.
# CorDA (FD) on the street world: distillation and difficulty weight.
_base_ = ['../_base_/methods/corda_r18.py', '../_base_/datasets/uda_street_world_128x256.py']
