"""A page of the field guide."""

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from n3lib.data.aviary.species import Species, check_positive, picture
from n3lib.data.aviary.worlds import World

IMAGES, SIZE = 4, 160  # of each species, and their width in pixels


def contact_sheet(species: Sequence[Species], world: str | World = "aviary") -> Figure:
    """A page of the guide: the name, description and four pictures of each species."""
    check_positive(species=len(species))
    style: dict[str, Any] = {"family": "serif", "color": "#3b352d", "va": "top"}
    text_width, row_height, margin = 3.9, 1.75, 0.2  # inches
    width, height = text_width + IMAGES * row_height, len(species) * row_height + 0.3
    figure = Figure(figsize=(width, height), facecolor="#fbf7ee", dpi=110)
    for k, one in enumerate(species):
        top = height - 0.15 - k * row_height
        figure.text(margin / width, (top - 0.14) / height, one.name, size=13, weight="bold", **style)
        lines = textwrap.wrap(" ".join(one.sentences), 56, break_on_hyphens=False)
        text = "\n".join(lines[:9]) + (" ..." if len(lines) > 9 else "")
        figure.text(margin / width, (top - 0.43) / height, text, size=8, linespacing=1.25, **style)
        for i in range(IMAGES):
            left, side = text_width + i * row_height, row_height - 0.1
            axes = figure.add_axes((left / width, (top - side - 0.05) / height, side / width, side / height))
            axes.imshow(picture(one, k, i, size=SIZE, world=world), interpolation="lanczos")
            axes.set_axis_off()
    return figure
