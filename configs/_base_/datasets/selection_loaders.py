# Licensed under the Apache License 2.0, see LICENSE.
# What selections share: images to choose from, whose depth a student learns. Labels are not read.
train_dataloader = dict(
    batch_size=2,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(data_prefix=dict(seg_map_path=None)),
)
