# Licensed under the Apache License 2.0, see LICENSE.
"""The parts that tests/apps/released_weights/test_sde_conversion.py does not compare."""

import pytest
import torch

from mmseg_depthuda.models.decode_heads import UNetDecoder

CHANNELS = (3, 4, 5, 6, 7)


@pytest.fixture
def features():
    torch.manual_seed(1)
    return [torch.rand(2, c, 32 >> i, 48 >> i) for i, c in enumerate(CHANNELS)]


@pytest.mark.parametrize('number', [4, 5])
def test_stages_can_run_in_two_parts(features, number):
    features = features[-number:]
    decoder = UNetDecoder(CHANNELS[-number:], (2, 3, 4, 5, 6))
    whole = decoder.decode(features)
    parts = decoder.decode(features, (4, 3, 2))
    parts |= decoder.decode(features, (1, 0), parts[2])
    assert list(whole) == list(parts) == [4, 3, 2, 1, 0]
    for stage, output in whole.items():
        assert output.shape[1] == (2, 3, 4, 5, 6)[stage]
        assert torch.equal(parts[stage], output)
    changed = decoder.decode(features, (1, 0), 2 * parts[2])
    assert not torch.allclose(changed[0], whole[0])


def test_features_of_another_encoder_are_an_error(features):
    decoder = UNetDecoder((3, 4, 5, 6, 8))
    with pytest.raises(
        ValueError, match=r'6, 8\), but .* 5 features of \(3, 4, 5, 6, 7\) channels'
    ):
        decoder.decode(features)
    with pytest.raises(ValueError, match='4 features of'):
        UNetDecoder(CHANNELS).decode(features[1:])
