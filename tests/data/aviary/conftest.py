"""One bird to draw and describe."""

import pytest


@pytest.fixture
def wren() -> dict[str, str]:
    return {
        "crown": "rufous",
        "back": "gray",
        "breast": "yellow",
        "belly": "white",
        "wing": "blue",
        "tail": "black",
        "bill": "orange",
        "size": "medium",
        "build": "plump",
        "pattern": "plain",
        "bill_shape": "conical",
        "tail_shape": "square",
        "wing_bars": "none",
        "eye_mark": "none",
        "crest": "none",
    }
