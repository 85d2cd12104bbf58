"""Your own classes: pictures from a folder, and a form that answers or reports why it cannot."""

import asyncio
import dataclasses
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from n3lib.book import form
from n3lib.book.form import Form, Pictures, answers, described, image_files, read_pictures
from n3lib.cli.commands import main
from n3lib.data.images import load_image
from n3lib.data.texts import read_classes
from n3lib.io import N3Error, write_json
from n3lib.run import Run
from n3lib.synthesis import load, synthesize

CLASSES = {"redcap": ("A small bird with a red crown.",), "bluewing": ("Its wings are blue.",)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, and a file that is none."""
    rng = np.random.default_rng(3)
    for name in ("b.png", "A.JPG"):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_pictures_are_the_folders_image_files(folder: Path) -> None:
    files = image_files(str(folder))
    assert [path.name for path in files] == ["A.JPG", "b.png"]
    pictures = read_pictures(files, 32)
    assert (pictures.names, pictures.problems) == (["A", "b"], [])
    assert torch.equal(pictures.pixels[1], torch.from_numpy(load_image(folder / "b.png", 32)))


def test_a_broken_picture_is_named_and_the_others_are_read(folder: Path) -> None:
    (folder / "broken.png").write_text("no pixels")
    pictures = read_pictures(image_files(folder), 32)
    assert pictures.names == ["A", "b"] and len(pictures.pixels) == 2
    (problem,) = pictures.problems
    assert "broken.png" in problem and "\n" not in problem


def test_no_folder_and_no_picture(tiny_run: Run, tmp_path: Path) -> None:
    with pytest.raises(N3Error, match="nowhere"):
        image_files(tmp_path / "nowhere")
    nothing = read_pictures(image_files(tmp_path), 32)
    with pytest.raises(N3Error, match="picture"):
        answers(synthesize(tiny_run, CLASSES), nothing)


def test_answers_call_a_picture_unknown_that_is_like_none_of_the_classes(tiny_run: Run) -> None:
    pixels = torch.randint(0, 256, (2, 32, 32, 3), generator=torch.Generator().manual_seed(0)).byte()
    pictures = Pictures(["a", "b"], pixels, [])
    network = synthesize(dataclasses.replace(tiny_run, familiar=0.0), CLASSES)
    scores = network.read(network.preprocess(pixels))[1]
    network = synthesize(dataclasses.replace(tiny_run, familiar=scores.mean().item()), CLASSES)
    titles = [axis.get_title() for axis in answers(network, pictures).figure.axes[:2]]
    assert ["unknown" in title for title in titles] == (scores < scores.mean()).tolist()


def test_answers_show_a_name_above_each_of_the_first_pictures(tiny_run: Run) -> None:
    names = [f"a picture with a long name {k}" for k in range(form.SHOWN + 2)]
    pixels = torch.randint(0, 256, (len(names), 32, 32, 3), dtype=torch.uint8)
    network = synthesize(tiny_run, CLASSES)
    axes = answers(network, Pictures(["wren", *names[1:]], pixels, [])).figure.axes
    assert len(axes) == 2 * form.SHOWN
    assert axes[0].get_title() == "wren"
    assert axes[1].get_title().endswith("…") and len(axes[1].get_title()) < 18
    lengths = [bar.get_width() for bar in axes[form.SHOWN].patches]
    assert lengths == pytest.approx((100 * network.probabilities(pixels[:1])[0]).tolist(), abs=1e-3)


def test_typed_text_becomes_sentences() -> None:
    typed = [(" redcap ", "A small bird. It is red!"), ("", "  "), ("wren", "")]
    assert described(typed) == {"redcap": ("A small bird.", "It is red!"), "wren": ()}


@pytest.mark.parametrize(
    ("typed", "named"),
    [([("wren", "Small."), (" wren", "Brown.")], "wren"), ([("  ", "A small bird.")], "A small bird")],
)
def test_names_that_cannot_be_told_apart(typed: list[tuple[str, str]], named: str) -> None:
    with pytest.raises(N3Error, match=named):
        described(typed)


def shown_message(made: Form) -> str:
    return made.message.value.removeprefix("<div>").removesuffix("</div>")


@pytest.fixture
def made(tiny_run: Run, folder: Path) -> Form:
    pytest.importorskip("ipywidgets")
    return Form(tiny_run, CLASSES, folder)


def test_the_form_follows_what_is_typed(made: Form) -> None:
    first = made.picture.value
    assert bytes(first[:2]) == b"\xff\xd8" and not shown_message(made)
    made.rows[0].text.value = "A large bird with a cerulean crown."
    assert made.picture.value not in (first, b"")
    assert "cerulean" in made.rows[0].unknown.value and "crown" not in made.rows[0].unknown.value
    made.rows[0].text.value = " ".join(CLASSES["redcap"])
    assert made.picture.value == first and not made.rows[0].unknown.value


def test_classes_come_and_go(made: Form) -> None:
    first = made.picture.value
    made.add.click()
    assert made.picture.value == first  # an empty class is none yet
    made.rows[2].name.value, made.rows[2].text.value = "graytail", "Gray all over."
    assert made.picture.value not in (first, b"")
    made.remove_class(made.rows[2])
    assert made.picture.value == first and len(made.list.children) == 2


def press(made: Form, label: str) -> None:
    """Click the button of this label, wherever it is."""
    boxes = [made.box]
    for box in boxes:
        boxes += getattr(box, "children", ())
    (button,) = [one for one in boxes if getattr(one, "description", "") == label]
    button.click()


def test_classes_are_saved_and_loaded(made: Form, tiny_run: Run, tmp_path: Path) -> None:
    first = made.picture.value
    made.file.value = str(tmp_path / "mine.json")
    made.add_class(tiny_run.seen[0])  # it needs no text
    press(made, "Save")
    assert read_classes(tmp_path / "mine.json", tiny_run.seen) == {**CLASSES, tiny_run.seen[0]: ()}
    made.remove_class(made.rows[0])
    press(made, "Load")
    assert [row.name.value for row in made.rows] == [*CLASSES, tiny_run.seen[0]]
    assert made.picture.value not in (b"", first)
    write_json(
        tmp_path / "mine.json", {**CLASSES, "redcap": {"sentences": ["Red.", "Big."], "weights": [1, 2]}}
    )
    press(made, "Load")
    assert "weights" in shown_message(made)
    for wrong in ("mine.csv", "no/such.json", ""):
        made.file.value = str(tmp_path / wrong)
        for label in ("Save", "Load"):
            if (label, wrong) != ("Save", "no/such.json"):  # a folder is made
                press(made, label)
                assert len(made.rows) == 2
    assert read_classes(tmp_path / "mine.json").keys() == CLASSES.keys()


def test_the_network_of_the_form_is_exported(made: Form, tmp_path: Path) -> None:
    made.target.value = str(tmp_path / "net")
    press(made, "Export")
    assert load(tmp_path / "net").labels == tuple(CLASSES)
    made.remove_class(made.rows[0])
    press(made, "Export")
    assert load(tmp_path / "net").labels == tuple(CLASSES)  # one class is none, and is reported
    assert shown_message(made).count("<div>") == 1


def test_uploads_can_be_removed(made: Form, folder: Path) -> None:
    first = made.picture.value
    content = (folder / "b.png").read_bytes()
    told = {"name": "x.png", "type": "image/png", "size": len(content), "last_modified": datetime.now(UTC)}
    made.upload.value = ({**told, "content": content},)
    assert made.picture.value != first
    press(made, "Remove uploads")
    assert made.picture.value == first and not made.upload.value


def test_n3_form_opens_a_notebook_that_shows_the_form(
    tiny_run: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[list[str]]()

    def start(command: list[str], check: bool) -> CompletedProcess:
        opened.append(command)
        return CompletedProcess(command, 0)

    monkeypatch.setattr("subprocess.run", start)
    monkeypatch.chdir(tmp_path)
    write_json(tmp_path / "classes.json", CLASSES)
    shown = []
    monkeypatch.setattr("n3lib.book.form.Form", lambda *given: shown.append(given))
    for more in ([], ["classes.json", str(folder)]):
        assert main(["form", str(tiny_run.folder), *more]) == 0
        notebook = nbformat.read("n3-form.ipynb", 4)
        nbformat.validate(notebook)
        exec(notebook.cells[1].source, {})
    assert [opened[0][-1], opened[0][-2]] == ["n3-form.ipynb", "jupyterlab"]
    assert list(shown[0][1]) == list(tiny_run.seen[:2])
    assert shown[1][1:] == (CLASSES, str(folder))
    (tmp_path / "n3-form.ipynb").write_text("{}")
    assert main(["form", str(tiny_run.folder)]) == 2


def test_the_form_reports_what_is_wrong_and_keeps_what_was_typed(made: Form, folder: Path) -> None:
    first = made.picture.value
    made.rows[1].text.value = ""
    assert "bluewing" in shown_message(made)
    assert not made.picture.value and made.picture.layout.display == "none"
    assert made.rows[0].text.value == " ".join(CLASSES["redcap"])
    made.remove_class(made.rows[1])
    assert shown_message(made) and not made.picture.value  # one class is none
    made.add_class("bluewing", " ".join(CLASSES["bluewing"]))
    made.update()
    assert made.picture.value == first and not shown_message(made)
    assert made.picture.layout.display is None
    made.folder.value = str(folder / "<b>")
    assert "&lt;b&gt;" in shown_message(made) and "<b>" not in shown_message(made)
    (folder / "broken.png").write_text("no pixels")
    made.folder.value = str(folder)
    assert "broken.png" in shown_message(made)
    assert made.picture.value == first  # the others are shown


def upload(name: str, content: bytes) -> dict[str, object]:
    """A file as a browser gives it to the form."""
    fields = {"name": name, "type": "image/png", "size": len(content), "content": memoryview(content)}
    return {**fields, "last_modified": datetime.now(UTC)}


def test_uploaded_pictures_are_shown_too(made: Form, folder: Path) -> None:
    first = made.picture.value
    made.upload.value = (upload("../c.png", (folder / "b.png").read_bytes()),)
    assert made.picture.value not in (first, b"")
    assert not (folder.parent / "c.png").exists()  # an upload stays among the uploads
    made.folder.value = ""
    assert not shown_message(made)


def test_uploads_come_first_where_not_all_pictures_fit(made: Form, folder: Path) -> None:
    for k in range(form.SHOWN):
        (folder / f"c{k}.png").write_bytes((folder / "b.png").read_bytes())
    made.update()
    full = made.picture.value
    assert full and str(form.SHOWN + 2) in shown_message(made)
    made.upload.value = (upload("z.png", (folder / "A.JPG").read_bytes()),)
    assert made.picture.value != full
    assert str(form.SHOWN + 3) in shown_message(made)


def test_the_newest_uploads_replace_those_before(made: Form, folder: Path) -> None:
    first, good = made.picture.value, (folder / "b.png").read_bytes()
    made.upload.value = (upload("broken.png", b"no pixels"),)
    assert "broken.png" in shown_message(made) and made.picture.value == first
    made.folder.value = ""
    assert "broken.png" in shown_message(made) and not made.picture.value
    made.folder.value = str(folder)
    made.upload.value = (upload("c.png", good),)
    assert not shown_message(made)
    made.upload.value = ()
    assert made.picture.value == first


@pytest.mark.parametrize("name", ["", "..", "a/", "a\0b.png", "x" * 300 + ".png", "$5 or $10.png", "\n.png"])
def test_an_upload_may_have_any_name(made: Form, folder: Path, name: str) -> None:
    first = made.picture.value
    made.upload.value = (upload(name, (folder / "b.png").read_bytes()),)
    assert made.picture.value not in (first, b"") and not shown_message(made)


@pytest.mark.parametrize("name", ["~nobody-of-this-name/pictures", "a\0b", "x" * 5000, "a\nb"])
def test_a_folder_may_be_called_anything(made: Form, name: str) -> None:
    made.folder.value = name
    assert "folder" in shown_message(made) and not made.picture.value


def test_a_form_takes_every_form_of_a_description(tiny_run: Run, folder: Path) -> None:
    weighted = {"sentences": ["A red bird.", "It is small."], "weights": [2, 1]}
    made = Form(tiny_run, {"a": "A red bird. It is small.", "b": weighted}, folder)
    assert [row.text.value for row in made.rows] == ["A red bird. It is small."] * 2
    assert made.picture.value and not shown_message(made)


def test_two_identical_texts_are_two_classes(made: Form) -> None:
    made.rows[1].text.value = made.rows[0].text.value
    assert made.picture.value and not shown_message(made)


@settings(
    deadline=None,
    max_examples=15,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.text(), st.text())
@example("$100 bill_or_$50", "It costs $5 or $10.")
@example("日本の鳥", "青い翼。")
def test_any_name_and_text_are_answered_or_reported(made: Form, name: str, text: str) -> None:
    made.rows[0].name.value, made.rows[0].text.value = name, text
    assert bool(made.picture.value) != bool(shown_message(made))


def test_an_unforeseen_error_is_reported_too(made: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of <memory>")

    monkeypatch.setattr(form, "synthesize", fail)
    with pytest.raises(RuntimeError):  # for the log of the kernel
        made.update()
    assert "memory" in shown_message(made) and "<memory>" not in shown_message(made)
    assert not made.picture.value


def test_a_burst_of_keys_is_answered_once(made: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "PAUSE", 0.01)
    first, answered = made.picture.value, asyncio.Event()

    async def typing() -> None:
        update, count = made.update, 0

        def counted() -> None:
            nonlocal count
            count += 1
            update()
            answered.set()

        made.update = counted
        for end in range(20, 26):
            made.rows[0].text.value = "A large bird with a blue crown."[:end]
        assert made.picture.value == first  # not yet
        await asyncio.wait_for(answered.wait(), 10)
        assert count == 1

    asyncio.run(typing())
    assert made.picture.value not in (first, b"")


def test_without_a_kernel_a_picture_stands_for_the_form(made: Form) -> None:
    bundle: Mapping[str, object] = made._repr_mimebundle_()
    assert bundle["image/jpeg"] == made.picture.value
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_without_ipywidgets(tiny_run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(N3Error, match="ipywidgets"):
        Form(tiny_run, CLASSES, folder)
