# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution on the small pretrained network.
_base_ = ['../models/depth_distribution_effl0.py', '../pretrained_runtime.py']
