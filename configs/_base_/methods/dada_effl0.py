# Licensed under the Apache License 2.0, see LICENSE.
# DADA on the small pretrained network.
_base_ = ['../models/dada_effl0.py', '../pretrained_runtime.py']
