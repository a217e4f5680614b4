# Licensed under the Apache License 2.0, see LICENSE.
# The parts of Hoyer et al.'s self-training, which experiments put together. The teacher keeps its
# dropout. A mix within the target weighs by the share of confident pixels of the mixed batch, one
# across domains by that of the unmixed target.
self_training = dict(
    type='SelfTrainingHook',
    teacher=dict(type='TeacherEMA', alpha=0.99, dropout=True, first_iteration=1),
    pseudo_labels=dict(type='ConfidentShare'),
)
# Where the stream that is mixed has images with labels.
true_labels = dict(pseudo_labels=dict(type='ConfidentShare', true_labels=True))
within = dict(paste='target', onto='target', confidence_threshold=0.968)
across = dict(paste='source', onto='target')
whole_images = dict(type='MaskImage', of='target', ratio=0.0)
classmix_within = dict(within, type='ClassMix')
classmix_across = dict(across, type='ClassMix')
# Depth is normalized when it is loaded, over the whole image.
depthmix_within = dict(within, type='DepthMix', normalize=False)
depthmix_across = dict(across, type='DepthMix', normalize=False)
