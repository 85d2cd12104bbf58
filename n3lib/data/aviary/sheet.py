"""A page of the field guide: names, descriptions and pictures of some species."""

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from n3lib.data.aviary.species import Species, check_positive, picture
from n3lib.data.aviary.worlds import World, find_world


def contact_sheet(
    species: Sequence[Species], seed: int = 0, size: int = 160, images: int = 4, world: str | World = "aviary"
) -> Figure:
    """A page of the guide: each species' name, description and `images` pictures, `size` pixels wide."""
    check_positive(species=len(species), size=size, images=images)
    world = find_world(world)
    style: dict[str, Any] = {"family": "serif", "color": "#3b352d", "va": "top"}
    text_width, row_height, margin = 3.9, 1.75, 0.2  # inches
    width, height = text_width + images * row_height, len(species) * row_height + 0.3
    figure = Figure(figsize=(width, height), facecolor="#fbf7ee", dpi=110)
    for k, one in enumerate(species):
        top = height - 0.15 - k * row_height
        figure.text(margin / width, (top - 0.14) / height, one.name, size=13, weight="bold", **style)
        lines = textwrap.wrap(" ".join(one.sentences), 56, break_on_hyphens=False)
        text = "\n".join(lines[:9]) + (" ..." if len(lines) > 9 else "")
        figure.text(margin / width, (top - 0.43) / height, text, size=8, linespacing=1.25, **style)
        for i in range(images):
            left, side = text_width + i * row_height, row_height - 0.1
            axes = figure.add_axes((left / width, (top - side - 0.05) / height, side / width, side / height))
            axes.imshow(picture(one, k, i, seed, size, world), interpolation="lanczos")
            axes.set_axis_off()
    return figure
