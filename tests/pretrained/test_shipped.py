"""The run that ships, as a user meets it: by name, offline, small."""

from pathlib import Path

import pytest
import torch

from n3lib.cli.commands import main
from n3lib.experiments.birds import BIRDS, card
from n3lib.io import read_json
from n3lib.pretrained.runs import SHIPPED
from n3lib.run import Run
from n3lib.synthesis import load, synthesize
from n3lib.text.remarks import remarks

RESULTS = Path(__file__).parents[2] / "results"
ROBIN = "A small plump bird with an orange-red breast; the back is olive brown."


@pytest.fixture(scope="module")
def birds() -> Run:
    return Run.load("birds")


def test_birds_is_small_and_knows_200_species(birds: Run) -> None:
    assert (SHIPPED / "birds.safetensors").stat().st_size <= 16e6
    assert len(birds.seen) == 200 and birds.familiar is not None and birds.temperature != 1


def test_known_species_are_asked_for_by_name_and_others_described(
    birds: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes = tmp_path / "classes.json"
    classes.write_text(f'{{"European robin": "{ROBIN}", "blue jay": null}}')
    assert (
        main(["synthesize", "birds", str(classes), "--classes", "CARDINAL", "-o", str(tmp_path / "net")]) == 0
    )
    network = load(tmp_path / "net")
    assert network.labels == ("European robin", "blue jay", "CARDINAL")
    noise = torch.randint(0, 256, (4, birds.image_size, birds.image_size, 3)).byte()
    shares, known = network.judge(noise)
    assert shares.sum(1).tolist() == pytest.approx([1.0] * 4)
    assert known is not None and not known.any()
    capsys.readouterr()
    assert main(["runs"]) == 0
    assert "birds" in capsys.readouterr().out


def test_a_species_answers_to_its_name_as_in_a_larger_network(birds: Run) -> None:
    few, many = (synthesize(birds, dict.fromkeys(birds.seen[:count])) for count in (3, 30))
    pixels = torch.randint(0, 256, (2, birds.image_size, birds.image_size, 3)).byte()
    ready = few.preprocess(pixels)
    torch.testing.assert_close(few(ready), many(ready)[:, :3], rtol=1e-3, atol=1e-3)


def test_strange_words_are_named(birds: Run) -> None:
    lines, strange = remarks(birds.pipeline, {"robin": [ROBIN], "nothing": ["Qwrtz zxcvb."]})
    assert strange == ["nothing"] and len(lines) == 1


def test_the_model_card_says_what_was_measured(birds: Run) -> None:
    assert (SHIPPED / "birds.md").read_text("utf-8") == card(RESULTS)
    unseen = next(one for one in BIRDS.measured(RESULTS) if one["variant"] == "unseen")
    told, config = unseen["config"], read_json(birds.folder / "config.json")
    for part in ("text", "backbone", "model", "episodes", "train"):
        assert {**told[part], "weights": ""} == {**config[part], "weights": ""}
    assert (birds.temperature, birds.familiar) == (unseen["temperature"], unseen["familiar"])
