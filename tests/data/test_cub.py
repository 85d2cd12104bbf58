import json
import shutil

import numpy as np
import pytest
from PIL import Image

from n3lib.data import cub as module
from n3lib.data.base import Split
from n3lib.data.cub import cub
from n3lib.errors import N3Error

NAMES = ["001.Blue_Jay", "002.Black_footed_Albatross", "003.Cardinal"]
SPLIT = Split("own", (0,), (1,), (2,))


@pytest.fixture
def root(tmp_path):
    """Three classes of two images each, in the official layout, with descriptions beside it."""
    folder = tmp_path / "CUB_200_2011"
    lines: dict[str, list[str]] = {"images": [], "image_class_labels": [], "classes": []}
    for label, name in enumerate(NAMES, 1):
        lines["classes"].append(f"{label} {name}")
        (folder / "images" / name).mkdir(parents=True)
        for _ in range(2):
            number = len(lines["images"]) + 1
            file = f"{name}/{name[4:]}_{number:04}.jpg"
            Image.new("RGB", (30, 20), (40 * number, 0, 0)).save(folder / "images" / file)
            lines["images"].append(f"{number} {file}")
            lines["image_class_labels"].append(f"{number} {label}")
    for stem, content in lines.items():
        (folder / f"{stem}.txt").write_text("\n".join(content) + "\n")
    (tmp_path / "cub_wikipedia.json").write_text(json.dumps({name: [f"{name}."] for name in NAMES}))
    return tmp_path


def load(root, **options):
    return cub(root, **{"split": SPLIT, "size": 8, "cache": root.parent / "cache"} | options)


def edit(root, name, old, new):
    path = root / "CUB_200_2011" / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_small_tree(root):
    data = load(root)
    assert data.classes == ("Blue Jay", "Black footed Albatross", "Cardinal")
    assert data.texts[1] == ("002.Black_footed_Albatross.",)
    assert data.images.shape == (6, 8, 8, 3) and data.images.dtype == np.uint8
    np.testing.assert_allclose(data.images[:, 4, 4, 0], [40, 80, 120, 160, 200, 240], atol=3)
    assert data.labels.dtype == np.int64 and data.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert data.split is SPLIT and set(data.hashes) == {"images", "text"}


def test_root_may_be_the_folder_itself(root):
    assert load(root / "CUB_200_2011").hashes == load(root).hashes


def test_labels_follow_the_image_ids_not_the_lines(root):
    path = root / "CUB_200_2011" / "image_class_labels.txt"
    path.write_text("\n".join(reversed(path.read_text().split("\n"))))
    assert load(root).labels.tolist() == [0, 0, 1, 1, 2, 2]


def test_images_are_decoded_once(root, monkeypatch):
    load(root)
    monkeypatch.setattr("n3lib.data.images.load_image", None)
    assert load(root).images.shape == (6, 8, 8, 3)


def test_a_changed_image_is_decoded_again(root):
    before = load(root)
    path = root / "CUB_200_2011" / "images" / NAMES[0] / "Blue_Jay_0001.jpg"
    Image.new("RGB", (200, 200), (250, 0, 0)).save(path)
    after = load(root)
    assert after.images[0, 4, 4, 0] > 245 and before.hashes["images"] != after.hashes["images"]


def test_hashes_do_not_depend_on_place_or_time(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "copy"
    shutil.copytree(root, other, copy_function=shutil.copyfile)
    assert load(root).hashes == load(other).hashes


def test_text_by_path(root):
    path = root / "mine.json"
    path.write_text(
        json.dumps({"Blue Jay": "Blue. Loud.", "Black footed Albatross": "Dark.", "Cardinal": "Red."})
    )
    assert load(root, text=path).texts == (("Blue.", "Loud."), ("Dark.",), ("Red.",))


def test_without_text(root):
    (root / "cub_wikipedia.json").unlink()
    with pytest.raises(N3Error, match='no .*cub_wikipedia.json.*JSON file.*"Blue Jay"'):
        load(root)
    with pytest.raises(N3Error, match="none.json does not exist"):
        load(root, text=root / "none.json")


@pytest.mark.parametrize("name", ["images.txt", "image_class_labels.txt", "classes.txt"])
@pytest.mark.parametrize(
    "content, problem", [(None, "does not exist"), ("", "is empty"), ("\xff\xfe", "line 1")]
)
def test_metadata(root, name, content, problem):
    path = root / "CUB_200_2011" / name
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(N3Error, match=f"{name}.*{problem}"):
        load(root)


@pytest.mark.parametrize(
    "name, old, new, problem",
    [
        ("images.txt", "3 002", "3 x 002", "images.txt, line 3: .* is not `id value`"),
        ("images.txt", "3 002", "three 002", "images.txt, line 3: .* is not `id value`"),
        ("images.txt", "3 002", "2 002", "images.txt, line 3: id 2 stands there twice"),
        ("images.txt", "3 002", "9 002", "image_class_labels.txt and images.txt do not agree on image 3"),
        ("image_class_labels.txt", "6 3\n", "", "do not agree on image 6"),
        (
            "image_class_labels.txt",
            "6 3",
            "6 4",
            "image_class_labels.txt: label '4' of image 6 is not in 1 to 3",
        ),
        ("image_class_labels.txt", "6 3", "6 0", "label '0' of image 6"),
        ("image_class_labels.txt", "6 3", "6 -1", "label '-1' of image 6"),
        ("image_class_labels.txt", "6 3", "6", "image_class_labels.txt, line 6"),
        ("classes.txt", "3 003", "4 003", "classes.txt: class ids do not run from 1 to 3"),
        (
            "images.txt",
            "Blue_Jay_0001",
            "Green_Jay_0001",
            "Green_Jay_0001.jpg is listed in images.txt but missing",
        ),
    ],
)
def test_faults(root, name, old, new, problem):
    edit(root, name, old, new)
    with pytest.raises(N3Error, match=problem) as error:
        load(root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, problem", [(b"", "is empty"), (b"no picture", "cannot be read"), (None, "cannot be read")]
)
def test_bad_image(root, content, problem):
    path = root / "CUB_200_2011" / "images" / NAMES[2] / "Cardinal_0006.jpg"
    path.write_bytes(path.read_bytes()[:-200] if content is None else content)
    with pytest.raises(N3Error, match=f"Cardinal_0006.jpg {problem}"):
        load(root)


def test_split_needs_its_classes(root):
    with pytest.raises(N3Error, match="split PS names a class outside"):
        load(root, split="PS")


def test_no_such_folder(tmp_path):
    with pytest.raises(N3Error, match="no CUB_200_2011 in .*nowhere"):
        cub(tmp_path / "nowhere")


def test_all_of_cub(pack, monkeypatch):
    def listed(paths, size, key, cache):
        assert all(path.suffix == ".jpg" for path in paths)
        return np.empty((len(paths), 1, 1, 3), np.uint8)

    monkeypatch.setattr(module, "image_array", listed)  # decoding them all takes a minute
    data = cub(pack / "data", "PS")
    assert len(data.images) == 11_788 and len(data.classes) == 200
    assert data.classes[0] == "Black footed Albatross"
    counts = np.bincount(data.labels)
    assert counts.min() == 41 and counts.max() == 60
    assert sum(len(text) for text in data.texts) > 8000
    assert sum(len(text) for text in cub(pack / "data", "SS", visual=0.5).texts) < 4000
    assert [len(data.indices(data.split.part(part))) for part in ("train", "val", "test")] == [
        5875,
        2946,
        2967,
    ]
