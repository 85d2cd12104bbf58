"""The pictures of the aviary: birds drawn with anti-aliased signed distances.

Everything is drawn in coordinates relative to the picture (x right, y down, both from 0 to 1), so a picture
looks the same at any size. The bird lives in frames of its own (u forward, v up, about one unit of body).
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from n3lib.data.aviary.canvas import DARK, PAGE, PALE, Array, Canvas, Frame, contrast, pick, rgb, tint
from n3lib.data.aviary.guide import COLOR_ATTRIBUTES, check_attributes
from n3lib.data.aviary.shapes import blend, cone, ellipse, leaf_shape, norm
from n3lib.data.aviary.worlds import Build, Point, World, find_world
from n3lib.io import N3Error

# The length of a bill, and half its depth at the head.
_BILLS = {"conical": (0.20, 0.105), "straight": (0.46, 0.042)}
_BILLS |= {"hooked": (0.24, 0.085), "decurved": (0.46, 0.052)}


def draw(
    attributes: Mapping[str, str], rng: np.random.Generator, size: int = 64, world: str | World = "aviary"
) -> NDArray[np.uint8]:
    """One picture of a bird with these attributes; `rng` chooses pose, background, light and noise only.

    uint8 `(size, size, 3)`, equal on all platforms to one level (of the C library's sines). The same `rng`
    state gives the same scene for any attributes and any size: one can be edited with all else equal.

    Raises:
        N3Error: an attribute is missing or not of this world, `size` is not positive, or no such world.
    """
    return draw_with_mask(attributes, rng, size, world)[0]


def draw_with_mask(
    attributes: Mapping[str, str], rng: np.random.Generator, size: int = 64, world: str | World = "aviary"
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The picture of `draw` and the bird's visible pixels, a boolean array `(size, size)`."""
    world = find_world(world)
    check_attributes(attributes)
    for name, value in attributes.items():
        known = world.palette if name in COLOR_ATTRIBUTES else world.values[name]
        if value not in known:
            raise N3Error(f"the world {world.name} has no {name} {value!r}", f"Use one of {', '.join(known)}")
    if size < 1:
        raise N3Error(f"a picture cannot be {size} pixels wide", "Give a positive size")
    canvas = Canvas(size)
    _scene(canvas, attributes, world, rng)
    noise = rng.standard_normal((3, size, size), dtype=np.float32)
    noise *= 0.006 + 0.014 * rng.random()
    canvas.image += noise
    levels = np.clip(canvas.image * 255.0 + 0.5, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0)), canvas.cover > 0.5


def _scene(canvas: Canvas, attributes: Mapping[str, str], world: World, rng: np.random.Generator) -> None:
    """Background, bird, foreground, light. Nothing here may draw a random number because of an attribute."""
    between = rng.uniform
    plumage = {}
    for name in COLOR_ATTRIBUTES:  # individuals differ a little
        tone = between(0.93, 1.06)
        plumage[name] = np.clip(rgb(world.palette[attributes[name]]) * tone + tint(rng, 0.025), 0.0, 1.0)
    for name in ("breast", "wing"):
        plumage[f"marks of {name}"] = contrast(world.palette[attributes[name]])

    build = world.builds[attributes["build"]]
    scale = world.scales[attributes["size"]] * between(0.95, 1.05)
    facing = 1.0 if rng.random() < 0.5 else -1.0
    drop = 0.22 * (0.4 - build.leg) * scale  # the shorter the legs, the lower the body
    center = (0.5 + between(-0.06, 0.06) - 0.02 * facing, 0.51 + drop + between(-0.04, 0.04))
    stand = Frame(center, (facing * scale, 0.0, 0.0, -scale))
    tilt = between(*world.tilt)
    body = stand.child(0.0, 0.0, tilt)
    foot = (-0.02, -(build.breast[2] * 0.86 + build.leg))

    _background(canvas, world, rng)
    if rng.random() < world.branch:
        _branch(canvas, stand.at(*foot), world, rng)
    else:
        _ground(canvas, stand.at(*foot), world, rng)

    tail = body.child(build.rump[0] + 0.04, build.rump[1], 180.0 + between(-16.0, 12.0))
    nod, peer, back = between(-14.0, 16.0), between(-0.04, 0.05), rng.random() < world.look_back
    radius = build.head[2]
    skull = (build.head[0] + peer - (0.05 if back else 0.0), build.head[1] + between(-0.04, 0.03))
    # Heads stay nearly level whatever the body does: birds keep their eyes on the horizon.
    head = body.child(*skull, (0.8 if back else -0.8) * tilt + nod, mirror=back)

    _legs(canvas, stand, body, build, foot, between(-0.02, 0.02))
    _tail(canvas, tail, attributes["tail_shape"], plumage["tail"])
    if attributes["crest"] == "crested":
        _crest(canvas, head, radius, plumage["crown"])
    _body(canvas, body, build, skull, attributes["pattern"], plumage)
    _crown(canvas, head, radius, plumage["crown"])
    _wing(canvas, body, build, attributes["wing_bars"], plumage, between(-5.0, 4.0))
    _bill(canvas, head, radius, attributes["bill_shape"], plumage["bill"])
    _eye(canvas, head, radius, attributes["eye_mark"])

    side = between(-0.5, 0.5)  # shade the whole bird from the lit side to the dark one, and below
    x, y = (canvas.axis[None, :] - center[0]) * (side / scale), (canvas.axis[:, None] - center[1]) / scale
    canvas.image *= 1.0 + canvas.cover * np.clip(0.20 * (x - y) - 0.04, -0.24, 0.16)
    if rng.random() < 0.3:  # a leaf near the lens
        leaf = PAGE.child(between(0.1, 0.9), between(0.62, 1.0), between(0.0, 360.0))
        view, color = canvas.view(leaf, 0.11, 0.0, 0.13), pick(rng, world.foliage) * 0.8
        canvas.backdrop(view, leaf_shape(view.u, view.v, 0.22, 0.035), color, rim=0.25)
    light, warmth, green = between(0.88, 1.1), between(-0.05, 0.05), between(-0.02, 0.02)
    canvas.image *= rgb((light * (1.0 + warmth), light * (1.0 + green), light * (1.0 - warmth)))


def _background(canvas: Canvas, world: World, rng: np.random.Generator) -> None:
    between = rng.uniform
    top, bottom = (rgb(color) for color in world.skies[rng.integers(len(world.skies))])
    canvas.image[:] = top + canvas.axis[:, None] * (bottom - top)
    sun, r, glare = (between(0.05, 0.95), between(0.0, 0.35)), between(0.05, 0.13), between(0.0, 0.75)
    view = canvas.view(PAGE, *sun, 2.2 * r)
    canvas.backdrop(view, ellipse(view.u, view.v, sun, r, r), rgb((1.0, 0.98, 0.88)), opacity=glare, blur=r)
    for layer in range(2):  # far hills
        base, swing, phase = between(0.55, 0.72) + 0.12 * layer, between(0.02, 0.06), between(0.0, 6.28)
        color = 0.5 * pick(rng, world.foliage) + (0.40 - 0.14 * layer) * bottom + 0.05 + 0.07 * layer
        ridge = base + swing * np.sin(between(4.0, 9.0) * canvas.axis + phase)
        alpha = np.clip((canvas.axis[:, None] - ridge) * 40.0, 0.0, 1.0)
        canvas.image += alpha * (color - canvas.image)
    for _ in range(rng.integers(4, 9)):  # leaves out of focus
        spot, r = (between(0.0, 1.0), between(0.0, 1.0)), between(0.05, 0.17)
        view = canvas.view(PAGE, *spot, 1.3 * r)
        blob = ellipse(view.u, view.v, spot, r, r * between(0.8, 1.1))
        canvas.backdrop(view, blob, pick(rng, world.foliage), opacity=between(0.2, 0.6), blur=0.35 * r)


def _branch(canvas: Canvas, foot: Point, world: World, rng: np.random.Generator) -> None:
    between = rng.uniform
    perch = Frame(foot, (1.0, 0.0, 0.0, -1.0)).child(0.0, 0.0, between(-12.0, 12.0))
    thick, bow, bark = between(0.018, 0.028), between(-0.12, 0.12), pick(rng, world.perches)
    for _ in range(rng.integers(2, 6)):
        at, side, length = between(-0.55, 0.55), between(25.0, 75.0), between(0.10, 0.18)
        side = -side if rng.random() < 0.5 else side
        twig = perch.child(at, bow * at * at - thick, side, mirror=rng.random() < 0.5)
        view = canvas.view(twig, length / 2, 0.0, length * 0.7)
        vein = 1.0 + 0.10 * np.sign(view.v) - 0.25 * np.exp(np.abs(view.v) * (-8.0 / length))
        color = pick(rng, world.foliage) * 0.85 * vein
        canvas.backdrop(view, leaf_shape(view.u, view.v, length, length * 0.2), color, rim=0.3)
    view = canvas.view(perch, 0.0, 0.0, 1.2)
    across = view.v - bow * view.u * view.u + thick
    grain = 1.0 + 0.28 * across / thick + 0.06 * np.sin(view.u * 70.0 + 3.0 * across / thick)
    canvas.backdrop(view, np.abs(across) - thick * (1.0 - 0.25 * view.u), bark * grain, rim=0.35)


def _ground(canvas: Canvas, foot: Point, world: World, rng: np.random.Generator) -> None:
    between = rng.uniform
    slope, bow, color = between(-0.12, 0.12), between(-0.2, 0.25), pick(rng, world.grounds)

    def level(x: Any) -> Any:
        return foot[1] + slope * (x - foot[0]) + bow * (x - foot[0]) ** 2

    view = canvas.view(PAGE, 0.5, 0.5, 1.0)
    x, y = view.u, view.v
    depth = y - level(x)
    turf = 1.02 - 0.55 * depth + 0.03 * np.sin(43.0 * x + 11.0 * y) * np.sin(57.0 * y - 13.0 * x)
    canvas.backdrop(view, -0.012 - depth, color * turf, rim=0.15)
    for _ in range(rng.integers(5, 12)):  # blades of grass
        at, length = between(0.0, 1.0), between(0.07, 0.14)
        root = Frame((at, level(at) + between(-0.02, 0.16)), (1.0, 0.0, 0.0, -1.0))
        blade = root.child(0.0, 0.0, between(60.0, 120.0))
        view = canvas.view(blade, length / 2, 0.0, length * 0.6)
        shape = cone(view.u, view.v, (0.0, 0.0), 0.009, (length, 0.0), 0.001)
        canvas.backdrop(view, shape, color * between(0.62, 0.95))


def _legs(canvas: Canvas, stand: Frame, body: Frame, build: Build, foot: Point, shift: float) -> None:
    horn = rgb((0.36, 0.28, 0.24))
    for side, tone in ((-1.0, 0.8), (1.0, 1.0)):
        hip = stand.inverse(*body.at(-0.04 + 0.07 * side, -build.breast[2] * 0.7))
        toe = (foot[0] + 0.075 * side + shift, foot[1])
        view = canvas.view(stand, (hip[0] + toe[0]) / 2, (hip[1] + toe[1]) / 2, build.leg + 0.2)
        canvas.paint(view, cone(view.u, view.v, hip, 0.035, toe, 0.021), horn * tone, rim=0.3)
        view = canvas.view(stand, *toe, 0.16)
        claw = cone(view.u, view.v, (toe[0] - 0.05, toe[1]), 0.02, (toe[0] + 0.09, toe[1]), 0.018)
        canvas.paint(view, claw, horn * tone, rim=0.3)


def _tail(canvas: Canvas, frame: Frame, shape: str, color: Array) -> None:
    view = canvas.view(frame, 0.38, 0.0, 0.5)
    _, _, u, v = view
    quills = v / 0.1
    if shape == "square":
        distance = np.maximum(np.abs(v) - (0.075 + 0.09 * u), np.abs(u - 0.2) - 0.24)
    elif shape == "forked":
        distance = cone(u, np.abs(v), (0.0, 0.0), 0.10, (0.56, 0.17), 0.018)
    elif shape == "fan":
        distance = np.maximum((np.abs(v) - (0.06 + 0.62 * u)) * 0.85, norm(u, v) - 0.46)
        quills = v / (0.06 + 0.55 * np.abs(u))
    else:
        distance = cone(u, v, (0.0, 0.0), 0.10, (0.78, 0.0), 0.006)
    paint = color * (1.0 - 0.12 * (np.sin(11.0 * quills) > 0.6) - 0.16 * np.clip(u, 0.0, 1.0))
    canvas.paint(view, distance, paint)


def _crest(canvas: Canvas, head: Frame, radius: float, color: Array) -> None:
    """Three plumes from the crown, swept back and drooping."""
    for angle, length in ((168.0, 0.30), (150.0, 0.36), (132.0, 0.34)):
        view = canvas.view(head.child(0.05 * radius, 0.62 * radius, angle), 0.17, 0.0, 0.33)
        bent = view.v + 0.9 * view.u * view.u
        canvas.paint(view, cone(view.u, bent, (0.0, 0.0), 0.09, (length, 0.0), 0.010), color, rim=0.3)


def _body(
    canvas: Canvas, body: Frame, build: Build, skull: Point, pattern: str, plumage: Mapping[str, Array]
) -> None:
    """Trunk, neck and head in one silhouette, painted with back, breast, pattern and belly."""
    bu, bv, br = build.breast
    ru, rv, rr = build.rump
    (hu, hv), radius = skull, build.head[2]
    view = canvas.view(body, (bu + ru + hu) / 3, (bv + rv + hv) / 3, 0.62 + 0.4 * build.head[1])
    _, _, u, v = view
    trunk = cone(u, v, (bu, bv), br, (ru, rv), rr)
    neck = cone(u, v, (bu, bv + 0.1), build.neck * 1.25, skull, build.neck)
    outline = blend(blend(trunk, neck, 0.10), norm(u - hu, v - hv) - radius, 0.07)

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
        marks = canvas.ramp(_marks(pattern, u, v), body, 0.025)
        breast = breast + marks * (plumage["marks of breast"] - breast)
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
    return norm(y % 0.11 - 0.055, x % 0.13 - 0.065) - 0.036


def _crown(canvas: Canvas, head: Frame, radius: float, color: Array) -> None:
    view = canvas.view(head, 0.0, 0.0, radius * 1.1)
    cap = np.maximum(norm(view.u, view.v) - radius * 1.02, 0.22 * radius + 0.16 * view.u - view.v)
    canvas.paint(view, cap, color, rim=0.25)


def _wing(
    canvas: Canvas, body: Frame, build: Build, bars: str, plumage: Mapping[str, Array], droop: float
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
    paint = plumage["wing"] * (1.0 - 0.22 * quills - 0.20 * np.clip(u / run, 0.0, 1.0))
    along = u + 0.5 * v * v / width
    for at in {"none": (), "one": (0.20,), "two": (0.20, 0.46)}[bars]:
        bar = canvas.ramp(np.abs(along - at * run) - 0.032, wing)
        paint = paint + bar * (plumage["marks of wing"] - paint)
    canvas.paint(view, cone(u, v, (0.0, 0.0), width, (run, 0.0), 0.012), paint, rim=0.5)


def _bill(canvas: Canvas, head: Frame, radius: float, shape: str, color: Array) -> None:
    length, depth = _BILLS[shape]
    view = canvas.view(head.child(radius * 0.90, -0.02, 0.0), length / 2, -0.05, length * 0.75)
    _, _, u, v = view
    thickness = depth * (1.0 - (0.75 if shape == "hooked" else 1.0) * np.clip(u / length, 0.0, 1.0))
    bend = {"hooked": 6.5 * np.maximum(u - 0.13, 0.0) ** 2, "decurved": 1.15 * u * u}
    bent = v + bend.get(shape, 0.0)
    outline = np.maximum(np.abs(bent) - thickness, np.maximum(-u - 0.05, u - length)) * 0.9
    canvas.paint(view, outline, color * (1.0 + 0.12 * np.sign(v)))


def _eye(canvas: Canvas, head: Frame, radius: float, mark: str) -> None:
    x, y = 0.36 * radius, 0.06 * radius
    view = canvas.view(head, x - 0.04, y + 0.02, 0.25)
    _, _, u, v = view
    if mark == "ring":
        canvas.paint(view, ellipse(u, v, (x, y), 0.100, 0.100), DARK, rim=0.0)
        canvas.paint(view, ellipse(u, v, (x, y), 0.084, 0.084), PALE, rim=0.0)
    if mark == "eyebrow":  # from above the eye to the nape, edged so that it shows on pale heads too
        bent = v + 0.6 * (u - x) ** 2
        stripe = cone(u, bent, (x + 0.07, y + 0.072), 0.022, (x - radius, y + 0.062), 0.026)
        canvas.paint(view, stripe - 0.011, DARK, rim=0.0)
        canvas.paint(view, stripe, PALE, rim=0.0)
    canvas.paint(view, ellipse(u, v, (x, y), 0.050, 0.050), DARK, rim=0.0)
    canvas.paint(view, ellipse(u, v, (x + 0.014, y + 0.017), 0.015, 0.015), PALE, rim=0.0)
