# Licensed under the Apache License 2.0, see LICENSE.
# The same, from the weights of adversarial training: its discriminators are left out.
_base_ = './depth_distribution_runtime.py'
default_hooks = dict(strict_load=dict(allow_unexpected=['^discriminators']))
