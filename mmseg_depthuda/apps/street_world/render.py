# Licensed under the Apache License 2.0, see LICENSE.
"""Rasterizer for textured planar surfaces.

A surface is the parallelogram ``origin + a * edge_u + b * edge_v`` with ``0 <= a, b <= 1``. Its
homography ``H = K [R edge_u, R edge_v, R (origin - center)]`` maps ``(a, b, 1)`` to ``z (u, v,
1)``, hence ``H^-1 (u, v, 1) = (a, b, 1) / z``: inverse depth and the distances to the four edges
are affine in the pixel coordinates. One 3x3 inverse per surface gives exact depth, coverage and
texture coordinates; surfaces that cross the camera plane need no clipping because ``1 / z`` is
negative on its other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from .camera import Camera

SKY_ID = 23
SKY_LAYER, GROUND_LAYER, SHADOW_LAYER, OBJECT_LAYER = range(4)
NEAR = 0.1  # meters; closer parts only enlarge the box that is searched for covered pixels
SMALLEST_AREA = 0.5  # pixels; smaller surfaces are left out
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

    def reduced(self, level_u: int, level_v: int) -> Texture:
        """The texture at ``1 / 2**level`` of its width and height, averaged against aliasing."""
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
        origin, edge_u, edge_v: float ``(3,)`` corner and edges, meters; the texture's rows run
            along ``edge_u``.
        texture: What is seen.
        label: Cityscapes label id; None for a decal that only darkens what lies below it (a
            shadow).
        layer: Layers are drawn in rising order, and within a layer from back to front.
        repeat: How often the texture repeats along ``edge_u`` and ``edge_v``; None stretches it
            once.
        shade: Brightness factor of the light falling on the surface.
        velocity: Meters per second, ``(3,)``.
        normal: Outward normal; a surface seen from its back is skipped. None: visible from both
            sides.
    """

    origin: np.ndarray
    edge_u: np.ndarray
    edge_v: np.ndarray
    texture: Texture
    label: int | None
    layer: int = OBJECT_LAYER
    repeat: tuple[float, float] | None = None
    shade: float = 1.0
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(3))
    normal: np.ndarray | None = None


@dataclass
class Raster:
    """What a camera sees, before any effect of air, lens and sensor.

    Attributes:
        color: float32 ``(H, W, 3)`` BGR, 0..255.
        label_ids: uint8 ``(H, W)`` Cityscapes label ids.
        depth: float32 ``(H, W)`` meters along the optical axis, inf for the sky.
    """

    color: np.ndarray
    label_ids: np.ndarray
    depth: np.ndarray


def rasterize(surfaces: list[Surface], camera: Camera, time: float = 0.0) -> Raster:
    """Draw surfaces as the camera sees them.

    Colors are antialiased at the edges; label and depth are those of the surface in front at the
    pixel's center.

    Args:
        surfaces: What to draw. The sky must be among them.
        camera: From where.
        time: Seconds; moving surfaces are displaced by their velocity.
    """
    shape = camera.height, camera.width
    raster = Raster(
        np.zeros((*shape, 3), np.float32), np.zeros(shape, np.uint8), np.zeros(shape, np.float32)
    )
    for surface, projection in _project(surfaces, camera, time):
        _draw(raster, surface, projection)
    is_sky = raster.label_ids == SKY_ID
    raster.depth[is_sky] = np.inf
    np.divide(1.0, raster.depth, out=raster.depth, where=~is_sky)
    return raster


@dataclass
class _Projection:
    """A surface as a camera sees it.

    Attributes:
        inverse: ``H^-1``, float64 ``(3, 3)``.
        affine: Rows of the affine functions inverse depth and pixel distance to the four edges
            (positive inside), float32 ``(5, 3)``.
        box: Pixels that it may cover: left, top, right, bottom (exclusive).
        levels: Reduction of the texture along its two axes.
    """

    inverse: np.ndarray
    affine: np.ndarray
    box: list[int]
    levels: list[int]


def _project(
    surfaces: list[Surface], camera: Camera, time: float
) -> Iterator[tuple[Surface, _Projection]]:
    """All visible surfaces at once, in the order in which they are drawn."""
    origin = np.array([s.origin for s in surfaces], dtype=np.float64)
    origin += time * np.array([s.velocity for s in surfaces])
    edge_u = np.array([s.edge_u for s in surfaces], dtype=np.float64)
    edge_v = np.array([s.edge_v for s in surfaces], dtype=np.float64)
    to_origin = origin - camera.position
    facing = np.array([(0, 0, 0) if s.normal is None else s.normal for s in surfaces])
    away = (facing * (to_origin + (edge_u + edge_v) / 2)).sum(axis=1)
    corners = np.stack([origin, origin + edge_u, origin + edge_u + edge_v, origin + edge_v], axis=1)
    corners = camera.to_camera(corners)
    homography = camera.matrix @ camera.rotation @ np.stack([edge_u, edge_v, to_origin], axis=2)
    boxes = _pixel_boxes(corners, camera)
    visible = (away < 0) | ~facing.any(axis=1)
    visible &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    visible &= _areas(corners, camera) > SMALLEST_AREA
    # A surface seen exactly edge-on has no homography to invert and no pixels.
    visible &= np.abs(np.linalg.det(homography)) > 1e-9
    layer = np.array([s.layer for s in surfaces])
    distance = np.linalg.norm(corners.mean(axis=1), axis=1)
    distance[layer == GROUND_LAYER] = 0  # the ground keeps the order in which it was laid
    order = np.lexsort((np.arange(len(surfaces)), -distance, layer))
    order = order[visible[order]]
    inverse = np.linalg.inv(homography[order])
    edges = np.stack([inverse[:, 0], inverse[:, 1]], axis=1)
    edges = np.concatenate([edges, inverse[:, 2:] - edges], axis=1)
    edges /= np.maximum(np.hypot(edges[..., 0], edges[..., 1]), 1e-300)[..., None]
    affine = np.concatenate([inverse[:, 2:], edges], axis=1)
    levels = _levels([surfaces[i] for i in order], corners[order], camera)
    for row in zip(order, inverse, affine, boxes[order].tolist(), levels.tolist(), strict=True):
        yield surfaces[row[0]], _Projection(*row[1:])


def _pixel_boxes(corners: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixel boxes ``(N, 4)`` of quads ``(N, 4, 3)`` in camera coordinates, cut at ``NEAR``."""
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


def _areas(corners: np.ndarray, camera: Camera) -> np.ndarray:
    """Pixel areas ``(N,)`` of quads ``(N, 4, 3)`` (shoelace); inf for those not wholly ahead."""
    z = corners[..., 2]
    ahead = z.min(axis=1) > NEAR
    x, y = np.moveaxis(corners[..., :2] / np.where(ahead[:, None], z, 1.0)[..., None], -1, 0)
    doubled = (x * np.roll(y, -1, axis=1) - np.roll(x, -1, axis=1) * y).sum(axis=1)
    return np.where(ahead, 0.5 * np.abs(doubled) * camera.fx * camera.fy, np.inf)


def _levels(surfaces: list[Surface], corners: np.ndarray, camera: Camera) -> np.ndarray:
    """Levels of reduction ``(N, 2)`` at which one texel is about one pixel on each axis."""
    z = corners[..., 2]
    in_front = z.min(axis=1) > NEAR
    points = corners[..., :2] / np.where(in_front[:, None], z, 1.0)[..., None] * camera.fx
    length = np.linalg.norm(np.roll(points, -1, axis=1) - points, axis=2)
    pixels = np.sqrt(length[:, :2] * length[:, 2:])
    texels = np.array([s.texture.pixels.shape[1::-1] for s in surfaces])
    texels = texels * np.array([s.repeat or (1.0, 1.0) for s in surfaces])
    levels = np.rint(np.log2(texels / np.maximum(pixels, 0.5)))
    return (np.clip(levels, 0, 8) * in_front[:, None]).astype(np.int64)


def _draw(raster: Raster, surface: Surface, projection: _Projection) -> None:
    """Draw one surface through the z-buffer; ``raster.depth`` holds inverse depth until the end."""
    left, top, right, bottom = projection.box
    window = slice(top, bottom), slice(left, right)
    rows = projection.affine
    along_u = rows[:, :1] * np.arange(left, right)
    along_v = rows[:, 1:2] * np.arange(top, bottom) + rows[:, 2:]
    along_u, along_v = along_u.astype(np.float32), along_v.astype(np.float32)
    values = along_v[:, :, None] + along_u[:, None, :]
    inverse_depth, coverage = values[0], values[1:].min(axis=0)
    coverage += np.float32(0.5)
    np.clip(coverage, 0, 1, out=coverage)
    coverage *= inverse_depth > raster.depth[window] * np.float32(1 - DEPTH_TIE)
    if not coverage.any():
        return
    pixels, labels = _sample(surface, projection)
    if pixels.shape[-1] == 4:
        coverage *= pixels[..., 3] * np.float32(1 / 255)
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR)
    lit = pixels * np.float32(surface.shade)
    raster.color[window] = cv2.blendLinear(raster.color[window], lit, 1 - coverage, coverage)
    if surface.label is None:
        return
    covered = coverage >= 0.5
    np.copyto(raster.label_ids[window], surface.label if labels is None else labels, where=covered)
    np.copyto(raster.depth[window], inverse_depth, where=covered)


def _sample(surface: Surface, projection: _Projection) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels ``(h, w, 3 | 4)`` and labels ``(h, w)`` (or None) of a surface in its box."""
    texture = surface.texture.reduced(*projection.levels)
    height, width = texture.pixels.shape[:2]
    repeat = surface.repeat or (1.0, 1.0)
    left, top, right, bottom = projection.box
    to_texels = np.array([[width * repeat[0], 0, -0.5], [0, height * repeat[1], -0.5], [0, 0, 1]])
    shift = np.array([[1.0, 0, left], [0, 1, top], [0, 0, 1]])
    matrix = to_texels @ projection.inverse @ shift
    border = cv2.BORDER_REPLICATE if surface.repeat is None else cv2.BORDER_WRAP

    def warp(pixels: np.ndarray, interpolation: int) -> np.ndarray:
        flags = cv2.WARP_INVERSE_MAP | interpolation
        size = right - left, bottom - top
        return cv2.warpPerspective(pixels, matrix, size, flags=flags, borderMode=border)

    labels = None if texture.labels is None else warp(texture.labels, cv2.INTER_NEAREST)
    return warp(texture.pixels, cv2.INTER_LINEAR), labels
