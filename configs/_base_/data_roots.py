# Licensed under the Apache License 2.0, see LICENSE.
# The one place for data paths. Edit it, or set the environment variables. Relative paths start at
# the working directory.
gta_root = '{{$GTA_ROOT:data/gta}}'
synthia_root = '{{$SYNTHIA_ROOT:data/synthia}}'
cityscapes_root = '{{$CITYSCAPES_ROOT:data/cityscapes}}'
mapillary_root = '{{$MAPILLARY_ROOT:data/mapillary}}'
camvid_root = '{{$CAMVID_ROOT:data/camvid}}'
# Written by tools/dataset_converters/street_world.py; holds gta/, synthia/, cityscapes/ and
# mapillary/, as far as its --layouts name them.
street_world_root = '{{$STREET_WORLD_ROOT:data/street_world}}'
# Depth predicted for CamVid's frames: train/NAME.png, 16 bit.
camvid_pseudo_depth_root = '{{$CAMVID_PSEUDO_DEPTH_ROOT:data/camvid_pseudo_depth}}'
# Of depth distribution: mixtures of the source, and pseudo-labels of the target.
depth_mixtures_root = '{{$DEPTH_MIXTURES_ROOT:data/depth_mixtures}}'
pseudo_labels_root = '{{$PSEUDO_LABELS_ROOT:data/pseudo_labels}}'
# Your own images, see docs/own_images.md and docs/own_depth.md.
own_source_root = '{{$OWN_SOURCE_ROOT:data/own_source}}'
own_target_root = '{{$OWN_TARGET_ROOT:data/own_target}}'
