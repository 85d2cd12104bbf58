"""The pictures of the aviary: birds drawn with anti-aliased signed distances.

Everything is drawn in coordinates relative to the picture (x right, y down, both from 0 to 1), so a picture
looks the same at any size. The bird lives in frames of its own (u forward, v up, about one unit of body): a
distance below zero is inside a shape, and its ramp over one pixel is the coverage. Each part is evaluated
only in a window around it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3lib.data.fieldguide import COLOR_ATTRIBUTES, check_attributes
from n3lib.errors import N3Error

RGB = tuple[float, float, float]
Array = NDArray[Any]  # float32 throughout, unless a signature says otherwise
Distance = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Build:
    """Proportions of a body, in units of the bird: circles `(u, v, radius)` and the length of the leg."""

    breast: tuple[float, float, float]
    rump: tuple[float, float, float]
    head: tuple[float, float, float]
    neck: float
    leg: float


@dataclass(frozen=True)
class World:
    """What there is to draw: one renderer, another parameter set.

    Attributes:
        name: such as `aviary`.
        stream: keeps the random numbers of worlds apart; no two worlds share it.
        values: every attribute and the values it takes here, one value if it does not vary.
        ties: `(attribute, other)`: the attribute always equals the other.
        palette: color name to RGB in 0..1.
        builds: the proportions of each value of `build`.
        scales: width of one bird unit for each value of `size`, as a share of the picture.
        skies, foliage, grounds, perches: colors of the background, drawn from at random (skies top and
            bottom).
        tilt: range of the body's angle in degrees.
        look_back: how often the head is turned over the shoulder.
        branch: how often the bird sits on a branch; otherwise it stands on the ground.
    """

    name: str
    stream: int
    values: Mapping[str, tuple[str, ...]]
    ties: tuple[tuple[str, str], ...]
    palette: Mapping[str, RGB]
    builds: Mapping[str, Build]
    scales: Mapping[str, float]
    skies: tuple[tuple[RGB, RGB], ...]
    foliage: tuple[RGB, ...]
    grounds: tuple[RGB, ...]
    perches: tuple[RGB, ...]
    tilt: tuple[float, float]
    look_back: float
    branch: float


_AVIARY_COLORS: dict[str, RGB] = {
    "black": (0.11, 0.11, 0.13),
    "white": (0.96, 0.96, 0.94),
    "gray": (0.55, 0.58, 0.62),
    "brown": (0.43, 0.28, 0.17),
    "rufous": (0.70, 0.31, 0.14),
    "red": (0.86, 0.13, 0.15),
    "orange": (0.98, 0.56, 0.10),
    "yellow": (0.99, 0.87, 0.22),
    "green": (0.25, 0.60, 0.24),
    "blue": (0.14, 0.42, 0.83),
    "violet": (0.50, 0.26, 0.68),
    "buff": (0.90, 0.76, 0.55),
}
_ISLAND_COLORS: dict[str, RGB] = {
    "ink": (0.17, 0.18, 0.28),
    "ivory": (0.90, 0.88, 0.78),
    "maroon": (0.50, 0.15, 0.23),
    "ochre": (0.80, 0.60, 0.16),
    "lime": (0.62, 0.80, 0.26),
    "teal": (0.15, 0.60, 0.61),
    "magenta": (0.82, 0.26, 0.56),
    "lavender": (0.68, 0.62, 0.87),
}
_COLORS, _ISLE = tuple(_AVIARY_COLORS), tuple(_ISLAND_COLORS)

WORLDS: dict[str, World] = {
    "aviary": World(
        name="aviary",
        stream=0,
        values={
            "crown": _COLORS,
            "back": _COLORS,
            "breast": _COLORS,
            "belly": _COLORS,
            "wing": _COLORS,
            "tail": _COLORS,
            "bill": ("black", "gray", "red", "orange", "yellow", "buff"),
            "size": ("small", "medium", "large"),
            "build": ("plump", "slender", "leggy"),
            "pattern": ("plain", "streaked", "spotted", "barred"),
            "bill_shape": ("conical", "straight", "hooked", "decurved"),
            "tail_shape": ("square", "forked", "fan", "pointed"),
            "wing_bars": ("none", "one", "two"),
            "eye_mark": ("none", "ring", "eyebrow"),
            "crest": ("none", "crested"),
        },
        ties=(),
        palette=_AVIARY_COLORS,
        builds={
            "plump": Build((0.11, 0.00, 0.345), (-0.32, -0.03, 0.17), (0.27, 0.37, 0.235), 0.23, 0.15),
            "slender": Build((0.15, 0.02, 0.255), (-0.42, -0.02, 0.11), (0.38, 0.31, 0.195), 0.16, 0.17),
            "leggy": Build((0.10, 0.00, 0.26), (-0.34, 0.00, 0.12), (0.35, 0.49, 0.180), 0.105, 0.44),
        },
        scales={"small": 0.36, "medium": 0.44, "large": 0.54},
        skies=(
            ((0.55, 0.76, 0.93), (0.93, 0.95, 0.90)),
            ((0.72, 0.83, 0.86), (0.97, 0.93, 0.84)),
            ((0.98, 0.80, 0.62), (0.99, 0.94, 0.82)),
            ((0.62, 0.72, 0.66), (0.88, 0.91, 0.80)),
            ((0.70, 0.74, 0.86), (0.95, 0.90, 0.90)),
        ),
        foliage=(
            (0.45, 0.60, 0.36),
            (0.58, 0.68, 0.42),
            (0.38, 0.52, 0.42),
            (0.72, 0.72, 0.44),
            (0.62, 0.66, 0.56),
        ),
        grounds=((0.52, 0.62, 0.34), (0.64, 0.66, 0.40), (0.70, 0.62, 0.42), (0.44, 0.56, 0.38)),
        perches=((0.43, 0.33, 0.25), (0.52, 0.42, 0.33), (0.36, 0.30, 0.27)),
        tilt=(8.0, 38.0),
        look_back=0.15,
        branch=0.62,
    ),
    "islands": World(
        name="islands",
        stream=1,
        values={
            "crown": _ISLE,
            "back": _ISLE,
            "breast": _ISLE,
            "belly": _ISLE,
            "wing": _ISLE,
            "tail": _ISLE,
            "bill": ("ochre",),
            "size": ("small", "medium", "large"),
            "build": ("plump",),
            "pattern": ("plain",),
            "bill_shape": ("conical", "straight", "hooked", "decurved"),
            "tail_shape": ("square", "forked", "fan", "pointed"),
            "wing_bars": ("none",),
            "eye_mark": ("none",),
            "crest": ("none",),
        },
        ties=(("belly", "breast"), ("wing", "back"), ("tail", "back")),
        palette=_ISLAND_COLORS,
        builds={"plump": Build((0.13, 0.00, 0.30), (-0.38, -0.04, 0.15), (0.34, 0.40, 0.20), 0.16, 0.27)},
        scales={"small": 0.36, "medium": 0.45, "large": 0.55},
        skies=(
            ((0.48, 0.70, 0.86), (0.80, 0.92, 0.94)),
            ((0.86, 0.70, 0.76), (0.98, 0.88, 0.78)),
            ((0.66, 0.80, 0.82), (0.90, 0.95, 0.92)),
        ),
        foliage=((0.46, 0.62, 0.70), (0.62, 0.72, 0.74), (0.78, 0.72, 0.60), (0.40, 0.56, 0.56)),
        grounds=((0.86, 0.78, 0.58), (0.78, 0.74, 0.68), (0.62, 0.58, 0.54)),
        perches=((0.56, 0.52, 0.48), (0.66, 0.58, 0.48)),
        tilt=(-4.0, 24.0),
        look_back=0.05,
        branch=0.3,
    ),
}


def find_world(world: str | World) -> World:
    """The world of that name; a `World` is taken as it is."""
    if isinstance(world, World):
        return world
    if world not in WORLDS:
        raise N3Error(f"there is no world {world!r}", f"Use one of {', '.join(WORLDS)}")
    return WORLDS[world]


def draw(
    attributes: Mapping[str, str], rng: np.random.Generator, size: int = 64, world: str | World = "aviary"
) -> NDArray[np.uint8]:
    """One picture of a bird with these attributes; `rng` chooses pose, background, light and noise only.

    The same `rng` state gives the same scene for any attributes and any size, so that one attribute can be
    edited with all else equal.

    Args:
        size: height and width in pixels.

    Returns:
        uint8 array `(size, size, 3)`. Between platforms a value may differ by one level (the C library's
        sines).

    Raises:
        N3Error: an attribute is missing or not of this world, the size is not positive, or the world is
            unknown.
    """
    return draw_with_mask(attributes, rng, size, world)[0]


def draw_with_mask(
    attributes: Mapping[str, str], rng: np.random.Generator, size: int = 64, world: str | World = "aviary"
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture of `draw` and the bird's visible pixels, a boolean array `(size, size)`."""
    world = find_world(world)
    check_attributes(attributes)
    for name in attributes:
        known = world.palette if name in COLOR_ATTRIBUTES else world.values[name]
        if attributes[name] not in known:
            problem = f"the world {world.name} has no {name} {attributes[name]!r}"
            raise N3Error(problem, f"Use one of {', '.join(known)}")
    if size < 1:
        raise N3Error(f"a picture cannot be {size} pixels wide", "Give a positive size")
    canvas = _Canvas(size)
    _paint(canvas, attributes, rng, world)
    noise = rng.standard_normal((3, size, size), dtype=np.float32)
    noise *= 0.006 + 0.014 * rng.random()
    canvas.image += noise
    levels = np.clip(canvas.image * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0)), canvas.cover > 0.5


class _Frame:
    """A coordinate system of the picture: `origin + matrix @ (u, v)`, turned, scaled and maybe mirrored."""

    def __init__(self, origin: tuple[float, float], matrix: tuple[float, float, float, float]) -> None:
        self.origin, self.matrix = origin, matrix
        self.scale = math.hypot(matrix[0], matrix[2])

    def at(self, u: float, v: float) -> tuple[float, float]:
        a, b, c, d = self.matrix
        return self.origin[0] + a * u + b * v, self.origin[1] + c * u + d * v

    def inverse(self, x: float, y: float) -> tuple[float, float]:
        a, b, c, d = (entry / self.scale**2 for entry in self.matrix)
        x, y = x - self.origin[0], y - self.origin[1]
        return a * x + c * y, b * x + d * y

    def child(self, u: float, v: float, degrees: float, mirror: bool = False) -> "_Frame":
        """A frame at (u, v) of this one, mirrored in u if asked, then turned counterclockwise."""
        turn = math.radians(degrees)
        cos, sin, sign = math.cos(turn), math.sin(turn), -1.0 if mirror else 1.0
        a, b, c, d = self.matrix
        p, q, r, s = sign * cos, -sign * sin, sin, cos
        return _Frame(self.at(u, v), (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s))


_PAGE = _Frame((0.0, 0.0), (1.0, 0.0, 0.0, 1.0))  # the picture's own coordinates


class _Canvas:
    """The picture as float32 `(3, size, size)` and how much of each pixel is bird."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.axis = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.image = np.empty((3, size, size), np.float32)
        self.cover = np.zeros((size, size), np.float32)

    def window(self, frame: _Frame, u: float, v: float, radius: float) -> tuple[slice, slice]:
        (x, y), reach = frame.at(u, v), radius * frame.scale + 1.5 / self.size
        rows, columns = (
            slice(
                max(0, int((m - reach) * self.size)), max(0, min(self.size, int((m + reach) * self.size) + 2))
            )
            for m in (y, x)
        )
        return rows, columns

    def grid(self, frame: _Frame, window: tuple[slice, slice]) -> tuple[Array, Array]:
        """The frame's coordinates of every pixel in the window."""
        a, b, c, d = (entry / frame.scale**2 for entry in frame.matrix)
        x = self.axis[None, window[1]] - frame.origin[0]
        y = self.axis[window[0], None] - frame.origin[1]
        return a * x + c * y, b * x + d * y

    def ramp(self, distance: Array, frame: _Frame, blur: float = 0.0) -> Array:
        """Coverage: 1 inside, 0 outside, one pixel (or `blur` units of the frame, if more) in between."""
        width = max(1.0 / (self.size * frame.scale), blur)
        return np.clip(0.5 - distance / width, 0.0, 1.0)

    def backdrop(
        self,
        frame: _Frame,
        bounds: tuple[float, float, float],
        distance: Distance,
        color: Array | Callable[[Array, Array], Array],
        rim: float = 0.0,
        opacity: float = 1.0,
        blur: float = 0.0,
    ) -> None:
        """Paint a shape that is no part of the bird and hides it."""
        self.part(frame, bounds, distance, color, rim, False, opacity, blur)

    def part(
        self,
        frame: _Frame,
        bounds: tuple[float, float, float],
        distance: Distance,
        color: Array | Callable[[Array, Array], Array],
        rim: float = 0.4,
        bird: bool = True,
        opacity: float = 1.0,
        blur: float = 0.0,
    ) -> None:
        """Paint a shape. `bounds` is a circle around it, `rim` how dark its inked edge is."""
        window = self.window(frame, *bounds)
        if window[0].start >= window[0].stop or window[1].start >= window[1].stop:
            return
        u, v = self.grid(frame, window)
        d = distance(u, v)
        alpha = self.ramp(d, frame, blur) * opacity
        paint = color(u, v) if callable(color) else color
        if rim:
            depth = np.clip(1.0 + d * (frame.scale / 0.014), 0.0, 1.0)
            paint = paint * (1.0 - rim * depth * depth)
        image = self.image[:, window[0], window[1]]
        image += alpha * (paint - image)
        cover = self.cover[window]
        if bird:
            np.maximum(cover, alpha, out=cover)
        else:
            cover *= 1.0 - alpha


def _length(x: Array, y: Array) -> Array:
    return np.sqrt(x * x + y * y)  # exact to the bit everywhere, which the C library's hypot is not


def _cone(ax: float, ay: float, ra: float, bx: float, by: float, rb: float) -> Distance:
    """A tapered capsule from circle to circle."""
    ex, ey = bx - ax, by - ay
    square = ex * ex + ey * ey

    def distance(u: Array, v: Array) -> Array:
        pu, pv = u - ax, v - ay
        t = np.clip((pu * ex + pv * ey) / square, 0.0, 1.0)
        return _length(pu - ex * t, pv - ey * t) - (ra + (rb - ra) * t)

    return distance


def _ellipse(x: float, y: float, rx: float, ry: float) -> Distance:
    small = min(rx, ry)
    return lambda u, v: (_length((u - x) / rx, (v - y) / ry) - 1.0) * small


def _leaf(length: float, width: float) -> Distance:
    """Pointed at both ends, from the origin along u."""

    def distance(u: Array, v: Array) -> Array:
        t = u / length
        return np.maximum(np.abs(v) - width * 4.0 * t * (1.0 - t), np.maximum(-u, u - length))

    return distance


def _bent(shape: Distance, bend: float, u: Array, v: Array) -> Array:
    """The distance to a shape that droops the further out it goes."""
    return shape(u, v + bend * u * u)


def _blend(a: Array, b: Array, k: float) -> Array:
    """The union of two distances with a soft crease of width k."""
    h = np.clip(0.5 + (b - a) * (0.5 / k), 0.0, 1.0)
    return b + (a - b) * h - k * h * (1.0 - h)


def _rgb(color: RGB) -> Array:
    return np.array(color, np.float32).reshape(3, 1, 1)


def _contrast(color: RGB) -> Array:
    """Marks are dark on light plumage and pale on dark plumage (of the species, not the individual)."""
    luminance = 0.30 * color[0] + 0.59 * color[1] + 0.11 * color[2]
    return _rgb((0.12, 0.11, 0.12)) if luminance > 0.5 else _rgb((0.97, 0.96, 0.92))


class _Chance:
    """The random numbers of a scene."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.rng.random()

    def happens(self, probability: float) -> bool:
        return self.rng.random() < probability

    def count(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return int(self.rng.integers(low, high + 1))

    def tint(self, spread: float) -> Array:
        return _rgb(
            (self.between(-spread, spread), self.between(-spread, spread), self.between(-spread, spread))
        )

    def pick(self, options: tuple[RGB, ...]) -> Array:
        """One of the colors, a little off."""
        return _rgb(options[self.count(0, len(options) - 1)]) + self.tint(0.05)


def _paint(canvas: _Canvas, attributes: Mapping[str, str], rng: np.random.Generator, world: World) -> None:
    """Background, bird, foreground, light. Nothing here may draw a random number because of an attribute."""
    chance = _Chance(rng)
    between = chance.between
    plumage = {}
    for name in COLOR_ATTRIBUTES:  # individuals differ a little
        tone = between(0.93, 1.06)
        plumage[name] = np.clip(_rgb(world.palette[attributes[name]]) * tone + chance.tint(0.025), 0.0, 1.0)

    build = world.builds[attributes["build"]]
    scale = world.scales[attributes["size"]] * between(0.95, 1.05)
    facing = 1.0 if chance.happens(0.5) else -1.0
    drop = 0.22 * (0.4 - build.leg) * scale  # the shorter the legs, the lower the body
    center = (0.5 + between(-0.06, 0.06) - 0.02 * facing, 0.51 + drop + between(-0.04, 0.04))
    stand = _Frame(center, (facing * scale, 0.0, 0.0, -scale))
    tilt = between(*world.tilt)
    body = stand.child(0.0, 0.0, tilt)
    foot_u, foot_v = -0.02, -(build.breast[2] * 0.86 + build.leg)
    foot = stand.at(foot_u, foot_v)

    _background(canvas, world, chance)
    if chance.happens(world.branch):
        _branch(canvas, foot, world, chance)
    else:
        _ground(canvas, foot, world, chance)

    tail = body.child(build.rump[0] + 0.04, build.rump[1], 180.0 + between(-16.0, 12.0))
    nod, peer, back = between(-14.0, 16.0), between(-0.04, 0.05), chance.happens(world.look_back)
    head_u, head_v, radius = build.head[0] + peer, build.head[1] + between(-0.04, 0.03), build.head[2]
    # Heads stay nearly level whatever the body does: birds keep their eyes on the horizon.
    head_u -= 0.05 if back else 0.0
    angle = (0.8 if back else -0.8) * tilt + nod
    head = body.child(head_u, head_v, angle, mirror=back)

    _legs(canvas, stand, body, build, (foot_u, foot_v), between(-0.02, 0.02))
    _tail(canvas, tail, attributes["tail_shape"], plumage["tail"])
    if attributes["crest"] == "crested":
        _crest(canvas, head, radius, plumage["crown"])
    marks = {name: _contrast(world.palette[attributes[name]]) for name in ("breast", "wing")}
    _body(canvas, body, build, (head_u, head_v, radius), attributes["pattern"], plumage, marks["breast"])
    _crown(canvas, head, radius, plumage["crown"])
    _wing(canvas, body, build, attributes["wing_bars"], plumage["wing"], marks["wing"], between(-5.0, 4.0))
    _bill(canvas, head, radius, attributes["bill_shape"], plumage["bill"])
    _eye(canvas, head, radius, attributes["eye_mark"])
    _light_on_bird(canvas, between(-0.5, 0.5), center, scale)

    if chance.happens(0.3):  # a leaf near the lens
        leaf = _PAGE.child(between(0.1, 0.9), between(0.62, 1.0), between(0.0, 360.0))
        color = chance.pick(world.foliage) * 0.8
        canvas.backdrop(leaf, (0.11, 0.0, 0.13), _leaf(0.22, 0.035), color, rim=0.25)
    light, warmth, tint = between(0.88, 1.1), between(-0.05, 0.05), between(-0.02, 0.02)
    canvas.image *= _rgb((light * (1.0 + warmth), light * (1.0 + tint), light * (1.0 - warmth)))


def _background(canvas: _Canvas, world: World, chance: _Chance) -> None:
    between, pick, page = chance.between, chance.pick, _PAGE
    top, bottom = world.skies[chance.count(0, len(world.skies) - 1)]
    height = canvas.axis[:, None]
    canvas.image[:] = _rgb(top) + height * (_rgb(bottom) - _rgb(top))
    sun_x, sun_y, glow = between(0.05, 0.95), between(0.0, 0.35), between(0.05, 0.13)
    canvas.backdrop(
        page,
        (sun_x, sun_y, 2.2 * glow),
        _ellipse(sun_x, sun_y, glow, glow),
        _rgb((1.0, 0.98, 0.88)),
        opacity=between(0.0, 0.75),
        blur=glow,
    )
    for layer in range(2):  # far hills
        base, swing, phase = between(0.55, 0.72) + 0.12 * layer, between(0.02, 0.06), between(0.0, 6.28)
        color = 0.5 * pick(world.foliage) + (0.40 - 0.14 * layer) * _rgb(bottom) + 0.05 + 0.07 * layer
        wave = between(4.0, 9.0)
        ridge = base + swing * np.sin(wave * canvas.axis + phase)
        alpha = np.clip((canvas.axis[:, None] - ridge) * 40.0, 0.0, 1.0)
        canvas.image += alpha * (color - canvas.image)
    for _ in range(chance.count(4, 8)):  # leaves out of focus
        x, y, r = between(0.0, 1.0), between(0.0, 1.0), between(0.05, 0.17)
        canvas.backdrop(
            page,
            (x, y, 1.3 * r),
            _ellipse(x, y, r, r * between(0.8, 1.1)),
            pick(world.foliage),
            opacity=between(0.2, 0.6),
            blur=0.35 * r,
        )


def _branch(canvas: _Canvas, foot: tuple[float, float], world: World, chance: _Chance) -> None:
    between, pick = chance.between, chance.pick
    perch = _Frame(foot, (1.0, 0.0, 0.0, -1.0)).child(0.0, 0.0, between(-12.0, 12.0))
    thick, bow, bark = between(0.018, 0.028), between(-0.12, 0.12), pick(world.perches)
    for _ in range(chance.count(2, 5)):
        at, side, length = between(-0.55, 0.55), between(25.0, 75.0), between(0.10, 0.18)
        below = chance.happens(0.5)
        twig = perch.child(at, bow * at * at - thick, -side if below else side, mirror=chance.happens(0.5))
        canvas.backdrop(
            twig,
            (length / 2, 0.0, length * 0.7),
            _leaf(length, length * 0.2),
            _leaf_color(pick(world.foliage) * 0.85, length),
            rim=0.3,
        )

    def wood(u: Array, v: Array) -> Array:
        across = (v - bow * u * u + thick) / thick
        return bark * (1.0 + 0.28 * across + 0.06 * np.sin(u * 70.0 + 3.0 * across))

    canvas.backdrop(
        perch,
        (0.0, 0.0, 1.2),
        lambda u, v: np.abs(v - bow * u * u + thick) - thick * (1.0 - 0.25 * u),
        wood,
        rim=0.35,
    )


def _leaf_color(color: Array, length: float) -> Callable[[Array, Array], Array]:
    return lambda u, v: color * (1.0 + 0.10 * np.sign(v) - 0.25 * np.exp(np.abs(v) * (-8.0 / length)))


def _ground(canvas: _Canvas, foot: tuple[float, float], world: World, chance: _Chance) -> None:
    between = chance.between
    slope, bow, color = between(-0.12, 0.12), between(-0.2, 0.25), chance.pick(world.grounds)

    def turf(x: Array, y: Array) -> Array:
        depth = y - foot[1] - slope * (x - foot[0]) - bow * (x - foot[0]) ** 2
        return color * (
            1.02 - 0.55 * depth + 0.03 * np.sin(43.0 * x + 11.0 * y) * np.sin(57.0 * y - 13.0 * x)
        )

    canvas.backdrop(
        _PAGE,
        (0.5, 0.5, 1.0),
        lambda x, y: foot[1] - 0.012 + slope * (x - foot[0]) + bow * (x - foot[0]) ** 2 - y,
        turf,
        rim=0.15,
    )
    for _ in range(chance.count(5, 11)):
        x = between(0.0, 1.0)
        y = foot[1] + slope * (x - foot[0]) + bow * (x - foot[0]) ** 2 + between(-0.02, 0.16)
        length = between(0.07, 0.14)
        blade = _Frame((x, y), (1.0, 0.0, 0.0, -1.0)).child(0.0, 0.0, between(60.0, 120.0))
        canvas.backdrop(
            blade,
            (length / 2, 0.0, length * 0.6),
            _cone(0.0, 0.0, 0.009, length, 0.0, 0.001),
            color * between(0.62, 0.95),
        )


def _legs(
    canvas: _Canvas, stand: _Frame, body: _Frame, build: Build, foot: tuple[float, float], shift: float
) -> None:
    horn = _rgb((0.36, 0.28, 0.24))
    for side, tone in ((-1.0, 0.8), (1.0, 1.0)):
        hip = stand.inverse(*body.at(-0.04 + 0.07 * side, -build.breast[2] * 0.7))
        toe = (foot[0] + 0.075 * side + shift, foot[1])
        middle, reach = ((hip[0] + toe[0]) / 2, (hip[1] + toe[1]) / 2), build.leg + 0.2
        canvas.part(stand, (*middle, reach), _cone(*hip, 0.035, *toe, 0.021), horn * tone, rim=0.3)
        canvas.part(
            stand,
            (*toe, 0.16),
            _cone(toe[0] - 0.05, toe[1], 0.02, toe[0] + 0.09, toe[1], 0.018),
            horn * tone,
            rim=0.3,
        )


def _tail(canvas: _Canvas, frame: _Frame, shape: str, color: Array) -> None:
    def square(u: Array, v: Array) -> Array:
        return np.maximum(np.abs(v) - (0.075 + 0.09 * u), np.abs(u - 0.2) - 0.24)

    def fan(u: Array, v: Array) -> Array:
        return np.maximum((np.abs(v) - (0.06 + 0.62 * u)) * 0.85, _length(u, v) - 0.46)

    upper, lower = _cone(0.0, 0.0, 0.10, 0.56, 0.17, 0.018), _cone(0.0, 0.0, 0.10, 0.56, -0.17, 0.018)
    shapes: dict[str, Distance] = {
        "square": square,
        "fan": fan,
        "forked": lambda u, v: np.minimum(upper(u, v), lower(u, v)),
        "pointed": _cone(0.0, 0.0, 0.10, 0.78, 0.0, 0.006),
    }

    def feathers(u: Array, v: Array) -> Array:
        across = v / (0.06 + 0.55 * np.abs(u)) if shape == "fan" else v / 0.1
        return color * (1.0 - 0.12 * (np.sin(11.0 * across) > 0.6) - 0.16 * np.clip(u, 0.0, 1.0))

    canvas.part(frame, (0.38, 0.0, 0.5), shapes[shape], feathers)


def _crest(canvas: _Canvas, head: _Frame, radius: float, color: Array) -> None:
    """Three plumes from the crown, swept back."""
    for angle, length in ((168.0, 0.30), (150.0, 0.36), (132.0, 0.34)):
        plume = head.child(0.05 * radius, 0.62 * radius, angle)
        cone = _cone(0.0, 0.0, 0.09, length, 0.0, 0.010)
        canvas.part(plume, (0.17, 0.0, 0.33), partial(_bent, cone, 0.9), color, rim=0.3)


def _body(
    canvas: _Canvas,
    body: _Frame,
    build: Build,
    skull: tuple[float, float, float],
    pattern: str,
    plumage: Mapping[str, Array],
    mark: Array,
) -> None:
    """Trunk, neck and head in one silhouette, painted with back, breast, pattern and belly."""
    hu, hv, radius = skull
    bu, bv, br = build.breast
    ru, rv, rr = build.rump
    trunk, neck = _cone(bu, bv, br, ru, rv, rr), _cone(bu, bv + 0.1, build.neck * 1.25, hu, hv, build.neck)

    def outline(u: Array, v: Array) -> Array:
        skull_distance = _length(u - hu, v - hv) - radius
        return _blend(_blend(trunk(u, v), neck(u, v), 0.10), skull_distance, 0.07)

    # The underparts lie in front of and below a bowed line from chin to vent: t runs along it, s away from
    # it.
    (cu, cv), (vu, vv) = (hu + 0.35 * radius, hv - 0.45 * radius), (ru - 0.10, rv - 0.55 * rr)
    length = math.hypot(vu - cu, vv - cv)
    eu, ev = (vu - cu) / length, (vv - cv) / length
    level_cos, level_sin = math.cos(math.radians(23.0)), -math.sin(math.radians(23.0))

    def feathers(u: Array, v: Array) -> Array:
        t, s = (u - cu) * eu + (v - cv) * ev, -(u - cu) * ev + (v - cv) * eu
        t, s = t / length, s + 0.30 * br
        bow = np.where(t < 0.5, 0.55 * br, 0.2 * br) * (2.0 * t - 1.0) ** 2
        under = canvas.ramp(bow - s, body, 0.05)
        low = canvas.ramp(0.56 - t - 0.3 * s, body, 0.05)
        breast = plumage["breast"]
        if pattern != "plain":
            x, y = level_cos * u + level_sin * v, level_cos * v - level_sin * u
            breast = breast + canvas.ramp(_marks(pattern, x, y), body, 0.025) * (mark - breast)
        color = plumage["back"] + under * (breast + low * (plumage["belly"] - breast) - plumage["back"])
        return color

    window_center, reach = ((bu + ru + hu) / 3, (bv + rv + hv) / 3), 0.62 + 0.4 * build.head[1]
    canvas.part(body, (*window_center, reach), outline, feathers, rim=0.45)


def _crown(canvas: _Canvas, head: _Frame, radius: float, color: Array) -> None:
    def cap(u: Array, v: Array) -> Array:
        return np.maximum(_length(u, v) - radius * 1.02, 0.22 * radius + 0.16 * u - v)

    canvas.part(head, (0.0, 0.0, radius * 1.1), cap, color, rim=0.25)


def _marks(pattern: str, x: Array, y: Array) -> Array:
    """Distance to the marks of the breast; x is level and y upright in a bird of average tilt."""
    if pattern == "barred":
        return np.abs(y % 0.125 - 0.0625) - 0.030
    if pattern == "streaked":
        y = y + 0.11 * (np.floor(x / 0.095) % 2.0)
        return np.maximum(np.abs(x % 0.095 - 0.0475) - 0.021, np.abs(y % 0.22 - 0.11) - 0.085)
    x = x + 0.065 * (np.floor(y / 0.11) % 2.0)
    return _length(y % 0.11 - 0.055, x % 0.13 - 0.065) - 0.036


def _wing(
    canvas: _Canvas, body: _Frame, build: Build, bars: str, color: Array, mark: Array, droop: float
) -> None:
    bu, bv, br = build.breast
    ru, rv, rr = build.rump
    shoulder = (bu - 0.05, bv + 0.07)
    run = math.hypot(shoulder[0] - ru, shoulder[1] - rv) + 0.16
    base = 180.0 + math.degrees(math.atan2(shoulder[1] - rv + 0.02, shoulder[0] - ru))
    wing = body.child(*shoulder, base + droop)  # u from the shoulder to the tip; v is down the flank
    cone, width = _cone(0.0, 0.0, br * 0.54, run, 0.0, 0.012), br * 0.54
    bend = 0.25

    def outline(u: Array, v: Array) -> Array:
        return cone(u, v - bend * u * (u - run))

    def feathers(u: Array, v: Array) -> Array:
        v = v - bend * u * (u - run)
        quills = (np.sin(60.0 * (v + 0.25 * u)) > 0.75) * np.clip((u - 0.35 * run) * 12.0, 0.0, 1.0)
        paint = color * (1.0 - 0.22 * quills - 0.20 * np.clip(u / run, 0.0, 1.0))
        if bars != "none":
            bow = u + 0.5 * v * v / width
            line = np.abs(bow - 0.20 * run) - 0.032
            if bars == "two":
                line = np.minimum(line, np.abs(bow - 0.46 * run) - 0.032)
            paint = paint + canvas.ramp(line, wing) * (mark - paint)
        return paint

    canvas.part(wing, (run / 2, 0.0, run * 0.5 + width), outline, feathers, rim=0.5)


def _bill(canvas: _Canvas, head: _Frame, radius: float, shape: str, color: Array) -> None:
    length, depth, bend = {
        "conical": (0.20, 0.105, 0.0),
        "straight": (0.46, 0.042, 0.0),
        "hooked": (0.24, 0.085, 6.5),
        "decurved": (0.46, 0.052, 1.15),
    }[shape]
    bill = head.child(radius * 0.90, -0.02, 0.0)

    def outline(u: Array, v: Array) -> Array:
        t = np.clip(u / length, 0.0, 1.0)
        drop = bend * (u - 0.13).clip(0.0) ** 2 if shape == "hooked" else bend * u * u
        thickness = depth * (1.0 - t) if shape != "hooked" else depth * (1.0 - 0.75 * t)
        return np.maximum(np.abs(v + drop) - thickness, np.maximum(-u - 0.05, u - length)) * 0.9

    def horn(u: Array, v: Array) -> Array:
        return color * (1.0 + 0.12 * np.sign(v))

    canvas.part(bill, (length / 2, -0.05, length * 0.75), outline, horn, rim=0.4)


def _eye(canvas: _Canvas, head: _Frame, radius: float, mark: str) -> None:
    x, y, r = 0.36 * radius, 0.06 * radius, 0.050
    pale, dark = _rgb((0.99, 0.98, 0.94)), _rgb((0.07, 0.06, 0.07))
    if mark == "ring":
        canvas.part(head, (x, y, 0.14), _ellipse(x, y, 0.100, 0.100), dark, rim=0.0)
        canvas.part(head, (x, y, 0.12), _ellipse(x, y, 0.084, 0.084), pale, rim=0.0)
    if mark == "eyebrow":  # from above the eye to the nape, edged so that it shows on pale heads too
        bounds = (x - 0.08, y + 0.05, 0.28)
        cone = _cone(x + 0.07, y + 0.072, 0.022, x - radius, y + 0.062, 0.026)

        def stripe(u: Array, v: Array) -> Array:
            return cone(u, v + 0.6 * (u - x) ** 2)

        canvas.part(head, bounds, lambda u, v: stripe(u, v) - 0.011, dark, rim=0.0)
        canvas.part(head, bounds, stripe, pale, rim=0.0)
    canvas.part(head, (x, y, 0.08), _ellipse(x, y, r, r), dark, rim=0.0)
    canvas.part(head, (x, y, 0.08), _ellipse(x + 0.014, y + 0.017, 0.015, 0.015), pale, rim=0.0)


def _light_on_bird(canvas: _Canvas, side: float, center: tuple[float, float], scale: float) -> None:
    """Shade the whole bird from the lit side to the dark one, and below."""
    x = (canvas.axis[None, :] - center[0]) * (side / scale)
    y = (canvas.axis[:, None] - center[1]) / scale
    shade = np.clip(0.20 * (x - y) - 0.04, -0.24, 0.16)
    canvas.image *= 1.0 + canvas.cover * shade
