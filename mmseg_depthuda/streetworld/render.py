# Licensed under the Apache License 2.0, see LICENSE.
"""Rasteriser for textured planar surfaces.

A surface is the parallelogram ``origin + a * edge_u + b * edge_v`` with ``0 <= a, b <= 1``. Its homography
``H = K [R edge_u, R edge_v, R (origin - centre)]`` maps ``(a, b, 1)`` to ``z (u, v, 1)``, hence
``H^-1 (u, v, 1) = (a, b, 1) / z``: inverse depth and the distances to the four edges are affine in the pixel
coordinates. One 3x3 inverse per surface gives exact depth, coverage and texture coordinates; surfaces that cross the
camera plane need no clipping because ``1 / z`` is negative behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from .camera import Camera

SKY_ID = 23
NEAR = 0.1  # metres; closer parts only enlarge the box that is searched for covered pixels
DEPTH_TIE = 1e-4  # of two coplanar surfaces the one drawn later wins


class Texture:
    """Image on a surface with a cache of its reduced versions.

    Args:
        pixels: uint8 ``(h, w, 3)`` BGR or ``(h, w, 4)`` BGRA.
        labels: uint8 ``(h, w)`` label id of every texel, or None if the whole surface has one.
    """

    def __init__(self, pixels: np.ndarray, labels: np.ndarray | None = None) -> None:
        self.pixels = np.ascontiguousarray(pixels)
        self.labels = labels
        self._reduced: dict[tuple[int, int], Texture] = {(0, 0): self}

    @property
    def solid(self) -> bool:
        return self.pixels.shape[:2] == (1, 1)

    def reduced(self, level_u: int, level_v: int) -> Texture:
        """The texture at ``1 / 2**level`` of its width and height, averaged over areas against aliasing."""
        height, width = self.pixels.shape[:2]
        size = max(1, width >> level_u), max(1, height >> level_v)
        key = level_u, level_v
        if key not in self._reduced:
            pixels = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
            labels = self.labels
            if labels is not None:
                labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
            self._reduced[key] = Texture(pixels, labels)
        return self._reduced[key]


@dataclass
class Surface:
    """A textured parallelogram in the world.

    Attributes:
        origin, edge_u, edge_v: float ``(3,)`` corner and edges, metres; the texture's rows run along ``edge_u``.
        texture: What is seen.
        label: Cityscapes label id; None for a decal that only darkens what lies below it (a shadow).
        layer: Layers are drawn in rising order, and within a layer from back to front.
        repeat: How often the texture repeats along ``edge_u`` and ``edge_v``; None stretches it once.
        shade: Brightness factor of the light falling on the surface.
        velocity: Metres per second, ``(3,)``.
        normal: Outward normal; a surface seen from behind is skipped. None: visible from both sides.
    """

    origin: np.ndarray
    edge_u: np.ndarray
    edge_v: np.ndarray
    texture: Texture
    label: int | None
    layer: int = 3
    repeat: tuple[float, float] | None = None
    shade: float = 1.0
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))
    normal: np.ndarray | None = None


@dataclass
class Raster:
    """What a camera sees, before any effect of air, lens and sensor.

    Attributes:
        colour: float32 ``(H, W, 3)`` BGR, 0..255.
        label_ids: uint8 ``(H, W)`` Cityscapes label ids.
        depth: float32 ``(H, W)`` metres along the optical axis, inf for the sky.
    """

    colour: np.ndarray
    label_ids: np.ndarray
    depth: np.ndarray


def rasterize(surfaces: list[Surface], camera: Camera, time: float = 0.0) -> Raster:
    """Draw surfaces as the camera sees them.

    Colours are antialiased at the edges; label and depth are those of the surface in front at the pixel's centre.

    Args:
        surfaces: What to draw. The sky must be among them.
        camera: From where.
        time: Seconds; moving surfaces are displaced by their velocity.
    """
    corners, inverse, boxes, order = _set_up(surfaces, camera, time)
    canvas = _Canvas(camera)
    for i in order:
        canvas.draw(surfaces[i], corners[i], inverse[i], boxes[i])
    depth = np.full_like(canvas.inverse_depth, np.inf)
    np.divide(1.0, canvas.inverse_depth, out=depth, where=canvas.label_ids != SKY_ID)
    return Raster(canvas.colour, canvas.label_ids, depth)


def _set_up(surfaces: list[Surface], camera: Camera, time: float) -> tuple[np.ndarray, ...]:
    """Corners (camera frame), inverse homographies, pixel boxes and drawing order of all surfaces at once."""
    origin = np.array([s.origin for s in surfaces], dtype=np.float64)
    origin += time * np.array([s.velocity for s in surfaces])
    edge_u = np.array([s.edge_u for s in surfaces], dtype=np.float64)
    edge_v = np.array([s.edge_v for s in surfaces], dtype=np.float64)
    corners = np.stack([origin, origin + edge_u, origin + edge_u + edge_v, origin + edge_v], axis=1)
    centre = corners.mean(axis=1)
    visible = np.array(
        [s.normal is None or s.normal @ (camera.position - c) > 0 for s, c in zip(surfaces, centre)]
    )
    frame = np.stack([edge_u, edge_v, origin - camera.position], axis=2)
    homography = camera.matrix @ camera.rotation @ frame
    corners = camera.to_camera(corners)
    boxes = _pixel_boxes(corners, camera)
    visible &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    # A surface seen exactly edge-on has no homography to invert and no pixels.
    visible &= np.abs(np.linalg.det(homography)) > 1e-9
    inverse = np.zeros_like(homography)
    inverse[visible] = np.linalg.inv(homography[visible])
    layer = np.array([s.layer for s in surfaces])
    distance = np.linalg.norm(corners.mean(axis=1), axis=1)
    distance[layer == 0] = 0  # the ground keeps the order in which it was laid
    order = np.lexsort((np.arange(len(surfaces)), -distance, layer))
    return corners, inverse, boxes, order[visible[order]]


def _pixel_boxes(corners: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixel boxes ``(N, 4)`` (left, top, right, bottom; exclusive) of quads ``(N, 4, 3)`` in camera coordinates."""
    following = np.roll(corners, -1, axis=1)
    z, z_following = corners[..., 2], following[..., 2]
    crosses = (z > NEAR) != (z_following > NEAR)
    share = np.divide(NEAR - z, z_following - z, out=np.zeros_like(z), where=crosses)
    crossing = corners + share[..., None] * (following - corners)
    points = np.concatenate([corners, crossing], axis=1)
    used = np.concatenate([z > NEAR, crosses], axis=1)
    scale = 1.0 / np.where(used, np.maximum(points[..., 2], NEAR), 1.0)
    u = points[..., 0] * scale * camera.fx + camera.u0
    v = points[..., 1] * scale * camera.fy + camera.v0
    left, top = (np.where(used, c, np.inf).min(axis=1) for c in (u, v))
    right, bottom = (np.where(used, c, -np.inf).max(axis=1) for c in (u, v))
    limits = np.array([camera.width, camera.height, camera.width, camera.height])
    box = np.stack([np.floor(left), np.floor(top), np.ceil(right) + 1, np.ceil(bottom) + 1], axis=1)
    return np.clip(box, 0, limits).astype(np.int64)


class _Canvas:
    """The z-buffer and what is written through it."""

    def __init__(self, camera: Camera) -> None:
        shape = camera.height, camera.width
        self.camera = camera
        self.colour = np.zeros((*shape, 3), np.float32)
        self.label_ids = np.zeros(shape, np.uint8)
        self.inverse_depth = np.zeros(shape, np.float32)

    def draw(
        self, surface: Surface, corners: np.ndarray, inverse: np.ndarray, box: np.ndarray
    ) -> None:
        left, top, right, bottom = (int(b) for b in box)
        window = slice(top, bottom), slice(left, right)
        u = np.arange(left, right, dtype=np.float64)
        v = np.arange(top, bottom, dtype=np.float64)
        inverse_depth = _affine(inverse[2], u, v)
        front = inverse_depth > self.inverse_depth[window] * (1 - DEPTH_TIE)
        coverage = _coverage(inverse, u, v)
        np.multiply(coverage, front, out=coverage)
        if not coverage.any():
            return
        pixels, labels = self._sample(surface, corners, inverse, (left, top), (len(u), len(v)))
        if pixels.shape[-1] == 4:
            coverage *= pixels[..., 3] * np.float32(1 / 255)
            pixels = pixels[..., :3]
        colour = self.colour[window]
        # colour + coverage * (pixels * shade - colour), in place
        difference = pixels * np.float32(surface.shade) - colour
        difference *= coverage[..., None]
        colour += difference
        if surface.label is None:
            return
        covered = coverage >= 0.5
        np.copyto(
            self.label_ids[window], surface.label if labels is None else labels, where=covered
        )
        np.copyto(self.inverse_depth[window], inverse_depth, where=covered)

    def _sample(
        self,
        surface: Surface,
        corners: np.ndarray,
        inverse: np.ndarray,
        corner: tuple[int, int],
        size: tuple[int, int],
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Texture of the surface in a window: pixels ``(h, w, 3 | 4)`` and labels ``(h, w)`` or None."""
        texture = surface.texture
        if texture.solid:
            return texture.pixels, texture.labels
        repeat = surface.repeat or (1.0, 1.0)
        texture = texture.reduced(*self._levels(texture, corners, repeat))
        height, width = texture.pixels.shape[:2]
        to_texels = np.array(
            [[width * repeat[0], 0, -0.5], [0, height * repeat[1], -0.5], [0, 0, 1]]
        )
        shift = np.array([[1.0, 0, corner[0]], [0, 1, corner[1]], [0, 0, 1]])
        matrix = to_texels @ inverse @ shift
        border = cv2.BORDER_REPLICATE if surface.repeat is None else cv2.BORDER_WRAP
        flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        pixels = cv2.warpPerspective(texture.pixels, matrix, size, flags=flags, borderMode=border)
        if texture.labels is None:
            return pixels, None
        flags = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
        return pixels, cv2.warpPerspective(
            texture.labels, matrix, size, flags=flags, borderMode=border
        )

    def _levels(
        self, texture: Texture, corners: np.ndarray, repeat: tuple[float, float]
    ) -> tuple[int, int]:
        """Levels of reduction at which one texel is about one pixel."""
        z = corners[:, 2]
        if z.min() < NEAR:
            return 0, 0
        points = corners[:, :2] / z[:, None] * self.camera.fx
        length = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
        along_u, along_v = np.sqrt(length[0] * length[2]), np.sqrt(length[1] * length[3])
        height, width = texture.pixels.shape[:2]
        texels = np.array([width * repeat[0], height * repeat[1]])
        level = np.log2(texels / np.maximum([along_u, along_v], 0.5))
        level_u, level_v = np.clip(np.rint(level), 0, 8).astype(int)
        return level_u, level_v


def _affine(row: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """``row . (u, v, 1)`` over a window, float32 ``(len(v), len(u))``."""
    return np.add.outer((row[1] * v + row[2]).astype(np.float32), (row[0] * u).astype(np.float32))


def _coverage(inverse: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Share of each pixel covered, float32: the signed pixel distance to the nearest edge plus one half, clipped."""
    coverage = None
    for row in (inverse[0], inverse[2] - inverse[0], inverse[1], inverse[2] - inverse[1]):
        steepness = np.hypot(row[0], row[1])
        distance = _affine(row / max(steepness, 1e-300), u, v)
        coverage = distance if coverage is None else np.minimum(coverage, distance, out=coverage)
    coverage += np.float32(0.5)
    return np.clip(coverage, 0, 1, out=coverage)
