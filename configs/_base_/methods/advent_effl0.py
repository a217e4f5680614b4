# Licensed under the Apache License 2.0, see LICENSE.
# AdvEnt on the small pretrained network.
_base_ = ['../models/advent_effl0.py', '../pretrained_runtime.py']
