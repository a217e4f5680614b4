# Licensed under the Apache License 2.0, see LICENSE.
# Depth distribution, SYNTHIA to Mapillary Vistas over 7 categories, at full size.
_base_ = [
    '../_base_/models/depth_distribution_r101.py',
    '../_base_/datasets/uda_synthia_to_vistas_7_both_760x1280.py',
    '../_base_/schedules/depth_distribution_90k.py',
    '../_base_/depth_distribution_runtime.py',
]
model = dict(
    decode_head=dict(
        num_classes=7,
        mixtures=_base_.depth_mixtures_root + '/synthia7_161x96.json',
        loss_weights=dict(source=dict(depth=0.0001, density=0.005), target=dict(density=0.001)),
    ),
    alignments=dict(main=dict(adversarial_weight=0.001)),
)
optim_wrapper = dict(discriminator=dict(optimizer=dict(lr=1e-4)))
