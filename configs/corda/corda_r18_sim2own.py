# Licensed under the Apache License 2.0, see LICENSE.
# CorDA from the street world to your own images, which have no depth: see docs/own_images.md.
_base_ = ['../_base_/methods/corda_r18.py', '../_base_/datasets/uda_street_world_to_own.py']
model = dict(decode_head=dict(predicted_depth='source'))  # nothing trains the target's decoder
val_cfg = val_dataloader = val_evaluator = None  # no labels
