"""The worlds of the aviary: what birds there can be, and in which colors and proportions they are drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

from n3lib.io.errors import N3Error

RGB = tuple[float, float, float]
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
