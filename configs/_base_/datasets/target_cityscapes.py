# Licensed under the Apache License 2.0, see LICENSE.
# Cityscapes as a target: trained on without labels, evaluated on its validation images.
_base_ = ['../data_roots.py', './source_target_loaders.py']

target_dataset = dict(
    type='CityscapesDepthDataset',
    data_root=_base_.cityscapes_root,
    split='train',
    data_prefix=dict(seg_map_path=None),
)
train_dataloader = dict(dataset=dict(target=target_dataset))
val_dataloader = dict(
    dataset=dict(type='CityscapesDepthDataset', data_root=_base_.cityscapes_root, split='val'),
)
test_dataloader = val_dataloader
# One evaluation reads the classes of the network, and the 16 and 13 of SYNTHIA's tables.
val_evaluator = dict(class_subsets=dict(mIoU_16='synthia16', mIoU_13='cityscapes13'))
test_evaluator = val_evaluator
