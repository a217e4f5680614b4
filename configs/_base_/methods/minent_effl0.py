# Licensed under the Apache License 2.0, see LICENSE.
# MinEnt on the small pretrained network.
_base_ = './source_only_effl0.py'
model = dict(type='MinEntSegmentor', entropy_weight=0.001)
