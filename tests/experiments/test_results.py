"""Results from files, whose question a file answers, and tables of results."""

import dataclasses
import errno
import itertools
import json
import re
import shlex
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from n3lib.config import RunConfig, difference, read_config
from n3lib.data import DataConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.experiments import hyperparameters
from n3lib.experiments.benchmark import N3_FORMS
from n3lib.experiments.results import (
    Markup,
    Table,
    accuracy_cell,
    answered,
    edition,
    interval,
    lead,
    load_results,
    mean_and_spread,
    table,
    write_result,
)
from n3lib.io import N3Error, read_json, write_json
from n3lib.model import N3

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


def result(seed: int, accuracy: float, **fields: Any) -> dict[str, Any]:
    metrics = {"per_class_accuracy": accuracy, "top5": 80.0, "average_precision": 50.0}
    return {
        "method": "n3",
        "dataset": "aviary",
        "ways": 20,
        "seed": seed,
        "chance": 5.0,
        "metrics": metrics,
        **fields,
    }


def test_a_result_says_nothing_of_the_folders_of_a_machine(tmp_path: Path) -> None:
    told = result(
        0, 40.0, command="n3 study x --data.root=/home/me/data -o '/a b/c'", config={"root": "/data"}
    )
    told |= {
        "method": "fc + conv / x",
        "config": {"weights": "/w/x y.pt", "also": ["/a/b.json", "runs/c.json"]},
    }
    write_result(tmp_path / "a.json", told | {"address": "https://a.org/b/c", "share": "a/b"})
    found = read_json(tmp_path / "a.json")
    assert found["config"] == {"weights": "DIR/x y.pt", "also": ["DIR/b.json", "runs/c.json"]}
    assert found["command"].startswith("n3 study x --data.root=DIR/data ")
    assert (found["address"], found["share"], found["method"]) == (
        "https://a.org/b/c",
        "a/b",
        "fc + conv / x",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_json(tmp_path / "a-0.json", result(0, 40.0))
    write_json(tmp_path / "a-1.json", result(1, 44.0))
    write_json(tmp_path / "b-0.json", result(0, 10.0, ways=40))
    return tmp_path


def test_results_are_chosen_by_their_fields(folder: Path) -> None:
    assert len(load_results(folder)) == 3
    assert [r["seed"] for r in load_results(folder, ways=20)] == [0, 1]
    assert len(load_results(folder, ways=(20, 40), seed=0)) == 2
    assert load_results(folder, dataset="cub") == load_results(folder / "nothing") == []


def test_mean_and_spread_leave_out_what_is_no_number() -> None:
    assert mean_and_spread([]) == mean_and_spread([float("nan")]) == ""
    assert mean_and_spread([-0.01]) == "0.0"
    assert mean_and_spread([1.0, float("nan"), 3.0]) == "2.0 ± 1.4"


# Intervals


def by_class(seed: int, *tasks: dict[int, float], **fields: Any) -> dict[str, Any]:
    """A result of tasks that are given as class to accuracy."""
    per_class = [{"classes": [*task], "accuracy": [*task.values()]} for task in tasks]
    mean = float(np.mean([np.mean(task["accuracy"]) for task in per_class]))
    return result(seed, mean, **{"per_class": per_class, **fields})


def simulated(accuracy: np.ndarray) -> list[dict[str, Any]]:
    """Results of one task from accuracies by seed and class."""
    return [by_class(seed, dict(enumerate(row))) for seed, row in enumerate(accuracy.tolist())]


def test_a_lead_is_paired_by_seed() -> None:
    own, other = [result(seed, 30.0 + seed) for seed in (2, 0, 1)], [result(1, 30.0), result(2, 30.0)]
    assert lead(own, [*other, {"seed": 0, "metrics": {}}, result(7, 0.0)]) == "+1.5"
    assert lead(own, []) == lead([], []) == ""
    # Without accuracies per class on both sides, of results as wholes.
    assert lead([by_class(1, {4: 10.0, 5: 30.0})], other) == "-10.0"


def test_a_mean_is_over_classes_then_tasks_then_seeds() -> None:
    own = [
        by_class(0, {1: 10.0, 2: 30.0}, {1: 50.0, 3: 70.0}),
        by_class(1, {1: 0.0, 2: 20.0}, {2: 4.0, 3: 8.0}),
    ]
    found = interval(own)
    assert found is not None and found.mean == pytest.approx((20 + 60 + 10 + 6) / 4)
    assert found.mean == pytest.approx(np.mean([r["metrics"]["per_class_accuracy"] for r in own]))
    assert interval([]) is None and interval([{"seed": 0, "metrics": {}}]) is None
    assert accuracy_cell([result(0, 30.0), result(1, 34.0)]) == "32.0"
    assert accuracy_cell([*own, {"seed": 2, "metrics": {}}]).endswith("), 1 diverged")
    assert accuracy_cell([{"seed": 2, "metrics": {}}]) == "diverged" and accuracy_cell([]) == ""
    assert accuracy_cell(own, "top5") == "80.0"


def test_two_classes_and_one_seed_by_hand() -> None:
    """Of two classes, a quarter of the draws has the first twice, a quarter the second, half have both."""
    own = [by_class(0, {1: 10.0, 2: 30.0})]
    assert interval(own) == (20, 10, 30)
    assert interval(own, level=60.0) == (20, 10, 30)
    assert interval(own, level=40.0) == (20, 20, 20)
    assert accuracy_cell(own) == "20.0 (10.0 to 30.0)"


def test_a_class_counts_in_all_of_its_tasks_by_hand() -> None:
    """Class 1 in both tasks, the others in one: a draw is worth the ratio of its sums."""
    own = [by_class(0, {1: 10.0, 2: 30.0}, {1: 50.0, 3: 70.0})]
    draws = [list(draw) for draw in itertools.product(range(3), repeat=3)]
    means = [sum(np.take([60, 30, 70], draw)) / sum(np.take([2, 1, 1], draw)) for draw in draws]
    for level in (95.0, 80.0, 60.0, 30.0):
        expected = np.percentile(means, (50 - level / 2, 50 + level / 2), method="inverted_cdf")
        assert interval(own, level=level) == pytest.approx((40, *expected))


def test_seeds_are_drawn_too() -> None:
    own = [by_class(seed, {1: 10.0 + 20 * seed, 2: 10.0 + 20 * seed}) for seed in (0, 1)]
    # Classes are alike: a quarter of the draws has one seed twice, 10 points from the mean. The variance of
    # the draws is 50, that of a mean of these two 200 / 2, and the t quantile of one degree of freedom 12.7.
    width = 10 * 2**0.5 * 12.706 / 1.96
    assert interval(own) == pytest.approx((20, 20 - width, 20 + width), rel=0.03)
    assert interval(own[:1]) == (10, 10, 10)
    assert interval([by_class(seed, {1: 100 / 3, 2: 100 / 3}) for seed in range(3)]) == pytest.approx(
        (100 / 3,) * 3
    )


@pytest.mark.parametrize(
    ("seeds", "of_seeds", "of_classes", "rest"), [(3, 0.5, 25.0, 8.0), (3, 0.8, 2.0, 4.0), (5, 0.3, 0.1, 3.2)]
)
def test_the_interval_covers_the_mean(seeds: int, of_seeds: float, of_classes: float, rest: float) -> None:
    rng, hits, trials = np.random.default_rng(0), 0, 300
    for _ in range(trials):
        parts = rng.normal(0, of_seeds, (seeds, 1)), rng.normal(0, of_classes, 50)
        found = interval(simulated(30 + sum(parts) + rng.normal(0, rest, (seeds, 50))))
        hits += found is not None and found.low <= 30 <= found.high
    assert 0.9 * trials <= hits <= 0.98 * trials


def test_the_lead_of_correlated_results_is_known_better_than_they_are() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(30, 20, 50)
    own, other = (simulated(common + shift + rng.normal(0, 3, (3, 50))) for shift in (2, 0))
    widths = [found.high - found.low for found in (interval(own), interval(other)) if found]
    paired = interval(own, other)
    assert paired is not None and 5 * (paired.high - paired.low) < min(widths)
    assert 0 < paired.low < 2 < paired.high
    apart = interval(own, [{**one, "seed": 9 + one["seed"]} for one in other])
    assert apart is None  # no seed in common


def test_a_lead_is_paired_by_task_and_class() -> None:
    own = [by_class(0, {1: 10.0, 2: 30.0}, {3: 50.0, 1: 70.0})]
    other = [by_class(0, {2: 20.0, 1: 5.0}, {1: 0.0, 4: 0.0}, {1: 60.0, 3: 50.0})]
    found = interval(own, other)  # +5, +10, 0, +10; the other's second task is not shared
    assert found is not None and found.mean == pytest.approx(25 / 4)
    assert lead(own, other).startswith("+6.2 (+")
    assert lead(other, own).startswith("-6.2 (-")


def test_a_closed_form_of_one_seed_is_paired_with_every_seed() -> None:
    own = [by_class(seed, {1: 10.0 + seed, 2: 10.0 + seed}) for seed in (0, 1, 2)]
    exem = [by_class(1, {1: 4.0, 2: 4.0}, method="exem", hyperparameters={})]
    # The draws reach 6 and 8, and have a variance of 2/9; that of the mean is 1/3, with a t quantile of 4.30.
    width = (3 / 2) ** 0.5 * 4.303 / 1.96
    wide = pytest.approx((7, 7 - width, 7 + width), abs=0.15)
    assert interval(own, exem) == wide
    assert lead(exem, own).startswith("-7.0")
    assert (
        lead(own, [by_class(1, {1: 4.0, 2: 4.0}, method="gazsl", hyperparameters={})])
        == "+7.0 (+7.0 to +7.0)"
    )
    frozen = {"config": {"train": {"steps": 0}}}
    assert interval(own, [by_class(0, {1: 4.0, 2: 4.0}, **frozen)]) == wide
    assert lead(own, [result(0, 4.0, **frozen)]) == "+7.0"


def test_another_json_file_is_refused_by_name(folder: Path) -> None:
    write_json(folder / "c.json", ["no result"])
    with pytest.raises(N3Error, match="c.json"):
        load_results(folder)


def test_a_table_has_means_over_seeds(folder: Path) -> None:
    shown = table(load_results(folder), ["method", "ways"], ["per_class_accuracy", "chance"])
    assert list(shown.head) == ["method", "ways", "per class accuracy (%)", "chance (%)", "seeds"]
    assert shown.rows == [["n3", "20", "42.0", "5.0", "2"], ["n3", "40", "10.0", "5.0", "1"]]


def test_a_table_is_markdown() -> None:
    shown = Table(["a", "b"], [["1", ""]], note="So it is.")
    assert shown._repr_markdown_() == str(shown) == "| a | b |\n| --- | --- |\n| 1 |   |\n\nSo it is."


def test_an_empty_table_is_its_note() -> None:
    assert str(table([], note="Nothing yet.")).strip() == "Nothing yet."


def cells(markdown: str) -> tuple[list[str], set[str]]:
    """The texts of a table's cells as a Markdown reader shows them, and the elements that are in them."""
    reader = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])
    texts, elements = list[str](), set[str]()

    class Page(HTMLParser):
        def handle_starttag(self, tag: str, attributes: Any) -> None:
            if tag in ("th", "td"):
                texts.append("")
            elements.add(tag)

        def handle_data(self, data: str) -> None:
            if texts and data.strip("\n"):
                texts[-1] += data

    Page().feed(reader.render(markdown))
    return texts, elements - {"table", "thead", "tbody", "tr", "th", "td"}


ODD = [
    "$100 bill_or_$50", "a|b", r"a\|b", "<b>bold</b>", "<script>", "*", "**a**", "_a_", "per_class", "`a`",
    "a``b", "[a](b)", "![a](b)", "~~a~~", "&lt;", "&#36;", "Q&A", "C:\\new", "\\(x\\)", "\\$x\\$", "{a}`b`",
    "---", "# a", "1. a", "@@0@@", "日本の鳥", "طائر",
]  # fmt: skip


@pytest.mark.parametrize("text", ODD)
def test_a_cell_reads_as_its_text(text: str) -> None:
    shown = str(Table([text, "b"], [["1", text], [text, "2"]]))
    texts, elements = cells(shown)
    assert texts == [text, "b", "1", text, text, "2"] and elements <= {"span"}
    # What JupyterLab takes for mathematics, before and after it reads the Markdown.
    assert not re.search(r"\$|\\[{(\\]|\\begin", shown)


@settings(deadline=None, max_examples=150, derandomize=True)
@given(st.lists(st.text(), min_size=2, max_size=4))
def test_any_text_stays_in_its_cell(row: list[str]) -> None:
    texts, elements = cells(Table(row, [row])._repr_markdown_())
    plain = [re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", " ".join(text.split())) for text in row]
    assert [text.strip() for text in texts] == [*plain, *plain] and elements <= {"span"}


def test_line_breaks_and_control_characters_do_not_break_a_row() -> None:
    texts, _ = cells(str(Table(["a"], [["b\r\n| c |\u2028d\x1b[31m\ud83d"]])))
    assert texts == ["a", "b | c | d\ufffd[31m\ufffd"]


def test_markup_is_shown_as_it_is() -> None:
    shown = str(Table(["a"], [[Markup("`n3` **b**")]], note="`n3 study`"))
    assert shown.split("\n")[2:] == ["| `n3` **b** |", "", "`n3 study`"]


# Files


def test_a_file_of_another_question_or_kind_is_refused(tmp_path: Path) -> None:
    path, question = tmp_path / "new" / "one.json", {"study": "main", "seed": 0, "config": {}}
    assert not answered(path, question)
    assert list(path.parent.iterdir()) == []
    write_json(path, question | {"metrics": {}})
    assert answered(path, question)
    with pytest.raises(N3Error, match=r"one.json.*seed.*-o"):
        answered(path, question | {"seed": 1})
    write_json(path, {"study": "main", "seed": 0})
    with pytest.raises(N3Error, match="one.json"):
        answered(path, question)
    write_json(path, ["a", "b"])
    with pytest.raises(N3Error, match="one.json"):
        answered(path, question)
    write_json(path, {"metrics": {"mine": 1}})  # as many programs write it
    with pytest.raises(N3Error, match="one.json"):
        answered(path, question)
    with pytest.raises(N3Error, match="new"):
        answered(path.parent, question)


def test_the_descriptions_belong_to_the_question(pack: Path, tmp_path: Path) -> None:
    """CUB's texts, and an edition of them in which one class is described otherwise."""
    data = DataConfig("cub", root=str(pack / "data"))
    texts = read_json(pack / "data" / "cub_wikipedia.json")
    first = next(iter(texts))
    write_json(tmp_path / "cub_wikipedia.json", texts | {first: ["Another bird."]})
    other = dataclasses.replace(data, text=str(tmp_path / "cub_wikipedia.json"))
    question: dict[str, Any] = {"study": "main", "config": {}}
    write_json(tmp_path / "one.json", question | {"metrics": {}} | edition(data))
    assert answered(tmp_path / "one.json", question, data)
    with pytest.raises(N3Error, match=r"one.json.*data_hashes.text"):
        answered(tmp_path / "one.json", question, other)
    assert edition(DataConfig("aviary")) == edition(DataConfig("cub")) == {}


def test_a_result_that_cannot_be_written_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / ".one.json.x1y2z3"))

    monkeypatch.setattr("n3lib.io.files.os.fsync", full)
    result = {"study": "main", "metrics": {"per_class_accuracy": 12.5}, "class": "Grünspecht"}
    with pytest.raises(N3Error, match=r"one\.json") as caught:
        write_result(tmp_path / "one.json", result)
    assert "x1y2z3" not in str(caught.value)
    assert json.loads(capsys.readouterr().out) == result
    assert list(tmp_path.iterdir()) == []


# What decides a number, and what does not


def config(**parts: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults, but for some settings of some parts."""
    told = dataclasses.asdict(RunConfig())
    return {"config": told | {part: told[part] | values for part, values in parts.items()}}


# What counts


@pytest.mark.parametrize(
    ("setting", "there", "here"),
    [
        ("train.steps", 400, 120),
        ("text.encoder", "words", "words:8"),
        ("text.encoder", "words", "weights/minilm"),
        ("text.encoder", "bert", "sentence-transformers/all-MiniLM-L6-v2"),
        ("text.encoder", "here/minilm", "there/mpnet"),
        ("text.encoder", "glove:glove-wiki-gigaword-50", "glove:glove-wiki-gigaword-300"),
        ("backbone.weights", "weights/a.safetensors", "weights/b.safetensors"),
        ("data.text", "", "names"),
        ("data.text", "cub_wikipedia.json", "cub_descriptors.json"),
        ("model.initial_mu", 0.1, 2.0),
    ],
)
def test_what_decides_the_number_is_compared(setting: str, there: Any, here: Any) -> None:
    part, name = setting.split(".")
    told = difference(config(**{part: {name: there}}), config(**{part: {name: here}}))
    assert setting in told and repr(there) in told and repr(here) in told


@pytest.mark.parametrize(
    ("setting", "there", "here"),
    [
        ("data.root", "data", "../shared/data"),
        ("data.text", "data/texts.json", "/elsewhere/texts.json"),
        ("text.encoder", "weights/minilm", "/elsewhere/minilm/"),
        ("text.encoder", "weights/minilm-l6", "sentence-transformers/all-MiniLM-L6-v2"),
        ("text.encoder", "glove:weights/glove.gz", "glove:glove-wiki-gigaword-50"),
        ("text.encoder", "bert", "bert-base-uncased"),
        ("backbone.weights", "weights/resnet.safetensors", "C:\\weights\\resnet.safetensors"),
        ("backbone.weights", "weights/resnet.safetensors", ""),
        ("model.micro_batch", 0, 8),
    ],
)
def test_what_another_machine_has_elsewhere_is_not(setting: str, there: Any, here: Any) -> None:
    part, name = setting.split(".")
    assert difference(config(**{part: {name: there}}), config(**{part: {name: here}})) == ""


def test_a_setting_younger_than_the_file_has_its_default_there() -> None:
    old = config()
    del old["config"]["model"]["scale"]
    assert difference(old, config()) == ""
    assert "model.scale" in difference(old, config(model={"scale": 0.5}))
    del old["config"]["train"]  # a part that this kind of result does not say
    assert difference(old, config(train={"steps": 7})) == ""


@pytest.mark.parametrize("adapt", ["classifier", "constant"])
def test_the_scale_of_what_is_written_counts_only_where_layers_are_written(
    adapt: str, make_n3: Callable[..., N3]
) -> None:
    there, here = ({"adapt": adapt, "initial_mu": value} for value in (0.1, 2.0))
    assert difference(config(model=there), config(model=here)) == ""
    states = []
    for model in (there, here, {**there, "mu": "absolute"}):
        torch.manual_seed(0)
        states.append(make_n3(**model).state_dict())
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(value, states[0][name]) for name, value in state.items())


@pytest.mark.parametrize("setting", ["backbone.weights", "data.text", "text.encoder"])
def test_files_of_one_name_that_are_here_are_compared_by_their_content(
    setting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prefix = "glove:" if setting == "text.encoder" else ""
    for folder, content in (("a", "1"), ("b", "2"), ("c", "1")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "w.txt").write_text(content)
    section, name = setting.split(".")

    def question(folder: str) -> dict[str, Any]:
        return {"config": {section: {name: f"{prefix}{folder}/w.txt"}}}

    assert setting in difference(question("a"), question("b"))
    assert not difference(question("a"), question("c"))
    assert not difference(question("elsewhere"), question("b"))  # of another machine: nobody can tell


# The results of the book


def test_the_searchs_result_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_world: ZeroShotDataset
) -> None:
    class Begun(Exception):
        """The first trial is begun: nothing was refused."""

    def begin(*_: object, **__: object) -> None:
        raise Begun

    monkeypatch.setattr(hyperparameters, "train", begin)
    monkeypatch.setattr(hyperparameters, "load_data", lambda _: small_world)
    command = shlex.split(read_json(RESULTS / "hyperparameters" / "aviary.json")["command"])
    settings = [part for part in command if "=" in part]
    write_json(tmp_path / "results" / "aviary.json", read_json(RESULTS / "hyperparameters" / "aviary.json"))

    def again(*settings: str, name: str = "aviary", trials: int = 10) -> None:
        where = {"folder": tmp_path / "runs" / name, "results": tmp_path / "results"}
        hyperparameters.random_search(
            ROOT / command[2], overrides=settings, trials=trials, log=lambda _: None, **where
        )

    with pytest.raises(N3Error, match=r"aviary.json.*train.steps.*120.*400"):
        again()
    with pytest.raises(N3Error, match=r"aviary.json.*searched"):
        again(*settings, "--model.ridge=0.1")
    with pytest.raises(N3Error, match=r"aviary.json.*10 trials"):
        again(*settings, trials=3)
    assert not (tmp_path / "runs").exists()
    for name in ("aviary", "other"):
        with pytest.raises(Begun):
            again(*(settings if name == "aviary" else []), name=name)


def test_the_results_of_saliency_are_their_own() -> None:
    for path in sorted((RESULTS / "saliency").glob("*.json")):
        result = read_json(path)
        form = result["method"].removesuffix("-exemplar")
        changes = N3_FORMS[{"n3-all": "n3", "n3-finetune": "finetune"}.get(form, form)]
        changed = [f"--data.split={result['split']}", f"--seed={result['seed']}", *changes]
        config = read_config(ROOT / "configs" / "benchmark.yaml", changed)
        question = {"study": "saliency", "seed": result["seed"], "config": dataclasses.asdict(config)}
        assert answered(path, question)
