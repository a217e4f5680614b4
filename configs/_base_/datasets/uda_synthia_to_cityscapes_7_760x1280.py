# Licensed under the Apache License 2.0, see LICENSE.
# SYNTHIA -> Cityscapes over the 7 categories that both share with Vistas, at full size.
_base_ = './uda_synthia_to_cityscapes_760x1280.py'

source_dataset = target_dataset = dict(protocol='categories7')
train_dataloader = dict(dataset=dict(source=source_dataset, target=target_dataset))
val_dataloader = dict(dataset=dict(protocol='categories7'))
test_dataloader = val_dataloader
val_evaluator = dict(class_subsets=None)
test_evaluator = val_evaluator
