# Licensed under the Apache License 2.0, see LICENSE.
"""From the elements of a layout to textured surfaces in the colours of a domain.

Large things are boxes, vehicles are side profiles extruded over their width, people, poles and trees are upright
cut-outs. Every texture is fixed to its surface, hence to the world: two views of a scene agree photometrically.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from .appearance import Appearance
from .render import SKY_ID, Surface, Texture
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

GROUND_LAYER, SHADOW_LAYER, OBJECT_LAYER = 0, 1, 3
# The ground is cut at these distances (metres) so that each piece gets a texture of about its own resolution.
GROUND_CUTS = np.array([5.0, 10.0, 20.0, 40.0, 80.0])
RIGHT, UP, AHEAD = np.eye(3) * [[1], [-1], [1]]
Colour = tuple[int, int, int]


class Sprite:
    """An upright cut-out drawn in metres: x to the right of its centre, y up from the ground.

    Args:
        width, height: Extent in metres.
        resolution: Texels per metre.
        background: Colour of the transparent texels, which shines through at smoothed edges (BGR).
    """

    def __init__(self, width: float, height: float, resolution: float, background: Colour) -> None:
        self.width, self.height, self.resolution = width, height, resolution
        # A transparent rim, so that nothing is cut off hard.
        self.shape = int(np.ceil(height * resolution)) + 2, int(np.ceil(width * resolution)) + 2
        self.pixels = np.empty((*self.shape, 4), np.uint8)
        self.pixels[:] = (*background, 0)
        self.labels = np.zeros(self.shape, np.uint8)
        self._label = 0

    def label(self, name: str) -> None:
        """Class of what is drawn from now on."""
        self._label = LABEL_IDS[name]

    def _texels(self, points: np.ndarray) -> np.ndarray:
        points = np.asarray(points, dtype=np.float64)
        x = (points[..., 0] + self.width / 2) * self.resolution + 0.5
        y = (self.height - points[..., 1]) * self.resolution + 0.5
        return np.rint(np.stack([x, y], axis=-1)).astype(np.int32)

    def polygon(self, points: list, colour: Colour) -> None:
        texels = self._texels(points)[None]
        cv2.fillPoly(self.pixels, texels, (*colour, 255), cv2.LINE_AA)
        cv2.fillPoly(self.labels, texels, self._label)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        (left, top), (right, bottom) = self._texels([(x0, y1), (x1, y0)])
        cv2.rectangle(self.pixels, (left, top), (right, bottom), (*colour, 255), cv2.FILLED)
        cv2.rectangle(self.labels, (left, top), (right, bottom), self._label, cv2.FILLED)

    def line(self, start: tuple, stop: tuple, thickness: float, colour: Colour) -> None:
        start, stop = (tuple(int(c) for c in self._texels(p)) for p in (start, stop))
        texels = max(1, round(thickness * self.resolution))
        cv2.line(self.pixels, start, stop, (*colour, 255), texels, cv2.LINE_AA)
        cv2.line(self.labels, start, stop, self._label, texels)

    def disc(self, x: float, y: float, radius: float, colour: Colour, ratio: float = 1.0) -> None:
        """An ellipse with half axes ``radius`` (horizontal) and ``ratio * radius``."""
        centre = tuple(int(c) for c in self._texels((x, y)))
        axes = tuple(max(1, round(radius * r * self.resolution)) for r in (1.0, ratio))
        args = centre, axes, 0, 0, 360
        cv2.ellipse(self.pixels, *args, (*colour, 255), cv2.FILLED, cv2.LINE_AA)
        cv2.ellipse(self.labels, *args, self._label, cv2.FILLED)

    def texture(self, appearance: Appearance, single_label: bool) -> Texture:
        """The finished texture, with grain; smoothed edges take the class of their neighbour."""
        self.pixels[..., :3] = appearance.textured(self.pixels[..., :3])
        if single_label:
            return Texture(self.pixels)
        return Texture(
            self.pixels,
            cv2.dilate(self.labels, np.ones((3, 3), np.uint8), None) * (self.labels == 0)
            + self.labels,
        )


class Dresser:
    """Turns a layout into surfaces.

    Args:
        appearance: The look of the scene.
        focal: Focal length in pixels; textures get about the resolution at which they are seen.
    """

    def __init__(self, appearance: Appearance, focal: float) -> None:
        self.look = appearance
        self.focal = focal
        self.surfaces: list[Surface] = []
        self._tiles: dict[str, Texture] = {}

    def dress(self, scene: Scene, rng: np.random.Generator) -> list[Surface]:
        """Surfaces of the scene; ``rng`` draws the textures that its objects share."""
        self._make_tiles(rng)
        self._add_sky(rng)
        for element in scene.elements:
            rng = np.random.Generator(np.random.PCG64(element.variant))
            BUILDERS[element.kind](self, element, rng)
        return self.surfaces

    # Shared textures

    def _make_tiles(self, rng: np.random.Generator) -> None:
        look = self.look
        for name, strength in (('road', 1.0), ('terrain', 1.6), ('vegetation', 2.2), ('roof', 1.0)):
            self._tiles[name] = Texture(look.textured(_plain(look.paint(name, rng)), strength))
        paving = _plain(look.paint('sidewalk', rng))
        paving[::32] = paving[:, ::32] = (paving[0, 0] * 0.86).astype(np.uint8)
        self._tiles['sidewalk'] = Texture(look.textured(paving))
        self._tiles['wall'] = Texture(look.textured(self._masonry(rng)))
        self._tiles['fence'] = Texture(look.textured(self._pickets(rng), 0.5))
        for i in range(5):
            self._tiles[f'building_{i}'] = Texture(self._facade(rng))
        for i in range(4):
            self._tiles[f'tree_{i}'] = Texture(self._tree(rng))
        shadow = np.zeros((64, 64, 4), np.uint8)
        darkness = int(255 * look.domain.shadow)
        cv2.ellipse(shadow, (32, 32), (26, 26), 0, 0, 360, (0, 0, 0, darkness), cv2.FILLED)
        self._tiles['shadow'] = Texture(cv2.GaussianBlur(shadow, (0, 0), 4))

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
        bar = self.look.colour('fence', rng)
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
                glass = np.array(look.paint('window', rng)) * rng.uniform(0.7, 1.4)
                x = int((column * 3 + 1.5 - width / 2) * scale)
                y = int((row * 3.1 + 0.75) * scale)
                right, bottom = int(x + width * scale), int(y + height * scale)
                cv2.rectangle(tile, (x - 2, y - 2), (right + 2, bottom + 2), frame, cv2.FILLED)
                glass = tuple(int(c) for c in np.clip(glass, 0, 255))
                cv2.rectangle(tile, (x, y), (right, bottom), glass, cv2.FILLED)
                cv2.line(tile, ((x + right) // 2, y), ((x + right) // 2, bottom), frame, 2)
        return tile

    def _tree(self, rng: np.random.Generator) -> np.ndarray:
        """A crown on a trunk, 128 x 128 BGRA."""
        look = self.look
        leaf = look.paint('vegetation', rng)
        pixels = np.full((128, 128, 3), leaf, np.uint8)
        alpha = np.zeros((128, 128), np.uint8)
        for _ in range(9):
            centre = 64 + rng.normal(0, 17), 44 + rng.normal(0, 13)
            axes = rng.uniform(16, 30), rng.uniform(13, 24)
            cv2.ellipse(alpha, (centre, (2 * axes[0], 2 * axes[1]), 0), 255, cv2.FILLED)
        ragged = (
            cv2.GaussianBlur(alpha, (0, 0), 3).astype(np.float32)
            + 3.0 * look.grain((128, 128))[..., 0]
        )
        alpha = np.where(ragged > 128, 255, 0).astype(np.uint8)
        # Lit from above.
        pixels = look.textured(pixels, 2.2) * np.linspace(1.15, 0.8, 128)[:, None, None]
        pixels = np.clip(pixels, 0, 255).astype(np.uint8)
        trunk = slice(60, 128), slice(60, 68)
        bare = alpha[trunk] == 0
        pixels[trunk][bare] = look.paint('trunk', rng)
        alpha[trunk] = 255
        alpha[[0, -1]] = 0
        alpha[:, [0, -1]] = 0
        alpha[-1, 60:68] = 255
        return np.dstack([pixels, cv2.GaussianBlur(alpha, (3, 3), 0)])

    def _add_sky(self, rng: np.random.Generator) -> None:
        """A wall at infinity (to the precision of a pixel), lighter towards the horizon."""
        look = self.look
        zenith = look.colour('sky', rng)
        horizon = np.clip(0.35 * zenith + 0.65 * np.array(look.domain.haze_colour[::-1]), 0, 255)
        share = np.linspace(1, 0, 128)[:, None, None] ** 1.5
        pixels = share * zenith + (1 - share) * horizon
        clouds = look.grain((128, 256)) / look.domain.texture * look.domain.clouds
        pixels = np.clip(pixels + cv2.GaussianBlur(clouds, (0, 0), 3)[..., None], 0, 255).astype(
            np.uint8
        )
        far = 1e6
        origin = far * (AHEAD - 2 * RIGHT + UP)
        self._add(origin, 4 * far * RIGHT, -1.2 * far * UP, Texture(pixels), 'sky', layer=-1)

    # Elementary surfaces

    def _add(self, origin, edge_u, edge_v, texture: Texture, name: str | None, **kwargs) -> None:
        label = None if name is None else LABEL_IDS[name]
        self.surfaces.append(Surface(origin, edge_u, edge_v, texture, label, **kwargs))

    def _solid(self, colour: Colour) -> Texture:
        return Texture(np.full((1, 1, 3), colour, np.uint8))

    def _resolution(self, element: Element) -> float:
        """Texels per metre at which the element is seen best."""
        distance = max(3.0, element.position[2] - element.size[2] / 2)
        return float(np.clip(1.3 * self.focal / distance, 14, 160))

    def _add_box(
        self, element: Element, texture: Texture, name: str, tile: tuple[float, float]
    ) -> None:
        """The visible faces of a box along the street: towards the road, towards the camera, top."""
        x, y, z = element.position
        width, height, length = element.size
        side = -1.0 if x > 0 else 1.0  # direction of the road
        base = np.array([x, y, z - length / 2])
        down = -height * UP
        near = base + side * width / 2 * RIGHT + height * UP
        repeat_v = height / tile[1] if tile[1] else 1.0
        for origin, edge, normal in (
            (near, length * AHEAD, side * RIGHT),
            (near, -side * width * RIGHT, -AHEAD),
        ):
            repeat = np.linalg.norm(edge) / tile[0], repeat_v
            shade = self.look.shade(normal)
            self._add(origin, edge, down, texture, name, repeat=repeat, shade=shade, normal=normal)
        if height < 1.6:  # the top of anything higher is above the camera
            shade = self.look.shade(UP)
            flat = Texture(texture.pixels[:4])
            self._add(
                near, length * AHEAD, -side * width * RIGHT, flat, name, shade=shade, normal=UP
            )

    def _cast_shadow(self, element: Element, extent: float = 1.25) -> None:
        x, y, z = element.position
        width, _, length = element.size
        ahead, right = _axes(element.heading)
        edge_u, edge_v = extent * max(width, 0.4) * right, extent * max(length, 0.4) * ahead
        origin = np.array([x, y - 0.01, z]) - edge_u / 2 - edge_v / 2
        velocity = element.speed * ahead
        self._add(
            origin,
            edge_u,
            edge_v,
            self._tiles['shadow'],
            None,
            layer=SHADOW_LAYER,
            velocity=velocity,
        )

    def _stand(
        self, element: Element, sprite: Texture, name: str, direction: np.ndarray, **kwargs
    ) -> None:
        """An upright cut-out over the element's position, its rows running along ``direction`` (metres)."""
        origin = (
            np.array(element.position) - direction / 2 + kwargs.pop('height', element.size[1]) * UP
        )
        edge_v = np.array([0.0, element.position[1] - origin[1], 0.0])
        self._add(origin, direction, edge_v, sprite, name, **kwargs)


def _plain(colour: Colour) -> np.ndarray:
    return np.full((128, 128, 3), colour, np.uint8)


def _axes(heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Unit vectors ahead and to the right of something heading there."""
    ahead = np.array([np.sin(heading), 0.0, np.cos(heading)])
    return ahead, np.array([np.cos(heading), 0.0, -np.sin(heading)])


# The ground


def _ground(name: str, label: str, tile: float) -> Callable:
    def build(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
        x, y, z = element.position
        width, _, length = element.size
        texture = dresser._tiles[name]
        shade = dresser.look.shade(UP)
        cuts = GROUND_CUTS[(z - length / 2 < GROUND_CUTS) & (z + length / 2 > GROUND_CUTS)]
        cuts = np.concatenate([[z - length / 2], cuts, [z + length / 2]])
        for start, stop in zip(cuts, cuts[1:], strict=False):
            origin = np.array([x - width / 2, y, start])
            edges = width * RIGHT, (stop - start) * AHEAD
            repeat = width / tile, (stop - start) / tile
            dresser._add(
                origin, *edges, texture, label, layer=GROUND_LAYER, repeat=repeat, shade=shade
            )

    return build


def _painted(name: str) -> Callable:
    def build(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
        x, y, z = element.position
        width, _, length = element.size
        origin = np.array([x - width / 2, y, z - length / 2])
        texture = dresser._solid(dresser.look.paint(name, rng))
        shade = dresser.look.shade(UP)
        edges = width * RIGHT, length * AHEAD
        dresser._add(origin, *edges, texture, 'road', layer=GROUND_LAYER, shade=shade)

    return build


def _curb(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    x, _, z = element.position
    length = element.size[2]
    texture = dresser._solid(dresser.look.paint('sidewalk', rng))
    origin = np.array([x, -CURB, z - length / 2])
    shade = 0.85 * dresser.look.shade(-np.sign(x) * RIGHT)
    dresser._add(
        origin, length * AHEAD, -CURB * UP, texture, 'sidewalk', layer=GROUND_LAYER, shade=shade
    )


# Beside the road


def _barrier(name: str, label: str, tile: float) -> Callable:
    def build(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
        vertical = 0.0 if name != 'vegetation' else tile
        dresser._add_box(element, dresser._tiles[name], label, (tile, vertical))

    return build


def _building(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    tile = dresser._tiles[f'building_{rng.integers(5)}']
    dresser._add_box(element, tile, 'building', (9.0, 6.2))
    x, y, z = element.position
    width, height, length = element.size
    side = -1.0 if x > 0 else 1.0
    eave = np.array([x + side * width / 2, y - height, z - length / 2])
    look = dresser.look
    if rng.random() < 0.5:  # a shop on the ground floor
        shop = _plain(look.paint('window', rng))
        shop[:24] = look.paint('building', rng)
        shop[:, ::42] = shop[:, 1::42] = shop[110:] = look.paint('building', rng)
        origin = eave + side * 0.03 * RIGHT + (3.1 - height) * UP
        repeat, shade = (length / 6.0, 1.0), look.shade(side * RIGHT)
        edges = length * AHEAD, -3.1 * UP
        dresser._add(origin, *edges, Texture(shop), 'building', repeat=repeat, shade=shade)
    if rng.random() < 0.6:  # a pitched roof
        rise = rng.uniform(2.0, 4.0)
        slope = -side * width / 2 * RIGHT + rise * UP
        normal = np.cross(AHEAD, slope)
        normal *= np.sign(normal @ UP) / np.linalg.norm(normal)
        repeat = length / 6, 1.0
        shade = look.shade(normal)
        tile_roof = dresser._tiles['roof']
        edges = length * AHEAD, -slope
        dresser._add(
            eave + slope, *edges, tile_roof, 'building', repeat=repeat, shade=shade, normal=normal
        )
        gable = np.full((32, 64, 4), (*look.paint('roof', rng), 0), np.uint8)
        cv2.fillConvexPoly(
            gable, np.array([[0, 31], [32, 0], [63, 31]]), (*gable[0, 0, :3].tolist(), 255)
        )
        edges = -side * width * RIGHT, -rise * UP
        shade = look.shade(-AHEAD)
        dresser._add(
            eave + rise * UP, *edges, Texture(gable), 'building', shade=shade, normal=-AHEAD
        )


def _distant_building(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    width, height, _ = element.size
    tile = dresser._tiles[f'building_{rng.integers(5)}']
    origin = np.array(element.position) - width / 2 * RIGHT + height * UP
    repeat, shade = (width / 9.0, height / 6.2), dresser.look.shade(-AHEAD)
    dresser._add(origin, width * RIGHT, -height * UP, tile, 'building', repeat=repeat, shade=shade)


def _distant_trees(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    width, height, _ = element.size
    origin = np.array(element.position) - width / 2 * RIGHT
    tile = dresser._tiles['vegetation']
    low = 0.55 * height
    dresser._add(origin + low * UP, width * RIGHT, -low * UP, tile, 'vegetation', repeat=(3.0, 1.0))
    crown = dresser._tiles[f'tree_{rng.integers(4)}']
    for start in np.arange(0, width, 6.0):
        edges = 9 * RIGHT, -height * UP
        dresser._add(origin + (start - 1.5) * RIGHT + height * UP, *edges, crown, 'vegetation')


def _tree(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    crown = dresser._tiles[f'tree_{rng.integers(4)}']
    width = element.size[0] * rng.choice([-1, 1])
    shade = rng.uniform(0.85, 1.1) * dresser.look.shade(-AHEAD)
    dresser._stand(element, crown, 'vegetation', width * RIGHT, shade=shade)


def _lamp(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    reach, height, _ = element.size
    metal = dresser.look.paint('pole', rng)
    sprite = Sprite(2 * abs(reach) + 1, height, dresser._resolution(element), metal)
    sprite.label('pole')
    sprite.line((0, 0), (0, height - 0.3), 0.22, metal)
    inward = -np.sign(reach) * abs(reach)
    sprite.line((0, height - 0.4), (inward * 0.8, height - 0.15), 0.13, metal)
    sprite.box(*sorted((inward * 0.65, inward)), height - 0.3, metal) if False else None
    sprite.line((inward * 0.7, height - 0.15), (inward, height - 0.12), 0.2, metal)
    texture = sprite.texture(dresser.look, True)
    dresser._stand(element, texture, 'pole', sprite.width * RIGHT, height=height)


def _sign(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    look, height = dresser.look, element.size[1]
    metal = look.paint('pole', rng)
    sprite = Sprite(1.5, height, dresser._resolution(element), metal)
    sprite.label('pole')
    sprite.line((0, 0), (0, height - 0.2), 0.16, metal)
    y = height - 0.5
    for _ in range(int(rng.integers(1, 3))):
        _draw_sign(sprite, look, y, rng)
        y -= 0.95
    texture = sprite.texture(look, False)
    dresser._stand(element, texture, 'pole', sprite.width * RIGHT)


def _draw_sign(sprite: Sprite, look: Appearance, y: float, rng: np.random.Generator) -> None:
    sprite.label('traffic_sign')
    colour, white = look.paint('sign', rng), look.paint('marking', rng)
    shape = rng.integers(4)
    for size, paint in ((0.46, colour), (0.28, white if shape < 2 else colour)):
        if shape == 0:
            sprite.disc(0, y, size, paint)
        elif shape == 1:
            sprite.polygon([(-size, y - 0.8 * size), (size, y - 0.8 * size), (0, y + size)], paint)
        elif shape == 2:
            sprite.box(-size, y - 0.8 * size, size, y + 0.8 * size, paint)
        else:
            sprite.polygon([(-size, y), (0, y - size), (size, y), (0, y + size)], paint)


def _draw_light(
    sprite: Sprite, look: Appearance, x: float, top: float, rng: np.random.Generator
) -> None:
    sprite.label('traffic_light')
    box = look.paint('light_box', rng)
    sprite.box(x - 0.26, top - 1.15, x + 0.26, top, box)
    lit = rng.integers(3)
    lamps = [(40, 40, 240), (30, 190, 250), (90, 220, 60)]
    for i, lamp in enumerate(lamps):
        paint = lamp if i == lit else tuple(int(0.3 * c) for c in lamp)
        sprite.disc(x, top - 0.2 - 0.37 * i, 0.15, paint)


def _traffic_light(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    look, height = dresser.look, element.size[1]
    metal = look.paint('pole', rng)
    is_mast = element.kind == 'traffic_light_mast'
    reach = element.size[0] if is_mast else 0.0
    sprite = Sprite(2 * abs(reach) + 1.2, height, dresser._resolution(element), metal)
    sprite.label('pole')
    sprite.line((0, 0), (0, height - 0.1), 0.2, metal)
    if is_mast:
        inward = -reach
        sprite.line((0, height - 0.3), (inward, height - 0.3), 0.16, metal)
        _draw_light(sprite, look, inward * 0.95, height - 0.02, rng)
        _draw_light(sprite, look, inward * 0.45, height - 0.02, rng)
        _draw_light(sprite, look, 0, 3.4, rng)
    else:
        _draw_light(sprite, look, 0, height - 0.05, rng)
    texture = sprite.texture(look, False)
    dresser._stand(element, texture, 'pole', sprite.width * RIGHT)


# People and two-wheelers


def _person(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    look = dresser.look
    width, height, _ = element.size
    top, trousers, skin = (look.paint(m, rng) for m in ('clothes', 'trousers', 'skin'))
    sprite = Sprite(1.0, 1.8, dresser._resolution(element), trousers)
    sprite.label('person')
    stride = rng.uniform(0.05, 0.24)
    for side in (-1, 1):
        sprite.line((side * 0.08, 0.9), (side * stride, 0.08), 0.17, trousers)
        sprite.line((side * 0.2, 1.4), (side * rng.uniform(0.22, 0.34), 0.85), 0.12, top)
    sprite.polygon([(-0.17, 0.8), (0.17, 0.8), (0.25, 1.45), (-0.25, 1.45)], top)
    sprite.disc(0, 1.62, 0.12, skin, 1.25)
    hair = look.paint('trunk', rng)
    sprite.disc(0, 1.7, 0.12, hair, 0.6)
    direction, velocity = RIGHT * width * 4 / 3, element.speed * _axes(element.heading)[0]
    shade = look.shade(-AHEAD)
    dresser._cast_shadow(element)
    dresser._stand(
        element, sprite.texture(look, True), 'person', direction, velocity=velocity, shade=shade
    )


def _two_wheeler(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    """Two crossed cut-outs: the profile along the heading and the view from ahead or behind."""
    look = dresser.look
    resolution = dresser._resolution(element)
    colours = {
        m: look.paint(m, rng) for m in ('bike', 'tyre', 'clothes', 'trousers', 'skin', 'helmet')
    }
    height = 1.95 if element.ridden else 1.3
    length = element.size[2]
    profile = Sprite(length + 0.1, height, resolution, colours['bike'])
    front = Sprite(1.0, height, resolution, colours['bike'])
    draw = _draw_motorcycle if element.kind == 'motorcycle' else _draw_bicycle
    draw(profile, front, length, colours)
    if element.ridden:
        _draw_rider(profile, front, colours)
    ahead, right = _axes(element.heading)
    velocity = element.speed * ahead
    dresser._cast_shadow(element)
    for sprite, axis in ((profile, ahead), (front, right)):
        texture = sprite.texture(look, False)
        shade = look.shade(np.cross(axis, UP))
        direction = sprite.width * axis
        dresser._stand(
            element, texture, element.kind, direction, height=height, velocity=velocity, shade=shade
        )


def _draw_bicycle(
    profile: Sprite, front: Sprite, length: float, colours: dict[str, Colour]
) -> None:
    frame, tyre = colours['bike'], colours['tyre']
    spokes = tuple((a + 2 * 110) // 3 for a in tyre)
    wheel = length / 2 - 0.34
    for sprite in (profile, front):
        sprite.label('bicycle')
    for x in (-wheel, wheel):
        profile.disc(x, 0.35, 0.35, tyre)
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
    front.line((0, 0.05), (0, 0.7), 0.12, tyre)
    front.line((0, 0.6), (0, 1.0), 0.09, frame)
    front.line((-0.28, 1.02), (0.28, 1.02), 0.07, frame)


def _draw_motorcycle(
    profile: Sprite, front: Sprite, length: float, colours: dict[str, Colour]
) -> None:
    body, tyre = colours['bike'], colours['tyre']
    wheel = length / 2 - 0.34
    for sprite in (profile, front):
        sprite.label('motorcycle')
    for x in (-wheel, wheel):
        profile.disc(x, 0.33, 0.33, tyre)
    profile.polygon([(-0.6, 0.3), (0.45, 0.28), (0.6, 0.75), (-0.55, 0.7)], tyre)
    profile.polygon(
        [(-1.0, 0.75), (-0.2, 0.6), (0.2, 0.6), (0.6, 0.9), (0.2, 1.0), (-0.3, 0.85), (-0.9, 0.95)],
        body,
    )
    profile.line((wheel, 0.33), (0.5, 1.1), 0.13, tyre)
    profile.polygon([(0.45, 0.7), (0.75, 0.75), (0.5, 1.25)], body)
    front.line((0, 0.1), (0, 0.7), 0.22, tyre)
    front.disc(0, 0.8, 0.26, body, 1.15)
    front.line((-0.38, 1.05), (0.38, 1.05), 0.1, tyre)
    front.disc(0, 0.86, 0.11, (200, 240, 250))


def _draw_rider(profile: Sprite, front: Sprite, colours: dict[str, Colour]) -> None:
    top, trousers, skin, helmet = (colours[m] for m in ('clothes', 'trousers', 'skin', 'helmet'))
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


# Vehicles: the profile from the rear bumper over the roof to the front bumper, in lengths (forward) and heights (up);
# behind each point the look of the strip to the next one.
PROFILES: dict[str, list[list[tuple[float, float, str]]]] = {
    'sedan': [
        [
            (-0.5, 0.2, 'rear'),
            (-0.49, 0.62, 'body'),
            (-0.36, 0.68, 'glass'),
            (-0.22, 0.98, 'body'),
            (-0.16, 1, 'body'),
            (0.05, 1, 'glass'),
            (0.22, 0.66, 'body'),
            (0.46, 0.56, 'front'),
            (0.5, 0.2, ''),
        ]
    ],
    'hatchback': [
        [
            (-0.5, 0.2, 'rear'),
            (-0.49, 0.6, 'glass'),
            (-0.42, 0.96, 'body'),
            (-0.38, 1, 'body'),
            (0.06, 1, 'glass'),
            (0.25, 0.62, 'body'),
            (0.47, 0.52, 'front'),
            (0.5, 0.2, ''),
        ]
    ],
    'van': [
        [
            (-0.5, 0.18, 'rear'),
            (-0.5, 0.6, 'glass'),
            (-0.48, 0.97, 'body'),
            (0.2, 1, 'glass'),
            (0.36, 0.64, 'body'),
            (0.49, 0.5, 'front'),
            (0.5, 0.18, ''),
        ]
    ],
    'truck': [
        [(-0.5, 0.27, 'box'), (-0.5, 1, 'box'), (0.2, 1, 'box'), (0.2, 0.27, '')],
        [
            (0.24, 0.15, 'body'),
            (0.24, 0.82, 'body'),
            (0.44, 0.82, 'glass'),
            (0.48, 0.5, 'front'),
            (0.5, 0.15, ''),
        ],
    ],
    'bus': [
        [
            (-0.5, 0.1, 'rear'),
            (-0.5, 0.55, 'glass'),
            (-0.497, 0.9, 'body'),
            (-0.49, 1, 'body'),
            (0.47, 1, 'body'),
            (0.49, 0.92, 'glass'),
            (0.5, 0.4, 'front'),
            (0.5, 0.1, ''),
        ]
    ],
    'train': [
        [
            (-0.5, 0.08, 'rear'),
            (-0.5, 0.5, 'glass'),
            (-0.485, 0.85, 'body'),
            (-0.47, 1, 'body'),
            (0.47, 1, 'body'),
            (0.485, 0.85, 'glass'),
            (0.5, 0.5, 'front'),
            (0.5, 0.08, ''),
        ]
    ],
}


def _vehicle(dresser: Dresser, element: Element, rng: np.random.Generator) -> None:
    look, kind = dresser.look, element.kind
    width, height, length = element.size
    body = look.paint({'truck': 'truck_cab'}.get(kind, kind), rng)
    paints = dict(body=body, box=look.paint('truck_box', rng), glass=look.paint('glass', rng))
    paints['tyre'] = look.paint('tyre', rng)
    shape = (
        str(rng.choice(['sedan', 'hatchback', 'van'], p=[0.4, 0.4, 0.2])) if kind == 'car' else kind
    )
    ahead, right = _axes(element.heading)
    centre = np.array(element.position)
    common = dict(velocity=element.speed * ahead)
    dresser._cast_shadow(element)
    side_texture = _side_view(dresser, element, shape, paints, rng)
    for side in (-1, 1):
        normal = side * right
        origin = centre + side * width / 2 * right + height * UP - length / 2 * ahead
        shade = look.shade(normal)
        dresser._add(
            origin,
            length * ahead,
            -height * UP,
            side_texture,
            kind,
            normal=normal,
            shade=shade,
            **common,
        )
    ends = {name: _end_view(dresser, element, name, paints) for name in ('rear', 'front')}
    strips = {name: dresser._solid(paints[name]) for name in ('body', 'box')}
    glass = np.full((12, 24, 3), paints['glass'], np.uint8)
    glass[:, :2] = glass[:, -2:] = body
    strips['glass'] = Texture(glass)
    for part in PROFILES[shape]:
        for (z0, y0, look_of), (z1, y1, _) in zip(part, part[1:], strict=False):
            if look_of in ends:  # bumpers, lights and wheels reach to the ground
                y0, y1 = (0.0, y1) if look_of == 'rear' else (y0, 0.0)
            lower, upper = sorted([(z0, y0), (z1, y1)], key=lambda p: p[1])
            top = centre - width / 2 * right + upper[0] * length * ahead + upper[1] * height * UP
            drop = (lower[0] - upper[0]) * length * ahead + (lower[1] - upper[1]) * height * UP
            normal = (z1 - z0) * length * UP - (y1 - y0) * height * ahead
            normal /= np.linalg.norm(normal)
            texture = ends.get(look_of) or strips[look_of]
            shade = look.shade(normal)
            dresser._add(
                top, width * right, drop, texture, kind, normal=normal, shade=shade, **common
            )


def _side_view(
    dresser: Dresser,
    element: Element,
    shape: str,
    paints: dict[str, Colour],
    rng: np.random.Generator,
) -> Texture:
    _, height, length = element.size
    resolution = min(dresser._resolution(element), 900 / length)
    sprite = Sprite(length, height, resolution, paints['body'])
    sprite.label(element.kind)
    dark = tuple(int(0.5 * c) for c in paints['tyre'])
    sprite.box(-0.47 * length, 0.12 * height, 0.47 * length, 0.3 * height, dark)
    for part in PROFILES[shape]:
        points = [(z * length, y * height) for z, y, _ in part]
        sprite.polygon(points, paints['box' if part[0][2] == 'box' else 'body'])
    {'bus': _bus_windows, 'train': _train_windows, 'truck': _truck_windows}.get(
        shape, _car_windows
    )(sprite, length, height, paints, PROFILES[shape], rng)
    axles = {'bus': (-0.28, 0.33), 'truck': (-0.36, -0.22, 0.36), 'train': ()}.get(
        shape, (-0.31, 0.31)
    )
    radius = 0.5 if shape in ('bus', 'truck') else 0.33
    for axle in axles:
        sprite.disc(axle * length, radius, radius, paints['tyre'])
        sprite.disc(
            axle * length, radius, 0.5 * radius, tuple(min(255, 3 * c) for c in paints['tyre'])
        )
    return sprite.texture(dresser.look, True)


def _car_windows(sprite, length, height, paints, profile, rng) -> None:
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


def _bus_windows(sprite, length, height, paints, profile, rng) -> None:
    for start in np.arange(-0.47 * length, 0.44 * length, 1.35):
        sprite.box(start, 0.48 * height, start + 1.2, 0.84 * height, paints['glass'])
    for door in (-0.1, 0.42):
        sprite.box(
            door * length - 0.5, 0.14 * height, door * length + 0.5, 0.84 * height, paints['glass']
        )
    stripe = tuple(min(255, int(1.3 * c)) for c in paints['body'])
    sprite.box(-0.5 * length, 0.33 * height, 0.5 * length, 0.38 * height, stripe)


def _train_windows(sprite, length, height, paints, profile, rng) -> None:
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
            paints['tyre'],
        )


def _truck_windows(sprite, length, height, paints, profile, rng) -> None:
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


def _end_view(dresser: Dresser, element: Element, name: str, paints: dict[str, Colour]) -> Texture:
    """Bumper with lights, plate and the wheels below; x in widths, y in heights of the strip."""
    sprite = Sprite(1.0, 1.0, min(48.0, 2 * dresser._resolution(element)), paints['body'])
    sprite.label(element.kind)
    for side in (-0.38, 0.38):
        sprite.box(side - 0.09, 0, side + 0.09, 0.4, paints['tyre'])
    sprite.box(-0.5, 0.24, 0.5, 1.0, paints['body'])
    lamp = (50, 40, 210) if name == 'rear' else (225, 245, 250)
    for side in (-0.4, 0.4):
        sprite.box(side - 0.09, 0.6, side + 0.09, 0.84, lamp)
    sprite.box(-0.16, 0.36, 0.16, 0.5, (220, 225, 225) if name == 'rear' else paints['tyre'])
    return sprite.texture(dresser.look, True)


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
