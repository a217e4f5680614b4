# Licensed under the Apache License 2.0, see LICENSE.
from dataclasses import replace

import numpy as np
import pytest

from mmseg_depthuda.apps.street_world import appearance
from mmseg_depthuda.apps.street_world.appearance import DOMAINS, PALETTES, Appearance

STILL = replace(
    DOMAINS['real'],
    hue_jitter=0,
    value_jitter=0,
    haze=(0, 0),
    blur=(0, 0),
    noise=(0, 0),
    vignetting=(0, 0),
    exposure=(1, 1),
    white_balance=0,
    saturation=(1, 1),
    gamma=(1, 1),
)
GRAY = np.full((32, 64, 3), 100, np.float32)
DEPTH = np.full((32, 64), 50, np.float32)


def look(domain=STILL, **changes):
    return Appearance(replace(domain, **changes), np.random.default_rng(0))


def develop(appearance_, color=GRAY, depth=DEPTH):
    return appearance_.develop(color, depth, np.random.default_rng(1))


@pytest.mark.parametrize(('shift', 'expected'), [(0, 92), (0.5, 108), (1, 124)])
def test_palette_shift_moves_real_between_both_palettes(monkeypatch, shift, expected):
    monkeypatch.setattr(appearance, 'PALETTE_SHIFT', shift)
    blue, _, red = look().color('road', np.random.default_rng(0))
    assert red == pytest.approx(expected, abs=0.5)  # (92, 94, 104) to (124, 118, 112)
    assert blue == pytest.approx(104 + 8 * shift, abs=0.5)


def test_every_material_has_colors_in_both_domains():
    for name, palettes in PALETTES.items():
        for colors in palettes:
            assert colors, name
            assert all(0 <= c <= 255 for color in colors for c in color), name


def test_develop_without_effects_changes_nothing():
    np.testing.assert_array_equal(develop(look()), 100)


def test_haze_is_koschmieders_law():
    depth = DEPTH.copy()
    depth[0] = np.inf
    pixels = develop(look(haze=(0.01, 0.01), haze_color=(200, 220, 240)), depth=depth)
    clear = np.exp(-0.5)
    expected = [100 * clear + c * (1 - clear) for c in (240, 220, 200)]
    np.testing.assert_allclose(pixels[5, 5], expected, atol=1)
    np.testing.assert_allclose(pixels[0, 0], 240 - 140 * np.exp(-2) + [0, -17.3, -34.6], atol=1)


def test_exposure_gamma_and_vignetting():
    assert develop(look(exposure=(1.5, 1.5)))[3, 3, 0] == 150
    assert develop(look(gamma=(2, 2)))[3, 3, 0] == round(255 * (100 / 255) ** 2)
    pixels = develop(look(vignetting=(0.4, 0.4)))
    assert pixels[0, 0, 0] == 60  # the corner: 1 - 0.4 * (1 + 1) / 2
    assert pixels[16, 32, 0] == pytest.approx(100, abs=1)


def test_saturation_keeps_the_mean_of_the_channels():
    color = np.full_like(GRAY, (40, 100, 160))
    np.testing.assert_array_equal(develop(look(saturation=(0.5, 0.5)), color)[0, 0], (70, 100, 130))


def test_noise_has_the_given_deviation():
    pixels = develop(look(noise=(5, 5))).astype(float)
    assert pixels.std() == pytest.approx(5, rel=0.05)


def test_blur_keeps_the_mean_and_lowers_contrast():
    color = GRAY.copy()
    color[:, ::2] = 200
    pixels = develop(look(blur=(0.03, 0.03)), color)
    assert pixels.std() < 10
    assert pixels.mean() == pytest.approx(150, abs=1)


def test_shade_is_lambert():
    scene = look(ambient=0.6, sun=0.5)
    assert scene.shade(scene.sun) == pytest.approx(1.1)
    assert scene.shade(-scene.sun) == pytest.approx(0.6)


def test_grain_is_seamless_and_leaves_alpha_alone():
    scene = look(texture=20)
    grain = scene.grain().astype(float)[..., 0]
    inner = np.abs(np.diff(grain, axis=1)).mean()
    assert np.abs(grain[:, 0] - grain[:, -1]).mean() < 1.3 * inner
    pixels = scene.textured(np.full((300, 20, 4), 128, np.uint8))
    assert (pixels[..., 3] == 128).all()
    assert pixels[..., 0].std() > 5
