"""The pictures of the aviary: birds drawn with anti-aliased signed distances.

Everything is drawn in coordinates relative to the picture (x right, y down, both from 0 to 1), so a picture
looks the same at any size. The bird lives in frames of its own (u forward, v up, about one unit of body): a
distance below zero is inside a shape, and its ramp over one pixel is the coverage. Each part is evaluated
only in a window around it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from n3lib.data.fieldguide import COLOR_ATTRIBUTES, check_attributes
from n3lib.errors import N3Error

RGB = tuple[float, float, float]
Array = NDArray[Any]  # float32 throughout, unless a signature says otherwise
Point = tuple[float, float]


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
    tilt: Point
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
    _scene(canvas, attributes, world, _Chance(rng))
    noise = rng.standard_normal((3, size, size), dtype=np.float32)
    noise *= 0.006 + 0.014 * rng.random()
    canvas.image += noise
    levels = np.clip(canvas.image * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0)), canvas.cover > 0.5


class _Frame:
    """A coordinate system of the picture: `origin + matrix @ (u, v)`, turned, scaled and maybe mirrored."""

    def __init__(self, origin: Point, matrix: tuple[float, float, float, float]) -> None:
        self.origin, self.matrix = origin, matrix
        self.scale = math.hypot(matrix[0], matrix[2])

    def at(self, u: float, v: float) -> Point:
        a, b, c, d = self.matrix
        return self.origin[0] + a * u + b * v, self.origin[1] + c * u + d * v

    def inverse(self, x: float, y: float) -> Point:
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


class _View(NamedTuple):
    """The pixels of a window, in the coordinates of a frame: `u` and `v` are `(rows, columns)`."""

    frame: _Frame
    window: tuple[slice, slice]
    u: Array
    v: Array


class _Canvas:
    """The picture as float32 `(3, size, size)` and how much of each pixel is bird."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.axis = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.image = np.empty((3, size, size), np.float32)
        self.cover = np.zeros((size, size), np.float32)

    def view(self, frame: _Frame, u: float, v: float, radius: float) -> _View:
        """The window around a circle of the frame; it has no pixels if the circle lies off the picture."""
        (x, y), reach = frame.at(u, v), radius * frame.scale + 1.5 / self.size
        rows, columns = self._range(y, reach), self._range(x, reach)
        a, b, c, d = (entry / frame.scale**2 for entry in frame.matrix)
        px = self.axis[None, columns] - frame.origin[0]
        py = self.axis[rows, None] - frame.origin[1]
        return _View(frame, (rows, columns), a * px + c * py, b * px + d * py)

    def _range(self, middle: float, reach: float) -> slice:
        start = max(0, int((middle - reach) * self.size))
        return slice(start, max(start, min(self.size, int((middle + reach) * self.size) + 2)))

    def ramp(self, distance: Array, frame: _Frame, blur: float = 0.0) -> Array:
        """Coverage: 1 inside, 0 outside, one pixel (or `blur` units of the frame, if more) in between."""
        width = max(1.0 / (self.size * frame.scale), blur)
        return np.clip(0.5 - distance / width, 0.0, 1.0)

    def paint(self, view: _View, distance: Array, color: Array, rim: float = 0.4) -> None:
        """Paint a part of the bird; `rim` is how dark its inked edge is."""
        alpha = self._paint(view, distance, color, rim)
        cover = self.cover[view.window]
        np.maximum(cover, alpha, out=cover)

    def backdrop(
        self,
        view: _View,
        distance: Array,
        color: Array,
        rim: float = 0.0,
        opacity: float = 1.0,
        blur: float = 0.0,
    ) -> None:
        """Paint a thing that is no part of the bird and hides it."""
        alpha = self._paint(view, distance, color, rim, opacity, blur)
        self.cover[view.window] *= 1.0 - alpha

    def _paint(
        self, view: _View, distance: Array, color: Array, rim: float, opacity: float = 1.0, blur: float = 0.0
    ) -> Array:
        alpha = self.ramp(distance, view.frame, blur) * opacity
        if rim:
            depth = np.clip(1.0 + distance * (view.frame.scale / 0.014), 0.0, 1.0)
            color = color * (1.0 - rim * depth * depth)
        image = self.image[:, view.window[0], view.window[1]]
        image += alpha * (color - image)
        return alpha


def _length(x: Array, y: Array) -> Array:
    return np.sqrt(x * x + y * y)  # exact to the bit everywhere, which the C library's hypot is not


def _cone(u: Array, v: Array, start: Point, start_radius: float, end: Point, end_radius: float) -> Array:
    """Distance to a tapered capsule from circle to circle."""
    eu, ev = end[0] - start[0], end[1] - start[1]
    u, v = u - start[0], v - start[1]
    t = np.clip((u * eu + v * ev) / (eu * eu + ev * ev), 0.0, 1.0)
    return _length(u - eu * t, v - ev * t) - (start_radius + (end_radius - start_radius) * t)


def _ellipse(u: Array, v: Array, center: Point, ru: float, rv: float) -> Array:
    return (_length((u - center[0]) / ru, (v - center[1]) / rv) - 1.0) * min(ru, rv)


def _leaf(u: Array, v: Array, length: float, width: float) -> Array:
    """Distance to a shape pointed at both ends, from the origin along u."""
    t = u / length
    return np.maximum(np.abs(v) - width * 4.0 * t * (1.0 - t), np.maximum(-u, u - length))


def _blend(a: Array, b: Array, k: float) -> Array:
    """The union of two distances with a soft crease of width k."""
    h = np.clip(0.5 + (b - a) * (0.5 / k), 0.0, 1.0)
    return b + (a - b) * h - k * h * (1.0 - h)


def _rgb(color: RGB) -> Array:
    return np.array(color, np.float32).reshape(3, 1, 1)


_PALE, _DARK = _rgb((0.98, 0.97, 0.93)), _rgb((0.10, 0.09, 0.10))


def _contrast(color: RGB) -> Array:
    """Marks are dark on light plumage and pale on dark plumage (of the species, not the individual)."""
    return _DARK if 0.30 * color[0] + 0.59 * color[1] + 0.11 * color[2] > 0.5 else _PALE


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
        red, green, blue = (spread * (2.0 * self.rng.random() - 1.0) for _ in range(3))
        return _rgb((red, green, blue))

    def pick(self, options: tuple[RGB, ...]) -> Array:
        """One of the colors, a little off."""
        return _rgb(options[self.count(0, len(options) - 1)]) + self.tint(0.05)


def _scene(canvas: _Canvas, attributes: Mapping[str, str], world: World, chance: _Chance) -> None:
    """Background, bird, foreground, light. Nothing here may draw a random number because of an attribute."""
    between = chance.between
    plumage = {}
    for name in COLOR_ATTRIBUTES:  # individuals differ a little
        tone = between(0.93, 1.06)
        plumage[name] = np.clip(_rgb(world.palette[attributes[name]]) * tone + chance.tint(0.025), 0.0, 1.0)
    marks = {name: _contrast(world.palette[attributes[name]]) for name in ("breast", "wing")}

    build = world.builds[attributes["build"]]
    scale = world.scales[attributes["size"]] * between(0.95, 1.05)
    facing = 1.0 if chance.happens(0.5) else -1.0
    drop = 0.22 * (0.4 - build.leg) * scale  # the shorter the legs, the lower the body
    center = (0.5 + between(-0.06, 0.06) - 0.02 * facing, 0.51 + drop + between(-0.04, 0.04))
    stand = _Frame(center, (facing * scale, 0.0, 0.0, -scale))
    tilt = between(*world.tilt)
    body = stand.child(0.0, 0.0, tilt)
    foot = (-0.02, -(build.breast[2] * 0.86 + build.leg))

    _background(canvas, world, chance)
    if chance.happens(world.branch):
        _branch(canvas, stand.at(*foot), world, chance)
    else:
        _ground(canvas, stand.at(*foot), world, chance)

    tail = body.child(build.rump[0] + 0.04, build.rump[1], 180.0 + between(-16.0, 12.0))
    nod, peer, back = between(-14.0, 16.0), between(-0.04, 0.05), chance.happens(world.look_back)
    radius = build.head[2]
    skull = (build.head[0] + peer - (0.05 if back else 0.0), build.head[1] + between(-0.04, 0.03))
    # Heads stay nearly level whatever the body does: birds keep their eyes on the horizon.
    head = body.child(*skull, (0.8 if back else -0.8) * tilt + nod, mirror=back)

    _legs(canvas, stand, body, build, foot, between(-0.02, 0.02))
    _tail(canvas, tail, attributes["tail_shape"], plumage["tail"])
    if attributes["crest"] == "crested":
        _crest(canvas, head, radius, plumage["crown"])
    _body(canvas, body, build, skull, attributes["pattern"], plumage, marks["breast"])
    _crown(canvas, head, radius, plumage["crown"])
    _wing(canvas, body, build, attributes["wing_bars"], plumage["wing"], marks["wing"], between(-5.0, 4.0))
    _bill(canvas, head, radius, attributes["bill_shape"], plumage["bill"])
    _eye(canvas, head, radius, attributes["eye_mark"])

    side = between(-0.5, 0.5)  # shade the whole bird from the lit side to the dark one, and below
    x, y = (canvas.axis[None, :] - center[0]) * (side / scale), (canvas.axis[:, None] - center[1]) / scale
    canvas.image *= 1.0 + canvas.cover * np.clip(0.20 * (x - y) - 0.04, -0.24, 0.16)
    if chance.happens(0.3):  # a leaf near the lens
        leaf = _PAGE.child(between(0.1, 0.9), between(0.62, 1.0), between(0.0, 360.0))
        view = canvas.view(leaf, 0.11, 0.0, 0.13)
        canvas.backdrop(view, _leaf(view.u, view.v, 0.22, 0.035), chance.pick(world.foliage) * 0.8, rim=0.25)
    light, warmth, tint = between(0.88, 1.1), between(-0.05, 0.05), between(-0.02, 0.02)
    canvas.image *= _rgb((light * (1.0 + warmth), light * (1.0 + tint), light * (1.0 - warmth)))


def _background(canvas: _Canvas, world: World, chance: _Chance) -> None:
    between = chance.between
    top, bottom = (_rgb(color) for color in world.skies[chance.count(0, len(world.skies) - 1)])
    canvas.image[:] = top + canvas.axis[:, None] * (bottom - top)
    sun, r, glare = (between(0.05, 0.95), between(0.0, 0.35)), between(0.05, 0.13), between(0.0, 0.75)
    view = canvas.view(_PAGE, *sun, 2.2 * r)
    canvas.backdrop(view, _ellipse(view.u, view.v, sun, r, r), _rgb((1.0, 0.98, 0.88)), opacity=glare, blur=r)
    for layer in range(2):  # far hills
        base, swing, phase = between(0.55, 0.72) + 0.12 * layer, between(0.02, 0.06), between(0.0, 6.28)
        color = 0.5 * chance.pick(world.foliage) + (0.40 - 0.14 * layer) * bottom + 0.05 + 0.07 * layer
        ridge = base + swing * np.sin(between(4.0, 9.0) * canvas.axis + phase)
        alpha = np.clip((canvas.axis[:, None] - ridge) * 40.0, 0.0, 1.0)
        canvas.image += alpha * (color - canvas.image)
    for _ in range(chance.count(4, 8)):  # leaves out of focus
        spot, r = (between(0.0, 1.0), between(0.0, 1.0)), between(0.05, 0.17)
        view = canvas.view(_PAGE, *spot, 1.3 * r)
        blob = _ellipse(view.u, view.v, spot, r, r * between(0.8, 1.1))
        canvas.backdrop(view, blob, chance.pick(world.foliage), opacity=between(0.2, 0.6), blur=0.35 * r)


def _branch(canvas: _Canvas, foot: Point, world: World, chance: _Chance) -> None:
    between = chance.between
    perch = _Frame(foot, (1.0, 0.0, 0.0, -1.0)).child(0.0, 0.0, between(-12.0, 12.0))
    thick, bow, bark = between(0.018, 0.028), between(-0.12, 0.12), chance.pick(world.perches)
    for _ in range(chance.count(2, 5)):
        at, side, length = between(-0.55, 0.55), between(25.0, 75.0), between(0.10, 0.18)
        side = -side if chance.happens(0.5) else side
        twig = perch.child(at, bow * at * at - thick, side, mirror=chance.happens(0.5))
        view = canvas.view(twig, length / 2, 0.0, length * 0.7)
        vein = 1.0 + 0.10 * np.sign(view.v) - 0.25 * np.exp(np.abs(view.v) * (-8.0 / length))
        color = chance.pick(world.foliage) * 0.85 * vein
        canvas.backdrop(view, _leaf(view.u, view.v, length, length * 0.2), color, rim=0.3)
    view = canvas.view(perch, 0.0, 0.0, 1.2)
    across = view.v - bow * view.u * view.u + thick
    grain = 1.0 + 0.28 * across / thick + 0.06 * np.sin(view.u * 70.0 + 3.0 * across / thick)
    canvas.backdrop(view, np.abs(across) - thick * (1.0 - 0.25 * view.u), bark * grain, rim=0.35)


def _ground(canvas: _Canvas, foot: Point, world: World, chance: _Chance) -> None:
    between = chance.between
    slope, bow, color = between(-0.12, 0.12), between(-0.2, 0.25), chance.pick(world.grounds)
    view = canvas.view(_PAGE, 0.5, 0.5, 1.0)
    x, y = view.u, view.v
    depth = y - (foot[1] + slope * (x - foot[0]) + bow * (x - foot[0]) ** 2)
    turf = 1.02 - 0.55 * depth + 0.03 * np.sin(43.0 * x + 11.0 * y) * np.sin(57.0 * y - 13.0 * x)
    canvas.backdrop(view, -0.012 - depth, color * turf, rim=0.15)
    for _ in range(chance.count(5, 11)):  # blades of grass
        at, length = between(0.0, 1.0), between(0.07, 0.14)
        root = foot[1] + slope * (at - foot[0]) + bow * (at - foot[0]) ** 2 + between(-0.02, 0.16)
        blade = _Frame((at, root), (1.0, 0.0, 0.0, -1.0)).child(0.0, 0.0, between(60.0, 120.0))
        view = canvas.view(blade, length / 2, 0.0, length * 0.6)
        shape = _cone(view.u, view.v, (0.0, 0.0), 0.009, (length, 0.0), 0.001)
        canvas.backdrop(view, shape, color * between(0.62, 0.95))


def _legs(canvas: _Canvas, stand: _Frame, body: _Frame, build: Build, foot: Point, shift: float) -> None:
    horn = _rgb((0.36, 0.28, 0.24))
    for side, tone in ((-1.0, 0.8), (1.0, 1.0)):
        hip = stand.inverse(*body.at(-0.04 + 0.07 * side, -build.breast[2] * 0.7))
        toe = (foot[0] + 0.075 * side + shift, foot[1])
        view = canvas.view(stand, (hip[0] + toe[0]) / 2, (hip[1] + toe[1]) / 2, build.leg + 0.2)
        canvas.paint(view, _cone(view.u, view.v, hip, 0.035, toe, 0.021), horn * tone, rim=0.3)
        view = canvas.view(stand, *toe, 0.16)
        claw = _cone(view.u, view.v, (toe[0] - 0.05, toe[1]), 0.02, (toe[0] + 0.09, toe[1]), 0.018)
        canvas.paint(view, claw, horn * tone, rim=0.3)


def _tail(canvas: _Canvas, frame: _Frame, shape: str, color: Array) -> None:
    view = canvas.view(frame, 0.38, 0.0, 0.5)
    _, _, u, v = view
    quills = v / 0.1
    if shape == "square":
        distance = np.maximum(np.abs(v) - (0.075 + 0.09 * u), np.abs(u - 0.2) - 0.24)
    elif shape == "forked":
        distance = _cone(u, np.abs(v), (0.0, 0.0), 0.10, (0.56, 0.17), 0.018)
    elif shape == "fan":
        distance = np.maximum((np.abs(v) - (0.06 + 0.62 * u)) * 0.85, _length(u, v) - 0.46)
        quills = v / (0.06 + 0.55 * np.abs(u))
    else:
        distance = _cone(u, v, (0.0, 0.0), 0.10, (0.78, 0.0), 0.006)
    paint = color * (1.0 - 0.12 * (np.sin(11.0 * quills) > 0.6) - 0.16 * np.clip(u, 0.0, 1.0))
    canvas.paint(view, distance, paint)


def _crest(canvas: _Canvas, head: _Frame, radius: float, color: Array) -> None:
    """Three plumes from the crown, swept back and drooping."""
    for angle, length in ((168.0, 0.30), (150.0, 0.36), (132.0, 0.34)):
        view = canvas.view(head.child(0.05 * radius, 0.62 * radius, angle), 0.17, 0.0, 0.33)
        bent = view.v + 0.9 * view.u * view.u
        canvas.paint(view, _cone(view.u, bent, (0.0, 0.0), 0.09, (length, 0.0), 0.010), color, rim=0.3)


def _body(
    canvas: _Canvas,
    body: _Frame,
    build: Build,
    skull: Point,
    pattern: str,
    plumage: Mapping[str, Array],
    mark: Array,
) -> None:
    """Trunk, neck and head in one silhouette, painted with back, breast, pattern and belly."""
    bu, bv, br = build.breast
    ru, rv, rr = build.rump
    (hu, hv), radius = skull, build.head[2]
    view = canvas.view(body, (bu + ru + hu) / 3, (bv + rv + hv) / 3, 0.62 + 0.4 * build.head[1])
    _, _, u, v = view
    trunk = _cone(u, v, (bu, bv), br, (ru, rv), rr)
    neck = _cone(u, v, (bu, bv + 0.1), build.neck * 1.25, skull, build.neck)
    outline = _blend(_blend(trunk, neck, 0.10), _length(u - hu, v - hv) - radius, 0.07)

    # The underparts lie below a bowed line from chin to vent: t runs along it from 0 to 1, s away from it.
    chin, vent = (hu + 0.35 * radius, hv - 0.45 * radius), (ru - 0.10, rv - 0.55 * rr)
    length = math.sqrt((vent[0] - chin[0]) ** 2 + (vent[1] - chin[1]) ** 2)
    eu, ev = (vent[0] - chin[0]) / length, (vent[1] - chin[1]) / length
    t = ((u - chin[0]) * eu + (v - chin[1]) * ev) / length
    s = (v - chin[1]) * eu - (u - chin[0]) * ev + 0.30 * br
    bow = np.where(t < 0.5, 0.55 * br, 0.2 * br) * (2.0 * t - 1.0) ** 2
    under, low = canvas.ramp(bow - s, body, 0.05), canvas.ramp(0.56 - t - 0.3 * s, body, 0.05)
    breast = plumage["breast"]
    if pattern != "plain":
        breast = breast + canvas.ramp(_marks(pattern, u, v), body, 0.025) * (mark - breast)
    color = plumage["back"] + under * (breast + low * (plumage["belly"] - breast) - plumage["back"])
    canvas.paint(view, outline, color, rim=0.45)


def _marks(pattern: str, u: Array, v: Array) -> Array:
    """Distance to the marks of the breast: bars lie level, streaks stand upright."""
    turn = math.radians(23.0)  # the tilt of an average bird
    x, y = math.cos(turn) * u - math.sin(turn) * v, math.cos(turn) * v + math.sin(turn) * u
    if pattern == "barred":
        return np.abs(y % 0.125 - 0.0625) - 0.030
    if pattern == "streaked":
        y = y + 0.11 * (np.floor(x / 0.095) % 2.0)
        return np.maximum(np.abs(x % 0.095 - 0.0475) - 0.021, np.abs(y % 0.22 - 0.11) - 0.085)
    x = x + 0.065 * (np.floor(y / 0.11) % 2.0)
    return _length(y % 0.11 - 0.055, x % 0.13 - 0.065) - 0.036


def _crown(canvas: _Canvas, head: _Frame, radius: float, color: Array) -> None:
    view = canvas.view(head, 0.0, 0.0, radius * 1.1)
    cap = np.maximum(_length(view.u, view.v) - radius * 1.02, 0.22 * radius + 0.16 * view.u - view.v)
    canvas.paint(view, cap, color, rim=0.25)


def _wing(
    canvas: _Canvas, body: _Frame, build: Build, bars: str, color: Array, mark: Array, droop: float
) -> None:
    bu, bv, br = build.breast
    ru, rv, _ = build.rump
    shoulder, width = (bu - 0.05, bv + 0.07), br * 0.54
    du, dv = shoulder[0] - ru, shoulder[1] - rv
    run = math.sqrt(du * du + dv * dv) + 0.16
    wing = body.child(*shoulder, 180.0 + math.degrees(math.atan2(dv + 0.02, du)) + droop)
    view = canvas.view(wing, run / 2, 0.0, run * 0.5 + width)
    u, v = view.u, view.v - 0.25 * view.u * (view.u - run)  # u from shoulder to tip, v down the flank, bowed
    quills = (np.sin(60.0 * (v + 0.25 * u)) > 0.75) * np.clip((u - 0.35 * run) * 12.0, 0.0, 1.0)
    paint = color * (1.0 - 0.22 * quills - 0.20 * np.clip(u / run, 0.0, 1.0))
    along = u + 0.5 * v * v / width
    for at in {"none": (), "one": (0.20,), "two": (0.20, 0.46)}[bars]:
        paint = paint + canvas.ramp(np.abs(along - at * run) - 0.032, wing) * (mark - paint)
    canvas.paint(view, _cone(u, v, (0.0, 0.0), width, (run, 0.0), 0.012), paint, rim=0.5)


def _bill(canvas: _Canvas, head: _Frame, radius: float, shape: str, color: Array) -> None:
    length, depth = {
        "conical": (0.20, 0.105),
        "straight": (0.46, 0.042),
        "hooked": (0.24, 0.085),
        "decurved": (0.46, 0.052),
    }[shape]
    view = canvas.view(head.child(radius * 0.90, -0.02, 0.0), length / 2, -0.05, length * 0.75)
    _, _, u, v = view
    thickness = depth * (1.0 - (0.75 if shape == "hooked" else 1.0) * np.clip(u / length, 0.0, 1.0))
    bent = v
    if shape == "hooked":
        bent = v + 6.5 * np.maximum(u - 0.13, 0.0) ** 2
    elif shape == "decurved":
        bent = v + 1.15 * u * u
    outline = np.maximum(np.abs(bent) - thickness, np.maximum(-u - 0.05, u - length)) * 0.9
    canvas.paint(view, outline, color * (1.0 + 0.12 * np.sign(v)))


def _eye(canvas: _Canvas, head: _Frame, radius: float, mark: str) -> None:
    x, y = 0.36 * radius, 0.06 * radius
    view = canvas.view(head, x - 0.04, y + 0.02, 0.25)
    _, _, u, v = view
    if mark == "ring":
        canvas.paint(view, _ellipse(u, v, (x, y), 0.100, 0.100), _DARK, rim=0.0)
        canvas.paint(view, _ellipse(u, v, (x, y), 0.084, 0.084), _PALE, rim=0.0)
    if mark == "eyebrow":  # from above the eye to the nape, edged so that it shows on pale heads too
        bent = v + 0.6 * (u - x) ** 2
        stripe = _cone(u, bent, (x + 0.07, y + 0.072), 0.022, (x - radius, y + 0.062), 0.026)
        canvas.paint(view, stripe - 0.011, _DARK, rim=0.0)
        canvas.paint(view, stripe, _PALE, rim=0.0)
    canvas.paint(view, _ellipse(u, v, (x, y), 0.050, 0.050), _DARK, rim=0.0)
    canvas.paint(view, _ellipse(u, v, (x + 0.014, y + 0.017), 0.015, 0.015), _PALE, rim=0.0)
