# Licensed under the Apache License 2.0, see LICENSE.
"""What stands where in a street: the layout, which both domains share.

The street runs along world z, the ego car drives at x = 0 on the right-hand side. A layout is a
list of elements whose statistics (sizes, places, neighbors) do not depend on the domain;
``shapes.py`` turns an element into textured surfaces in the colors of a domain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STREET_END = 150.0  # meters; beyond it only the skyline
BEHIND = -6.0  # the street begins here: farther back than the camera
LANE = 3.3
CURB = 0.12
HEADING_AHEAD, HEADING_ONCOMING = 0.0, np.pi

# kind: (width, height, length) in meters and the relative spread of each instance
SIZES = {
    'car': (1.8, 1.5, 4.3, 0.08),
    'truck': (2.5, 3.5, 8.0, 0.12),
    'bus': (2.6, 3.2, 11.5, 0.06),
    'train': (2.65, 3.6, 26.0, 0.08),
    'motorcycle': (0.8, 1.25, 2.2, 0.05),
    'bicycle': (0.6, 1.15, 1.85, 0.05),
    'person': (0.75, 1.78, 0.3, 0.07),
}


@dataclass(frozen=True)
class Element:
    """Something that stands in the street.

    Attributes:
        kind: Key of ``shapes.BUILDERS``.
        position: Center of the base in the world, meters.
        size: Width (across its heading), height, length (along its heading), meters.
        heading: Radians to the right of world +z.
        speed: Meters per second along the heading.
        variant: Seed of everything that only changes the look.
        ridden: Whether a rider sits on it (bicycles and motorcycles).
    """

    kind: str
    position: tuple[float, float, float]
    size: tuple[float, float, float]
    heading: float = 0.0
    speed: float = 0.0
    variant: int = 0
    ridden: bool = False


@dataclass(frozen=True)
class Scene:
    """A street.

    Attributes:
        elements: What stands in it; the ground comes first, in the order in which it is laid.
        ego_speed: Speed of the car that carries the camera, meters per second.
    """

    elements: tuple[Element, ...]
    ego_speed: float


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw the layout of a street."""
    return _Sampler(rng).sample()


class _Sampler:
    """Draws one layout; the methods run from the ground up and from the road outwards."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.ground: list[Element] = []
        self.elements: list[Element] = []
        lanes_right = int(rng.integers(1, 3))
        lanes_left = int(rng.integers(1, 3))
        ego_lane = int(rng.integers(0, lanes_right))
        self.has_train = rng.random() < 0.42
        self.center = -LANE * (ego_lane + 0.5)  # line between the two directions
        self.parking = rng.random(2) < 0.5  # left, right
        track = 3.6 if self.has_train and rng.random() < 0.6 else 0.0
        self.left_lanes = [self.center - track - LANE * (i + 0.5) for i in range(lanes_left)]
        self.right_lanes = [self.center + LANE * (i + 0.5) for i in range(lanes_right)]
        self.track_x = self.center - track / 2 if track else self.left_lanes[0]
        self.road = (
            self.center - track - LANE * lanes_left - 2.3 * self.parking[0],
            self.center + LANE * lanes_right + 2.3 * self.parking[1],
        )
        self.crossing = rng.uniform(14, 55) if rng.random() < 0.6 else None
        self.crossing_width = rng.uniform(7, 12)

    def sample(self) -> Scene:
        self._lay_ground()
        for side in (-1, 1):
            self._line_side(side)
        self._close_the_street()
        self._drive()
        self._park()
        if self.crossing is not None:
            self._cross(self.crossing)
        speed = float(self.rng.uniform(3, 14))
        return Scene(tuple(self.ground + self.elements), speed)

    # Placing

    def _add(self, kind: str, x: float, z: float, size=None, *, y: float = 0.0, **kwargs) -> None:
        if size is None:
            *mean, spread = SIZES[kind]
            size = np.array(mean) * (1 + spread * self.rng.uniform(-1, 1, 3))
        variant = int(self.rng.integers(2**31))
        position = float(x), float(y), float(z)
        width, height, length = (float(s) for s in size)
        self.elements.append(
            Element(str(kind), position, (width, height, length), variant=variant, **kwargs)
        )

    def _lay(self, kind: str, x0: float, x1: float, z0: float, z1: float, y: float = 0.0) -> None:
        position = (x0 + x1) / 2, y, (z0 + z1) / 2
        self.ground.append(Element(kind, position, (abs(x1 - x0), 0.0, z1 - z0)))

    def _blocks(self) -> list[tuple[float, float]]:
        """Stretches of the street's length between crossings."""
        if self.crossing is None:
            return [(BEHIND, STREET_END)]
        half = self.crossing_width / 2
        return [(BEHIND, self.crossing - half), (self.crossing + half, STREET_END)]

    # The ground

    def _lay_ground(self) -> None:
        left, right = self.road
        self._lay('terrain', -250, 250, BEHIND, 500, y=0.01)
        # The road reaches below the curbs, so that no gap shows the terrain under it.
        self._lay('road', left - 0.05, right + 0.05, BEHIND, 300)
        if self.crossing is not None:
            half = self.crossing_width / 2
            self._lay('road', -120, 120, self.crossing - half, self.crossing + half)
        for start, stop in self._blocks():
            self._mark(start, stop)
        if self.has_train:
            for offset in (-0.75, 0.75):
                x = self.track_x + offset
                self._lay('rail', x - 0.06, x + 0.06, BEHIND, 120)

    def _mark(self, start: float, stop: float) -> None:
        edge = 0.07
        left, right = self.road
        for x in (left + 0.25, right - 0.25):
            self._lay('marking', x - edge, x + edge, start, stop)
        solid = self.rng.random() < 0.4
        lines = {self.center: solid}
        for lanes in (self.left_lanes, self.right_lanes):
            lines.update({(a + b) / 2: False for a, b in zip(lanes, lanes[1:], strict=False)})
        for x, is_solid in lines.items():
            if is_solid:
                self._lay('marking', x - edge, x + edge, start, stop)
                continue
            for z in np.arange(start, min(stop, 60) - 3, 7.5):
                self._lay('marking', x - edge, x + edge, z, z + 3.2)

    # Left and right of the road

    def _line_side(self, side: int) -> None:
        rng = self.rng
        edge = self.road[0] if side < 0 else self.road[1]
        verge = rng.uniform(1.2, 2.8) if rng.random() < 0.4 else 0.0
        walk = rng.uniform(2.2, 4.2)
        yard = rng.uniform(1.5, 6.0) if rng.random() < 0.6 else 0.0
        verge_end = edge + side * verge
        walk_end = verge_end + side * walk
        facade = walk_end + side * yard
        for start, stop in self._blocks():
            # The curb's face, then the strips beyond it at the curb's height.
            self._lay('curb', edge, edge + side * 0.01, start, stop)
            if verge:
                self._lay('terrain', edge, verge_end, start, stop, y=-CURB)
            self._lay('sidewalk', verge_end, walk_end, start, stop, y=-CURB)
            if yard:
                self._lay('terrain', walk_end, facade + side * 40, start, stop, y=-CURB)
            self._bound(side, walk_end + side * 0.2, yard, start, stop)
            self._build(side, facade, start, stop)
        self._furnish(side, edge, verge_end, walk_end)
        if yard > 2.5:
            for z in np.arange(rng.uniform(3, 12), 90, 12):
                if rng.random() < 0.5:
                    self._tree((walk_end + facade) / 2 + rng.uniform(-0.5, 0.5), z)
        self._people(side, verge_end, walk_end)

    def _bound(self, side: int, x: float, yard: float, start: float, stop: float) -> None:
        """Walls, fences and hedges along the outer edge of the sidewalk."""
        rng = self.rng
        style = rng.choice(['wall', 'fence', 'hedge'], p=[0.4, 0.4, 0.2])
        z = start
        while z < min(stop, 110):
            length = min(rng.uniform(7, 22), stop - z)
            if rng.random() < (0.6 if yard else 0.3):
                kind = style if rng.random() < 0.7 else rng.choice(['wall', 'fence', 'hedge'])
                self._barrier(kind, side, x, z, z + length)
            z += length

    def _barrier(self, kind: str, side: int, x: float, z0: float, z1: float) -> None:
        height = {'wall': (1.3, 3.2), 'fence': (1.0, 2.0), 'hedge': (1.0, 2.2)}[kind]
        size = {'wall': 0.3, 'fence': 0.08, 'hedge': 0.9}[kind], self.rng.uniform(*height), z1 - z0
        self._add(kind, x + side * size[0] / 2, (z0 + z1) / 2, size, y=-CURB)

    def _build(self, side: int, x: float, start: float, stop: float) -> None:
        """Buildings along a block, with gaps that a wall, a fence or trees may close."""
        rng = self.rng
        density = rng.choice([0.55, 0.85, 0.95])
        z = start
        storeys = rng.integers(2, 6)
        while z < stop:
            length = min(rng.uniform(8, 20), stop - z)
            if length > 4 and rng.random() < density:
                height = 3.1 * np.clip(storeys + rng.integers(-1, 2), 2, 7) + rng.uniform(0, 1)
                depth = rng.uniform(8, 14)
                setback = rng.uniform(0, 0.6)
                center = x + side * (depth / 2 + setback)
                self._add('building', center, z + length / 2, (depth, height, length))
            elif length > 4:
                kind = rng.choice(['wall', 'fence', 'hedge', 'none'], p=[0.35, 0.35, 0.15, 0.15])
                if kind != 'none':
                    self._barrier(kind, side, x, z, z + length)
                for _ in range(int(rng.integers(1, 4))):
                    self._tree(x + side * rng.uniform(3, 12), z + rng.uniform(0, length))
            z += length

    def _tree(self, x: float, z: float) -> None:
        height = self.rng.uniform(4.5, 9.5)
        self._add('tree', x, z, (height * self.rng.uniform(0.6, 0.85), height, 0.0))

    def _furnish(self, side: int, edge: float, verge_end: float, walk_end: float) -> None:
        """Poles, lights, signs and street trees beside the curb."""
        rng = self.rng
        x = edge + side * 0.45
        for z in np.arange(rng.uniform(5, 14), 100, rng.uniform(14, 22)):
            self._add(
                'lamp', x, z + rng.uniform(-2, 2), (side * 2.4, rng.uniform(6, 8), 0), y=-CURB
            )
        for z in np.arange(rng.uniform(6, 24), 70, 17):
            if rng.random() < 0.5:
                self._add(
                    'sign', x, z + rng.uniform(-3, 3), (1.0, rng.uniform(2.5, 3.4), 0), y=-CURB
                )
        if self.crossing is not None:
            z = self.crossing - self.crossing_width / 2 - 1.2
            if rng.random() < 0.75:
                kind = 'traffic_light_mast' if rng.random() < 0.45 else 'traffic_light'
                height = (
                    rng.uniform(5.0, 5.8) if kind == 'traffic_light_mast' else rng.uniform(3, 3.6)
                )
                self._add(kind, x, z, (side * 4.5, height, 0), y=-CURB)
        elif rng.random() < 0.5:
            kind = 'traffic_light_mast' if rng.random() < 0.5 else 'traffic_light'
            height = 5.4 if kind == 'traffic_light_mast' else 3.3
            self._add(kind, x, rng.uniform(9, 35), (side * 4.5, height, 0), y=-CURB)
        if rng.random() < 0.45:
            tree_x = (edge + verge_end) / 2 if abs(verge_end - edge) > 1 else edge + side * 0.9
            for z in np.arange(rng.uniform(8, 20), 110, rng.uniform(9, 16)):
                if rng.random() < 0.75:
                    self._tree(tree_x, z)
        if rng.random() < 0.22:
            z = rng.uniform(8, 20)
            self._add('fence', x, z + 6, (0.06, rng.uniform(0.8, 1.1), rng.uniform(8, 16)), y=-CURB)

    def _people(self, side: int, walk_start: float, walk_end: float) -> None:
        rng = self.rng
        for _ in range(int(rng.integers(1, 6))):
            ends = walk_start + side * 0.4, walk_end - side * 0.4
            x = rng.uniform(min(ends), max(ends))
            z = 5 + rng.gamma(2.0, 9.0)
            self._add(
                'person', x, z, y=-CURB, heading=rng.choice([0, np.pi]), speed=rng.uniform(0, 1.5)
            )
        for _ in range(int(rng.integers(0, 3))):  # left standing
            kind = 'bicycle' if rng.random() < 0.65 else 'motorcycle'
            x = walk_start + side * rng.uniform(0.5, 1.0)
            self._add(kind, x, rng.uniform(6, 32), y=-CURB, heading=rng.uniform(-2.2, 2.2))

    def _close_the_street(self) -> None:
        """The skyline where the street ends."""
        rng = self.rng
        x = -130.0
        while x < 130:
            width = rng.uniform(12, 32)
            kind = 'distant_building' if rng.random() < 0.6 else 'distant_trees'
            height = rng.uniform(9, 26) if kind == 'distant_building' else rng.uniform(8, 14)
            self._add(kind, x + width / 2, 190 + rng.uniform(-25, 25), (width, height, 0))
            x += width * 0.95

    # Traffic

    def _drive(self) -> None:
        rng = self.rng
        traffic = dict(car=0.52, truck=0.12, bus=0.11, motorcycle=0.11, bicycle=0.14)
        lanes = [(x, HEADING_AHEAD) for x in self.right_lanes]
        lanes += [(x, HEADING_ONCOMING) for x in self.left_lanes]
        for x, heading in lanes:
            is_ego_lane = abs(x) < 1
            if self.has_train and x == self.track_x:
                continue
            z = rng.uniform(10, 26) if is_ego_lane else rng.uniform(4, 22)
            while z < 110:
                kind = str(rng.choice(list(traffic), p=list(traffic.values())))
                length = SIZES[kind][2]
                speed = rng.uniform(2, 13)
                z += length / 2
                if self.crossing is None or abs(z - self.crossing) > self.crossing_width:
                    offset = rng.uniform(-0.25, 0.25)
                    if kind in ('bicycle', 'motorcycle'):
                        offset += 0.7 * np.cos(heading)
                        heading_i = heading + rng.uniform(-0.25, 0.25)
                    else:
                        heading_i = heading
                    self._add(kind, x + offset, z, heading=heading_i, speed=speed, ridden=True)
                z += length / 2 + 3 + rng.exponential(11)
        if self.has_train:
            length = SIZES['train'][2]
            z = rng.uniform(7, 40) + length / 2
            self._add('train', self.track_x, z, heading=HEADING_ONCOMING, speed=rng.uniform(0, 9))
        for _ in range(int(rng.integers(0, 3))):  # cyclists along the right edge of the road
            x = self.right_lanes[-1] + LANE / 2 - rng.uniform(0.3, 0.8)
            heading = rng.uniform(-0.3, 0.3)
            self._add('bicycle', x, 5 + rng.gamma(2, 7), heading=heading, speed=4.5, ridden=True)

    def _park(self) -> None:
        rng = self.rng
        for has_parking, x, heading in zip(
            self.parking,
            (self.road[0] + 1.2, self.road[1] - 1.2),
            (HEADING_ONCOMING, HEADING_AHEAD),
            strict=True,
        ):
            z = rng.uniform(4, 12)
            while has_parking and z < 80:
                kind = str(rng.choice(['car', 'truck', 'motorcycle'], p=[0.84, 0.08, 0.08]))
                length = SIZES[kind][2]
                is_free = self.crossing is None or abs(z + length / 2 - self.crossing) > 9
                if rng.random() < 0.75 and is_free:
                    self._add(kind, x + rng.uniform(-0.1, 0.1), z + length / 2, heading=heading)
                z += length + rng.uniform(0.8, 2.0)

    def _cross(self, crossing: float) -> None:
        """A zebra crossing before the side street, with people and vehicles across."""
        rng = self.rng
        left, right = self.road
        z = crossing - self.crossing_width / 2 - 3.4
        for x in np.arange(left + 0.3, right - 0.5, 1.0):
            self._lay('marking', x, x + 0.5, z, z + 2.6)
        for _ in range(int(rng.integers(0, 5))):
            x = rng.uniform(left, right)
            heading = rng.choice([-1, 1]) * np.pi / 2
            self._add(
                'person', x, z + rng.uniform(0.3, 2.4), heading=heading, speed=rng.uniform(0.8, 1.6)
            )
        for direction in (-1, 1):
            if rng.random() < 0.6:
                kind = str(
                    rng.choice(
                        ['car', 'bus', 'truck', 'bicycle', 'motorcycle'],
                        p=[0.3, 0.15, 0.15, 0.2, 0.2],
                    )
                )
                z = crossing - direction * self.crossing_width / 4
                x = direction * rng.uniform(-3, 16)
                speed = rng.uniform(2, 8)
                self._add(kind, x, z, heading=direction * np.pi / 2, speed=speed, ridden=True)
