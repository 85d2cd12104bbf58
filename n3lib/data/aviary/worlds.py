"""The worlds of the aviary: what birds there can be, and in which colors and proportions (`worlds.json`).

"palette" for the values of an attribute means all colors of the world.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from n3lib.io import read_json
from n3lib.io.errors import choose

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
    """What there is to draw; the hash of a dataset depends on all of it.

    Attributes:
        stream: keeps the random numbers of worlds apart; no two worlds share it.
        values: every attribute and the values it takes here, one value if it does not vary.
        ties: `(attribute, other)`: the attribute always equals the other.
        palette: color name to RGB in 0..1.
        builds: the proportions of each value of `build`.
        scales: width of one bird unit for each value of `size`, as a share of the picture.
        skies, foliage, grounds, perches: colors of the background, chosen at random; skies top and bottom.
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


def frozen(value: Any) -> Any:
    """A value from JSON with tuples for its lists."""
    if isinstance(value, dict):
        return {name: frozen(item) for name, item in value.items()}
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def _world(table: dict[str, Any]) -> World:
    colors = tuple(table["palette"])
    values = {name: colors if some == "palette" else some for name, some in table["values"].items()}
    builds = {name: Build(**build) for name, build in table["builds"].items()}
    return World(**(table | {"values": values, "builds": builds}))


_TABLES = frozen(read_json(Path(__file__).with_name("worlds.json")))
WORLDS: dict[str, World] = {name: _world(table) for name, table in _TABLES.items()}


def find_world(world: str | World) -> World:
    """The world of that name; a `World` is taken as it is."""
    return world if isinstance(world, World) else choose(world, WORLDS, "there is no world")
