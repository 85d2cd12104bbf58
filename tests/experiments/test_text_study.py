"""Readers of text side by side: on a sentence, in closed form, in results."""

import gzip
from pathlib import Path
from typing import Any

import pytest

from n3lib.config import RunConfig
from n3lib.data import load_data
from n3lib.experiments import text_study
from n3lib.io.files import write_json
from n3lib.text.encoders import make_encoder
from n3lib.text.pipeline import TextConfig, TextPipeline


def rows(table: Any) -> dict[str, list[str]]:
    return {row[0]: list(row[1:]) for row in table.rows}


def test_encoders_that_are_not_here_are_not_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    shown = rows(text_study.encoders(["A red cap.", "It sings."], 1))
    assert shown.pop("words:64") == ["64", "it sings", "1.00"]
    assert len(shown) == len(text_study.ENCODERS) - 1
    assert all("not on this machine: `" in row[1] for row in shown.values())
    assert "n3 data embed aviary --encoder bert" in shown["bert"][1]
    assert "make elmo" in shown["elmo"][1]


def test_vectors_in_a_cache_are_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    (tmp_path / "small").mkdir()
    with gzip.open(tmp_path / "small" / "small.gz", "wt") as file:
        file.write("red 1 0 0\ncap 0 1 0\n")
    shown = text_study.encoders(["A red cap.", "It sings."], 0, ["glove:small"]).rows
    assert shown == [["glove:small", "3", "red cap", "1.00"]]


def test_a_changed_word_misses_the_cache() -> None:
    text, other = ["A red cap.", "It sings."], ["A blue cap.", "It sings."]
    assert text_study.cached_files(make_encoder("words"), [text, text, other]) == [1, 1, 2]


def test_rare_words_are_heavy() -> None:
    texts = [["A red bird."], ["A blue bird."], ["A gray bird."]]
    reader = TextPipeline.fit(make_encoder("words"), texts, TextConfig())
    found = text_study.heaviest(reader, texts[0], 2)
    assert list(found) == ["red", "bird"]
    assert sum(weight**2 for weight in found.values()) == pytest.approx(1)


def test_readers_are_compared_without_training(tiny_config: RunConfig) -> None:
    data = load_data(tiny_config.data)
    readers = {
        "sentence": TextConfig("words:32", tfidf=False),
        "paragraph": TextConfig("words:32", context="paragraph", tfidf=False),
        "counted": TextConfig("words:32", tfidf=True),
    }
    table = text_study.closed_form(data, tiny_config, readers)
    shown = rows(table)
    assert shown["sentence"] == shown["paragraph"]  # fixed vectors do not mind
    assert int(shown["counted"][0]) > int(shown["sentence"][0]) == 32
    assert all(0 <= float(row[2]) <= 100 for row in shown.values())
    assert table.head[-1] == "accuracy, 8-way (%)" and "12.5" in table.note


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
        {**result(99.0, 0, 400, encoder=mini), "split": "SS"},
    ]
    for number, one in enumerate(results):
        write_json(tmp_path / f"{number}.json", one)
    assert text_study.text_encoders(tmp_path).rows == [
        ["words counted (TF-IDF)", "30.0", "", "", ""],
        ["MiniLM (BERT architecture)", "20.0", "", "", "17.6 (BERT)"],
        ["GloVe 50d", "10.0", "13.0 ± 1.4", "2", "8.9 (GloVe)"],
        ["class names alone, words counted (TF-IDF)", "15.0", "", "", ""],
    ]


@pytest.mark.parametrize(
    ("text", "label", "nearest"),
    [
        ({"encoder": "bert"}, "BERT", "17.6 (BERT)"),
        ({"encoder": "elmo", "context": "paragraph"}, "ELMo, paragraph", "4.1 (ELMo)"),
        ({"encoder": "elmo:FOLDER"}, "ELMo, sentence", "5.0 (ELMo)"),
        ({"encoder": "glove:glove-wiki-gigaword-300", "tfidf": True}, "GloVe 300d, and words counted",
         "8.9 (GloVe)"),
        ({"encoder": "words:32"}, "random vectors", ""),
        ({"encoder": "some/encoder"}, "some/encoder", ""),
    ],
)  # fmt: skip
def test_readers_have_names(tmp_path: Path, text: dict[str, Any], label: str, nearest: str) -> None:
    write_json(tmp_path / "0.json", result(10.0, 0, 400, **text))
    assert text_study.text_encoders(tmp_path).rows == [[label, "", "10.0", "1", nearest]]


def test_without_results_there_is_a_command(tmp_path: Path) -> None:
    shown = str(text_study.text_encoders(tmp_path / "nothing"))
    assert "n3 train configs/cub-ps.yaml" in shown and "results/text-encoders" in shown
