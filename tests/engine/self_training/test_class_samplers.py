# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch

from mmseg_depthuda.engine.self_training import ClassMix, GivenClasses
from mmseg_depthuda.registry import BRANCH_MAKERS, CLASS_SAMPLERS

NAMES = ('road', 'sidewalk', 'rider', 'pole')
LABEL = torch.tensor([[[[2, 2, 3]]], [[[0, 0, 255]]]])


@CLASS_SAMPLERS.register_module()
class SmallestClass:
    """The class of an image that has the fewest pixels, as a user may register it."""

    def __call__(self, label):
        counts = [own.flatten().bincount() for own in label]
        return [own.where(own > 0, 999).argmin()[None] for own in counts]


def sampler(classes):
    maker = BRANCH_MAKERS.build(dict(type='ClassMix', classes=classes))
    maker.know_classes(NAMES)
    return maker.classes


def test_a_config_names_a_registered_sampler():
    drawn = sampler(dict(type='SmallestClass'))(LABEL)
    assert [own.tolist() for own in drawn] == [[3], [255]]
    drawn = sampler(dict(type='HalfOfClasses'))(LABEL)
    assert drawn[0].item() in (2, 3) and drawn[1].item() in (0, 255)


def test_half_within_a_domain_is_that_of_an_argmax():
    """Rounded down; ignored pixels are pixels of class 0 and come along with it."""
    label = torch.tensor([[[[0, 255, 3, 3]]], [[[255, 4, 3, 3]]], [[[5, 5, 5, 5]]]])
    drawn = [sampler(dict(type='HalfOfClasses', rounding='down', ignored_as=0))(label)
             for _ in range(32)]  # fmt: skip
    for image, possible in enumerate([{(0, 255), (3,)}, {(0, 255), (4,), (3,)}, {()}]):
        assert {tuple(own[image].tolist()) for own in drawn} == possible
    for wrong, message in ((dict(rounding='off'), "'up' or 'down', got 'off'"),
                           (dict(ignored_as=-1), 'index of a class, got -1')):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            sampler(dict(type='HalfOfClasses', **wrong))


def test_names_and_indices_of_classes():
    assert sampler(['pole', 0, 255])(LABEL) == [[3, 0, 255]] * 2
    twice = sampler(['rider'])
    assert twice is sampler(twice)  # a sampler is taken as it is, and may be told the names again
    assert twice(LABEL) == [[2]] * 2


@pytest.mark.parametrize(
    ('classes', 'message'),
    [
        (['ridder'], "'ridder' is no class .*Did you mean 'rider'.*4 classes: .*'pole'"),
        ([4], 'classes=4 is no class .* 4 classes'),
        ([-1], 'classes=-1 is no class'),
        ([], r'must hold class indices or names, got \[\]'),
        ([True], r'must hold class indices or names, got \[True\]'),
        ('rider', r"must be a list, got 'rider': write \['rider'\]"),
    ],
)
def test_what_names_no_class_is_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        sampler(classes)


def test_names_need_a_dataset_that_names_its_classes():
    with pytest.raises(ValueError, match=r"classes \['rider'\] are not known.*metainfo"):
        ClassMix(classes=['rider']).classes(LABEL)
    assert GivenClasses([2])(LABEL) == [[2], [2]]
