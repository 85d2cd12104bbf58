"""Pictures from files: decoded once, kept as one memory-mapped array."""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from glob import glob, has_magic
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from n3lib.io import N3Error, expand, writing
from n3lib.io.files import atomic, cache_dir, check_space, sha256

MAX_PIXELS = 80_000_000  # below the size at which Pillow itself starts to warn of decompression bombs
MAX_SIDE = 1024  # of the squares that a network reads
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # for some others Pillow calls programs
THREADS = min(8, os.cpu_count() or 1)


def load_image(path: Path | str, size: int | None = None) -> UInt8[np.ndarray, "H W 3"]:
    """Decode a picture as RGB, upright as its EXIF tag says, transparent parts on white.

    Args:
        path: a file in one of `FORMATS`; of an animation, the first frame.
        size: side in pixels of the square cut from the center after the shorter side was resized to it;
            None keeps the whole picture at its own size.

    Raises:
        N3Error: no such picture, cut short, more than `MAX_PIXELS` pixels, or pixels such as floats.
    """
    path = expand(path)
    if size is not None and size < 1:
        raise N3Error(f"image size {size} is not a number of pixels", "Use 1 or more")
    try:
        _check_file(path)
        # Not by its path: Pillow then maps a gray TIFF that is to be turned upright with its sides swapped.
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            rgb = _upright_rgb(image, path)
            if size is not None:
                # In one step: a long, thin picture is never blown up as a whole.
                rgb = ImageOps.fit(rgb, (size, size), Image.Resampling.BILINEAR)
            return np.array(rgb, dtype=np.uint8)  # (H, W, 3)
    except N3Error:
        raise
    except PermissionError:
        raise N3Error(f"image {path} is locked: you may not read it", "Change its permissions") from None
    except UnidentifiedImageError:
        remedy = "Save it as 8-bit JPEG or PNG; if it is one already, copy or download it again"
        raise N3Error(f"image {path} is none of {', '.join(FORMATS)}", remedy) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        most = f"{MAX_PIXELS // 1_000_000} million pixels"
        raise N3Error(f"image {path} has more than {most}", "Make it smaller first") from None
    except Exception as error:  # Pillow's decoders raise errors of many kinds on broken files
        remedy = "Copy or download it again, or save it as JPEG or PNG"
        if isinstance(error, OSError) and error.errno:  # not from a decoder
            remedy = "Check the path and the disk"
        raise N3Error(f"image {path} cannot be read: {error}", remedy) from None


def find_images(paths: Iterable[str | Path]) -> Iterator[Path]:
    """The files that paths name: a folder's and those below, hidden ones aside; those that a pattern matches.

    What is not there is passed on: reading it says so.
    """
    for path in map(expand, paths):
        found = list[Path]()
        if os.path.isdir(path):  # unlike Path's, it takes whatever is typed
            for folder, below, names in os.walk(path):
                below[:] = sorted(name for name in below if not name.startswith("."))
                found += (Path(folder, name) for name in sorted(names) if not name.startswith("."))
        elif has_magic(str(path)) and not os.path.exists(path):
            found += sorted(map(Path, glob(str(path), recursive=True)))
        yield from found or [path]


def check_pixels(images: Any, kind: type[Any], rank: int = 4, what: str = "images") -> None:
    """Refuse what is not pixels as stored: uint8, 0 to 255, channels last.

    Floats from 0 to 1 would otherwise be scaled twice, and every image be black to the network. `kind` is
    `torch.Tensor` or `np.ndarray`; `rank` 4 is for images `(N, H, W, 3)`, 3 for one image `(H, W, 3)`; errors
    name the array by `what`.

    Raises:
        N3Error: it is another kind of object, or has another dtype or shape.
    """
    library, wanted = kind.__module__, f"({', '.join('NHW'[4 - rank :])}, 3)"
    remedy = f"Give uint8 pixels 0 to 255 of shape {wanted}"
    if not isinstance(images, kind):
        name = f"{library}.{kind.__qualname__}"
        raise N3Error(f"{what}: {type(images).__name__} instead of {name}", f"{remedy} as a {name}")
    dtype, shape = str(images.dtype).removeprefix("torch."), tuple(images.shape)
    if dtype != "uint8":
        convert = "to(torch.uint8)" if library == "torch" else "astype(np.uint8)"
        how = f"values from 0 to 255: x.{convert}"
        if "float" in dtype:
            how = f"values from 0 to 1: (255 * x).round().{convert}"
        raise N3Error(f"{what}: {dtype} instead of uint8", f"{remedy}; to convert {how}")
    if len(shape) != rank or shape[-1] != 3 or 0 in shape[-3:]:
        raise N3Error(f"{what}: shape {shape} instead of {wanted}", f"{remedy}, the channels last")


def image_array(paths: Sequence[Path], size: int, key: str) -> UInt8[np.ndarray, "N size size 3"]:
    """Squares of `size` pixels from these files (see `load_image`), decoded on the first call.

    `key` changes when the pictures do, such as a hash over their sizes and times.

    Raises:
        N3Error: a picture cannot be read (nothing is kept then), or the cache cannot be written.
    """
    name = sha256("images-1", key, str(size), *map(str, paths))
    return cached_images(name, len(paths), size, lambda i: load_image(paths[i], size), "decoding images")


def cached_images(
    name: str, count: int, size: int, make: Callable[[int], np.ndarray], task: str
) -> UInt8[np.ndarray, "N size size 3"]:
    """Images made once and kept in the cache as one `.npy` file, as a read-only memory map.

    `name`, of the file, changes when any image does. What `make` raises leaves nothing kept. The progress bar
    shows the `task`.

    Raises:
        N3Error: the disk is full, or the cache cannot be written.
    """
    shape = (count, size, size, 3)
    kept = cache_dir() / "images" / f"{name}.npy"
    if _open(kept, shape) is None:
        with writing(kept, "Set N3_CACHE to a writable folder"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            # Writing to a memory map on a full disk ends the process without a word, so look first.
            check_space(kept.parent, int(1.02 * math.prod(shape)))
            with atomic(kept) as temporary, ThreadPoolExecutor(THREADS) as pool:
                array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)

                def place(index: int) -> None:
                    array[index] = make(index)

                try:
                    for _ in tqdm(pool.map(place, range(count)), total=count, desc=task, disable=None):
                        pass
                except BaseException:  # Ctrl-C does not wait for what is left
                    pool.shutdown(cancel_futures=True)
                    raise
                array.flush()
    if (found := _open(kept, shape)) is None:
        raise N3Error(f"cached pictures {kept} cannot be read back", "Delete the file and try again")
    return found


def _open(path: Path, shape: tuple[int, ...]) -> np.ndarray | None:
    """The array at `path`; None if it is not there or not what it should be."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _check_file(path: Path) -> None:
    """Refuse what is no file with something in it."""
    try:
        size = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise N3Error(f"image {path} does not exist", "Check the path") from None
    if path.is_dir():
        raise N3Error(f"image {path} is a folder", f"Name the files in it, such as {path / '*.jpg'}")
    if not path.is_file():
        raise N3Error(f"image {path} is a device or a pipe", "Name a file")
    if size == 0:
        raise N3Error(f"image {path} is empty (zero bytes)", "Copy or download it again")


def _upright_rgb(image: Image.Image, path: Path) -> Image.Image:
    tags = getattr(image, "tag_v2", {})  # only TIFF has them
    # Pillow stretches 16-bit gray of PPM, whatever its maximum, to 65535; TIFF's mode I is 32-bit or signed.
    deep = image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM"))
    signed = 2 in tags.get(ExifTags.Base.SampleFormat, ())
    if signed or (image.mode in ("I", "F") and not deep):
        what = f"image {path} holds signed, 32-bit or floating-point numbers (mode {image.mode})"
        raise N3Error(f"{what}, of which none is known to be white", "Save it as 8-bit JPEG or PNG")
    upright = ImageOps.exif_transpose(image)
    if deep:
        # Pillow clips deep gray to 255 instead of scaling it, and forgets which end is white or transparent.
        white = 2 ** tags.get(ExifTags.Base.BitsPerSample, (16,))[0] - 1
        levels = np.array(upright, dtype=np.uint32)  # (H, W)
        if tags.get(ExifTags.Base.PhotometricInterpretation) == 0:
            levels = white - levels
        levels[levels == image.info.get("transparency")] = white
        upright = Image.fromarray((levels * 255 // white).astype(np.uint8))
    if upright.mode == "La":
        upright = upright.convert("LA")  # La is converted to nothing else
    if upright.has_transparency_data:
        colors = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", colors.size, "white"), colors)
    return upright.convert("RGB")
