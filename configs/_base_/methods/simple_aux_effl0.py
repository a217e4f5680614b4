# Licensed under the Apache License 2.0, see LICENSE.
# SimpleAux on the small pretrained network.
_base_ = ['../models/simple_aux_effl0.py', '../pretrained_self_training.py']
