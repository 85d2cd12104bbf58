"""CUB-200-2011: 11,788 photographs of 200 bird species (Wah et al., 2011), in its official layout.

    CUB_200_2011/
        classes.txt             1 001.Black_footed_Albatross
        images.txt              1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
        image_class_labels.txt  1 1
        images/001.Black_footed_Albatross/...

The archive is at https://www.vision.caltech.edu/datasets/cub_200_2011/. Its other files are not read.
"""

from pathlib import Path

import numpy as np

from n3lib.data.base import Split, ZeroShotDataset
from n3lib.data.images import image_array
from n3lib.data.splits import cub_split
from n3lib.data.texts import human_name, read_texts
from n3lib.errors import N3Error
from n3lib.files import sha256, sha256_file

_ARCHIVE = "Unpack CUB_200_2011.tgz again, from https://www.vision.caltech.edu/datasets/cub_200_2011/"


def cub(
    root: Path | str,
    split: str | Split = "PS",
    text: Path | str | None = None,
    size: int = 144,
    cache: Path | str | None = None,
    visual: float = 0.0,
) -> ZeroShotDataset:
    """Load CUB with a written description of every class.

    Args:
        root: the folder `CUB_200_2011` or the one that holds it.
        split: `PS`, `SS`, `SCE` (see `n3lib.data.splits`) or a split of your own.
        text: the JSON file of descriptions (see `n3lib.data.texts`); by default `cub_wikipedia.json` in
            `root`, beside `CUB_200_2011` or in it.
        size: side of the square images in pixels.
        cache: where decoded images are kept, see `n3lib.data.images.cache_dir`.
        visual: keep only sentences marked at least this much as visual, see `n3lib.data.texts.read_texts`.

    Raises:
        N3Error: a file is missing or malformed, an image cannot be read, or a class has no text.
    """
    folder = _find(Path(root))
    parts = cub_split(split) if isinstance(split, str) else split

    names = _numbered(folder / "classes.txt")
    if list(names) != list(range(1, len(names) + 1)):
        raise N3Error(f"{folder / 'classes.txt'}: class ids do not run from 1 to {len(names)}", _ARCHIVE)
    images = _numbered(folder / "images.txt")
    labels = _labels(folder / "image_class_labels.txt", images, len(names))

    # Split and text before images: a mistake in them shows at once, not after a minute of decoding.
    if max(parts.part("trainval") + parts.test) >= len(names):
        raise N3Error(f"split {parts.name} names a class outside the {len(names)} of {folder}", _ARCHIVE)
    description = _find_text(Path(root), folder, text)
    texts = read_texts(description, tuple(names.values()), visual)

    paths = [folder / "images" / name for name in images.values()]
    lengths, times = _stat(paths)
    content = sha256(
        *((folder / name).read_bytes() for name in ("classes.txt", "images.txt", "image_class_labels.txt")),
        lengths.tobytes(),
    )
    # The cache's key has the times too, so that a mended image is decoded again; a run's record has not.
    pixels = image_array(paths, size, sha256(content, times.tobytes()), cache)
    return ZeroShotDataset(
        name="cub",
        classes=tuple(human_name(name) for name in names.values()),
        texts=texts,
        images=pixels,
        labels=labels,
        split=parts,
        hashes={"images": content, "text": sha256_file(description)},
    )


def _find(root: Path) -> Path:
    for folder in (root, root / "CUB_200_2011"):
        if (folder / "images.txt").is_file() or (folder / "classes.txt").is_file():
            return folder
    raise N3Error(f"no CUB_200_2011 in {root}: images.txt is missing", _ARCHIVE)


def _find_text(root: Path, folder: Path, text: Path | str | None) -> Path:
    if text is not None:
        return Path(text)
    for place in (root, folder, folder.resolve().parent):
        if (place / "cub_wikipedia.json").is_file():
            return place / "cub_wikipedia.json"
    raise N3Error(
        f"CUB comes without descriptions, and there is no {root / 'cub_wikipedia.json'}",
        "Collect one text for each class, such as its Wikipedia article, in a JSON file"
        ' {"Blue Jay": ["sentence", ...], ...} and give its path as `text`',
    )


def _numbered(path: Path) -> dict[int, str]:
    """Read lines of `id value` as `{id: value}`, in the order of the file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise N3Error(f"{path} does not exist", _ARCHIVE) from None
    except (OSError, UnicodeDecodeError) as error:
        raise N3Error(f"{path} cannot be read: {error}", _ARCHIVE) from None
    found: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        fields = line.split()
        if len(fields) != 2 or not fields[0].isdecimal():
            raise N3Error(f"{path}, line {number}: {line[:80]!r} is not `id value`", _ARCHIVE)
        if int(fields[0]) in found:
            raise N3Error(f"{path}, line {number}: id {fields[0]} stands there twice", _ARCHIVE)
        found[int(fields[0])] = fields[1]
    if not found:
        raise N3Error(f"{path} is empty", _ARCHIVE)
    return found


def _labels(path: Path, images: dict[int, str], count: int) -> np.ndarray:
    """Class ids `(N,)` of the images, counted from 0."""
    given = _numbered(path)
    if given.keys() != images.keys():
        odd = min(given.keys() ^ images.keys())
        raise N3Error(f"{path} and images.txt do not agree on image {odd}", _ARCHIVE)
    labels = []
    for image in images:
        label = given[image]
        if not label.isdecimal() or not 1 <= int(label) <= count:
            raise N3Error(f"{path}: label {label!r} of image {image} is not in 1 to {count}", _ARCHIVE)
        labels.append(int(label) - 1)
    return np.array(labels, dtype=np.int64)


def _stat(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Lengths in bytes and modification times in nanoseconds of the files, each `(N,)`."""
    try:
        found = [path.stat() for path in paths]
    except OSError as error:
        raise N3Error(f"image {error.filename} is listed in images.txt but missing", _ARCHIVE) from None
    lengths = np.array([one.st_size for one in found], dtype="<i8")
    return lengths, np.array([one.st_mtime_ns for one in found], dtype="<i8")
