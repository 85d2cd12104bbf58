"""Lists of classes, images and labels as people have them on their disks."""

import pytest

from n3lib.io.errors import N3Error

TEXTS = ["cub", "cub2010", "awa2", "nabirds"]  # flowers have no lists as text


SAVED = {
    "Windows": lambda text: text.replace("\n", "\r\n").encode(),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.replace("\n", "\r\n").encode("utf-16"),
    "spaces at the ends and blank lines": lambda text: text.replace("\n", "  \t\n\n").encode(),
}


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
    with pytest.raises(N3Error, match=f"{file}.* leads out of"):
        tree.source.index(tree.root)
