# Licensed under the Apache License 2.0, see LICENSE.
# DeepLab-v2 on ResNet-101 as DACS and CorDA release it.
# The published numbers start from ImageNet+COCO: the released file, converted by
# tools/model_converters/deeplab_init_to_mmseg.py (docs/weights.md).
coco_init = '{{$DEEPLAB_INIT:pretrained/resnet101_imagenet_coco.pth}}'
# For the configs `*_imagenet.py`; MMEngine downloads it, and the released file may take its place.
imagenet_init = '{{$DEEPLAB_IMAGENET_INIT:open-mmlab://detectron2/resnet101_caffe}}'
data_preprocessor = dict(
    type='UDADataPreProcessor',
    mean=[104.00698793, 116.66876762, 122.67891434],  # BGR
    std=[1.0, 1.0, 1.0],
    bgr_to_rgb=False,
    size_divisor=1,
)
model = dict(
    type='UDASegmentor',
    unlabelled=['target'],  # labels of these branches are never looked at
    data_preprocessor=data_preprocessor,
    backbone=dict(
        type='DeepLabV2ResNet',
        depth=101,
        init_cfg=dict(type='Pretrained', checkpoint=coco_init),
    ),
    decode_head=dict(
        type='DeepLabV2Head',
        in_channels=2048,
        in_index=3,
        num_classes=19,
        num_summed=2,  # of the classifier's 4 branches, as released; 4 is DeepLab-v2's full sum
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
