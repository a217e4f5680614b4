# Licensed under the Apache License 2.0, see LICENSE.
# The same over the 7 categories that both share with Vistas.
_base_ = './uda_synthia_to_cityscapes_both_760x1280.py'

train_dataloader = dict(
    dataset=dict(source=dict(protocol='categories7'), target=dict(protocol='categories7')),
)
val_dataloader = dict(dataset=dict(protocol='categories7'))
test_dataloader = val_dataloader
val_evaluator = dict(class_subsets=None)
test_evaluator = val_evaluator
