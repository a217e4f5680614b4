# Licensed under the Apache License 2.0, see LICENSE.
"""How the two domains look: palettes, textures, light, air, lens and sensor.

Everything that makes the gap between ``sim`` and ``real`` is a constant of this file.
``PALETTE_SHIFT`` moves all colors of ``real`` together: 0 gives it the palette of ``sim``, 1 its
own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

PALETTE_SHIFT = 0.5

# Material: base colors (RGB), one of which is drawn per object, in `sim` and in `real`. Several
# colors of # `real` are those of another class in `sim` (sidewalk and road, building and
# sidewalk, train and wall ...).
PALETTES: dict[str, tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]] = {
    'road': ([(92, 94, 104)], [(124, 118, 112)]),
    'marking': ([(240, 240, 240)], [(205, 200, 186)]),
    'rail': ([(60, 56, 58)], [(92, 84, 80)]),
    'sidewalk': ([(196, 172, 164)], [(136, 132, 128)]),
    'terrain': ([(118, 190, 70)], [(146, 136, 84)]),
    'building': (
        [(226, 160, 92), (206, 106, 84), (240, 206, 130), (150, 170, 210)],
        [(150, 138, 128), (128, 92, 78), (178, 168, 150), (104, 104, 108)],
    ),
    'roof': ([(170, 70, 50)], [(84, 70, 66)]),
    'window': ([(80, 110, 160)], [(52, 56, 62)]),
    'wall': ([(160, 156, 180)], [(158, 138, 116)]),
    'fence': ([(70, 96, 150), (120, 80, 60)], [(96, 100, 92), (130, 116, 98)]),
    'pole': ([(62, 62, 74)], [(128, 128, 124)]),
    'light_box': ([(30, 30, 32)], [(50, 54, 46)]),
    'sign': (
        [(30, 80, 220), (220, 30, 40), (250, 210, 30)],
        [(50, 84, 148), (172, 58, 52), (196, 172, 84)],
    ),
    'vegetation': ([(44, 140, 52), (70, 156, 50)], [(72, 84, 48), (98, 100, 52)]),
    'trunk': ([(110, 76, 48)], [(78, 70, 62)]),
    'sky': ([(96, 166, 250)], [(196, 204, 214)]),
    'skin': ([(232, 186, 150), (150, 100, 70)], [(198, 156, 132), (120, 84, 66)]),
    'clothes': (
        [(230, 60, 60), (60, 90, 230), (250, 220, 60), (160, 60, 190), (40, 180, 170)],
        [(58, 60, 74), (110, 62, 58), (86, 92, 108), (150, 140, 124), (42, 44, 46)],
    ),
    'trousers': ([(50, 60, 140), (60, 60, 66)], [(48, 50, 60), (88, 80, 70)]),
    'helmet': ([(250, 250, 250), (220, 40, 40)], [(60, 60, 64), (190, 186, 176)]),
    'car': (
        [(220, 40, 40), (40, 90, 220), (250, 250, 250), (240, 200, 40), (40, 160, 90)],
        [(150, 152, 156), (44, 46, 50), (196, 196, 194), (96, 40, 40), (58, 70, 92)],
    ),
    'truck_cab': ([(240, 120, 30), (50, 140, 220)], [(182, 178, 170), (140, 60, 48)]),
    'truck_box': ([(236, 236, 226), (190, 120, 230)], [(166, 160, 146), (112, 122, 126)]),
    'bus': ([(250, 190, 30), (230, 80, 40)], [(170, 56, 52), (184, 176, 156)]),
    'train': ([(40, 180, 190), (60, 130, 120)], [(196, 178, 96), (110, 118, 88)]),
    'bike': ([(200, 40, 120), (30, 150, 200)], [(70, 72, 76), (98, 56, 50)]),
    'tire': ([(36, 36, 40)], [(44, 42, 42)]),
    'glass': ([(90, 130, 180)], [(62, 70, 76)]),
}


@dataclass(frozen=True)
class Domain:
    """Constants of one domain. Lengths in pixels are given as a share of the image width.

    Attributes:
        seed_key: Number that keys the random streams of the domain.
        focal: Focal length / image width.
        camera_height: Meters, range.
        pitch: Radians below the horizon, range.
        yaw: Largest angle to the street, radians.
        baseline: Stereo baseline, meters.
        hue_jitter, value_jitter: Spread of a material's color between scenes (degrees; share).
        texture: Standard deviation of surface texture, gray values.
        detail: Weight of fine against coarse texture, 0..1.
        ambient: Light on a surface turned away from the sun; a surface facing it gets 1 + sun.
        sun: Strength of directed light.
        shadow: Darkening of the ground below objects.
        haze: Extinction per meter, range.
        haze_color: RGB.
        blur: Standard deviation / width, range.
        noise: Sensor noise, gray values, range.
        vignetting: Loss of light in the corners, range.
        exposure: Gain, range.
        white_balance: Spread of the gains of blue and red against green.
        saturation: Range.
        gamma: Range.
        clouds: Strength of clouds in the sky, gray values.
    """

    seed_key: int
    focal: float
    camera_height: tuple[float, float]
    pitch: tuple[float, float]
    yaw: float
    baseline: float
    hue_jitter: float
    value_jitter: float
    texture: float
    detail: float
    ambient: float
    sun: float
    shadow: float
    haze: tuple[float, float]
    haze_color: tuple[int, int, int]
    blur: tuple[float, float]
    noise: tuple[float, float]
    vignetting: tuple[float, float]
    exposure: tuple[float, float]
    white_balance: float
    saturation: tuple[float, float]
    gamma: tuple[float, float]
    clouds: float


DOMAINS = {
    'sim': Domain(
        seed_key=0,
        focal=0.84,
        camera_height=(1.45, 1.75),
        pitch=(0.0, 0.02),
        yaw=0.03,
        baseline=0.22,
        hue_jitter=6,
        value_jitter=0.08,
        texture=5,
        detail=0.3,
        ambient=0.86,
        sun=0.14,
        shadow=0.3,
        haze=(0.0, 0.001),
        haze_color=(170, 205, 250),
        blur=(0.0, 0.0),
        noise=(0.0, 1.0),
        vignetting=(0.0, 0.0),
        exposure=(0.95, 1.05),
        white_balance=0.0,
        saturation=(1.0, 1.1),
        gamma=(1.0, 1.0),
        clouds=6,
    ),
    'real': Domain(
        seed_key=1,
        focal=1.0,
        camera_height=(1.15, 1.35),
        pitch=(0.02, 0.05),
        yaw=0.05,
        baseline=0.22,
        hue_jitter=10,
        value_jitter=0.14,
        texture=10,
        detail=0.6,
        ambient=0.74,
        sun=0.32,
        shadow=0.5,
        haze=(0.001, 0.004),
        haze_color=(206, 208, 210),
        blur=(0.0006, 0.0016),
        noise=(1.0, 4.0),
        vignetting=(0.05, 0.25),
        exposure=(0.88, 1.12),
        white_balance=0.05,
        saturation=(0.8, 1.05),
        gamma=(0.95, 1.1),
        clouds=16,
    ),
}


@lru_cache(maxsize=1)
def _noise_tiles() -> np.ndarray:
    """Seamless noise of unit variance, fine and coarse (1/f), float32 ``(2, 128, 128)``."""
    size = 128
    rng = np.random.Generator(np.random.PCG64(2021))
    white = rng.standard_normal((2, size, size))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    fine = np.exp(-((frequency - 0.2) ** 2) / (2 * 0.1**2))
    coarse = 1 / np.maximum(frequency, 1 / size) ** 1.2
    noise = np.fft.ifft2(np.fft.fft2(white) * np.stack([fine, coarse])).real
    noise -= noise.mean(axis=(1, 2), keepdims=True)
    return (noise / noise.std(axis=(1, 2), keepdims=True)).astype(np.float32)


class Appearance:
    """The look of one scene: what is drawn once per scene from a domain's ranges.

    Args:
        domain: Constants of the domain.
        rng: Draws the scene's palette, light, air and camera response.
    """

    def __init__(self, domain: Domain, rng: np.random.Generator) -> None:
        self.domain = domain
        shift = 0.0 if domain.seed_key == 0 else PALETTE_SHIFT
        self._palette = {
            name: self._jitter(np.array(real), np.array(sim), shift, rng)
            for name, (sim, real) in PALETTES.items()
        }
        azimuth, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.2)
        self.sun = np.array(
            [
                np.cos(elevation) * np.cos(azimuth),
                -np.sin(elevation),
                np.cos(elevation) * np.sin(azimuth),
            ]
        )
        self.camera_height = rng.uniform(*domain.camera_height)
        self.pitch = rng.uniform(*domain.pitch)
        self.yaw = rng.uniform(-domain.yaw, domain.yaw)
        self._haze = rng.uniform(*domain.haze)
        self._blur = rng.uniform(*domain.blur)
        self._noise = rng.uniform(*domain.noise)
        self._vignetting = rng.uniform(*domain.vignetting)
        self._saturation = rng.uniform(*domain.saturation)
        self._gamma = rng.uniform(*domain.gamma)
        white_balance = 1 + rng.uniform(-1, 1, 2) * domain.white_balance
        gains = np.array([white_balance[0], 1.0, white_balance[1]])
        self._gains = (rng.uniform(*domain.exposure) * gains).astype(np.float32)
        self._roll = rng.integers(0, 128, 2)
        self._grain: dict[tuple[float, int], np.ndarray] = {}

    def _jitter(self, real: np.ndarray, sim: np.ndarray, shift: float, rng) -> np.ndarray:
        """The scene's colors of a material, BGR ``(n, 3)``, from its RGB base colors."""
        n = max(len(sim), len(real))
        sim, real = (np.resize(c, (n, 3)).astype(np.float32) for c in (sim, real))
        color = (1 - shift) * sim + shift * real
        hsv = cv2.cvtColor(color[None] / 255, cv2.COLOR_RGB2HSV)[0]
        hsv[:, 0] = (hsv[:, 0] + rng.normal(0, self.domain.hue_jitter, n)) % 360
        hsv[:, 1] *= 1 + rng.uniform(-1, 1, n) * self.domain.value_jitter
        hsv[:, 2] *= 1 + rng.uniform(-1, 1) * self.domain.value_jitter
        return (
            cv2.cvtColor(np.clip(hsv, 0, (360, 1, 1)).astype(np.float32)[None], cv2.COLOR_HSV2BGR)[
                0
            ]
            * 255
        )

    def color(self, material: str, rng: np.random.Generator) -> np.ndarray:
        """A color of the material, float32 ``(3,)`` BGR, 0..255, a little different every time."""
        choices = self._palette[material]
        spread = 1 + rng.uniform(-0.5, 0.5) * self.domain.value_jitter
        return np.minimum(choices[rng.integers(len(choices))] * spread, 255)

    def paint(self, material: str, rng: np.random.Generator) -> tuple[int, ...]:
        """The same as a tuple for OpenCV's drawing functions."""
        return tuple(int(c) for c in self.color(material, rng))

    def grain(self, strength: float = 1.0, channels: int = 3) -> np.ndarray:
        """Seamless texture, int16 ``(256, 256, channels)`` gray values, 0 in an alpha channel."""
        key = strength, channels
        if key not in self._grain:
            fine, coarse = _noise_tiles()
            detail = self.domain.detail
            tile = self.domain.texture * strength * (detail * fine + (1 - detail) * coarse)
            tile = np.tile(np.roll(tile, tuple(self._roll), axis=(0, 1)), (2, 2))
            planes = [np.rint(tile).astype(np.int16)] * 3
            self._grain[key] = cv2.merge(planes + [np.zeros_like(planes[0])] * (channels - 3))
        return self._grain[key]

    def textured(self, pixels: np.ndarray, strength: float = 1.0) -> np.ndarray:
        """Pixels uint8 ``(h, w, 3 | 4)`` with surface texture added to the colors."""
        height, width, channels = pixels.shape
        grain = self.grain(strength, channels)
        if height > 256 or width > 256:
            grain = np.tile(grain, (-(-height // 256), -(-width // 256), 1))
        return cv2.add(pixels, grain[:height, :width], dtype=cv2.CV_8U)

    def shade(self, normal: np.ndarray) -> float:
        """Brightness of a surface by its unit normal n: ``ambient + sun * max(0, n s)``."""
        return float(self.domain.ambient + self.domain.sun * max(0.0, float(normal @ self.sun)))

    def develop(self, color: np.ndarray, depth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What the camera makes of the light: haze, exposure, white balance, blur, noise, tone.

        Args:
            color: float32 ``(H, W, 3)`` BGR, 0..255.
            depth: float32 ``(H, W)`` meters, inf for the sky.
            rng: Draws the noise.

        Returns:
            uint8 ``(H, W, 3)`` BGR.
        """
        height, width = depth.shape
        v, u = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
        falloff = 1 - (self._vignetting / 2 * (u * u + v * v)).astype(np.float32)
        # Koschmieder's law; the sky is taken as air of 200 m.
        clear = np.exp(-np.float32(self._haze) * np.minimum(depth, 200))
        planes = []
        for plane, gain, haze in zip(
            cv2.split(color), self._gains, self.domain.haze_color[::-1], strict=True
        ):
            plane = plane - haze
            plane *= clear
            plane += haze
            plane *= gain * falloff
            if self._blur * width > 0.1:
                plane = cv2.GaussianBlur(plane, (0, 0), self._blur * width)
            planes.append(plane)
        gray = sum(planes) / np.float32(3)
        for i, plane in enumerate(planes):
            plane = gray + np.float32(self._saturation) * (plane - gray)
            plane += np.float32(self._noise) * rng.standard_normal(plane.shape, dtype=np.float32)
            planes[i] = np.clip(plane, 0, 255, out=plane).astype(np.uint8)
        curve = 255 * (np.arange(256) / 255) ** self._gamma
        return cv2.LUT(cv2.merge(planes), np.rint(curve).astype(np.uint8))
