# Licensed under the Apache License 2.0, see LICENSE.
# What self-supervised depth shares: frames with their neighbors.
train_dataloader = dict(
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler'),
    dataset=dict(frame_offsets=[-1, 1]),
)
