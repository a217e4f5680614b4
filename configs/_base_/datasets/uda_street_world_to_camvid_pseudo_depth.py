# Licensed under the Apache License 2.0, see LICENSE.
# With target depth predicted by a network: 16-bit PNGs in CorDA's disparity encoding, one per frame
# and of the frame's name. They have their own root, because data/camvid is usually a link to shared
# data.
_base_ = ['./uda_street_world_to_camvid.py']

target_dataset = dict(
    data_root=None,
    data_prefix=dict(
        img_path=_base_.camvid_root + '/train',
        depth_map_path=_base_.camvid_pseudo_depth_root + '/train',
    ),
)
train_dataloader = dict(dataset=dict(target=target_dataset))
