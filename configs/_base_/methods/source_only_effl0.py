# Licensed under the Apache License 2.0, see LICENSE.
# The small pretrained network, trained on the source alone.
_base_ = ['../models/deeplabv2_effl0.py', '../pretrained_runtime.py']
