# Licensed under the Apache License 2.0, see LICENSE.
# With the depth that tools/depth/stereo_depth.py has matched: see docs/own_depth.md.
_base_ = './corda_r18_sim2own.py'
train_dataloader = dict(
    dataset=dict(
        target=dict(
            data_prefix=dict(depth_map_path='depth'),
            depth_file='mat_metres',
            depth_map_suffix='.mat',
        )
    )
)
model = dict(decode_head=dict(predicted_depth='target'))
