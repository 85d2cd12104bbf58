import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from n3lib.data.dataset import Split
from n3lib.data.photographs import source
from n3lib.data.photographs.source import Index, fetch, load, reduced, verify
from n3lib.io.errors import N3Error

OWN = Split("own", (0,), (1,), (2,))
# Where an image is only known from its folder, nothing tells that one is gone.
LISTED = ["cub", "cub2010", "nabirds", "flowers", "flowers-species"]


def loaded(tree, root=None, **options):
    options = {"split": OWN, "size": 8, "cache": tree.root.parent / "cache"} | options
    return load(tree.source, root or tree.root, **options)


def whole(tree):
    """The source, as if the small tree were all there is of it."""
    index = tree.source.index(tree.root)
    return dataclasses.replace(tree.source, names=index.classes, images=len(index.paths), counts=())


def sound(problems):
    """Nothing is wrong, but that the flowers have 102 or 55 classes and few images."""
    return not problems or (len(problems) == 1 and problems[0].startswith("without any image: "))


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
    with pytest.raises(N3Error, match="none.json does not exist"):
        loaded(tree, text=tree.root / "none.json")


def test_names_for_text(tree):
    data = loaded(tree, text="names")
    assert data.texts == tuple((name,) for name in data.classes)
    assert data.hashes["text"] != loaded(tree).hashes["text"]


def test_without_text(tree):
    (tree.root / tree.source.text).unlink()
    with pytest.raises(N3Error, match=f"no .*{tree.source.text}.*JSON file"):
        loaded(tree)


def test_a_class_without_text(tree):
    path = tree.root / tree.source.text
    text = json.loads(path.read_text())
    text.popitem()
    path.write_text(json.dumps(text))
    with pytest.raises(N3Error, match="no text for 1 class"):
        loaded(tree)


def test_missing_and_empty_lists(tree):
    for path in tree.lists:
        content = path.read_bytes()
        for broken in (None, b"", b"\xff\xfe\x00"):
            path.unlink() if broken is None else path.write_bytes(broken)
            with pytest.raises(N3Error) as error:
                loaded(tree)
            assert path.name in str(error.value) and "\n" not in str(error.value)
            assert verify(tree.source, tree.root) == [str(error.value)]
        path.write_bytes(content)


@pytest.mark.parametrize("name", LISTED)
def test_missing_image(name, make_tree):
    tree = make_tree(name)
    tree.images[0].unlink()
    with pytest.raises(N3Error, match=f"{tree.images[0].name} is listed but missing"):
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
    assert sound(verify(whole(tree), tree.root))


@pytest.mark.parametrize("name", ["cub", "cub2010", "awa2", "nabirds"])  # flowers always have all theirs
def test_a_named_split_needs_the_official_classes(name, make_tree):
    tree = make_tree(name)
    for name in tree.source.splits:
        with pytest.raises(N3Error, match=f"split {name} is not for these classes: .* has 3 classes"):
            loaded(tree, split=name)


def test_a_named_split_needs_the_official_order(make_tree):
    tree = make_tree("cub")
    source = dataclasses.replace(whole(tree), split=lambda name: dataclasses.replace(OWN, name=name))
    assert load(source, tree.root, "PS", cache=tree.root).split.name == "PS"
    source = dataclasses.replace(source, names=source.names[::-1])
    with pytest.raises(N3Error, match="class 1 of .* is '001.Blue_Jay', not '003.Cardinal'"):
        load(source, tree.root, "PS")


def test_a_split_that_depends_on_counts(make_tree):
    tree = make_tree("nabirds")
    source = dataclasses.replace(whole(tree), split=lambda name: OWN, counts=(3, 1, 2))
    assert load(source, tree.root, "SCE", cache=tree.root).labels.tolist() == tree.labels
    assert verify(source, tree.root) == []
    source = dataclasses.replace(source, counts=(3, 2, 1))
    with pytest.raises(
        N3Error, match="SCE is not for these classes: Barn Owl has 1 images in .* and 2 where"
    ):
        load(source, tree.root, "SCE")
    assert load(source, tree.root, OWN, cache=tree.root).split is OWN
    assert verify(source, tree.root) == [
        "other numbers of images than published: 2 classes (Barn Owl 1, not 2; Snowy Owl 2, not 1)"
    ]


def test_own_split_outside_the_classes(tree):
    with pytest.raises(N3Error, match="split far names a class outside the .* of"):
        loaded(tree, split=Split("far", (0,), (), (200,)))


def test_unknown_split(tree):
    with pytest.raises(N3Error, match=f"has no split 'XX'.*{tree.source.splits[0]}"):
        loaded(tree, split="XX")


def test_no_such_folder(tree, tmp_path):
    with pytest.raises(N3Error, match="in .*nowhere: .* is missing"):
        load(tree.source, tmp_path / "nowhere", OWN)


def test_verify_a_sound_dataset(tree):
    assert sound(verify(whole(tree), tree.root))


def test_verify_against_the_official_numbers(tree):
    problems = verify(tree.source, tree.root)
    assert f"{tree.folder} has {len(tree.images)} images listed, not {tree.source.images:,}" in problems


def test_verify_finds_every_fault(make_tree):
    tree = make_tree("cub")
    tree.images[0].unlink()
    tree.images[2].write_bytes(b"")
    tree.images[5].write_bytes(tree.images[5].read_bytes()[:-200])
    problems = verify(tree.source, tree.root)
    assert len(problems) == 5
    for problem, part in zip(
        problems, ("3 classes", "6 images", "0001.jpg", "zero", "0006.jpg"), strict=True
    ):
        assert part in problem


def test_verify_does_not_go_on_for_ever(tree, monkeypatch):
    monkeypatch.setattr(photos, "MAX_PROBLEMS", 3)
    for path in tree.images:
        path.write_bytes(b"")
    problems = verify(whole(tree), tree.root)
    wrong = len(tree.images) + tree.source.name.startswith("flowers")
    assert len(problems) == 4 and problems[-1] == f"... and {wrong - 3} more"


def test_official_numbers(tree):
    """Archives and descriptions have names; an archive that has an address is the dataset's own."""
    source = tree.source
    assert source.classes == len(source.names) == len(set(source.names))
    assert source.terms and source.text.endswith("_wikipedia.json")
    for archive in source.archives:
        assert archive.url.endswith(archive.filename) or not archive.url
        assert len(archive.md5) in (0, 32)


# Archives.


def packed(tree, kind):
    """The small dataset packed anew."""
    return Path(shutil.make_archive(str(tree.root.parent / "mine"), kind, tree.root, tree.folder.name))


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
def test_a_dataset_that_was_packed_anew(make_tree, tmp_path, kind):
    tree = make_tree("cub")
    (odd,) = fetch(whole(tree), tmp_path / "new", packed(tree, kind))
    assert "mine" in odd and tree.source.archives[0].md5 in odd
    assert verify(whole(tree), tmp_path / "new") == []


def test_a_dataset_that_was_packed_anew_and_is_not_whole(make_tree, tmp_path):
    tree = make_tree("cub")
    with pytest.raises(N3Error, match="mine.zip.* 3 classes, not 200"):
        fetch(tree.source, tmp_path / "new", packed(tree, "zip"))
    source = whole(tree)
    tree.images[3].write_bytes(b"")
    with pytest.raises(N3Error, match=f"mine.zip.*{tree.images[3].name}"):
        fetch(source, tmp_path / "other", packed(tree, "zip"))


def test_an_unpacked_dataset_needs_no_fetching(tree, tmp_path):
    for folder in (tree.root, tree.folder):
        with pytest.raises(N3Error, match=f"--root {folder}\\."):
            fetch(tree.source, tmp_path / "new", folder)
    shutil.rmtree(tree.folder)
    with pytest.raises(N3Error, match=tree.source.archives[0].filename) as error:
        fetch(tree.source, tmp_path / "new", tree.root)
    assert str(tree.root) in error.value.problem
    assert not (tmp_path / "new").exists()


# The rule of the splits of appendix B.


def make_index(counts):
    folder = source.Path("/data/x")
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
        folder=source.Path("/y"), paths=[source.Path("/y") / p.relative_to("/data/x") for p in turned.paths]
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
    source = dataclasses.replace(whole(tree), split=lambda name: dataclasses.replace(OWN, name=name))
    data = load(source, tree.root, "160/40", cache=tree.root, size=8)
    assert np.bincount(data.labels).tolist() == [8, 2, 2] and len(data.images) == 12
    everything = load(source, tree.root, "PS", cache=tree.root, size=8)
    assert len(everything.images) == 14 and data.hashes["images"] != everything.hashes["images"]
