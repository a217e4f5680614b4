# Licensed under the Apache License 2.0, see LICENSE.
# DACS on the small pretrained network.
_base_ = ['../models/deeplabv2_effl0.py', '../pretrained_self_training.py']
