"""Lists of classes, images and labels as people have them on their disks."""

import re

import pytest

from n3lib.io import N3Error

TEXTS = ["cub", "cub2010", "awa2", "nabirds"]  # flowers have no lists as text

SAVED = {
    "Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "spaces at the ends and blank lines": lambda text: text.replace("\n", "  \t\n\n").encode(),
}

# Dataset, list, what is replaced and by what, and what the error names beside the list.
# fmt: off
FAULTS = [
    ("cub", "images.txt", "3 002", "3 x 002", "line 3"),
    ("cub", "images.txt", "3 002", "three 002", "line 3"),
    ("cub", "images.txt", "3 002", "2 002", "line 3"),
    ("cub", "images.txt", "3 002", "9 002", "image 3"),
    ("cub", "image_class_labels.txt", "6 3\n", "", "image 6"),
    ("cub", "image_class_labels.txt", "6 3", "6 4", "'4' of image 6"),
    ("cub", "image_class_labels.txt", "6 3", "6 0", "'0' of image 6"),
    ("cub", "image_class_labels.txt", "6 3", "6 -1", "'-1' of image 6"),
    ("cub", "image_class_labels.txt", "6 3", "6", "line 6"),
    ("cub", "classes.txt", "3 003", "4 003", "1 to 3"),
    ("cub2010", "classes.txt", "003.Cardinal", "004.Cardinal", "line 3: '004.Cardinal'"),
    ("cub2010", "classes.txt", "003.Cardinal", "002.Cardinal", "class 3"),
    ("cub2010", "files.txt", "003.Cardinal/", "004.Dodo/", "line 5"),
    ("cub2010", "files.txt", "Cardinal_0002", "Cardinal_0001", "line 6"),
    ("awa2", "classes.txt", "2\tgrizzly+bear", "5\tgrizzly+bear", "1 to 3"),
    ("awa2", "classes.txt", "2\tgrizzly+bear", "1\tgrizzly+bear", "line 2"),
    ("awa2", "classes.txt", "2\tgrizzly+bear", "2\tgrizzly bear", "line 2"),
    ("awa2", "classes.txt", "2\tgrizzly+bear", "2\tantelope", "twice"),
    ("awa2", "classes.txt", "2\tgrizzly+bear", "2\tpolar+bear", "JPEGImages/grizzly.bear"),
    ("awa2", "classes.txt", "     3\tkiller+whale\n", "", "JPEGImages/killer.whale"),
    ("awa2", "", "3\tkiller+whale", "3\tkiller+whale\n4\tdodo", "JPEGImages/dodo"),
    ("nabirds", "classes.txt", "6 Barn", "x Barn", "line 7"),
    ("nabirds", "classes.txt", "6 Barn", "5 Barn", "line 7"),
    ("nabirds", "classes.txt", "6 Barn Owl\n", "", "hierarchy.txt: category 6"),
    ("nabirds", "hierarchy.txt", "6 4", "6 44", "category 44"),
    ("nabirds", "hierarchy.txt", "6 4", "6", "line 6"),
    ("nabirds", "images.txt", "c821", "c820", "line 2"),
    ("nabirds", "images.txt", "c821", "c829", "image_class_labels.txt.* image 0000139e"),
    ("nabirds", "image_class_labels.txt", "c823 6", "c823 4", "'4' of image .*c823"),
    ("nabirds", "image_class_labels.txt", "c823 6", "c823 77", "'77' of image .*c823"),
    ("flowers", "imagelabels.mat", "labels", [[1, 103]], "103 of image 2"),
    ("flowers", "imagelabels.mat", "labels", [[0, 1]], "0 of image 1"),
    ("flowers", "imagelabels.mat", "labels", [[1.5, 1]], "1.5 of image 1"),
    ("flowers", "imagelabels.mat", "labels", [[]], "empty"),
    ("flowers-species", "imagelabels.mat", "other", [[1]], "labels"),
]
# fmt: on


@pytest.mark.parametrize(("name", "file", "old", "new", "word"), FAULTS)
def test_a_fault_in_a_list_is_named(make_tree, name, file, old, new, word):
    tree = make_tree(name)
    tree.edit(file or "classes.txt", old, new)
    with pytest.raises(N3Error, match=word) as error:
        tree.source.index(tree.root)
    # Two lists that disagree are both named; of two categories, the one that points nowhere.
    assert file in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("change", SAVED.values(), ids=SAVED)
@pytest.mark.parametrize("name", TEXTS)
def test_lists_as_editors_save_them(make_tree, name, change):
    tree = make_tree(name)
    before = tree.source.index(tree.root)
    for path in tree.lists:
        path.write_bytes(change(path.read_bytes().decode()))
    after = tree.source.index(tree.root)
    assert (after.classes, after.paths) == (before.classes, before.paths)
    assert after.labels.tolist() == before.labels.tolist()


@pytest.mark.parametrize("name", TEXTS)
def test_another_encoding_is_refused_with_its_line(make_tree, name):
    tree = make_tree(name)
    path = tree.lists[0]
    path.write_bytes(path.read_bytes().rstrip() + b" caf\xe9\n")
    with pytest.raises(N3Error, match=rf"{path.name}, line \d+: byte 0xE9"):
        tree.source.index(tree.root)


@pytest.mark.parametrize("there", ["/etc/passwd", "../../x.jpg", "C:/x.jpg", "..\\..\\x.jpg", "a\\x.jpg"])
@pytest.mark.parametrize(
    ("name", "file", "old", "new"),
    [
        ("cub", "images.txt", "001.Blue_Jay/Blue_Jay_0001.jpg", "{}"),
        ("cub2010", "files.txt", "Blue_Jay_0001_29501631.jpg", "../../{}"),  # after the folder of the class
        ("nabirds", "images.txt", "0008/0000139e21dc4d0cbfe14cae3c85c820.jpg", "{}"),
        ("awa2", "classes.txt", "killer+whale", "killer+whale\n4\t{}"),
    ],
)
def test_no_name_leads_out_of_the_folder(make_tree, name, file, old, new, there):
    tree = make_tree(name)
    tree.edit(file, old, new.format(there))
    with pytest.raises(N3Error, match=f"{file}.*{re.escape(repr(there)[1:-1])}"):
        tree.source.index(tree.root)


def test_missing_and_empty_lists(tree):
    for path in tree.lists:
        content = path.read_bytes()
        for broken in (None, b"", b"\xff\xfe\x00"):
            path.unlink() if broken is None else path.write_bytes(broken)
            with pytest.raises(N3Error, match=path.name) as error:
                tree.source.index(tree.root)
            assert "\n" not in str(error.value)
        path.write_bytes(content)
