# Licensed under the Apache License 2.0, see LICENSE.
# The same, with all images in the stream that is mixed: those with labels keep them.
_base_ = './semi_camvid_512x512.py'

target_dataset = dict(
    data_prefix=dict(seg_map_path=_base_.camvid_root + '/trainannot'),
    subset=dict(_delete_=True, labels_only=True, **_base_.subset),
)
train_dataloader = dict(dataset=dict(target=target_dataset))
