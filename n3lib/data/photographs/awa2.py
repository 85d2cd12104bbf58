"""Animals with Attributes 2: 37,322 photographs of 50 kinds of animals (Xian et al., 2018), in its layout.

    Animals_with_Attributes2/
        classes.txt             1	antelope
        JPEGImages/antelope/antelope_10001.jpg

Its other files, attributes and licenses, are not read. Nothing lists the images: what lies in the folder of a
class is taken, in the order of the names.
"""

from pathlib import Path

from n3lib.data.photographs.classes import AWA2_NAMES
from n3lib.data.photographs.lists import Index, Lists
from n3lib.data.photographs.source import read_source

_REMEDY = "Unpack AwA2-data.zip again, from https://cvml.ista.ac.at/AwA2/AwA2-data.zip"


def _index(root: Path) -> Index:
    lists = Lists.find(root, _REMEDY, ("classes.txt",), "Animals_with_Attributes2")
    classes = lists.classes("classes.txt")
    if len(set(classes)) != len(classes):
        raise lists.error("classes.txt", " names a class twice")
    try:
        # A name that starts with a dot is a leftover of another system, of a folder as of a file.
        folders = {p.name for p in (lists.folder / "JPEGImages").iterdir() if p.is_dir() and p.name[0] != "."}
    except OSError as error:
        raise lists.error("JPEGImages", f" cannot be read: {error.strerror}") from None
    if odd := folders - set(classes):
        raise lists.error(f"JPEGImages/{min(odd)}", " is no class in classes.txt")
    paths: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(lists.paths("JPEGImages", classes, "classes.txt")):
        images = sorted(p for p in folder.glob("[!.]*") if p.suffix.lower() == ".jpg")
        if not images:
            raise lists.error(f"JPEGImages/{folder.name}", " is missing or holds no .jpg")
        paths += images
        labels += [label] * len(images)
    listed = [path.relative_to(lists.folder).as_posix() for path in paths]
    return lists.index(classes, paths, labels, "classes.txt", more=listed)


AWA2 = read_source("awa2", AWA2_NAMES, _index)
