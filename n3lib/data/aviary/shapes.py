"""Signed distances to shapes: negative inside; `u` and `v` are the coordinates of the pixels."""

import numpy as np

from n3lib.data.aviary.canvas import Array
from n3lib.data.aviary.worlds import Point


def norm(x: Array, y: Array) -> Array:
    return np.sqrt(x * x + y * y)  # exact to the bit everywhere, which the C library's hypot is not


def cone(u: Array, v: Array, start: Point, start_radius: float, end: Point, end_radius: float) -> Array:
    """Distance to a tapered capsule from circle to circle."""
    eu, ev = end[0] - start[0], end[1] - start[1]
    u, v = u - start[0], v - start[1]
    t = np.clip((u * eu + v * ev) / (eu * eu + ev * ev), 0.0, 1.0)
    return norm(u - eu * t, v - ev * t) - (start_radius + (end_radius - start_radius) * t)


def ellipse(u: Array, v: Array, center: Point, ru: float, rv: float) -> Array:
    return (norm((u - center[0]) / ru, (v - center[1]) / rv) - 1.0) * min(ru, rv)


def leaf_shape(u: Array, v: Array, length: float, width: float) -> Array:
    """Distance to a shape pointed at both ends, from the origin along u."""
    t = u / length
    return np.maximum(np.abs(v) - width * 4.0 * t * (1.0 - t), np.maximum(-u, u - length))


def blend(a: Array, b: Array, k: float) -> Array:
    """The union of two distances with a soft crease of width k."""
    h = np.clip(0.5 + (b - a) * (0.5 / k), 0.0, 1.0)
    return b + (a - b) * h - k * h * (1.0 - h)
