"""The paper's tables beside ours, and what is run for them."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from n3lib.experiments.benchmark import question
from n3lib.experiments.tables import (
    TABLES,
    TITLES,
    control_table,
    lead_table,
    measured,
    result_path,
    run_table,
    show_table,
)
from n3lib.io import N3Error, read_json, write_json

pytestmark = pytest.mark.usefixtures("known_code")

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results"


def put(folder: Path, method: str, seed: int, accuracy: float, split: str = "PS", **more: Any) -> None:
    metrics = {"per_class_accuracy": accuracy, "top5": 2 * accuracy, "average_precision": accuracy / 2}
    result: dict[str, Any] = {"study": "benchmark", "method": method, "dataset": "cub", "split": split}
    result |= {"seed": seed, "chance": 2.0, "metrics": metrics}
    result["controls"] = {"random": {"per_class_accuracy": 2.1}}
    result |= more
    write_json(result_path(folder, "cub", split, method, seed), result)


def test_the_papers_number_stands_beside_ours_with_its_spread(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((30.0, 32.0, 34.0)):
        put(tmp_path, "n3", seed, accuracy)
    put(tmp_path, "exem", 0, 29.4)
    shown = show_table("table2", tmp_path, "cub")
    assert list(shown.head) == ["method", "cub SS, paper", "cub PS, paper", "cub PS, ours"]
    rows = {row[0]: row[1:] for row in shown.rows}
    assert rows["N3, every layer"] == ["17.6", "9.5", "32.0"]
    assert rows["EXEM, ridge (Changpinyo et al., 2017)"] == ["", "", "29.4"]
    assert rows["PDCNN, fc (Lei Ba et al., 2015)"] == ["6.1", "6.1", ""]


def by_class(*accuracy: float) -> list[dict[str, Any]]:
    return [{"classes": [*range(len(accuracy))], "accuracy": [*accuracy]}]


def test_accuracy_has_its_interval_and_the_other_measures_none(tmp_path: Path) -> None:
    put(tmp_path, "n3", 0, 30.0, split="160/40", per_class=by_class(20.0, 40.0))
    row = next(row for row in show_table("table6", tmp_path, "cub").rows if row[0] == "N3, every layer")
    assert row[1:] == ["27.0", "15.0", "32.6", "30.0 (20.0 to 40.0)", "68.6", "60.0"]


def test_a_cell_that_was_not_run_names_the_command(tmp_path: Path) -> None:
    put(tmp_path, "n3", 0, 30.0)
    note = show_table("table2", tmp_path).note
    assert "n3 table table2 --dataset awa2 --split PS --data-root DIR" in note
    assert "--dataset cub --split PS" not in note


def test_table_6_has_three_measures(tmp_path: Path) -> None:
    put(tmp_path, "n3", 0, 30.0, split="160/40")
    assert (tmp_path / "cub-160-40" / "n3-seed0.json").exists()
    shown = show_table("table6", tmp_path, "cub")
    row = next(row for row in shown.rows if row[0] == "N3, every layer")
    assert row[1:] == ["27.0", "15.0", "32.6", "30.0", "68.6", "60.0"]


def test_controls_stand_beside_their_method(tmp_path: Path) -> None:
    put(tmp_path, "eszsl", 0, 25.0)
    shown = control_table(measured(tmp_path, "cub", "PS"))
    assert shown.head == ["method", "its own text", "random"]
    assert shown.rows == [["ESZSL (Romera-Paredes and Torr, 2015)", "25.0", "2.1"]]
    assert shown.note.startswith("Chance is 2.0 %.")
    assert control_table([]).note == ""
    control = {"per_class_accuracy": 3.0, "per_class": by_class(2.0, 4.0)}
    put(tmp_path, "exem", 0, 25.0, per_class=by_class(20.0, 30.0), controls={"shuffled": control})
    shown = control_table(measured(tmp_path, "cub", "PS"))
    rows = {row[0]: row[1:] for row in shown.rows}
    assert shown.head == ["method", "its own text", "random", "shuffled"]
    assert rows["EXEM, ridge (Changpinyo et al., 2017)"] == ["25.0 (20.0 to 30.0)", "", "3.0 (2.0 to 4.0)"]
    assert rows["ESZSL (Romera-Paredes and Torr, 2015)"] == ["25.0", "2.1", ""]


def test_a_lead_is_counted_seed_by_seed(tmp_path: Path) -> None:
    for seed, (ours, theirs) in enumerate([(30.0, 29.0), (33.0, 31.0), (36.0, 33.0)]):
        put(tmp_path, "n3", seed, ours)
        put(tmp_path, "finetune", seed, theirs)
    put(tmp_path, "exem", 7, 20.0)  # of no seed of N3's
    shown = lead_table(tmp_path, "cub", ["PS", "SS"], ["finetune", "exem"])
    assert [row[1:] for row in shown.rows] == [["+2.0", ""], ["", ""]]


def test_a_lead_is_paired_by_class_and_has_its_check(tmp_path: Path) -> None:
    layer = {"norm": 2.0, "relative": 1.0, "varies": 4.0}
    own = {"per_class": by_class(30.0, 50.0), "adaptation": {"a": layer}}
    put(tmp_path, "n3", 0, 40.0, training={"model": {"adapt": "all"}}, **own)
    put(
        tmp_path,
        "n3-constant",
        0,
        38.0,
        training={"model": {"adapt": "constant"}},
        per_class=by_class(29.0, 47.0),
    )
    shown = lead_table(tmp_path, "cub", ["PS"], ["n3-constant"])
    assert [row[1:] for row in shown.rows] == [["+2.0 (+1.0 to +3.0)"]]
    assert "N3 on cub PS: 4.0 % task-dependent, not conditioned." in shown.note


def test_the_papers_numbers_are_of_known_methods_and_metrics() -> None:
    for table in TABLES.values():
        cells = [cell for splits in table.numbers.values() for cell in splits.values()]
        assert all(
            method in TITLES and len(row) == len(table.metrics) for c in cells for method, row in c.items()
        )
    # Transcribed by hand here, once from each table.
    assert TABLES["table2"].numbers["nabirds"]["PS"]["megazsl"] == [3.7]
    assert TABLES["sce"].numbers["nabirds"]["SCE"]["sync-ovo"] == [None]
    assert TABLES["table6"].numbers["flowers"]["82/20"]["n3"] == [16.0, 10.4, 39.7]


class FakeBenchmark:
    """Counts what is asked of it."""

    made: list[tuple[str, str]] = []

    def __init__(self, config: Any) -> None:
        self.config = config

    def measure(self, method: str, seed: int, earlier: Any = None) -> dict[str, Any]:
        assert earlier is None
        self.made.append((method, f"{self.config.data.name} {self.config.data.split} {seed}"))
        told = {"dataset": self.config.data.name, "split": self.config.data.split, "seed": seed}
        told |= {"reader": "words counted", "metrics": {"per_class_accuracy": 1.0}}
        return question(self.config, method) | told

    def measure_n3(self, method: str, seed: int, folder: Path) -> dict[str, Any]:
        self.made.append((method, f"{folder.parent.name} {folder.name} {self.config.model.adapt}"))
        return self.measure(method, self.config.seed)


def test_what_is_missing_is_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", FakeBenchmark)
    FakeBenchmark.made = []
    config = Path(__file__).parents[2] / "configs" / "benchmark.yaml"

    def run() -> None:
        run_table(
            "table2", "awa2", tmp_path, config, splits=["PS"], methods=["sae", "n3-constant"], seeds=[1]
        )

    run()
    assert FakeBenchmark.made == [
        ("sae", "awa2 PS 1"),
        ("n3-constant", "awa2-PS n3-constant-seed1 constant"),
        ("n3-constant", "awa2 PS 1"),
    ]
    run()
    assert len(FakeBenchmark.made) == 3
    result = read_json(tmp_path / "awa2-PS" / "sae-seed1.json")
    assert (
        result["command"] == "n3 table table2 --dataset awa2 --split PS --method sae --seed 1 --data-root DIR"
    )


def test_the_papers_form_has_as_many_places_as_test_classes_and_changes_no_other_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", FakeBenchmark)
    config = Path(__file__).parents[2] / "configs" / "benchmark.yaml"
    methods = ["n3-paper", "exem", "n3"]
    for table, split in (("table2", "PS"), ("sce", "SCE")):
        run_table(table, "cub", tmp_path, config, splits=[split], methods=methods, seeds=[0])
    results = [read_json(path) for path in tmp_path.rglob("*.json")]
    assert len(results) == 6
    for result in results:
        own, ways = result["method"] == "n3-paper", 50 if result["split"] == "PS" else 40
        assert result["config"]["backbone"]["pool"] == ("avg" if own else "avg+max")
        if "training" in result:
            assert result["training"]["episodes"]["ways"] == (ways if own else 30)


def test_a_selected_scale_is_used_unless_another_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", FakeBenchmark)
    (tmp_path / "one.yaml").write_text("fit: trainval\n")
    selected = {"awa2": {"PS": {"finetune": ["--model.shared_mu=0.7"]}}}
    write_json(tmp_path / "one.selected.json", selected)

    def scale(folder: str, *overrides: str) -> float:
        asked = tmp_path / folder, tmp_path / "one.yaml", overrides, ["PS"], ["finetune"]
        run_table("table2", "awa2", *asked, seeds=[1])
        result = read_json(tmp_path / folder / "awa2-PS" / "finetune-seed1.json")
        return result["training"]["model"]["shared_mu"]

    assert scale("selected") == 0.7
    assert scale("asked", "--model.shared_mu=0.2") == 0.2


def test_results_of_other_settings_are_refused_before_anything_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", FakeBenchmark)
    config = Path(__file__).parents[2] / "configs" / "benchmark.yaml"
    lite0 = config.with_name("benchmark-lite0.yaml")

    def run(config: Path, *overrides: str, methods: list[str], seeds: list[int], split: str = "PS") -> None:
        run_table("table2", "awa2", tmp_path, config, overrides, [split], methods, seeds=seeds)

    run(config, methods=["sae", "n3"], seeds=[1], split="PS")
    FakeBenchmark.made = []
    with pytest.raises(N3Error, match=r"sae-seed1.json.*data.size.*144.*208.*-o"):
        run_table("table2", "awa2", tmp_path, lite0, methods=["exem", "sae"], seeds=[1])  # SS comes first
    # Another seed would take its hyperparameters over, and stand in one mean with it.
    with pytest.raises(N3Error, match=r"sae-seed1.json.*mirror"):
        run(config, "--mirror=false", methods=["sae"], seeds=[2])
    with pytest.raises(N3Error, match=r"n3-seed1.json.*exemplar_images.*10.*20"):
        run(config, "--exemplar_images=20", methods=["n3"], seeds=[2])
    assert FakeBenchmark.made == []
    run(config, "--exemplar_images=20", "--data.root=elsewhere", methods=["eszsl"], seeds=[1])
    assert FakeBenchmark.made == [("eszsl", "awa2 PS 1")]


def test_where_no_result_can_go_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", FakeBenchmark)
    FakeBenchmark.made = []
    (tmp_path / "results").write_text("")
    config = Path(__file__).parents[2] / "configs" / "benchmark.yaml"
    with pytest.raises(N3Error, match="exem-seed0.json"):
        run_table("table2", "awa2", tmp_path / "results", config, methods=["exem"])
    assert FakeBenchmark.made == []


def test_settings_of_another_file_are_named_in_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", FakeBenchmark)
    (tmp_path / "other.yaml").write_text("fit: trainval\n")
    run_table("table2", "awa2", tmp_path, tmp_path / "other.yaml", splits=["PS"], methods=["sae"], seeds=[1])
    command = read_json(tmp_path / "awa2-PS" / "sae-seed1.json")["command"]
    assert command.endswith(f" --seed 1 --data-root DIR --config DIR/other.yaml -o DIR/{tmp_path.name}")


def test_settings_that_were_overridden_are_named_in_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", FakeBenchmark)
    (tmp_path / "benchmark.yaml").write_text("fit: trainval\n")
    overrides = ["--data.root=birds", "--mirror=false"]  # where the data are is told by DIR
    run_table("table2", "awa2", tmp_path, tmp_path / "benchmark.yaml", overrides, ["PS"], ["sae"], seeds=[1])
    command = read_json(tmp_path / "awa2-PS" / "sae-seed1.json")["command"]
    assert command.endswith(" --seed 1 --data-root DIR --mirror=false")


@pytest.mark.parametrize(
    ("name", "dataset", "split", "method", "message"),
    [
        ("table9", "cub", "PS", "n3", "no table 'table9'. Use one of table2, sce, table6"),
        ("sce", "awa2", "SCE", "n3", "sce has no dataset 'awa2'. Use one of cub, nabirds"),
        ("table2", "cub", "SCE", "n3", "table2 of cub has no 'SCE'. Use one of SS, PS"),
        ("table2", "cub", "PS", "n4", "table2 of cub has no 'n4'"),
    ],
)
def test_what_is_not_there_is_refused(
    name: str, dataset: str, split: str, method: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(N3Error, match=message):
        run_table(name, dataset, tmp_path, "none.yaml", splits=[split], methods=[method])


# The results of the book


@pytest.mark.parametrize("name", ["resnet18", "lite0"])
def test_the_tables_results_are_their_own(
    name: str, moved: list[str], refuse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("n3lib.experiments.benchmark.Benchmark", refuse)
    there: dict[tuple[str, str, int], list[str]] = {}
    for path in (RESULTS / "benchmark" / name).rglob("*.json"):
        result = read_json(path)
        table = shlex.split(result["command"])[2]
        there.setdefault((table, result["split"], result["seed"]), []).append(result["method"])
    assert there
    folder = RESULTS / "benchmark" / name
    path = ROOT / "configs" / ("benchmark.yaml" if name == "resnet18" else f"benchmark-{name}.yaml")
    for (table, split, seed), methods in there.items():
        settings = moved[:2] if seed else []
        run_table(table, "cub", folder, path, settings, [split], methods, [seed], log=refuse)
    with pytest.raises(N3Error, match=r"exem-seed\d.json.*mirror"):
        run_table("sce", "cub", folder, path, ["--mirror=false"], ["SCE"], ["exem"], log=refuse)
    # A setting of N3's training is none of the other methods'.
    longer = ["--train.steps=201"]
    run_table("sce", "cub", folder, path, longer, ["SCE"], ["exem"], [0], log=refuse)
    with pytest.raises(N3Error, match=r"n3-seed\d.json.*train.steps"):
        run_table("sce", "cub", folder, path, longer, ["SCE"], ["n3"], [0], log=refuse)
