"""A result's file belongs to one question: what counts of it, and whose the results of the book are."""

import dataclasses
import errno
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from n3lib.config import RunConfig, difference, read_config
from n3lib.data import DataConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.experiments import search as search_module
from n3lib.experiments.benchmark import N3_FORMS
from n3lib.experiments.result_files import answered, edition, write_result
from n3lib.experiments.search import search
from n3lib.experiments.studies import FROZEN, STUDIES
from n3lib.experiments.study_runs import run_study
from n3lib.experiments.tables import run_table
from n3lib.io.errors import N3Error
from n3lib.io.files import read_json, write_json
from n3lib.model import N3

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


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
    for settings in (there, here, {**there, "mu": "absolute"}):
        torch.manual_seed(0)
        states.append(make_n3(**settings).state_dict())
    for state in states[1:]:
        assert state.keys() == states[0].keys()
        assert all(torch.equal(value, states[0][name]) for name, value in state.items())


# What is asked before the work, and what is left when writing fails


def test_a_file_of_another_question_or_kind_is_refused(tmp_path: Path) -> None:
    path, question = tmp_path / "new" / "one.json", {"study": "main", "seed": 0, "config": {}}
    assert not answered(path, question)
    assert list(path.parent.iterdir()) == []
    write_json(path, question | {"metrics": {}})
    assert answered(path, question)
    with pytest.raises(N3Error, match=r"one.json.*seed is 0 there and 1 here.*-o"):
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
    with pytest.raises(N3Error, match="one.json cannot be written: No space") as caught:
        write_result(tmp_path / "one.json", result)
    assert "x1y2z3" not in str(caught.value)
    assert json.loads(capsys.readouterr().out) == result
    assert list(tmp_path.iterdir()) == []


# The results of the book


MOVED = [
    "--data.root=",
    "--text.encoder=../elsewhere/minilm-l6-bert",
    "--backbone.weights=../elsewhere/resnet18_imagenet_bnfolded_conv1_to_layer3.safetensors",
]


def refuse(*_: object, **__: object) -> Any:
    raise AssertionError("the result is there already")


def results(*folders: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    for folder in folders:
        for path in sorted((RESULTS / folder).rglob("*.json")):
            yield path, read_json(path)


@cache
def settled(name: str, *settings: str) -> RunConfig:
    return read_config(ROOT / "configs" / f"{name}.yaml", settings)


@pytest.mark.parametrize("name", STUDIES)
def test_the_studies_results_are_their_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("n3lib.experiments.study_runs.train", refuse)
    there: dict[int, list[str]] = {}
    for _, result in results(name):
        there.setdefault(result["seed"], []).append(result["variant"])
    assert there
    for seed, variants in there.items():
        for settings in ([], MOVED if name == "ablation" else MOVED[:1]):
            run_study(name, RESULTS, ROOT / "configs", settings, variants, [seed], told=refuse)
        with pytest.raises(N3Error, match=r"seed\d.json.*train.clip is 1.0 there and 2.0 here"):
            run_study(name, RESULTS, ROOT / "configs", ["--train.clip=2"], variants, [seed], told=refuse)


@pytest.mark.parametrize("name", ["benchmark", "benchmark-lite0"])
def test_the_tables_results_are_their_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", refuse)
    there: dict[tuple[str, str, int], list[str]] = {}
    for _, result in results(name):
        table = shlex.split(result["command"])[2]
        there.setdefault((table, result["split"], result["seed"]), []).append(result["method"])
    assert there
    path = ROOT / "configs" / f"{name}.yaml"
    for (table, split, seed), methods in there.items():
        settings = MOVED[:2] if seed else []
        run_table(table, "cub", RESULTS / name, path, settings, [split], methods, [seed], told=refuse)
    with pytest.raises(N3Error, match=r"exem-seed\d.json.*mirror"):
        run_table("sce", "cub", RESULTS / name, path, ["--mirror=false"], ["SCE"], ["exem"], told=refuse)
    # A setting of N3's training is none of the other methods'.
    longer = ["--train.steps=201"]
    run_table("sce", "cub", RESULTS / name, path, longer, ["SCE"], ["exem"], [0], told=refuse)
    with pytest.raises(N3Error, match=r"n3-seed\d.json.*train.steps"):
        run_table("sce", "cub", RESULTS / name, path, longer, ["SCE"], ["n3"], [0], told=refuse)


def test_the_searchs_result_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_world: ZeroShotDataset
) -> None:
    class Begun(Exception):
        """The first trial is begun: nothing was refused."""

    def begin(*_: object, **__: object) -> None:
        raise Begun

    monkeypatch.setattr(search_module, "train", begin)
    monkeypatch.setattr(search_module, "load_data", lambda _: small_world)
    command = shlex.split(read_json(RESULTS / "search" / "aviary.json")["command"])
    settings = [part for part in command if "=" in part]
    write_json(tmp_path / "results" / "aviary.json", read_json(RESULTS / "search" / "aviary.json"))

    def again(*settings: str, name: str = "aviary", trials: int = 10) -> None:
        where = {"folder": tmp_path / "runs" / name, "results": tmp_path / "results"}
        search(ROOT / command[2], overrides=settings, trials=trials, told=lambda _: None, **where)

    with pytest.raises(N3Error, match=r"aviary.json.*train.steps is 120 there and 400 here.*another name"):
        again()
    with pytest.raises(N3Error, match=r"aviary.json.*searched"):
        again(*settings, "--model.ridge=0.1")
    with pytest.raises(N3Error, match=r"aviary.json.*10 trials"):
        again(*settings, trials=3)
    assert not (tmp_path / "runs").exists()
    for name in ("aviary", "other"):
        with pytest.raises(Begun):
            again(*(settings if name == "aviary" else []), name=name)


def settings_of(path: Path) -> tuple[str, ...]:
    """Of what the Makefile evaluates: the file of settings, and what it changes of it."""
    what, seed = path.stem.split("-seed")
    kind, frozen = what.removeprefix("frozen-"), tuple(FROZEN) if what.startswith("frozen") else ()
    own = {
        "minilm": ("--text.tfidf=false", "--model.ridge=0.3"),
        "glove": ("--text.encoder=glove:any-50", "--text.tfidf=false", "--model.ridge=1"),
        "tfidf": ("--text.encoder=words",),
        "names": ("--text.encoder=words", "--data.text=names"),
    }.get(kind, ())
    file, seeded = "cub-ps-paper" if what == "paper" else "cub-ps", f"--seed={seed[0]}"
    if path.parent.name.startswith("aviary"):
        shared = ("--model.shared_mu=36", "--model.initial_mu=0.1") if "shared" in path.parent.name else ()
        file, own = "aviary", (f"--model.adapt={what}", *shared)
    return file, *own, *frozen, seeded


def test_what_was_evaluated_is_its_runs_own() -> None:
    found = list(results("aviary", "aviary-shared", "cub-ps", "text-encoders"))
    for path, result in found:
        asked = {"study": "main", "config": dataclasses.asdict(settled(*settings_of(path)))}
        ways = re.search(r"--ways (\d+)", result["command"])
        asked |= {"ways": int(ways[1]) if ways else result["ways"], "tasks": "random", "permutations": 10}
        assert answered(path, asked)
        for name, other in {"seed": 9, "ways": 3, "tasks": "look-alikes", "text": "names"}.items():
            with pytest.raises(N3Error, match=f"{name} is"):
                answered(path, asked | {name: other})
    for path, result in results("saliency"):
        form = result["method"].removesuffix("-exemplar")
        changes = N3_FORMS[{"n3-all": "n3", "n3-finetune": "finetune"}.get(form, form)]
        run = settled("benchmark", f"--data.split={result['split']}", f"--seed={result['seed']}", *changes)
        assert answered(path, {"study": "saliency", "seed": 1, "config": dataclasses.asdict(run)})
