# Licensed under the Apache License 2.0, see LICENSE.
"""From the elements of a layout to textured surfaces in the colors of a domain.

Large things are boxes, vehicles are side profiles extruded over their width, people, poles and
trees are upright cut-outs. Every texture is fixed to its surface, hence to the world: two views of
a scene agree photometrically.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import cv2
import numpy as np

from .appearance import Appearance
from .camera import Camera
from .render import GROUND_LAYER, NEAR, SHADOW_LAYER, SKY_ID, SKY_LAYER, Surface, Texture
from .scene import CURB, Element, Scene

LABEL_IDS = dict(
    road=7,
    sidewalk=8,
    building=11,
    wall=12,
    fence=13,
    pole=17,
    traffic_light=19,
    traffic_sign=20,
    vegetation=21,
    terrain=22,
    sky=SKY_ID,
    person=24,
    rider=25,
    car=26,
    truck=27,
    bus=28,
    train=31,
    motorcycle=32,
    bicycle=33,
)

# The ground is cut at these distances (meters) so that each piece gets a texture of about its own
# resolution.
GROUND_CUTS = np.array([5.0, 10.0, 20.0, 40.0, 80.0])
HIGHEST_CAMERA = 2.0  # meters; the top of anything higher is never seen
IN_FRONT = 0.02  # meters between a sign and its post
NEARBY = 2.0  # meters; the frames and cameras of a drive are this close to each other
SMALLEST_HEIGHT = 2.5  # pixels; lower objects are left out
RIGHT, UP, AHEAD = np.eye(3) * [[1], [-1], [1]]
Color = tuple[int, ...]  # blue, green, red: 0..255


class Sprite:
    """An upright cut-out drawn in meters: x to the right of its center, y up from the ground.

    Args:
        width, height: Extent in meters.
        resolution: Texels per meter.
        background: Color of the transparent texels, which shows at smoothed edges (BGR).
        label: Class of a sprite that shows several; such a sprite has a label per texel.
        rim: Transparent texels around the extent, so that nothing drawn up to it is cut off hard;
            0 for a sprite that meets other surfaces at its edges.
    """

    def __init__(
        self,
        width: float,
        height: float,
        resolution: float,
        background: Color,
        label: str | None = None,
        rim: int = 1,
    ) -> None:
        self.width, self.height, self.rim = width, height, rim
        inner = max(1, round(height * resolution)), max(1, round(width * resolution))
        self.resolution = inner[1] / width, inner[0] / height
        self.shape = inner[0] + 2 * rim, inner[1] + 2 * rim
        packed = np.array((*background, 0), np.uint8).view(np.uint32)
        self.pixels = np.full(self.shape, packed).view(np.uint8).reshape(*self.shape, 4)
        self.labels = None
        if label is not None:
            self.labels = np.zeros(self.shape, np.uint8)
            self.label(label)
            self._fallback = self._label

    def label(self, name: str) -> None:
        """Class of what is drawn from now on."""
        self._label = LABEL_IDS[name]

    def _texel(self, x: float, y: float, scale: int = 1) -> tuple[int, int]:
        """OpenCV's coordinates of a point: texel centers are integers."""
        left = (x + self.width / 2) * self.resolution[0] + self.rim - 0.5
        top = (self.height - y) * self.resolution[1] + self.rim - 0.5
        return round(left * scale), round(top * scale)

    def polygon(self, points: Iterable[tuple[float, float]], color: Color) -> None:
        bits = 4  # of a texel's fraction
        texels = np.array([self._texel(*p, scale=1 << bits) for p in points], np.int32)
        cv2.fillPoly(self.pixels, [texels], (*color, 255), cv2.LINE_AA, bits)
        if self.labels is not None:
            cv2.fillPoly(self.labels, [texels], self._label, cv2.LINE_8, bits)

    def box(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        corners = self._texel(x0, y1), self._texel(x1, y0)
        cv2.rectangle(self.pixels, *corners, (*color, 255), cv2.FILLED)
        if self.labels is not None:
            cv2.rectangle(self.labels, *corners, self._label, cv2.FILLED)

    def line(self, start: tuple, stop: tuple, thickness: float, color: Color) -> None:
        ends = self._texel(*start), self._texel(*stop)
        texels = max(1, round(thickness * self.resolution[0]))
        cv2.line(self.pixels, *ends, (*color, 255), texels, cv2.LINE_AA)
        if self.labels is not None:
            cv2.line(self.labels, *ends, self._label, texels)

    def disc(self, x: float, y: float, radius: float, color: Color, ratio: float = 1.0) -> None:
        """An ellipse with half axes ``radius`` (horizontal) and ``ratio * radius``."""
        scale_x, scale_y = self.resolution
        axes = max(1, round(radius * scale_x)), max(1, round(radius * ratio * scale_y))
        args = self._texel(x, y), axes, 0, 0, 360
        cv2.ellipse(self.pixels, *args, (*color, 255), cv2.FILLED, cv2.LINE_AA)
        if self.labels is not None:
            cv2.ellipse(self.labels, *args, self._label, cv2.FILLED)

    def texture(self, appearance: Appearance) -> Texture:
        """The finished texture, with grain."""
        pixels = appearance.textured(self.pixels)
        if self.labels is None:
            return Texture(pixels)
        # Smoothed edges take the class of their neighbor.
        grown = cv2.dilate(self.labels, np.ones((3, 3), np.uint8))
        labels = np.where(self.labels == 0, grown, self.labels)
        return Texture(pixels, np.where(labels == 0, np.uint8(self._fallback), labels))


class Dresser:
    """Turns a layout into surfaces.

    Args:
        appearance: The look of the scene.
        camera: Camera near which the scene is viewed: textures get about the resolution at which it
            sees them, and what lies outside its view or is too small for it is left out.
    """

    def __init__(self, appearance: Appearance, camera: Camera) -> None:
        self.look = appearance
        self.camera = camera
        self.surfaces: list[Surface] = []
        self.tiles: dict[str, Texture] = {}

    def dress(self, scene: Scene, rng: np.random.Generator) -> list[Surface]:
        """Surfaces of the scene; ``rng`` draws the textures that its objects share."""
        self._make_tiles(rng)
        self._add_sky(rng)
        for element in scene.elements:
            if element.kind in GROUND_KINDS or self._is_visible(element):
                rng = np.random.Generator(np.random.PCG64(element.variant))
                BUILDERS[element.kind](self, element, rng)
        return self.surfaces

    def _is_visible(self, element: Element) -> bool:
        """Whether the camera, moved by up to a meter or two, may see the element."""
        camera = self.camera
        x, _, z = camera.to_camera(np.array(element.position))
        radius = 0.5 * float(np.hypot(element.size[0], element.size[2])) + NEARBY
        nearest, farthest = z - radius, z + radius
        if farthest < NEAR:
            return False
        is_large = element.size[1] * camera.fx >= SMALLEST_HEIGHT * nearest
        return is_large and abs(x) - radius < farthest * camera.width / 2 / camera.fx

    # Shared textures

    def _make_tiles(self, rng: np.random.Generator) -> None:
        look = self.look
        for name, strength in (('road', 1.0), ('terrain', 1.6), ('vegetation', 2.2), ('roof', 1.0)):
            self.tiles[name] = Texture(look.textured(_plain(look.paint(name, rng)), strength))
        paving = _plain(look.paint('sidewalk', rng))
        paving[::32] = paving[:, ::32] = (paving[0, 0] * 0.86).astype(np.uint8)
        self.tiles['sidewalk'] = Texture(look.textured(paving))
        self.tiles['wall'] = Texture(look.textured(self._masonry(rng)))
        self.tiles['fence'] = Texture(look.textured(self._pickets(rng), 0.5))
        for i in range(5):
            self.tiles[f'building_{i}'] = Texture(self._facade(rng))
        self.tiles['treeline'] = Texture(self._treeline(rng))
        for i in range(2):
            self.tiles[f'shop_{i}'] = Texture(self._shop(rng))
        for i in range(4):
            self.tiles[f'tree_{i}'] = Texture(self._tree(rng))
        gable = np.full((64, 128, 4), (*look.paint('building', rng), 0), np.uint8)
        triangle = np.array([[0, 63], [64, 0], [127, 63]])
        cv2.fillConvexPoly(gable, triangle, (*gable[0, 0, :3].tolist(), 255), cv2.LINE_AA)
        self.tiles['gable'] = Texture(gable)
        shadow = np.zeros((64, 64, 4), np.uint8)
        darkness = int(255 * look.domain.shadow)
        cv2.ellipse(shadow, (32, 32), (26, 26), 0, 0, 360, (0, 0, 0, darkness), cv2.FILLED)
        self.tiles['shadow'] = Texture(cv2.GaussianBlur(shadow, (0, 0), 4))

    def _masonry(self, rng: np.random.Generator) -> np.ndarray:
        tile = _plain(self.look.paint('wall', rng))
        joint = (tile[0, 0] * 0.8).astype(np.uint8)
        if rng.random() < 0.5:
            for row, y in enumerate(range(0, 128, 16)):
                tile[y : y + 2] = joint
                tile[y : y + 16, (row % 2) * 16 :: 32] = joint
        else:
            tile[:, ::64] = tile[:, 1::64] = joint
            tile[60:64] = joint
        tile[:10] = np.clip(tile[:10] * 1.18, 0, 255)  # coping; rows count from the top
        return tile

    def _pickets(self, rng: np.random.Generator) -> np.ndarray:
        bar = self.look.color('fence', rng)
        tile = _plain(tuple(int(c) for c in 0.45 * bar))
        spacing = int(rng.choice([8, 16]))
        for x in range(0, 128, spacing):
            tile[:, x : x + spacing // 2] = bar
        tile[8:22] = tile[100:112] = np.clip(bar * 1.1, 0, 255)
        return tile

    def _facade(self, rng: np.random.Generator) -> np.ndarray:
        """Two storeys of three windows, 9.0 x 6.2 m."""
        look, scale = self.look, 18
        plaster = look.paint('building', rng)
        tile = look.textured(np.full((112, 162, 3), plaster, np.uint8))
        frame = tuple(int(c) for c in np.clip(np.array(plaster) * rng.choice([0.75, 1.25]), 0, 255))
        width, height = rng.uniform(0.9, 1.9), rng.uniform(1.3, 1.9)
        for row in range(2):
            if rng.random() < 0.5:
                tile[row * 56 + 52 : row * 56 + 56] = frame
            for column in range(3):
                shade = np.array(look.paint('window', rng)) * rng.uniform(0.7, 1.4)
                x = int((column * 3 + 1.5 - width / 2) * scale)
                y = int((row * 3.1 + 0.75) * scale)
                right, bottom = int(x + width * scale), int(y + height * scale)
                cv2.rectangle(tile, (x - 2, y - 2), (right + 2, bottom + 2), frame, cv2.FILLED)
                glass = tuple(int(c) for c in np.clip(shade, 0, 255))
                cv2.rectangle(tile, (x, y), (right, bottom), glass, cv2.FILLED)
                cv2.line(tile, ((x + right) // 2, y), ((x + right) // 2, bottom), frame, 2)
        return tile

    def _treeline(self, rng: np.random.Generator) -> np.ndarray:
        """Distant trees, 128 x 256 BGRA; the waves of the outline fit the width: it repeats."""
        pixels = np.full((128, 256, 4), (*self.look.paint('vegetation', rng), 0), np.uint8)
        phase = np.arange(256) / 256 * 2 * np.pi
        outline = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in (1, 3, 5, 11, 23))
        top = 34 + 14 * outline
        pixels[..., 3] = 255 * (np.arange(128)[:, None] > top)
        return self.look.textured(pixels, 2.2)

    def _shop(self, rng: np.random.Generator) -> np.ndarray:
        """Shop windows below a sign, 6.0 x 3.1 m."""
        pixels = _plain(self.look.paint('window', rng))
        pixels[:24] = self.look.paint('building', rng)
        pixels[:, ::42] = pixels[:, 1::42] = pixels[110:] = self.look.paint('building', rng)
        return self.look.textured(pixels, 0.5)

    def _tree(self, rng: np.random.Generator) -> np.ndarray:
        """A crown on a trunk, 128 x 128 BGRA."""
        look = self.look
        leaf = look.paint('vegetation', rng)
        pixels = np.full((128, 128, 3), leaf, np.uint8)
        alpha = np.zeros((128, 128), np.uint8)
        for _ in range(9):
            center = 64 + rng.normal(0, 17), 44 + rng.normal(0, 13)
            axes = rng.uniform(16, 30), rng.uniform(13, 24)
            cv2.ellipse(alpha, (center, (2 * axes[0], 2 * axes[1]), 0), 255, cv2.FILLED)
        ragged = (
            cv2.GaussianBlur(alpha, (0, 0), 3).astype(np.float32)
            + 3.0 * look.grain()[:128, :128, 0]
        )
        alpha = np.where(ragged > 128, 255, 0).astype(np.uint8)
        # Lit from above.
        lit = look.textured(pixels, 2.2) * np.linspace(1.15, 0.8, 128)[:, None, None]
        pixels = np.clip(lit, 0, 255).astype(np.uint8)
        trunk = slice(60, 128), slice(60, 68)
        bare = alpha[trunk] == 0
        pixels[trunk][bare] = look.paint('trunk', rng)
        alpha[trunk] = 255
        alpha[[0, -1]] = 0
        alpha[:, [0, -1]] = 0
        alpha[-1, 60:68] = 255
        return np.dstack([pixels, cv2.GaussianBlur(alpha, (3, 3), 0)])

    def _add_sky(self, rng: np.random.Generator) -> None:
        """A wall at infinity (to the precision of a pixel), lighter toward the horizon."""
        look = self.look
        zenith = look.color('sky', rng)
        horizon = np.clip(0.35 * zenith + 0.65 * np.array(look.domain.haze_color[::-1]), 0, 255)
        share = np.linspace(1, 0, 128)[:, None, None] ** 1.5
        pixels = share * zenith + (1 - share) * horizon
        grain = look.grain()[:128].astype(np.float32)
        clouds = np.asarray(cv2.GaussianBlur(grain, (0, 0), 3), np.float32)
        clouds *= look.domain.clouds / look.domain.texture
        pixels = np.clip(pixels + clouds, 0, 255).astype(np.uint8)
        far = 1e6
        origin = far * (AHEAD - 2 * RIGHT + UP)
        self.add(origin, 4 * far * RIGHT, -1.2 * far * UP, Texture(pixels), 'sky', layer=SKY_LAYER)

    # Elementary surfaces

    def add(
        self,
        origin: np.ndarray,
        edge_u: np.ndarray,
        edge_v: np.ndarray,
        texture: Texture,
        name: str | None,
        *,
        normal: np.ndarray | None = None,
        shade: float | None = None,
        **kwargs,
    ) -> None:
        """A surface of class ``name``; the light on it follows from its normal unless given."""
        if normal is not None and not self.faces(normal, origin):
            return
        if shade is None:
            shade = 1.0 if normal is None else self.look.shade(normal)
        label = None if name is None else LABEL_IDS[name]
        self.surfaces.append(
            Surface(origin, edge_u, edge_v, texture, label, normal=normal, shade=shade, **kwargs)
        )

    def solid(self, color: Color) -> Texture:
        return Texture(np.full((1, 1, 3), color, np.uint8))

    def resolution(self, element: Element) -> float:
        """Texels per meter at which the element is seen best."""
        distance = max(3.0, element.position[2] - element.size[2] / 2)
        return float(np.clip(1.3 * self.camera.fx / distance, 14, 160))

    def add_box(
        self, element: Element, texture: Texture, name: str, tile: tuple[float, float]
    ) -> None:
        """The visible faces of a box beside the road: to the road, to the camera, and the top.

        ``tile`` is the texture's extent in meters; a height of 0 stretches it over the box.
        """
        x, y, z = element.position
        width, height, length = element.size
        inward = RIGHT * (-1.0 if x > 0 else 1.0)  # toward the road
        corner = np.array([x, y, z - length / 2]) + width / 2 * inward + height * UP
        repeat_v = height / tile[1] if tile[1] else 1.0
        faces = (length * AHEAD, inward), (-width * inward, -AHEAD)
        for edge, normal in faces:
            repeat = np.linalg.norm(edge) / tile[0], repeat_v
            self.add(corner, edge, -height * UP, texture, name, repeat=repeat, normal=normal)
        if height < HIGHEST_CAMERA:
            top = self.solid(texture.pixels[0, 0])
            self.add(corner, length * AHEAD, -width * inward, top, name, normal=UP)

    def cast_shadow(self, element: Element, extent: float = 1.25) -> None:
        x, y, z = element.position
        width, _, length = element.size
        ahead, right = _axes(element.heading)
        edge_u, edge_v = extent * max(width, 0.4) * right, extent * max(length, 0.4) * ahead
        origin = np.array([x, y - 0.01, z]) - edge_u / 2 - edge_v / 2
        velocity = element.speed * ahead
        self.add(
            origin,
            edge_u,
            edge_v,
            self.tiles['shadow'],
            None,
            layer=SHADOW_LAYER,
            velocity=velocity,
        )

    def stand(
        self,
        foot: np.ndarray,
        axis: np.ndarray,
        sprite: Sprite,
        name: str,
        scale: tuple[float, float] = (1.0, 1.0),
        **kwargs,
    ) -> None:
        """An upright cut-out over ``foot``, the middle of its base, with its x along ``axis``."""
        width = sprite.shape[1] * (scale[0] / sprite.resolution[0])
        height = sprite.shape[0] * (scale[1] / sprite.resolution[1])
        below = sprite.rim * scale[1] / sprite.resolution[1]
        origin = foot - width / 2 * axis + (height - below) * UP
        texture = sprite.texture(self.look)
        self.add(origin, width * axis, -height * UP, texture, name, **kwargs)

    def beam(self, start: np.ndarray, stop: np.ndarray, width: float, texture: Texture) -> None:
        """A post or an arm in a plane across the street."""
        along = stop - start
        across = np.array([-along[1], along[0], 0.0]) * (width / np.hypot(along[0], along[1]))
        shade = self.look.shade(-AHEAD)
        self.add(start - across / 2, across, along, texture, 'pole', shade=shade)

    def faces(self, normal: np.ndarray, point: np.ndarray) -> bool:
        """Whether a face is seen from the camera or from somewhere near it."""
        return float(normal @ (self.camera.position - point)) > -NEARBY


def _plain(color: Color) -> np.ndarray:
    return np.full((128, 128, 3), color, np.uint8)


def _axes(heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors ahead and to the right of something heading there."""
    ahead = np.array([np.sin(heading), 0.0, np.cos(heading)])
    return ahead, np.array([np.cos(heading), 0.0, -np.sin(heading)])


# The ground


def _ground(name: str, label: str, tile: float) -> Callable:
    def build(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
        x, y, z = element.position
        width, _, length = element.size
        texture = dresser.tiles[name]
        shade = dresser.look.shade(UP)
        cuts = GROUND_CUTS[(z - length / 2 < GROUND_CUTS) & (z + length / 2 > GROUND_CUTS)]
        cuts = np.concatenate([[z - length / 2], cuts, [z + length / 2]])
        for start, stop in zip(cuts, cuts[1:], strict=False):
            origin = np.array([x - width / 2, y, start])
            edges = width * RIGHT, (stop - start) * AHEAD
            repeat = width / tile, (stop - start) / tile
            dresser.add(
                origin, *edges, texture, label, layer=GROUND_LAYER, repeat=repeat, shade=shade
            )

    return build


def _painted(name: str) -> Callable:
    def build(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
        x, y, z = element.position
        width, _, length = element.size
        origin = np.array([x - width / 2, y, z - length / 2])
        texture = dresser.solid(dresser.look.paint(name, rng))
        shade = dresser.look.shade(UP)
        edges = width * RIGHT, length * AHEAD
        dresser.add(origin, *edges, texture, 'road', layer=GROUND_LAYER, shade=shade)

    return build


def _curb(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    x, _, z = element.position
    length = element.size[2]
    texture = dresser.solid(dresser.look.paint('sidewalk', rng))
    origin = np.array([x, -CURB, z - length / 2])
    shade = 0.85 * dresser.look.shade(-np.sign(x) * RIGHT)
    dresser.add(
        origin, length * AHEAD, -CURB * UP, texture, 'sidewalk', layer=GROUND_LAYER, shade=shade
    )


# Beside the road


def _barrier(name: str, label: str, tile: float) -> Callable:
    def build(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
        vertical = 0.0 if name != 'vegetation' else tile
        dresser.add_box(element, dresser.tiles[name], label, (tile, vertical))

    return build


def _building(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    tile = dresser.tiles[f'building_{rng.integers(5)}']
    dresser.add_box(element, tile, 'building', (9.0, 6.2))
    x, y, z = element.position
    width, height, length = element.size
    inward = RIGHT * (-1.0 if x > 0 else 1.0)  # toward the road
    eave = np.array([x, y - height, z - length / 2]) + width / 2 * inward
    along = length * AHEAD
    if rng.random() < 0.5:  # a shop on the ground floor
        origin = eave + IN_FRONT * inward + (3.1 - height) * UP
        shop, repeat = dresser.tiles[f'shop_{rng.integers(2)}'], (length / 6.0, 1.0)
        dresser.add(origin, along, -3.1 * UP, shop, 'building', repeat=repeat, normal=inward)
    if rng.random() < 0.6:  # a pitched roof
        rise = rng.uniform(2.0, 4.0) * UP
        slope = rise - width / 2 * inward
        normal = np.cross(AHEAD, slope)
        normal *= np.sign(normal @ UP) / np.linalg.norm(normal)
        tile, repeat = dresser.tiles['roof'], (length / 6.0, 1.0)
        dresser.add(eave + slope, along, -slope, tile, 'building', repeat=repeat, normal=normal)
        gable = dresser.tiles['gable']
        dresser.add(eave + rise, -width * inward, -rise, gable, 'building', normal=-AHEAD)


def _distant_building(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    width, height, _ = element.size
    tile = dresser.tiles[f'building_{rng.integers(5)}']
    origin = np.array(element.position) - width / 2 * RIGHT + height * UP
    repeat, shade = (width / 9.0, height / 6.2), dresser.look.shade(-AHEAD)
    dresser.add(origin, width * RIGHT, -height * UP, tile, 'building', repeat=repeat, shade=shade)


def _distant_trees(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    width, height, _ = element.size
    foot, tile = np.array(element.position), dresser.tiles['treeline']
    origin, repeat = foot - width / 2 * RIGHT + height * UP, (width / (2 * height), 1.0)
    dresser.add(origin, width * RIGHT, -height * UP, tile, 'vegetation', repeat=repeat)


def _tree(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    crown = dresser.tiles[f'tree_{rng.integers(4)}']
    width = element.size[0] * rng.choice([-1, 1])
    shade = rng.uniform(0.85, 1.1) * dresser.look.shade(-AHEAD)
    origin = np.array(element.position) - width / 2 * RIGHT + element.size[1] * UP
    edges = width * RIGHT, -element.size[1] * UP
    dresser.add(origin, *edges, crown, 'vegetation', shade=shade)


def _lamp(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    metal = dresser.solid(dresser.look.paint('pole', rng))
    reach, height, _ = element.size
    foot = np.array(element.position)
    head = foot - 0.65 * reach * RIGHT + (height - 0.15) * UP
    dresser.beam(foot, foot + (height - 0.3) * UP, 0.22, metal)
    dresser.beam(foot + (height - 0.4) * UP, head, 0.13, metal)
    dresser.beam(head, head - 0.35 * reach * RIGHT, 0.24, metal)


def _sign(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    height = element.size[1]
    foot = np.array(element.position)
    dresser.beam(
        foot, foot + (height - 0.1) * UP, 0.16, dresser.solid(dresser.look.paint('pole', rng))
    )
    for y in (height - 0.5, height - 1.45)[: int(rng.integers(1, 3))]:
        _hang_sign(dresser, element, y, rng)


def _hang_sign(dresser: Dresser, element: Element, y: float, rng: np.random.Generator) -> None:
    look = dresser.look
    color, white = look.paint('sign', rng), look.paint('marking', rng)
    shape = rng.integers(4)
    sprite = Sprite(1.0, 1.0, dresser.resolution(element), color)
    for size, paint in ((0.46, color), (0.28, white if shape < 2 else color)):
        if shape == 0:
            sprite.disc(0, 0.5, size, paint)
        elif shape == 1:
            corners = (-size, 0.5 - 0.8 * size), (size, 0.5 - 0.8 * size), (0, 0.5 + size)
            sprite.polygon(corners, paint)
        elif shape == 2:
            sprite.box(-size, 0.5 - 0.8 * size, size, 0.5 + 0.8 * size, paint)
        else:
            sprite.polygon([(-size, 0.5), (0, 0.5 - size), (size, 0.5), (0, 0.5 + size)], paint)
    foot = np.array(element.position) + (y - 0.5) * UP - IN_FRONT * AHEAD
    dresser.stand(foot, RIGHT, sprite, 'traffic_sign')


def _hang_light(
    dresser: Dresser, element: Element, x: float, top: float, rng: np.random.Generator
) -> None:
    look = dresser.look
    sprite = Sprite(0.56, 1.2, dresser.resolution(element), look.paint('light_box', rng))
    sprite.box(-0.26, 0.02, 0.26, 1.18, look.paint('light_box', rng))
    lit = rng.integers(3)
    for i, lamp in enumerate([(40, 40, 240), (30, 190, 250), (90, 220, 60)]):  # red, yellow, green
        paint = lamp if i == lit else tuple(int(0.3 * c) for c in lamp)
        sprite.disc(0, 0.98 - 0.37 * i, 0.15, paint)
    foot = np.array(element.position) + x * RIGHT + (top - 1.2) * UP - IN_FRONT * AHEAD
    dresser.stand(foot, RIGHT, sprite, 'traffic_light')


def _traffic_light(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    metal = dresser.solid(dresser.look.paint('pole', rng))
    height = element.size[1]
    foot = np.array(element.position)
    dresser.beam(foot, foot + (height - 0.1) * UP, 0.2, metal)
    if element.kind == 'traffic_light':
        _hang_light(dresser, element, 0.0, height, rng)
        return
    reach = -element.size[0]
    arm = foot + (height - 0.3) * UP
    dresser.beam(arm, arm + reach * RIGHT, 0.16, metal)
    for x, top in ((0.95 * reach, height), (0.45 * reach, height), (0.0, 3.4)):
        _hang_light(dresser, element, x, top, rng)


# People and two-wheelers


def _person(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    look = dresser.look
    width, height, _ = element.size
    top, trousers, skin = (look.paint(m, rng) for m in ('clothes', 'trousers', 'skin'))
    sprite = Sprite(1.0, 1.8, dresser.resolution(element), trousers)
    stride = rng.uniform(0.05, 0.24)
    for side in (-1, 1):
        sprite.line((side * 0.08, 0.9), (side * stride, 0.08), 0.17, trousers)
        sprite.line((side * 0.2, 1.4), (side * rng.uniform(0.22, 0.34), 0.85), 0.12, top)
    sprite.polygon([(-0.17, 0.8), (0.17, 0.8), (0.25, 1.45), (-0.25, 1.45)], top)
    sprite.disc(0, 1.62, 0.12, skin, 1.25)
    hair = look.paint('trunk', rng)
    sprite.disc(0, 1.7, 0.12, hair, 0.6)
    velocity = element.speed * _axes(element.heading)[0]
    foot, scale = np.array(element.position), (width / 0.75, height / 1.8)
    shade = look.shade(-AHEAD)
    dresser.cast_shadow(element)
    dresser.stand(foot, RIGHT, sprite, 'person', scale, velocity=velocity, shade=shade)


def _two_wheeler(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    """Two crossed cut-outs: the profile along the heading, and the front or back view."""
    look = dresser.look
    resolution = dresser.resolution(element)
    colors = {
        m: look.paint(m, rng) for m in ('bike', 'tire', 'clothes', 'trousers', 'skin', 'helmet')
    }
    height = 1.95 if element.ridden else 1.3
    length = element.size[2]
    profile = Sprite(length + 0.1, height, resolution, colors['bike'], element.kind)
    front = Sprite(1.0, height, resolution, colors['bike'], element.kind)
    draw = _draw_motorcycle if element.kind == 'motorcycle' else _draw_bicycle
    draw(profile, front, length, colors)
    if element.ridden:
        _draw_rider(profile, front, colors)
    ahead, right = _axes(element.heading)
    velocity = element.speed * ahead
    dresser.cast_shadow(element)
    foot = np.array(element.position)
    for sprite, axis in ((profile, ahead), (front, right)):
        shade = look.shade(np.cross(axis, UP))
        dresser.stand(foot, axis, sprite, element.kind, velocity=velocity, shade=shade)


def _draw_bicycle(profile: Sprite, front: Sprite, length: float, colors: dict[str, Color]) -> None:
    frame, tire = colors['bike'], colors['tire']
    spokes = tuple((a + 2 * 110) // 3 for a in tire)
    wheel = length / 2 - 0.34
    for sprite in (profile, front):
        sprite.label('bicycle')
    for x in (-wheel, wheel):
        profile.disc(x, 0.35, 0.35, tire)
        profile.disc(x, 0.35, 0.26, spokes)
    for start, stop in (
        ((-wheel, 0.35), (-0.2, 0.85)),
        ((-0.2, 0.85), (0.4, 0.8)),
        ((0.4, 0.8), (-0.05, 0.32)),
        ((-0.05, 0.32), (-0.2, 0.9)),
        ((wheel, 0.35), (0.38, 1.02)),
        ((-0.35, 0.95), (-0.08, 0.95)),
        ((0.26, 1.05), (0.5, 1.02)),
    ):
        profile.line(start, stop, 0.08, frame)
    front.line((0, 0.05), (0, 0.7), 0.12, tire)
    front.line((0, 0.6), (0, 1.0), 0.09, frame)
    front.line((-0.28, 1.02), (0.28, 1.02), 0.07, frame)


def _draw_motorcycle(
    profile: Sprite, front: Sprite, length: float, colors: dict[str, Color]
) -> None:
    body, tire = colors['bike'], colors['tire']
    wheel = length / 2 - 0.34
    for sprite in (profile, front):
        sprite.label('motorcycle')
    for x in (-wheel, wheel):
        profile.disc(x, 0.33, 0.33, tire)
    profile.polygon([(-0.6, 0.3), (0.45, 0.28), (0.6, 0.75), (-0.55, 0.7)], tire)
    profile.polygon(
        [(-1.0, 0.75), (-0.2, 0.6), (0.2, 0.6), (0.6, 0.9), (0.2, 1.0), (-0.3, 0.85), (-0.9, 0.95)],
        body,
    )
    profile.line((wheel, 0.33), (0.5, 1.1), 0.13, tire)
    profile.polygon([(0.45, 0.7), (0.75, 0.75), (0.5, 1.25)], body)
    front.line((0, 0.1), (0, 0.7), 0.22, tire)
    front.disc(0, 0.8, 0.26, body, 1.15)
    front.line((-0.38, 1.05), (0.38, 1.05), 0.1, tire)
    front.disc(0, 0.86, 0.11, (200, 240, 250))


def _draw_rider(profile: Sprite, front: Sprite, colors: dict[str, Color]) -> None:
    top, trousers, skin, helmet = (colors[m] for m in ('clothes', 'trousers', 'skin', 'helmet'))
    for sprite in (profile, front):
        sprite.label('rider')
    profile.line((-0.2, 0.95), (0.16, 0.72), 0.18, trousers)
    profile.line((0.16, 0.72), (0.0, 0.35), 0.15, trousers)
    profile.polygon([(-0.36, 0.92), (-0.02, 0.9), (0.22, 1.48), (-0.06, 1.52)], top)
    profile.line((0.1, 1.4), (0.38, 1.06), 0.11, top)
    profile.disc(0.14, 1.64, 0.12, skin, 1.2)
    profile.disc(0.13, 1.73, 0.14, helmet, 0.8)
    for side in (-1, 1):
        front.line((side * 0.12, 0.95), (side * 0.17, 0.4), 0.16, trousers)
        front.line((side * 0.2, 1.42), (side * 0.3, 1.08), 0.11, top)
    front.polygon([(-0.18, 0.85), (0.18, 0.85), (0.25, 1.48), (-0.25, 1.48)], top)
    front.disc(0, 1.64, 0.12, skin, 1.2)
    front.disc(0, 1.73, 0.14, helmet, 0.8)


# Vehicles: the profile from the rear bumper over the roof to the front bumper, in lengths
# (forward) and # heights (up); after each point the look of the strip to the next one.
# fmt: off
PROFILES: dict[str, list[list[tuple[float, float, str]]]] = {
    'sedan': [[
        (-0.5, 0.2, 'rear'), (-0.49, 0.62, 'body'), (-0.36, 0.68, 'glass'), (-0.22, 0.98, 'body'),
        (-0.16, 1, 'body'), (0.05, 1, 'glass'), (0.22, 0.66, 'body'), (0.46, 0.56, 'front'),
        (0.5, 0.2, ''),
    ]],
    'hatchback': [[
        (-0.5, 0.2, 'rear'), (-0.49, 0.6, 'glass'), (-0.42, 0.96, 'body'), (-0.38, 1, 'body'),
        (0.06, 1, 'glass'), (0.25, 0.62, 'body'), (0.47, 0.52, 'front'), (0.5, 0.2, ''),
    ]],
    'van': [[
        (-0.5, 0.18, 'rear'), (-0.5, 0.6, 'glass'), (-0.48, 0.97, 'body'), (0.2, 1, 'glass'),
        (0.36, 0.64, 'body'), (0.49, 0.5, 'front'), (0.5, 0.18, ''),
    ]],
    'truck': [
        [(-0.5, 0, 'doors'), (-0.5, 1, 'box'), (0.2, 1, 'box'), (0.2, 0.27, '')],
        [
            (0.24, 0.15, 'body'), (0.24, 0.82, 'body'), (0.44, 0.82, 'glass'),
            (0.48, 0.5, 'front'), (0.5, 0.15, ''),
        ],
    ],
    'bus': [[
        (-0.5, 0.1, 'rear'), (-0.5, 0.55, 'glass'), (-0.497, 0.9, 'body'), (-0.49, 1, 'body'),
        (0.47, 1, 'body'), (0.49, 0.92, 'glass'), (0.5, 0.4, 'front'), (0.5, 0.1, ''),
    ]],
    'train': [[
        (-0.5, 0.08, 'rear'), (-0.5, 0.5, 'glass'), (-0.485, 0.85, 'body'), (-0.47, 1, 'body'),
        (0.47, 1, 'body'), (0.485, 0.85, 'glass'), (0.5, 0.5, 'front'), (0.5, 0.08, ''),
    ]],
}
# fmt: on


def _vehicle(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    look, kind = dresser.look, element.kind
    width, height, length = element.size
    paints = {name: look.paint(name, rng) for name in ('glass', 'tire')}
    paints['body'] = look.paint('truck_cab' if kind == 'truck' else kind, rng)
    paints['box'] = look.paint('truck_box', rng)
    car = str(rng.choice(['sedan', 'hatchback', 'van'], p=[0.4, 0.4, 0.2]))
    shape = car if kind == 'car' else kind
    ahead, right = _axes(element.heading)
    center = np.array(element.position)
    velocity = element.speed * ahead
    dresser.cast_shadow(element)
    for normal in (-right, right):
        origin = center + width / 2 * normal + height * UP - length / 2 * ahead
        if dresser.faces(normal, origin):
            texture = _side_view(dresser, element, shape, paints)
            edges = length * ahead, -height * UP
            dresser.add(origin, *edges, texture, kind, normal=normal, velocity=velocity)
    for start, stop, name in _strips(shape):
        lower, upper = sorted([start, stop], key=lambda point: point[1])
        top = center - width / 2 * right + upper[0] * length * ahead + upper[1] * height * UP
        drop = (lower[0] - upper[0]) * length * ahead + (lower[1] - upper[1]) * height * UP
        normal = (stop[0] - start[0]) * length * UP - (stop[1] - start[1]) * height * ahead
        normal /= np.linalg.norm(normal)
        if dresser.faces(normal, top):
            texture = _strip_view(dresser, element, name, paints)
            dresser.add(top, width * right, drop, texture, kind, normal=normal, velocity=velocity)


def _strips(shape: str) -> Iterator[tuple[tuple[float, float], tuple[float, float], str]]:
    """Start, stop and look of the strips of a profile; its ends reach down to the ground."""
    for part in PROFILES[shape]:
        for (z0, y0, name), (z1, y1, _) in zip(part, part[1:], strict=False):
            if name in ('rear', 'doors'):
                y0 = 0.0
            elif name == 'front':
                y1 = 0.0
            yield (z0, y0), (z1, y1), name


def _strip_view(dresser: Dresser, element: Element, name: str, paints: dict[str, Color]) -> Texture:
    if name in ('rear', 'front'):
        return _end_view(dresser, element, name, paints)
    if name == 'doors':
        return _doors(dresser, element, paints)
    if name == 'glass':
        pixels = np.full((12, 24, 3), paints['glass'], np.uint8)
        pixels[:, :2] = pixels[:, -2:] = paints['body']
        return Texture(pixels)
    return dresser.solid(paints[name])


def _side_view(dresser: Dresser, element: Element, shape: str, paints: dict[str, Color]) -> Texture:
    _, height, length = element.size
    resolution = min(dresser.resolution(element), dresser.camera.width / length)
    sprite = Sprite(length, height, resolution, paints['body'], rim=0)
    dark = tuple(int(0.5 * c) for c in paints['tire'])
    sprite.box(-0.47 * length, 0.12 * height, 0.47 * length, 0.3 * height, dark)
    for part in PROFILES[shape]:
        points = [(z * length, y * height) for z, y, _ in part]
        sprite.polygon(points, paints['box' if part[1][2] == 'box' else 'body'])
    {'bus': _bus_windows, 'train': _train_windows, 'truck': _truck_windows}.get(
        shape, _car_windows
    )(sprite, length, height, paints, PROFILES[shape])
    axles = {'bus': (-0.28, 0.33), 'truck': (-0.36, -0.22, 0.36), 'train': ()}.get(
        shape, (-0.31, 0.31)
    )
    radius = 0.5 if shape in ('bus', 'truck') else 0.33
    for axle in axles:
        sprite.disc(axle * length, radius, radius, paints['tire'])
        sprite.disc(
            axle * length, radius, 0.5 * radius, tuple(min(255, 3 * c) for c in paints['tire'])
        )
    return sprite.texture(dresser.look)


def _car_windows(sprite, length, height, paints, profile) -> None:
    outline = [(z, y) for z, y, _ in profile[0]]
    roof = [z for z, y in outline if y > 0.9]
    rear = max((z for z, y in outline if z < roof[0] and y < 0.9))
    front = min(z for z, y in outline if z > roof[-1] and y < 0.9)
    points = [
        (rear + 0.03, 0.66),
        (roof[0] + 0.02, 0.93),
        (roof[-1] - 0.01, 0.93),
        (front - 0.04, 0.66),
    ]
    sprite.polygon([(z * length, y * height) for z, y in points], paints['glass'])
    middle = (roof[0] + roof[-1]) / 2 * length
    sprite.box(middle - 0.05, 0.6 * height, middle + 0.05, 0.95 * height, paints['body'])


def _bus_windows(sprite, length, height, paints, profile) -> None:
    for start in np.arange(-0.47 * length, 0.44 * length, 1.35):
        sprite.box(start, 0.48 * height, start + 1.2, 0.84 * height, paints['glass'])
    for door in (-0.1, 0.42):
        sprite.box(
            door * length - 0.5, 0.14 * height, door * length + 0.5, 0.84 * height, paints['glass']
        )
    stripe = tuple(min(255, int(1.3 * c)) for c in paints['body'])
    sprite.box(-0.5 * length, 0.33 * height, 0.5 * length, 0.38 * height, stripe)


def _train_windows(sprite, length, height, paints, profile) -> None:
    light = tuple(min(255, int(0.5 * c + 120)) for c in paints['body'])
    sprite.box(-0.5 * length, 0.66 * height, 0.5 * length, 0.9 * height, light)
    for start in np.arange(-0.48 * length, 0.45 * length, 2.0):
        sprite.box(start, 0.48 * height, start + 1.7, 0.78 * height, paints['glass'])
    for joint in (-0.17, 0.17):
        sprite.box(
            joint * length - 0.25,
            0.1 * height,
            joint * length + 0.25,
            0.96 * height,
            paints['tire'],
        )


def _truck_windows(sprite, length, height, paints, profile) -> None:
    sprite.polygon(
        [
            (z * length, y * height)
            for z, y in ((0.3, 0.52), (0.3, 0.76), (0.42, 0.76), (0.45, 0.52))
        ],
        paints['glass'],
    )
    trim = tuple(int(0.8 * c) for c in paints['box'])
    for z in np.arange(-0.4, 0.2, 0.12):
        sprite.box(z * length, 0.28 * height, z * length + 0.06, 0.99 * height, trim)


def _end_view(dresser: Dresser, element: Element, name: str, paints: dict[str, Color]) -> Texture:
    """Bumper with lights, plate and the wheels below; x in widths, y in heights of the strip."""
    sprite = Sprite(1.0, 1.0, min(48.0, 2 * dresser.resolution(element)), paints['body'], rim=0)
    for side in (-0.38, 0.38):
        sprite.box(side - 0.09, 0, side + 0.09, 0.4, paints['tire'])
    sprite.box(-0.5, 0.24, 0.5, 1.0, paints['body'])
    lamp = (50, 40, 210) if name == 'rear' else (225, 245, 250)
    for side in (-0.4, 0.4):
        sprite.box(side - 0.09, 0.6, side + 0.09, 0.84, lamp)
    sprite.box(-0.16, 0.36, 0.16, 0.5, (220, 225, 225) if name == 'rear' else paints['tire'])
    return sprite.texture(dresser.look)


def _doors(dresser: Dresser, element: Element, paints: dict[str, Color]) -> Texture:
    """The rear of a truck: two doors, lights on the chassis and the wheels below."""
    sprite = Sprite(1.0, 1.0, min(96.0, 3 * dresser.resolution(element)), paints['box'], rim=0)
    for side in (-0.36, 0.36):
        sprite.box(side - 0.11, 0, side + 0.11, 0.28, paints['tire'])
    sprite.box(-0.46, 0.15, 0.46, 0.27, paints['tire'])
    sprite.box(-0.5, 0.27, 0.5, 1.0, paints['box'])
    seam = tuple(int(0.7 * c) for c in paints['box'])
    for x in (-0.46, -0.01, 0.44):
        sprite.box(x, 0.3, x + 0.02, 0.97, seam)
    for side in (-0.38, 0.38):
        sprite.box(side - 0.07, 0.18, side + 0.07, 0.24, (50, 40, 210))
    return sprite.texture(dresser.look)


GROUND_KINDS = ('terrain', 'road', 'sidewalk', 'marking', 'rail', 'curb')
BUILDERS: dict[str, Callable[[Dresser, Element, np.random.Generator], None]] = {
    'terrain': _ground('terrain', 'terrain', 6.0),
    'road': _ground('road', 'road', 5.0),
    'sidewalk': _ground('sidewalk', 'sidewalk', 4.0),
    'marking': _painted('marking'),
    'rail': _painted('rail'),
    'curb': _curb,
    'wall': _barrier('wall', 'wall', 4.0),
    'fence': _barrier('fence', 'fence', 3.0),
    'hedge': _barrier('vegetation', 'vegetation', 3.0),
    'building': _building,
    'distant_building': _distant_building,
    'distant_trees': _distant_trees,
    'tree': _tree,
    'lamp': _lamp,
    'sign': _sign,
    'traffic_light': _traffic_light,
    'traffic_light_mast': _traffic_light,
    'person': _person,
    'bicycle': _two_wheeler,
    'motorcycle': _two_wheeler,
    'car': _vehicle,
    'truck': _vehicle,
    'bus': _vehicle,
    'train': _vehicle,
}
