"""The answers of `n3 classify` as files that other programs read."""

import csv
import io
import json
from collections.abc import Sequence

from n3lib.io import printable
from n3lib.synthesis import Answer

Answers = Sequence[Answer]
KNOWN = {True: "yes", False: "no", None: ""}


def as_csv(found: Answers) -> str:
    """A line per image and class: path, rank from 1, label, probability, and whether the image is known.

    The last is `yes` or `no`, or empty where the network cannot tell.
    """
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["path", "rank", "label", "probability", "known"])
    for answer in found:
        for rank, (label, share) in enumerate(answer.best, start=1):
            lines.writerow([printable(answer.path), rank, label, f"{share:.6f}", KNOWN[answer.known]])
    return text.getvalue()


def as_json(found: Answers) -> str:
    """A list of images, each with its path and its classes, best first."""
    listed = [
        {
            "path": printable(answer.path),
            "known": answer.known,
            "classes": [{"label": label, "probability": round(share, 6)} for label, share in answer.best],
        }
        for answer in found
    ]
    return json.dumps(listed, indent=1, ensure_ascii=False) + "\n"
