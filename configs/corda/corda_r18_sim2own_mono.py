# Licensed under the Apache License 2.0, see LICENSE.
# With the depth that tools/depth/predict_depth.py has predicted: see docs/own_depth.md.
_base_ = './corda_r18_sim2own.py'
train_dataloader = dict(
    dataset=dict(
        target=dict(
            data_prefix=dict(depth_map_path='pseudo_depth'),
            depth_file='png_disparity',
        )
    )
)
model = dict(decode_head=dict(predicted_depth='target'))
