"""Text encoders side by side: on a sentence, in closed form, in results."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from n3lib.experiments import text_encoders
from n3lib.io import write_json


def rows(table: Any) -> dict[str, list[str]]:
    return {row[0]: list(row[1:]) for row in table.rows}


def test_encoders_that_are_not_here_are_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    shown = rows(text_encoders.encoders(["A red cap.", "It sings."], 1))
    assert shown.pop("words:64") == ["64", "it sings", "1.00"]
    assert len(shown) == len(text_encoders.ENCODERS) - 1
    assert all("not on this machine: `" in row[1] for row in shown.values())
    assert "n3 data embed aviary --encoder bert" in shown["bert"][1]
    assert "make elmo" in shown["elmo"][1]


def test_vectors_in_a_cache_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    (tmp_path / "small").mkdir()
    with gzip.open(tmp_path / "small" / "small.gz", "wt") as file:
        file.write("red 1 0 0\ncap 0 1 0\n")
    shown = text_encoders.encoders(["A red cap.", "It sings."], 0, ["glove:small"]).rows
    assert shown == [["glove:small", "3", "red cap", "1.00"]]


def result(accuracy: float, seed: int, steps: int, adapt: str = "all", **text: Any) -> dict[str, Any]:
    data = {"text": text.pop("data_text", "")}
    older = "lexical" in text  # as results were written before the setting had its name
    told = {"encoder": "words", "context": "sentence", **({} if older else {"tfidf": False}), **text}
    config = {"data": data, "text": told, "train": {"steps": steps}, "model": {"adapt": adapt}}
    where = {"dataset": "cub", "split": "PS", "part": "test", "text": "own", "seed": seed}
    return {**where, "metrics": {"per_class_accuracy": accuracy}, "config": config}


def test_results_of_text_encoders_side_by_side(tmp_path: Path) -> None:
    glove, mini = "glove:some/glove.6B.50d.pruned.txt.gz", "sentence-transformers/all-MiniLM-L6-v2"
    results = [
        result(10.0, 0, 0, "classifier", encoder=glove),
        result(12.0, 0, 400, encoder=glove),
        result(14.0, 1, 400, encoder=glove),
        result(99.0, 0, 400, "constant", encoder=glove),  # another study
        result(20.0, 0, 0, "classifier", encoder=mini),
        result(30.0, 0, 0, "classifier", tfidf=True),
        result(15.0, 0, 0, "classifier", lexical=True, data_text="names"),
        {**result(98.0, 0, 400, encoder=mini), "split": "SS"},
    ]
    for number, one in enumerate(results):
        write_json(tmp_path / f"{number}.json", one)
    assert text_encoders.table4(tmp_path).rows == [
        ["TF-IDF", "30.0", "", "", "", ""],
        ["MiniLM (BERT architecture)", "20.0", "", "", "98.0", "17.6 (BERT)"],
        ["GloVe 50d", "10.0", "13.0", "", "", "8.9 (GloVe)"],
        ["class names alone, TF-IDF", "15.0", "", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("text", "label", "nearest"),
    [
        ({"encoder": "bert"}, "BERT", "17.6 (BERT)"),
        ({"encoder": "elmo", "context": "paragraph"}, "ELMo, paragraph", "4.1 (ELMo)"),
        ({"encoder": "elmo:FOLDER"}, "ELMo, sentence", "5.0 (ELMo)"),
        ({"encoder": "glove:glove-wiki-gigaword-300", "lexical": True}, "GloVe 300d, and TF-IDF",
         "8.9 (GloVe)"),
        ({"encoder": "words:32"}, "random vectors", ""),
        ({"encoder": "some/encoder"}, "some/encoder", ""),
    ],
)  # fmt: skip
def test_encoders_have_titles(tmp_path: Path, text: dict[str, Any], label: str, nearest: str) -> None:
    write_json(tmp_path / "0.json", result(10.0, 0, 400, **text))
    assert text_encoders.table4(tmp_path).rows == [[label, "", "10.0", "", "", nearest]]


def test_without_results_there_is_a_command(tmp_path: Path) -> None:
    shown = str(text_encoders.table4(tmp_path / "nothing"))
    assert "make results-text" in shown and "results/text_encoders" in shown
