"""A canvas for anti-aliased shapes, given as signed distances in frames of coordinates.

A distance below zero is inside a shape; its ramp over one pixel is the coverage.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from n3lib.data.aviary.worlds import RGB, Point

Array = NDArray[Any]  # float32 throughout, unless a signature says otherwise


class Frame:
    """A coordinate system of the picture: `origin + matrix @ (u, v)`, turned, scaled and maybe mirrored."""

    def __init__(self, origin: Point, matrix: tuple[float, float, float, float]) -> None:
        self.origin, self.matrix = origin, matrix
        self.scale = math.hypot(matrix[0], matrix[2])

    def at(self, u: float, v: float) -> Point:
        a, b, c, d = self.matrix
        return self.origin[0] + a * u + b * v, self.origin[1] + c * u + d * v

    def inverse(self, x: Any, y: Any) -> tuple[Any, Any]:
        """The coordinates of a point of the picture, or of arrays of them."""
        a, b, c, d = (entry / self.scale**2 for entry in self.matrix)
        x, y = x - self.origin[0], y - self.origin[1]
        return a * x + c * y, b * x + d * y

    def child(self, u: float, v: float, degrees: float, mirror: bool = False) -> "Frame":
        """A frame at (u, v) of this one, mirrored in u if asked, then turned counterclockwise."""
        turn = math.radians(degrees)
        cos, sin, sign = math.cos(turn), math.sin(turn), -1.0 if mirror else 1.0
        a, b, c, d = self.matrix
        p, q, r, s = sign * cos, -sign * sin, sin, cos
        return Frame(self.at(u, v), (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s))


PAGE = Frame((0.0, 0.0), (1.0, 0.0, 0.0, 1.0))  # the picture's own coordinates


class View(NamedTuple):
    """The pixels of a window, in the coordinates of a frame: `u` and `v` are `(rows, columns)`."""

    frame: Frame
    window: tuple[slice, slice]
    u: Array
    v: Array


class Canvas:
    """The picture as float32 `(3, size, size)` and how much of each pixel is bird."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.axis = (np.arange(size, dtype=np.float32) + 0.5) / size
        self.image = np.empty((3, size, size), np.float32)
        self.cover = np.zeros((size, size), np.float32)

    def view(self, frame: Frame, u: float, v: float, radius: float) -> View:
        """The window around a circle of the frame; it has no pixels if the circle lies off the picture."""
        (x, y), reach = frame.at(u, v), radius * frame.scale + 1.5 / self.size
        rows, columns = self._pixels(y, reach), self._pixels(x, reach)
        return View(frame, (rows, columns), *frame.inverse(self.axis[None, columns], self.axis[rows, None]))

    def _pixels(self, middle: float, reach: float) -> slice:
        start = max(0, int((middle - reach) * self.size))
        return slice(start, max(start, min(self.size, int((middle + reach) * self.size) + 2)))

    def ramp(self, distance: Array, frame: Frame, blur: float = 0.0, opacity: float = 1.0) -> Array:
        """Coverage: `opacity` inside, 0 outside, one pixel (or `blur` units, if more) in between."""
        width = max(1.0 / (self.size * frame.scale), blur)
        return np.clip(0.5 - distance / width, 0.0, 1.0) * opacity

    def paint(self, view: View, distance: Array, color: Array, rim: float = 0.4) -> None:
        """Paint a part of the bird; `rim` is how dark its inked edge is."""
        cover = self.cover[view.window]
        np.maximum(cover, self._paint(view, distance, color, rim), out=cover)

    def backdrop(self, view: View, distance: Array, color: Array, **look: float) -> None:
        """Paint a thing that is no part of the bird and hides it."""
        self.cover[view.window] *= 1.0 - self._paint(view, distance, color, **look)

    def _paint(self, view: View, distance: Array, color: Array, rim: float = 0.0, **edge: float) -> Array:
        alpha = self.ramp(distance, view.frame, **edge)
        if rim:
            depth = np.clip(1.0 + distance * (view.frame.scale / 0.014), 0.0, 1.0)
            color = color * (1.0 - rim * depth * depth)
        image = self.image[:, view.window[0], view.window[1]]
        image += alpha * (color - image)
        return alpha


def rgb(color: RGB | Array) -> Array:
    return np.array(color, np.float32).reshape(3, 1, 1)


PALE, DARK = rgb((0.98, 0.97, 0.93)), rgb((0.10, 0.09, 0.10))


def contrast(color: RGB) -> Array:
    """Marks are dark on light plumage and pale on dark plumage (of the species, not the individual)."""
    return DARK if 0.30 * color[0] + 0.59 * color[1] + 0.11 * color[2] > 0.5 else PALE


def tint(rng: np.random.Generator, spread: float) -> Array:
    return rgb(spread * (2.0 * rng.random(3) - 1.0))


def pick(rng: np.random.Generator, options: tuple[RGB, ...]) -> Array:
    """One of the colors, a little off."""
    return rgb(options[rng.integers(len(options))]) + tint(rng, 0.05)
