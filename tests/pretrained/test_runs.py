"""Runs as single files: the same networks, opened by path or by name."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from n3lib.cli.commands import main
from n3lib.config import RunConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.io import N3Error, read_json, sha256_file, write_json
from n3lib.io.tensors import read_tensors, write_tensors
from n3lib.pretrained import runs
from n3lib.run import Run, train
from n3lib.synthesis import synthesize


@pytest.fixture
def packed(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "cache"))
    return tiny_run.pack(tmp_path / "tiny.safetensors")


def test_a_packed_run_writes_the_same_networks_in_half_the_bytes(
    packed: Path, tiny_run: Run, unseen: dict
) -> None:
    run = Run.load(packed)
    assert packed.stat().st_size < 0.6 * sum((tiny_run.folder / name).stat().st_size for name in runs.TENSORS)
    assert run.seen == tiny_run.seen and run.temperature == tiny_run.temperature
    first, second = (synthesize(one, unseen) for one in (tiny_run, run))
    images = torch.randint(0, 256, (8, 32, 32, 3), generator=torch.Generator().manual_seed(0)).byte()
    assert all(value.dtype == torch.float32 for value in second.state_dict().values())
    # Half precision has eleven binary digits.
    torch.testing.assert_close(second.probabilities(images), first.probabilities(images), atol=0.02, rtol=0)
    assert Run.load(packed).folder == run.folder  # unpacked once


def test_a_packed_run_names_no_local_path(packed: Path, tiny_run: Run, tmp_path: Path) -> None:
    config = read_json(Run.load(packed).folder / "config.json")
    assert config["data"]["root"] == config["backbone"]["weights"] == ""
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    config["data"] |= {"text": "/home/me/birds.json", "also": ["/home/me/more.json"]}
    write_json(tmp_path / "run" / "config.json", config)
    again = Run.load(Run.load(tmp_path / "run").pack(tmp_path / "again.safetensors")).config.data
    assert (again.text, again.also) == ("birds.json", ["more.json"])


def test_what_is_no_packed_run_is_refused(packed: Path, tiny_run: Run, tmp_path: Path) -> None:
    raw = bytearray(packed.read_bytes())
    raw[-100] ^= 1
    damaged, other, text = (
        tmp_path / "damaged.safetensors",
        tmp_path / "other.safetensors",
        tmp_path / "a.txt",
    )
    damaged.write_bytes(raw)
    write_tensors(other, {"a": torch.zeros(2)})
    text.write_text("no run")
    for path in (damaged, other, text, tmp_path / "absent.safetensors", tmp_path):
        with pytest.raises(N3Error):
            Run.load(path)
    assert not list((tmp_path / "cache").rglob("run.json"))
    with pytest.raises(N3Error):
        tiny_run.pack(tmp_path / "a.bin")
    assert main(["pack", str(tmp_path), "-o", str(packed)]) == 2


def without_rows(value: torch.Tensor) -> torch.Tensor:
    return value[:3]


@pytest.mark.parametrize("change", [torch.Tensor.mean, torch.Tensor.flatten, without_rows, torch.zeros_like])
@pytest.mark.parametrize("name", ["seen_labels", "transform"])
def test_a_packed_run_of_other_numbers_is_refused(
    name: str, change: Callable[[torch.Tensor], torch.Tensor], packed: Path, tiny_run: Run, tmp_path: Path
) -> None:
    tensors, metadata = read_tensors(packed)
    key = f"model.safetensors/{name}"
    whole = {key: read_tensors(tiny_run.folder / "model.safetensors")[0][name]}
    kept = {k: t for k, t in tensors.items() if not k.startswith(key)}
    write_tensors(tmp_path / "odd.safetensors", kept | {key: change(whole[key])}, metadata)
    if (name, change) == ("seen_labels", torch.zeros_like):
        Run.load(tmp_path / "odd.safetensors")  # these may be any
        return
    with pytest.raises(N3Error):
        run = dataclasses.replace(Run.load(tmp_path / "odd.safetensors"), familiar=0.0)
        synthesize(run, dict.fromkeys(run.seen[:2]))


def test_numbers_beyond_half_precision_stay_as_they_are(
    tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "cache"))
    shutil.copytree(tiny_run.folder, tmp_path / "run")
    tensors, _ = read_tensors(tmp_path / "run" / "model.safetensors")
    write_tensors(tmp_path / "run" / "model.safetensors", tensors | {"center": tensors["center"] + 1e6})
    packed = Run.load(Run.load(tmp_path / "run").pack(tmp_path / "run.safetensors"))
    torch.testing.assert_close(packed.model.center, tensors["center"] + 1e6)


def with_many_zeros(run: Run, folder: Path) -> torch.Tensor:
    """A copy of the run, of whose exemplars only every seventh number is not zero."""
    shutil.copytree(run.folder, folder)
    tensors, _ = read_tensors(folder / "model.safetensors")
    few = torch.where(
        torch.arange(tensors["transform"].numel()).view_as(tensors["transform"]) % 7 == 0, 0.5, 0
    )
    write_tensors(folder / "model.safetensors", tensors | {"transform": few})
    return few


@pytest.mark.parametrize("adapt", ["all", "constant", "finetune"])
def test_what_all_tasks_share_becomes_part_of_the_network(
    adapt: str, small_config: RunConfig, small_world: ZeroShotDataset, tmp_path: Path
) -> None:
    model = dataclasses.replace(small_config.model, adapt=adapt, shared_mu=1.0, gamma=0.9)
    trained = train(dataclasses.replace(small_config, model=model), tmp_path / "run", dataset=small_world)
    run = Run.load(trained.pack(tmp_path / "run.safetensors"))
    shared = [p.abs().max().item() for p in trained.model.labels2adaptation.shared]
    assert min(shared) > 0
    assert not any(p.any() for p in run.model.labels2adaptation.shared)
    asked = {name: small_world.texts[i] for i, name in enumerate(small_world.classes[:3])}
    first, second = (synthesize(one, asked) for one in (trained, run))
    images = torch.from_numpy(small_world.images[:8])
    torch.testing.assert_close(second.probabilities(images), first.probabilities(images), atol=0.02, rtol=0)
    other = asked | {small_world.classes[2]: small_world.texts[4]}
    before, after = (
        torch.cat(
            [(synthesize(one, other).state_dict()[name] - value).flatten() for name, value in net.items()]
        )
        for one, net in (
            (trained, first.features.state_dict(prefix="features.")),
            (run, second.features.state_dict(prefix="features.")),
        )
    )
    assert before.any() == (adapt == "all")
    assert (after - before).norm() <= 0.01 * before.norm()


def test_zeros_take_no_room(tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "cache"))
    few = with_many_zeros(tiny_run, tmp_path / "run")
    path = Run.load(tmp_path / "run").pack(tmp_path / "run.safetensors")
    parts = {name: t for name, t in read_tensors(path)[0].items() if "transform" in name}
    assert sum(t.nbytes for t in parts.values()) == len(few) ** 2 / 8 + 2 * int((few != 0).sum()) + 2 * 8
    torch.testing.assert_close(Run.load(path).model.transform, few)


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("bits", lambda bits: bits[:-1]),
        ("bits", lambda bits: bits | 1),
        ("bits", lambda bits: bits & 1),
        ("bits", lambda bits: bits.float()),
        ("values", lambda values: values[:-1]),
        ("shape", lambda shape: shape * 10**6),
        ("shape", lambda shape: -shape),
        ("shape", lambda shape: shape.float()),
        ("shape", None),
        ("values", None),
    ],
)
def test_sparse_numbers_that_do_not_fit_are_refused(
    part: str, change: Callable | None, tiny_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "cache"))
    with_many_zeros(tiny_run, tmp_path / "run")
    tensors, metadata = read_tensors(Run.load(tmp_path / "run").pack(tmp_path / "run.safetensors"))
    key = f"model.safetensors/transform@{part}"
    other = {key: change(tensors[key])} if change else {}
    write_tensors(
        tmp_path / "odd.safetensors", {k: t for k, t in tensors.items() if k != key} | other, metadata
    )
    with pytest.raises(N3Error):
        Run.load(tmp_path / "odd.safetensors")


def test_a_name_is_found_beside_an_empty_folder_that_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "birds").mkdir()
    assert len(Run.load("birds").seen) == 200
    with pytest.raises(N3Error):
        Run.load("b" * 300)  # longer than the name of a file may be


def test_a_run_of_which_the_cache_has_lost_a_part_is_unpacked_again(packed: Path) -> None:
    folder = Run.load(packed).folder
    (folder / "run.json").unlink()
    assert (Run.load(packed).folder / "run.json").is_file()


@pytest.mark.parametrize("record", ["{", "{}", "[]", '{"seen": 8}'])
def test_what_says_too_little_of_itself_is_no_run(record: str, packed: Path, tmp_path: Path) -> None:
    tensors, metadata = read_tensors(packed)
    for name in ("run.json", "config.json"):
        write_tensors(tmp_path / "odd.safetensors", tensors, metadata | {name: record})
        with pytest.raises(N3Error):
            Run.load(tmp_path / "odd.safetensors")
        with pytest.raises(N3Error):
            runs.about(tmp_path / "odd.safetensors")


def test_strange_numbers_are_refused(packed: Path, tmp_path: Path) -> None:
    tensors, metadata = read_tensors(packed)
    reader = metadata["reader.json"].replace('"rare": ', '"rare": 1' + "0" * 400 + ' , "rarer": ')
    bits = {"x@bits": torch.zeros(2**23).byte(), "x@values": torch.zeros(0), "x@shape": torch.tensor([2**26])}
    for name, more in (("reader.json", {}), ("none", bits)):
        write_tensors(tmp_path / "odd.safetensors", tensors | more, metadata | {name: reader})
        with pytest.raises(N3Error):
            Run.load(tmp_path / "odd.safetensors")
    eighth = {key: t.to(torch.float8_e4m3fn) if "center" in key else t for key, t in tensors.items()}
    save_file(eighth, tmp_path / "eighth.safetensors", metadata)
    with pytest.raises(N3Error):
        Run.load(tmp_path / "eighth.safetensors")


def test_a_run_is_fetched_by_address_and_hash_and_opened_by_name(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    calls = list[str]()

    def fetch(url: str, target: Path) -> None:
        calls.append(url)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(packed, target)

    monkeypatch.setattr("n3lib.data.fetch.download.download_file", fetch)
    url, right = "https://example.org/runs/moths.safetensors", sha256_file(packed)
    assert main(["runs"]) == 0
    for wrong in (["--sha256", "0" * 64], ["--sha256", "abc"], [], ["--sha256", right, "--name", "../moths"]):
        assert main(["runs", "--add", url, *wrong]) == 2
    with pytest.raises(N3Error):
        Run.load("moths")
    assert main(["runs", "--add", url, "--sha256", right.upper()]) == 0
    assert main(["runs", "--add", url, "--sha256", right]) == 0  # it is there
    assert main(["runs", "--add", url, "--sha256", "1" * 64]) == 2
    assert len(calls) == 2
    capsys.readouterr()
    assert main(["runs"]) == 0
    assert "moths" in capsys.readouterr().out
    assert main(["runs", "moths"]) == 0
    assert capsys.readouterr().out.splitlines() == list(Run.load("moths").seen)
    first, second = Run.load("moths").seen[:2]
    net = tmp_path / "net"
    assert main(["synthesize", "moths", "--classes", first, second.lower(), "-o", str(net)]) == 0
    assert read_json(net / "card.json")["classes"] == [first, second.lower()]


def test_what_is_fetched_and_is_no_run_does_not_stay(
    packed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tensors(tmp_path / "other.safetensors", {"a": torch.zeros(2)})

    def copied(_: str, target: Path) -> None:
        shutil.copy(tmp_path / "other.safetensors", target)

    (tmp_path / "cache" / "runs").mkdir(parents=True)
    monkeypatch.setattr("n3lib.data.fetch.download.download_file", copied)
    with pytest.raises(N3Error):
        runs.add_run("https://example.org/b.safetensors", sha256_file(tmp_path / "other.safetensors"))
    assert [path.stem for path in runs.known_runs()] == ["birds"]
