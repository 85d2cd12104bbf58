"""What is said of descriptions: equal ones, unknown words."""

from n3lib.data.texts import sentences
from n3lib.run import Run
from n3lib.text.remarks import remarks


def test_remarks_name_equal_descriptions_and_unknown_words(tiny_run: Run) -> None:
    def told(classes: dict[str, str]) -> tuple[list[str], list[str]]:
        return remarks(tiny_run.pipeline, {name: sentences(text) for name, text in classes.items()})

    fine = {"a": "A red crown.", "b": "A blue crown."}
    assert told(fine) == ([], [])
    ((alike,), strange) = told({**fine, "c": "A red crown."})
    assert alike.startswith("a, c: ") and not strange
    ((line,), strange) = told({**fine, "c": "A redd crown, qwv."})
    assert line.startswith("c: 1 of 3 ") and "redd (red?), qwv" in line and not strange
    ((line,), strange) = told({**fine, "c": " ".join(f"zyx{chr(97 + k)}" for k in range(14))})
    assert line.startswith("c: 0 of 14 ") and line.endswith("4 more") and strange == ["c"]
    assert told({**fine, "Blue Jay": ""}) == ([], [])  # a class that the run was trained on
