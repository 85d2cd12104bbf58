import json
import re

import pytest

from n3lib.data.texts import (
    Sentence,
    check_text,
    erase,
    read_classes,
    read_some_texts,
    read_texts,
    sentence_weights,
    sentences,
)
from n3lib.io import N3Error

CLASSES = ("001.Blue_Jay", "002.Black_footed_Albatross")
JAY, ALBATROSS = "Blue Jay", "Black footed Albatross"


@pytest.fixture
def write(tmp_path):
    def write(value):
        path = tmp_path / "texts.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(
    "text, expected",
    [
        ("A blue bird. It sings!", ("A blue bird.", "It sings!")),
        ("a blue bird. it sings", ("a blue bird.", "it sings")),
        ("the jay , c. cristata , is blue . it sings .", ("the jay , c. cristata , is blue .", "it sings .")),
        (
            "It eats seeds, e.g. of oaks. J. Smith saw 3.5 cm. of it.",
            ("It eats seeds, e.g. of oaks.", "J. Smith saw 3.5 cm. of it."),
        ),
        (
            'It says "jay." Then it flies (far.) Then\nit rests',
            ('It says "jay."', "Then it flies (far.)", "Then", "it rests"),
        ),
        ("One\n\nTwo   words\t here", ("One", "Two words here")),
        ("Really?! Yes... no.", ("Really?!", "Yes...", "no.")),
        (' . " ! ', ()),
        ("", ()),
    ],
)
def test_sentences(text, expected):
    assert sentences(text) == expected


def test_no_word_is_lost():
    text = 'Dr. Who vs. the "blue" bird (see fig. 3). Is it 5.5 m. long?\n No! It is U.S. made; e.g. here.'
    assert " ".join(sentences(text)).split() == text.split()


@pytest.mark.parametrize(
    "names", [CLASSES, (JAY, ALBATROSS), (CLASSES[0], ALBATROSS), ("blue-jay", "Black-footed albatross")]
)
def test_three_forms_and_all_kinds_of_name(write, names):
    value = {names[1]: {"sentences": ["Dark.", "Large."], "visual": [1.0, "x"]}, names[0]: "Blue. Loud."}
    assert read_texts(write(value), CLASSES) == (("Blue.", "Loud."), ("Dark.", "Large."))
    assert read_texts(write(value), (JAY, ALBATROSS)) == (("Blue.", "Loud."), ("Dark.", "Large."))
    value[names[0]] = ["Blue.", "  ", "Loud."]
    assert read_texts(write(value), CLASSES)[0] == ("Blue.", "Loud.")


def test_some_classes(write):
    assert read_some_texts(write({"blue-jay": "Blue. Loud."}), CLASSES) == {CLASSES[0]: ("Blue.", "Loud.")}
    assert read_some_texts(write({}), CLASSES) == {}
    for value, problem in (({"Dodo": "a"}, "'Dodo'"), ({JAY: "..."}, "001.Blue_Jay")):
        with pytest.raises(N3Error, match=f"texts.json.*{problem}"):
            read_some_texts(write(value), CLASSES)


def test_every_class_without_text_is_counted(write):
    classes = [f"{i:03}.Bird_{i}" for i in range(1, 10)]
    value = {"Bird 1": "Blue", "Bird 2": "", "Bird 3": [], "Bird 4": [" . "], "Bird 5": {"sentences": []}}
    with pytest.raises(N3Error) as error:
        read_texts(write(value), classes)
    assert f"8 classes ({', '.join(classes[1:])})" in str(error.value)


@pytest.mark.parametrize(
    "value, problem",
    [
        ("{", "JSON"),
        ("[]", "JSON"),
        ('"text"', "JSON"),
        ('{"Blue Jay": "a", "Blue Jay": "b"}', "'Blue Jay' twice"),
        ({JAY: "a", CLASSES[0]: "b"}, "'Blue Jay'.*'001.Blue_Jay'"),
        ({"blue-jay": "a", "Blue Jay": "b"}, "'blue-jay'.*'Blue Jay'"),
        ({JAY: "a", ALBATROSS: "b", "Dodo": "c", "Blue Jays": "d"}, "'Dodo', 'Blue Jays' .like Blue Jay"),
        *(({JAY: value}, "'Blue Jay'") for value in (3, None, ["a", 1], {"text": "a"})),
        *(
            ({JAY: {"sentences": ["a"], "weights": weights}}, "weight")
            for weights in ([1, 1], [True], ["1"], 1)
        ),
        ({JAY: {"sentences": ["a"], "weight": [1]}}, "'weights'"),
        *(
            ({JAY: {"sentences": ["a"], "weights": [one]}}, f"{one:g}".replace("+", "."))
            for one in (-1, 1e300, 1e-300)
        ),
        ({JAY: {"sentences": ["a"], "weights": [0]}, ALBATROSS: "b"}, "001.Blue_Jay"),
    ],
)
def test_faults(write, value, problem):
    with pytest.raises(N3Error, match=problem) as error:
        read_texts(write(value), CLASSES)
    assert "texts.json" in str(error.value) and "\n" not in str(error.value)


def test_weights_stay_with_their_sentences(write):
    described = {
        "sentences": ["Blue.", " Noisy. ", "...", "Common."],
        "weights": [2, 0.5, 3, 0],
    }
    (jay, albatross) = read_texts(write({"Blue Jay": described, ALBATROSS: "Large."}), [JAY, ALBATROSS])
    assert jay == ("Blue.", "Noisy.") and albatross == ("Large.",)
    assert [sentence.weight for sentence in jay] == [2.0, 0.5]


@pytest.mark.parametrize("name", ["none.json", "", "latin.json"])
def test_files_that_cannot_be_read(tmp_path, name):
    (tmp_path / "latin.json").write_bytes('{"a": "é"}'.encode("latin-1"))
    for read in (lambda path: read_texts(path, CLASSES), read_classes):
        with pytest.raises(N3Error, match=f"{tmp_path / name}"):
            read(tmp_path / name)


def test_own_classes(write):
    value = {"zebra": "Striped. Black and white.", "horse ": ["Brown."], "ox": {"sentences": ["Horned."]}}
    classes = read_classes(write(value))
    assert classes == {"zebra": ("Striped.", "Black and white."), "horse": ("Brown.",), "ox": ("Horned.",)}
    assert list(classes) == ["zebra", "horse", "ox"]
    assert list(read_classes(write({"Cafe\u0301": "Brown", "Zebra": "a", "zebra": "b"}))) == [
        "Caf\u00e9", "Zebra", "zebra",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value, problem",
    [
        ({"zebra": "Striped"}, "two classes"),
        ({}, "two classes"),
        ({"zebra": "Striped", "ox": "..."}, "ox"),
        ({"zebra": "Striped", " ": "Horned"}, "name"),
        ({"zebra": "Striped", "zebra ": "Horned"}, "'zebra'"),
        ({"blue jay": "Blue", "blue\u00a0 jay": "Loud"}, "'blue jay'"),
        ({"Caf\u00e9": "Brown", "Cafe\u0301": "White"}, "'Caf\u00e9'"),
        ({"zebra": "Striped", "o\tx": "Horned"}, "control"),
        ('{"ox": "a", "ox": "b"}', "'ox' twice"),
    ],
)
def test_faults_of_own_classes(write, value, problem):
    with pytest.raises(N3Error, match=problem):
        read_classes(write(value))


def test_erased_words_are_gone():
    sentence = Sentence("Red cap, REDDISH tail; red-eyed.", 0.5)
    erased = erase([sentence, "a.b axb"], ["red", "a.b"])
    assert erased == [" cap, REDDISH tail; -eyed.", " axb"]
    assert isinstance(erased[0], Sentence) and erased[0].weight == 0.5
    assert not isinstance(erased[1], Sentence)  # weights are refused where paragraphs are read


def test_a_sentence_has_a_weight():
    assert sentence_weights(["Blue.", Sentence("Loud.", 0.5)]) == [1.0, 0.5]
    for weight in (0.0, -1.0, 1e7, float("nan")):
        with pytest.raises(N3Error, match=re.escape(f"{weight:g}")):
            Sentence("Loud.", weight)


@pytest.mark.parametrize("text", ["Blue.", [], ["...", ""]])
def test_a_class_says_something_in_sentences(text):
    check_text("jay", ["Blue."])
    with pytest.raises(N3Error, match="'jay'"):
        check_text("jay", text)
