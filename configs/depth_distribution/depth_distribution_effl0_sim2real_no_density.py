# Licensed under the Apache License 2.0, see LICENSE.
# An ablation: depth is learned beside the classes, and nothing looks at density.
_base_ = './depth_distribution_effl0_sim2real.py'
model = dict(
    decode_head=dict(
        mixtures=None,
        loss_weights=dict(_delete_=True, source=dict(seg=1.0, depth=0.01)),
    ),
    alignments=dict(main=dict(space='self_information')),
)
