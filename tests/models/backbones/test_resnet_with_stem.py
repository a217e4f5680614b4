# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
from mmseg.registry import MODELS


@pytest.mark.parametrize('deep_stem', [False, True])
def test_the_stem_is_added_to_mmsegs_features(deep_stem):
    options = dict(depth=18, base_channels=8, stem_channels=8, deep_stem=deep_stem)
    torch.manual_seed(0)
    plain = MODELS.build(dict(type='ResNet', **options))
    with_stem = MODELS.build(dict(type='ResNetWithStem', **options))
    with_stem.load_state_dict(plain.state_dict())
    # MMSeg's ResNet.train() returns None.
    plain.eval(), with_stem.eval()
    images, seen = torch.rand(2, 3, 64, 96), []
    plain.maxpool.register_forward_hook(lambda module, inputs, output: seen.extend(inputs))
    expected = plain(images)
    stem, *stages = with_stem(images)
    torch.testing.assert_close(stem, seen[0])
    assert [x.shape[2] for x in (stem, *stages)] == [32, 16, 8, 4, 2]
    for stage, reference in zip(stages, expected, strict=True):
        torch.testing.assert_close(stage, reference)


def test_a_frozen_encoder_learns_nothing():
    model = MODELS.build(
        dict(type='ResNetWithStem', depth=18, base_channels=8, stem_channels=8, frozen_stages=4)
    )
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    features = model(torch.rand(2, 3, 64, 96))
    assert not any(x.requires_grad for x in features)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
