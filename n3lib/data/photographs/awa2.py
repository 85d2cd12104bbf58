"""Animals with Attributes 2: 37,322 photographs of 50 kinds of animals (Xian et al., 2018), in its layout.

    Animals_with_Attributes2/
        classes.txt             1	antelope
        JPEGImages/antelope/antelope_10001.jpg

Its other files, attributes and licenses, are not read. Nothing lists the images: what lies in the folder of a
class is taken, in the order of the names.
"""

from pathlib import Path

import numpy as np

from n3lib.data.fetch.archives import Archive
from n3lib.data.photographs.classes import AWA2_NAMES
from n3lib.data.photographs.lists import find_folder, paths_in, read_pairs
from n3lib.data.photographs.source import Index, Source
from n3lib.data.photographs.splits import AWA2_SPLITS, awa2_split
from n3lib.io.errors import N3Error
from n3lib.io.files import sha256

_URL = "https://cvml.ista.ac.at/AwA2/AwA2-data.zip"
_REMEDY = f"Unpack AwA2-data.zip again, from {_URL}"


def _index(root: Path) -> Index:
    folder = find_folder(
        "Animals_with_Attributes2", root, ("Animals_with_Attributes2",), ("classes.txt",), _REMEDY
    )
    names = read_pairs(folder / "classes.txt", _REMEDY)
    if list(names) != [str(number) for number in range(1, len(names) + 1)]:
        raise N3Error(f"{folder / 'classes.txt'}: class ids do not run from 1 to {len(names)}", _REMEDY)
    if len(set(names.values())) != len(names):
        raise N3Error(f"{folder / 'classes.txt'} names a class twice", _REMEDY)
    images = folder / "JPEGImages"
    try:
        # A name that starts with a dot is a leftover of another system, of a folder as of a file.
        folders = {path.name for path in images.iterdir() if path.is_dir() and path.name[0] != "."}
    except OSError as error:
        raise N3Error(f"{images} cannot be read: {error.strerror}", _REMEDY) from None
    if folders - set(names.values()):
        raise N3Error(f"{images / min(folders - set(names.values()))} is no class in classes.txt", _REMEDY)
    paths: list[Path] = []
    labels: list[int] = []
    for label, place in enumerate(paths_in(images, names.values(), folder / "classes.txt", _REMEDY)):
        found = sorted(p for p in place.glob("[!.]*") if p.suffix.lower() == ".jpg")
        if not found:
            raise N3Error(f"{place} is missing or holds no .jpg", _REMEDY)
        paths += found
        labels += [label] * len(found)
    listed = [path.relative_to(folder).as_posix() for path in paths]
    content = sha256((folder / "classes.txt").read_bytes(), *listed)
    return Index(folder, tuple(names.values()), paths, np.array(labels, dtype=np.int64), content)


AWA2 = Source(
    name="awa2",
    title="AWA2: 37,322 photographs of 50 kinds of animals (Xian et al., 2018)",
    names=AWA2_NAMES,
    images=37_322,
    splits=AWA2_SPLITS,
    index=_index,
    split=awa2_split,
    archives=(Archive("AwA2-data.zip", url=_URL),),
    terms="13 GB. Every photograph has a license that lets it be shared; its folder `licenses` holds them.",
    text="awa2_wikipedia.json",
)
