"""The files of the notebooks: short lines of Markdown, short cells, JSON that Git merges line by line."""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
WIDEST, LONGEST = 120, 15


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_lines_and_cells_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert json.dumps(notebook, indent=1, ensure_ascii=False) + "\n" == text
    for cell in notebook["cells"]:
        lines = "".join(cell["source"]).splitlines(keepends=True)
        assert cell["source"] == lines, cell["id"]
        if cell["cell_type"] == "markdown":  # a row of a table cannot be wrapped
            assert not [line for line in lines if len(line.rstrip("\n")) > WIDEST and line[0] != "|"]
        else:
            assert len(lines) <= LONGEST, cell["id"]
