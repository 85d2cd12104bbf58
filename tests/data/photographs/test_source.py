import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from n3lib.data.dataset import Split
from n3lib.data.photographs.acquisition import verify
from n3lib.data.photographs.classes import FLOWERS_NAMES, FLOWERS_SPECIES_NAMES
from n3lib.data.photographs.lists import Index
from n3lib.data.photographs.source import load, reduced
from n3lib.io import N3Error

OWN = Split("own", (0,), (1,), (2,))
# Where an image is only known from its folder, nothing tells that one is gone.
LISTED = ["cub", "cub2010", "nabirds", "flowers", "flowers-species"]


def loaded(tree, root=None, **options):
    options = {"split": OWN, "size": 8} | options
    return load(tree.source, root or tree.root, **options)


def test_small_tree(tree):
    data = loaded(tree)
    reds = [40 * int(round(np.asarray(Image.open(path))[0, 0, 0] / 40)) for path in tree.images]
    assert data.images.shape == (len(tree.images), 8, 8, 3) and data.images.dtype == np.uint8
    np.testing.assert_allclose(data.images[:, 4, 4, 0], reds, atol=3)
    assert data.labels.dtype == np.int64 and data.labels.tolist() == tree.labels
    assert data.name == tree.source.name and data.split is OWN and set(data.hashes) == {"images", "text"}
    assert data.texts == tuple((f"The {name}.",) for name in data.classes)
    assert not any(character in name for name in data.classes for character in "_+.0123456789")


def test_root_may_be_the_folder_itself(tree):
    assert loaded(tree, tree.folder).hashes == loaded(tree).hashes


def test_images_are_decoded_once(tree, monkeypatch):
    loaded(tree)
    monkeypatch.setattr("n3lib.data.images.load_image", None)
    assert len(loaded(tree).images) == len(tree.images)


def test_a_changed_image_is_decoded_again(tree):
    before = loaded(tree)
    Image.new("RGB", (200, 200), (250, 0, 0)).save(tree.images[0])
    after = loaded(tree)
    assert after.images[0, 4, 4, 0] > 245 and before.hashes["images"] != after.hashes["images"]


def test_hashes_do_not_depend_on_place_or_time(tree, tmp_path):
    shutil.copytree(tree.root, tmp_path / "copy", copy_function=shutil.copyfile)
    assert loaded(tree).hashes == loaded(tree, tmp_path / "copy").hashes


def test_text_by_path(tree):
    path = tree.root / "mine.json"
    (tree.root / tree.source.text).rename(path)
    assert loaded(tree, text=path).texts[0][0].startswith("The ")
    with pytest.raises(N3Error, match="none.json"):
        loaded(tree, text=tree.root / "none.json")


def test_species_of_flowers_are_found_among_the_descriptions_of_all(make_tree):
    tree = make_tree("flowers-species")
    path = tree.root / tree.source.text
    texts = {name: [f"A {name}.", "It flowers."] for name in FLOWERS_NAMES}
    path.write_text(json.dumps(texts), encoding="utf-8")
    found = loaded(tree)
    assert found.texts == tuple((f"A {name}.", "It flowers.") for name in FLOWERS_SPECIES_NAMES)
    del texts["artichoke"]
    path.write_text(json.dumps(texts | {"dodo": "A bird."}), encoding="utf-8")
    with pytest.raises(N3Error, match="dodo"):
        loaded(tree)
    path.write_text(json.dumps(texts), encoding="utf-8")
    with pytest.raises(N3Error, match="artichoke"):
        loaded(tree)


def test_names_for_text(tree):
    data = loaded(tree, text="names")
    assert data.texts == tuple((name,) for name in data.classes)
    assert data.hashes["text"] != loaded(tree).hashes["text"]


def test_without_text(tree):
    (tree.root / tree.source.text).unlink()
    with pytest.raises(N3Error, match=tree.source.text):
        loaded(tree)


def test_a_class_without_text(tree):
    path = tree.root / tree.source.text
    text = json.loads(path.read_text())
    text.popitem()
    path.write_text(json.dumps(text))
    with pytest.raises(N3Error, match=path.name):
        loaded(tree)


@pytest.mark.parametrize("name", LISTED)
def test_missing_image(name, make_tree):
    tree = make_tree(name)
    tree.images[0].unlink()
    with pytest.raises(N3Error, match=tree.images[0].name):
        loaded(tree)
    assert [line for line in verify(tree.source, tree.root) if "does not exist" in line]


@pytest.mark.parametrize("content", [b"", b"no picture", None], ids=["empty", "text", "cut"])
def test_broken_image(tree, content):
    path = tree.images[-1]
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(N3Error, match=re.escape(path.name)):
        loaded(tree)
    assert [line for line in verify(tree.source, tree.root) if path.name in line]


@pytest.mark.parametrize("mode", ["CMYK", "L", "I;16", "RGBA", "P"])
def test_images_of_other_kinds(tree, mode):
    picture = Image.new("RGB", (20, 20), "white")
    if mode == "I;16":
        picture = Image.fromarray(np.full((20, 20), 65535, dtype=np.uint16))
    else:
        picture = picture.convert(mode)
    picture.save(tree.images[0], "JPEG" if mode == "CMYK" else "PNG")
    assert loaded(tree).images[0].min() >= 253
    assert tree.problems() == []


@pytest.mark.parametrize("name", ["cub", "cub2010", "awa2", "nabirds"])  # flowers always have all theirs
def test_a_named_split_needs_the_official_classes(name, make_tree):
    tree = make_tree(name)
    for name in tree.source.splits:
        with pytest.raises(N3Error, match=f"{name} .* 3 classes"):
            loaded(tree, split=name)


def test_a_named_split_needs_the_official_order(make_tree):
    tree = make_tree("cub")
    source = tree.whole()
    assert load(source, tree.root, "PS").split.name == "own"
    source = dataclasses.replace(source, names=source.names[::-1])
    with pytest.raises(N3Error, match="'001.Blue_Jay'.*'003.Cardinal'"):
        load(source, tree.root, "PS")


def test_a_split_that_depends_on_counts(make_tree):
    tree = make_tree("nabirds")
    source = dataclasses.replace(tree.whole(), splits={"SCE": OWN}, counts=(3, 1, 2))
    assert load(source, tree.root, "SCE").labels.tolist() == tree.labels
    assert verify(source, tree.root) == []
    source = dataclasses.replace(source, counts=(3, 2, 1))
    with pytest.raises(N3Error, match="SCE .*Barn Owl .*1 .*2 "):
        load(source, tree.root, "SCE")
    assert load(source, tree.root, OWN).split is OWN
    assert verify(source, tree.root) == [
        "other numbers of images than published: 2 classes (Barn Owl 1, not 2; Snowy Owl 2, not 1)"
    ]


def test_further_texts_of_every_class(tree, tmp_path):
    plain = loaded(tree)
    texts = {name: f"Another author on {name}." for name in plain.classes}
    (tmp_path / "more.json").write_text(json.dumps(texts))
    both = loaded(tree, also=[str(tmp_path / "more.json"), "names"])
    assert both.texts == plain.texts and both.also[0] == tuple((one,) for one in texts.values())
    assert both.also[1] == tuple((name,) for name in plain.classes)
    assert both.hashes["text"] != plain.hashes["text"] == loaded(tree, also=[]).hashes["text"]
    texts.popitem()
    (tmp_path / "more.json").write_text(json.dumps(texts))
    with pytest.raises(N3Error, match="more.json"):
        loaded(tree, also=[str(tmp_path / "more.json")])


def test_own_split_outside_the_classes(tree):
    with pytest.raises(N3Error, match="far"):
        loaded(tree, split=Split("far", (0,), (), (200,)))


def test_unknown_split(tree):
    with pytest.raises(N3Error, match=f"'XX'.*{next(iter(tree.source.splits))}"):
        loaded(tree, split="XX")


def test_no_such_folder(tree, tmp_path):
    with pytest.raises(N3Error, match="nowhere"):
        load(tree.source, tmp_path / "nowhere", OWN)


def test_official_numbers(tree):
    """Archives and descriptions have names; an archive that has an address is the dataset's own."""
    source = tree.source
    assert source.classes == len(source.names) == len(set(source.names))
    assert source.terms and source.text.endswith("_wikipedia.json")
    for archive in source.archives:
        assert archive.url.endswith(archive.filename) or not archive.url
        assert len(archive.md5) in (0, 32)


# The rule of the splits of appendix B.


def make_index(counts):
    folder = Path("/data/x")
    labels = np.repeat(np.arange(len(counts)), counts)
    paths = [folder / f"images/{i:02}.jpg" for i in range(len(labels))]
    return Index(folder, tuple(f"c{i}" for i in range(len(counts))), paths, labels, "")


def test_a_fifth_of_the_seen_images_is_left_out():
    index = make_index([10, 4, 5, 20])
    kept = reduced(index, Split("160/40", (0,), (1, 2), (3,)))
    assert np.bincount(index.labels[kept]).tolist() == [8, 4, 4, 20]
    assert kept.tolist() == sorted(kept)


def test_which_images_are_left_out_depends_on_their_paths_alone():
    index = make_index([10, 10])
    split = Split("160/40", (0,), (), (1,))
    left = sorted(set(range(10)) - set(reduced(index, split).tolist()))
    assert left == LEFT
    order = np.arange(20)[::-1]
    turned = index._replace(paths=[index.paths[i] for i in order], labels=index.labels[order])
    moved = turned._replace(
        folder=Path("/y"), paths=[Path("/y") / p.relative_to("/data/x") for p in turned.paths]
    )
    kept = reduced(moved, split)
    assert sorted(set(range(20)) - set(order[kept].tolist())) == LEFT


LEFT = [6, 8]  # the two of ten images/NN.jpg whose SHA-256 is smallest


def test_load_with_a_reduced_split(make_tree):
    tree = make_tree("cub")
    for number in range(7, 15):  # class 0 has ten images then
        file = f"001.Blue_Jay/Blue_Jay_{number:04}.jpg"
        shutil.copy(tree.images[0], tree.folder / "images" / file)
        with (tree.folder / "images.txt").open("a") as lines:
            lines.write(f"{number} {file}\n")
        with (tree.folder / "image_class_labels.txt").open("a") as lines:
            lines.write(f"{number} 1\n")
    source = dataclasses.replace(tree.whole(), splits={"PS": OWN, "160/40": OWN})
    data = load(source, tree.root, "160/40", size=8)
    assert np.bincount(data.labels).tolist() == [8, 2, 2] and len(data.images) == 12
    everything = load(source, tree.root, "PS", size=8)
    assert len(everything.images) == 14 and data.hashes["images"] != everything.hashes["images"]
