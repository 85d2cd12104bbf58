"""A run is a folder: finished once, refused when it does not fit, and at home wherever it is moved."""

import dataclasses
import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from n3lib.backbone import BackboneConfig
from n3lib.classifiers import unit
from n3lib.config import RunConfig, TextConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.io import N3Error, read_json, sha256_file, write_json
from n3lib.io.checkpoint import trained_state
from n3lib.io.tensors import read_tensors, write_tensors
from n3lib.run import Run, train
from n3lib.synthesis import synthesize
from n3lib.trainer import Progress, read_metrics


def never(progress: Progress) -> None:
    raise AssertionError("a step was made")


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_a_finished_run_is_opened_and_not_trained_again(tiny_run: Run, tiny_config: RunConfig) -> None:
    before = times(tiny_run.folder)
    run = train(tiny_config, str(tiny_run.folder), watch=never)
    assert times(tiny_run.folder) == before
    ours, theirs = trained_state(run.model), trained_state(tiny_run.model)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert run.config == tiny_config
    assert not run.model.training


def test_what_a_run_holds(tiny_run: Run) -> None:
    files = {path.name for path in tiny_run.folder.rglob("*")}
    assert files == {
        "config.json", "environment.json", "reader.json", "run.json", "metrics.jsonl",
        "checkpoint-3.safetensors", "checkpoint-2.safetensors", "best.safetensors", "model.safetensors",
        "backbone.safetensors", ".lock",
    }  # fmt: skip
    for path in tiny_run.folder.iterdir():  # text or safetensors, whose header is JSON; never a pickle
        start = path.read_bytes()[:9]
        assert start[:1] in b"{[" or (path.suffix == ".safetensors" and start[8:] == b"{")
    told = read_json(tiny_run.folder / "run.json")
    assert told["seen"] == len(told["seen_classes"]) == 24 + 8
    assert read_json(tiny_run.folder / "config.json") == dataclasses.asdict(tiny_run.config)


def test_the_best_state_on_the_validation_classes_is_what_is_kept(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second of three is said to be the best. Scored are the 13 images of the 3 validation classes.
    scores = iter([5.0, 9.0, 7.0])

    def score(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
        assert logits.shape == (len(small_world.indices(small_world.split.val)), 3)
        return {"per_class_accuracy": next(scores)}

    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("n3lib.run"), "class_metrics", score)
    with pytest.raises(KeyboardInterrupt):
        train(small_config, tmp_path, stop, small_world)
    states, _ = read_tensors(tmp_path / "checkpoint-2.safetensors")
    run = train(small_config, tmp_path, dataset=small_world)
    lines = read_metrics(tmp_path)
    assert [(x["step"], x["validation"]) for x in lines if "validation" in x] == [(0, 5), (2, 9), (3, 7)]
    assert [line["step"] for line in lines if "loss" in line] == [1, 2, 3]
    assert all(0 <= line["accuracy"] <= 1 for line in lines if "accuracy" in line)
    for name, parameter in run.model.named_parameters():
        if parameter.requires_grad:
            assert torch.equal(parameter, states[f"model.{name}"])


def test_probabilities_are_calibrated_on_validation_classes(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    run = train(small_config, tmp_path / "run", dataset=small_world)
    told = read_json(tmp_path / "run" / "run.json")
    assert run.temperature == told["temperature"] != 1
    assert told["calibration"]["ways"] == 3 and len(told["calibration"]["error"]) == 2
    classes = {small_world.classes[c]: small_world.texts[c] for c in small_world.split.test}
    network = synthesize(run, classes)
    x = network.preprocess(torch.from_numpy(small_world.images[:3]))
    logits = run.model.logits(x, run.model.adapt(run.text(classes)))
    torch.testing.assert_close(network(x) * run.temperature, logits, atol=1e-4, rtol=1e-4)
    assert network.card["temperature"] == run.temperature
    # One in twenty images of the classes is less familiar, as the network itself sees them.
    assert run.familiar == network.familiar == told["familiar"]
    validation, images = small_world.split.val, torch.from_numpy(small_world.images)
    three = synthesize(run, {small_world.classes[c]: small_world.texts[c] for c in validation})
    _, score = three.read(three.preprocess(images[small_world.indices(validation)]))
    assert score.repeat(5).quantile(0.05).item() == pytest.approx(run.familiar, rel=1e-4)  # of five tasks
    everything = train(
        dataclasses.replace(small_config, fit="trainval"), tmp_path / "all", dataset=small_world
    )
    assert everything.temperature == 1 and everything.familiar is None  # no class is left to fit them on


def test_another_configuration_in_the_same_folder_is_refused(tiny_run: Run, tiny_config: RunConfig) -> None:
    other = dataclasses.replace(tiny_config, seed=1)
    before = times(tiny_run.folder)
    with pytest.raises(N3Error, match="seed"):
        train(other, tiny_run.folder)
    assert times(tiny_run.folder) == before


def unspread(config: RunConfig) -> RunConfig:
    """Fails at the examination before the first step: a network of zeros tells no image from another."""
    return dataclasses.replace(config, model=dataclasses.replace(config.model, gamma=1e-30))


def test_a_start_that_failed_leaves_the_folder_free(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    with pytest.raises(N3Error, match="step 0"):
        train(unspread(small_config), tmp_path / "run", dataset=small_world)
    assert not {path.name for path in (tmp_path / "run").iterdir()} - {".lock"}
    run = train(small_config, tmp_path / "run", dataset=small_world)
    whole = train(small_config, tmp_path / "whole", dataset=small_world)
    assert run.config == small_config
    assert sha256_file(run.folder / "model.safetensors") == sha256_file(whole.folder / "model.safetensors")


def test_a_folder_belongs_to_a_run_from_its_first_checkpoint_on(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        raise KeyboardInterrupt

    # Killed between the configuration and the first checkpoint: nothing was trained.
    write_json(tmp_path / "config.json", dataclasses.asdict(small_config))
    other = dataclasses.replace(small_config, seed=3)
    with pytest.raises(KeyboardInterrupt):
        train(other, tmp_path, stop, small_world)
    assert read_json(tmp_path / "config.json") == dataclasses.asdict(other)
    for config in (small_config, unspread(small_config)):
        with pytest.raises(N3Error, match=str(tmp_path)):
            train(config, tmp_path, never, small_world)
    assert train(other, tmp_path, dataset=small_world).config == other
    for path in tmp_path.glob("checkpoint-*"):
        path.unlink()
    assert train(other, tmp_path, never).config == other  # finished all the same
    with pytest.raises(N3Error, match="seed"):
        train(small_config, tmp_path, never, small_world)


@pytest.fixture
def copied(tiny_run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run.folder, tmp_path / "moved" / "run"))


def test_a_moved_run_is_the_same_run(copied: Path, tiny_run: Run, unseen: dict) -> None:
    # Neither the old folder nor the weights that training began with are needed.
    config = read_json(copied / "config.json")
    config["backbone"]["weights"] = "gone.safetensors"
    write_json(copied / "config.json", config)
    run = Run.load(copied)
    with torch.no_grad():
        a, b = (r.model.adapt(r.text(unseen)) for r in (run, tiny_run))
    assert torch.equal(a.weight, b.weight)
    assert all(torch.equal(a.deltas[name], b.deltas[name]) for name in b.deltas)
    assert run.image_size == 32


@pytest.fixture
def read_by_folder(
    small_config: RunConfig,
    small_world: ZeroShotDataset,
    bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """A run whose text encoder lies in `encoders/bert` of the folder `here`."""
    shutil.copytree(bert, tmp_path / "here" / "encoders" / "bert")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = dataclasses.replace(small_config, text=TextConfig("encoders/bert"))
    return train(config, tmp_path / "run", dataset=small_world).folder


def test_an_encoder_folder_is_found_from_another_working_directory(
    read_by_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Run.load(read_by_folder)
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = Run.load(read_by_folder)
    assert run.pipeline.encoder.revision == there.pipeline.encoder.revision
    assert run.config.text.encoder == "encoders/bert"
    assert str(tmp_path) not in json.dumps(read_json(read_by_folder / "config.json")["text"])


def test_an_encoder_folder_that_has_moved_is_named_anew(
    read_by_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").rename(tmp_path / "there")
    Run.load(read_by_folder)  # the working directory has moved along
    monkeypatch.chdir(tmp_path / "elsewhere")
    moved = tmp_path / "there" / "encoders" / "bert"
    for missing in ("", "encoders/bert"):
        with pytest.raises(N3Error, match="--encoder"):
            Run.load(read_by_folder, missing)
    assert Run.load(read_by_folder, moved).pipeline.encoder.name == "bert"
    assert Run.load(read_by_folder, "../there/encoders/bert").pipeline.encoder.name == "bert"
    with (moved / "config.json").open("a") as file:
        file.write("\n")
    with pytest.raises(N3Error, match="--encoder"):
        Run.load(read_by_folder, moved)


def test_a_run_that_has_not_noted_its_encoders_place(
    read_by_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = read_json(read_by_folder / "run.json")
    del told["encoder_place"]
    write_json(read_by_folder / "run.json", told)
    Run.load(read_by_folder)
    monkeypatch.chdir(tmp_path / "elsewhere")
    Run.load(read_by_folder, tmp_path / "here" / "encoders" / "bert")


def test_home_is_understood_wherever_a_run_has_a_path(
    small_config: RunConfig,
    small_world: ZeroShotDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(small_config.backbone.weights, tmp_path / "weights.safetensors")
    config = dataclasses.replace(small_config, backbone=BackboneConfig(weights="~/weights.safetensors"))
    assert train(config, "~/run", dataset=small_world).folder == tmp_path / "run"
    assert Run.load("~/run").config.backbone.weights == "~/weights.safetensors"  # as it was written


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def changed(name: str, **values: object) -> Callable[[Path], None]:
    return lambda folder: write_json(folder / name, {**read_json(folder / name), **values})


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def as_before(folder: Path) -> None:
    path = folder / "model.safetensors"
    write_tensors(path, read_tensors(path)[0] | {"label_mean": torch.zeros(8)})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (as_before, "earlier version"),
        (without("run.json"), "finished"),
        (without("reader.json"), "reader.json"),
        (without("backbone.safetensors"), "backbone.safetensors"),
        (cut, "model.safetensors"),
        (changed("run.json", encoder_revision="of another day"), "encoder"),
        (changed("run.json", encoder_place=3), "run.json.*encoder_place"),
        (changed("run.json", seen=7), "exemplars"),
        (changed("config.json", text={"encoder": "words:8"}), "words:8"),
        (changed("config.json", wings=2), "config.json.*wings"),
    ],
)
def test_damaged_runs_are_refused(damage: Callable[[Path], None], message: str, copied: Path) -> None:
    damage(copied)
    with pytest.raises(N3Error, match=message) as caught:
        Run.load(copied)
    assert "\n" not in str(caught.value)


def test_a_stopped_run_goes_on_to_the_same_end(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 3:
            raise KeyboardInterrupt

    whole = train(small_config, tmp_path / "whole", dataset=small_world)
    with pytest.raises(KeyboardInterrupt):
        train(small_config, tmp_path / "parts", stop, small_world)
    with pytest.raises(N3Error, match="parts"):
        Run.load(tmp_path / "parts")
    resumed = train(small_config, tmp_path / "parts", dataset=small_world)
    ours, theirs = trained_state(resumed.model), trained_state(whole.model)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("classifier", ["exemplar", "equivariant", "positional"])
def test_training_on_train_and_val_keeps_the_last_state(
    classifier: str, small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    model = dataclasses.replace(small_config.model, classifier=classifier)
    episodes = dataclasses.replace(small_config.episodes, kind="paper")
    config = dataclasses.replace(small_config, fit="trainval", episodes=episodes, model=model)
    run = train(config, tmp_path, dataset=small_world)
    assert len(run.model.exemplars) == 11
    assert not any("validation" in line for line in read_metrics(tmp_path))
    told = read_json(tmp_path / "run.json")
    assert not {small_world.classes[c] for c in small_world.split.test} & set(told["seen_classes"])


@pytest.mark.parametrize(
    "name",
    ["config.json", "environment.json", "metrics.jsonl", "best.safetensors", "checkpoint-100.safetensors"]
    + ["backbone.safetensors", "model.safetensors", "reader.json", "run.json"],
)
def test_files_of_the_users_are_never_replaced(
    name: str, small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    (tmp_path / name).write_text('{"hidden_size": 768}')
    with pytest.raises(N3Error, match=str(tmp_path)) as caught:
        train(small_config, tmp_path, dataset=small_world)
    assert caught.value.remedy
    assert (tmp_path / name).read_text() == '{"hidden_size": 768}'
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_files_that_are_no_runs_are_left_alone(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    mine = [".env.template", ".bashrc.20241128", ".vimrc.original", "notes.txt"]
    for name in mine:
        (tmp_path / name).write_text("mine")
    train(small_config, tmp_path, dataset=small_world)
    assert [(tmp_path / name).read_text() for name in mine] == ["mine"] * len(mine)


def test_another_configuration_is_named_by_its_setting(
    tiny_run: Run, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    other = dataclasses.replace(tiny_run.config, exemplar_images=3)
    with pytest.raises(N3Error, match="exemplar_images"):
        train(other, tiny_run.folder)


def test_a_run_that_reads_words_takes_no_encoder(tiny_run: Run, tmp_path: Path) -> None:
    for given in ("foo", tmp_path):
        with pytest.raises(N3Error, match="--encoder"):
            Run.load(tiny_run.folder, given)


def test_a_positional_run_reads_no_more_classes_than_its_tasks_had(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    model = dataclasses.replace(small_config.model, classifier="positional")
    episodes = dataclasses.replace(small_config.episodes, kind="paper", ways=3)
    config = dataclasses.replace(small_config, episodes=episodes, model=model)
    run = train(config, tmp_path, dataset=small_world)
    texts = {name: [f"A {name} bird."] for name in ("red", "blue", "green", "dull")}
    assert len(run.adapt(dict(list(texts.items())[:3])).bias) == 3
    with pytest.raises(N3Error, match="4"):
        run.adapt(texts)
    # Earlier versions kept slots that they did not train.
    path = tmp_path / "model.safetensors"
    tensors, _ = read_tensors(path)
    for name in ("generator.places", "generator.queries"):
        tensors[name] = torch.cat([tensors[name], torch.randn(61, tensors[name].shape[1])])
    write_tensors(path, tensors)
    three = dict(list(texts.items())[:3])
    assert torch.equal(Run.load(tmp_path).adapt(three).weight, run.adapt(three).weight)
    with pytest.raises(N3Error, match="4"):
        Run.load(tmp_path).adapt(texts)


def test_an_edited_description_is_the_only_one_that_is_read_again(
    tiny_run: Run, unseen: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, read = dataclasses.replace(tiny_run), []
    labels = run.model.labels
    monkeypatch.setattr(run.model, "labels", lambda text: read.append(len(text)) or labels(text))
    edited = {**unseen, next(iter(unseen)): ("A bird with a blue crown.",)}
    run.adapt(unseen)
    got = run.adapt(edited)
    run.adapt(dict(reversed(edited.items())))
    run.adapt(unseen)  # what is no longer there is forgotten
    assert read == [5, 1, 1]
    expected = run.model.adapt(run.text(edited))
    for layer, delta in expected.deltas.items():
        torch.testing.assert_close(got.deltas[layer], delta, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(got.weight, expected.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone": BackboneConfig(weights="gone.safetensors")}, "gone.safetensors"),
        ({"text": TextConfig(encoder="words:none")}, "words:none"),
    ],
)
def test_bad_input_leaves_no_run_behind(
    change: dict, message: str, tiny_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    with pytest.raises(N3Error, match=message):
        train(dataclasses.replace(tiny_config, **change), tmp_path / "run", dataset=small_world)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_class_may_have_several_texts_in_training(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    other = tuple(
        (f"Quite {' '.join(text[0].split()[1:-1])}.", "Seen at dusk.") for text in small_world.texts
    )
    world = dataclasses.replace(small_world, also=(other,))
    run = train(dataclasses.replace(small_config, fit="trainval"), tmp_path, dataset=world)
    seen = world.split.part("trainval")
    assert run.seen == tuple(world.classes[c] for c in seen)
    assert {"quite", "dusk"} <= set(run.pipeline.tfidf.vocabulary)
    rows = run.pipeline.bank([texts[c] for texts in (world.texts, other) for c in seen])
    torch.testing.assert_close(run.model.seen_lexical, rows.tfidf)
    # The classifier is the ridge over all texts, two of which have the exemplar of one class.
    classes = {world.classes[c]: world.texts[c] for c in world.split.test}
    text, model = run.text(classes), run.model
    shares = model.generator.mix.softmax(0)
    parts = [
        (text.pooled, rows.pooled, shares[0]),
        (model.weigh(text.tfidf), model.weigh(rows.tfidf), shares[1]),
    ]
    with torch.no_grad():
        query, support = (
            torch.cat([share.sqrt() * unit(one[side] - one[1].mean(0)) for *one, share in parts], 1)
            for side in (0, 1)
        )
        targets = model.exemplars.repeat(2, 1)
        solved = KernelRidge(alpha=model.config.ridge).fit(support, targets - targets.mean(0))
        weights = unit(torch.from_numpy(solved.predict(query)).float())
        weights = model.log_scale.exp() * weights @ model.transform
    torch.testing.assert_close(run.adapt(classes).weight, weights, atol=1e-3, rtol=1e-3)
    # By its name alone, a class is its first text.
    first, second = run.seen[:2]
    alone = run.adapt({first: (), second: ()}).weight
    told = run.adapt({first: world.texts[seen[0]], second: world.texts[seen[1]]}).weight
    torch.testing.assert_close(alone, told, atol=1e-4, rtol=1e-4)


def test_names_are_read_where_the_run_says_so(
    small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    text = dataclasses.replace(small_config.text, names=True)
    config = dataclasses.replace(small_config, text=text)
    classes = tuple(f"{name.split()[1]}-beak red" for name in small_world.classes)
    run = train(config, tmp_path, dataset=dataclasses.replace(small_world, classes=classes))
    one, other = (run.adapt({"red": [text], "blue": [text]}).weight for text in ("A bird.", "A dull bird."))
    assert not torch.equal(one[0], one[1])  # only the names tell them apart
    assert not torch.equal(one, other)
    spelled = Run.load(tmp_path).text({"red": ["A bird."], "blue": ["A bird."]}).tfidf
    assert torch.equal(spelled, run.pipeline.bank([["A bird.", "red"], ["A bird.", "blue"]]).tfidf)
