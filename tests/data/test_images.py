import io
import os
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from n3lib.data import images
from n3lib.data.dataset import Split, ZeroShotDataset
from n3lib.data.images import check_pixels, image_array, load_image
from n3lib.io import N3Error
from n3lib.io.files import cache_dir


@pytest.fixture
def halves(tmp_path):
    """A 40 x 20 picture, left half red, right half blue."""
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, :20, 0] = pixels[:, 20:, 2] = 255
    return Image.fromarray(pixels)


def save(image, path, **options):
    image.save(path, **options)
    return path


def test_whole_picture(halves, tmp_path):
    pixels = load_image(save(halves, tmp_path / "a.png"))
    assert pixels.shape == (20, 40, 3) and pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, np.asarray(halves))


def test_square_is_cut_from_the_center(halves, tmp_path):
    pixels = load_image(save(halves, tmp_path / "a.png"), 10)
    assert pixels.shape == (10, 10, 3)
    assert pixels[5, 0].tolist() == [255, 0, 0] and pixels[5, 9].tolist() == [0, 0, 255]
    assert load_image(save(halves.rotate(90, expand=True), tmp_path / "b.png"), 10).shape == (10, 10, 3)


def test_square_equals_resize_then_crop(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (60, 120, 3), dtype=np.uint8))
    expected = np.asarray(noise.resize((60, 30), Image.Resampling.BILINEAR))[:, 15:45]
    np.testing.assert_allclose(load_image(save(noise, tmp_path / "a.png"), 30).astype(int), expected, atol=1)


def test_a_thin_picture_is_not_blown_up(tmp_path):
    assert load_image(save(Image.new("RGB", (100_000, 1)), tmp_path / "a.png"), 144).shape == (144, 144, 3)


@pytest.mark.parametrize(
    "mode, color", [("L", 128), ("1", 1), ("CMYK", (0, 255, 255, 0)), ("P", 3), ("I;16", 65535)]
)
def test_other_modes_become_rgb(mode, color, tmp_path):
    suffix = "tif" if mode == "CMYK" else "png"
    image = Image.new(mode, (8, 6), color)
    expected = {"L": (128,) * 3, "1": (255,) * 3, "CMYK": (255, 0, 0), "I;16": (255,) * 3}.get(mode)
    if mode == "P":
        image.putpalette([0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 20, 30])
        expected = (10, 20, 30)
    pixels = load_image(save(image, tmp_path / f"a.{suffix}"))
    assert pixels.shape == (6, 8, 3) and pixels[2, 2].tolist() == list(expected)


def png(depth, color, row, transparent=b""):
    """A PNG file one pixel high; `color` is the color type, `transparent` its tRNS chunk."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[color]
    header = struct.pack(">IIBBBBB", len(row) * 8 // depth // channels, 1, depth, color, 0, 0, 0)
    chunks = {b"IHDR": header, b"tRNS": transparent, b"IDAT": zlib.compress(b"\0" + row), b"IEND": b""}
    parts = [b"\x89PNG\r\n\x1a\n"]
    for name, content in chunks.items():
        if content or name == b"IEND":
            checksum = struct.pack(">I", zlib.crc32(name + content))
            parts += [struct.pack(">I", len(content)), name, content, checksum]
    return b"".join(parts)


def tiff(color, bits, row, kind=1, extra=None, order="<", width=3):
    """A TIFF file one pixel high; `color` is its PhotometricInterpretation, `kind` its SampleFormat."""
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    tags = ImageFileDirectory_v2(head)
    tags.update({256: width, 257: 1, 258: bits, 259: 1, 262: color, 273: 0, 277: len(bits), 278: 1})
    tags.update({279: len(row), 339: (kind,) * len(bits)} | ({} if extra is None else {338: extra}))
    return head + tags.tobytes(8) + row


def words(*levels, kind="H", order=">"):
    return struct.pack(f"{order}{len(levels)}{kind}", *levels)


# Black, the middle and white of every kind of pixel, with what they are in 8 bits: 32768 of 65535 is 127.5 of
# 255. Of 16-bit color, Pillow keeps the high byte, which is 128.
PIXELS = {
    "PNG 1-bit": (png(1, 0, b"\x0f"), [0] * 4 + [255] * 4),
    "PNG 2-bit": (png(2, 0, b"\x1b"), [0, 85, 170, 255]),
    "PNG 4-bit": (png(4, 0, b"\x08\xff"), [0, 136, 255, 255]),
    "PNG 8-bit": (png(8, 0, b"\0\x80\xff"), [0, 128, 255]),
    "PNG 16-bit": (png(16, 0, words(0, 32768, 65535)), [0, 127, 255]),
    "PNG 16-bit, black transparent": (png(16, 0, words(0, 32768), words(0)), [255, 127]),
    "PNG 16-bit and alpha": (
        png(16, 4, words(0, 65535, 32768, 65535, 65535, 65535, 0, 0)),
        [0, 128, 255, 255],
    ),
    "PNG 16-bit RGB": (png(16, 2, words(0, 32768, 65535)), [(0, 128, 255)]),
    "PNG 16-bit RGB and alpha": (png(16, 6, words(0, 32768, 65535, 65535, 0, 0, 0, 0)), [(0, 128, 255), 255]),
    "PBM": (b"P4 3 1\n\xa0", [0, 255, 0]),
    "PGM plain": (b"P2 3 1 65535\n0 32768 65535\n", [0, 127, 255]),
    "PGM to 100": (b"P5 3 1 100\n\0\x32\x64", [0, 128, 255]),
    "PGM to 255": (b"P5 3 1 255\n\0\x80\xff", [0, 128, 255]),
    "PGM to 1023": (b"P5 3 1 1023\n" + words(0, 512, 1023), [0, 127, 255]),
    "PGM to 65535": (b"P5 3 1 65535\n" + words(0, 32768, 65535), [0, 127, 255]),
    "PPM to 1023": (b"P6 1 1 1023\n" + words(0, 512, 1023), [(0, 128, 255)]),
    "PPM to 65535": (b"P6 1 1 65535\n" + words(0, 32768, 65535), [(0, 128, 255)]),
    "TIFF 8-bit": (tiff(1, (8,), b"\0\x80\xff"), [0, 128, 255]),
    "TIFF 8-bit, white is 0": (tiff(0, (8,), b"\0\x80\xff"), [255, 127, 0]),
    "TIFF 12-bit": (tiff(1, (12,), b"\0\x08\0\xff\xf0"), [0, 127, 255]),
    "TIFF 16-bit": (tiff(1, (16,), words(0, 32768, 65535, order="<")), [0, 127, 255]),
    "TIFF 16-bit, big-endian": (tiff(1, (16,), words(0, 32768, 65535), order=">"), [0, 127, 255]),
    "TIFF 16-bit, white is 0": (tiff(0, (16,), words(0, 32768, 65535, order="<")), [255, 127, 0]),
    "TIFF 16-bit RGB": (tiff(2, (16,) * 3, words(0, 32768, 65535, order="<"), width=1), [(0, 128, 255)]),
    "TIFF 8-bit and unused": (tiff(1, (8, 8), b"\0\0\x80\0\xff\0", extra=0), [0, 128, 255]),
    "TIFF RGB and unused": (tiff(2, (8,) * 4, b"\0\x80\xff\0", extra=0, width=1), [(0, 128, 255)]),
    # Gray 64 with opacity 128, on white: 64 * 128 / 255 + 127 = 159; if 64 is premultiplied, 64 + 127 = 191.
    "TIFF LA": (tiff(1, (8, 8), b"\0\xff\x40\x80\xff\xff", extra=2), [0, 159, 255]),
    "TIFF La": (tiff(1, (8, 8), b"\0\xff\x40\x80\xff\xff", extra=1), [0, 191, 255]),
    "TIFF RGBA": (tiff(2, (8,) * 4, b"\0\x40\xff\x80", extra=2, width=1), [(127, 159, 255)]),
    "TIFF RGBa": (tiff(2, (8,) * 4, b"\0\x40\x80\x80", extra=1, width=1), [(127, 191, 255)]),
    "TIFF CMYK": (tiff(5, (8,) * 4, bytes([0, 0, 0, 255, 0, 0, 0, 127, 0, 0, 0, 0])), [0, 128, 255]),
    "TIFF YCbCr": (tiff(6, (8,) * 3, b"\0\x80\x80\x80\x80\x80\xff\x80\x80"), [0, 128, 255]),
    # L* 50.2 reflects 18.6 % of the light, which is level 119 of sRGB.
    "TIFF LAB": (tiff(8, (8,) * 3, b"\0\0\0\x80\0\0\xff\0\0"), [0, 119, 255]),
}


@pytest.mark.parametrize("kind", PIXELS)
def test_black_is_0_and_white_is_255_in_every_kind_of_pixel(kind, tmp_path):
    content, expected = PIXELS[kind]
    (tmp_path / "a").write_bytes(content)
    colors = [(level,) * 3 if isinstance(level, int) else level for level in expected]
    np.testing.assert_allclose(load_image(tmp_path / "a")[0].astype(int), colors, atol="LAB" in kind)


def test_black_and_white_of_palettes_and_of_inverted_cmyk(tmp_path):
    image = Image.new("P", (3, 1))
    image.putpalette([255, 255, 255, 127, 128, 129, 0, 0, 0])
    image.putdata([2, 1, 0])
    for suffix in ("png", "gif", "bmp", "tif"):
        pixels = load_image(save(image, tmp_path / f"a.{suffix}"))
        assert pixels[0].tolist() == [[0] * 3, [127, 128, 129], [255] * 3]
    opaque = Image.new("PA", (1, 1))
    opaque.putpalette([0, 0, 0, 10, 20, 30])
    opaque.putpixel((0, 0), (1, 255))
    assert load_image(save(opaque, tmp_path / "pa.tif"))[0].tolist() == [[10, 20, 30]]
    # Adobe's programs write the four colors of a JPEG inverted, and so does Pillow.
    for black, level in ((0, 255), (127, 128), (255, 0)):
        path = save(Image.new("CMYK", (8, 8), (0, 0, 0, black)), tmp_path / "a.jpg", quality=100)
        assert b"Adobe" in path.read_bytes()
        np.testing.assert_allclose(load_image(path).astype(int), level, atol=1)


# Nobody can say which of these levels is white.
UNDEFINED = {
    "TIFF 8-bit signed, mode L": tiff(1, (8,), b"\0\x40\x7f", kind=2),
    "TIFF 16-bit signed, mode I": tiff(1, (16,), words(0, 16384, 32767, order="<"), kind=2),
    "TIFF 32-bit, mode I": tiff(1, (32,), words(0, 2**31, 2**32 - 1, kind="I", order="<")),
    "TIFF 32-bit signed, mode I": tiff(1, (32,), words(0, 2**30, 2**31 - 1, kind="i", order="<"), kind=2),
    "TIFF float, mode F": tiff(1, (32,), words(0, 0.5, 1, kind="f", order="<"), kind=3),
    "PFM, mode F": b"Pf\n3 1\n-1.0\n" + words(0, 0.5, 1, kind="f", order="<"),
}


@pytest.mark.parametrize("kind", UNDEFINED)
def test_levels_without_a_range_are_refused_by_name(kind, tmp_path):
    (tmp_path / "a").write_bytes(UNDEFINED[kind])
    with pytest.raises(N3Error, match=kind.split(", ")[1]) as error:
        load_image(tmp_path / "a")
    assert str(tmp_path / "a") in str(error.value) and "PNG" in error.value.remedy


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("dtype, white", [(np.uint8, 255), (np.uint16, 65535)])
def test_gray_is_turned_upright_too(suffix, dtype, white, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    gray = Image.fromarray(np.array([[0, white, 0], [white, white, 0]], dtype))
    pixels = load_image(save(gray, tmp_path / f"a.{suffix}", exif=exif))
    # A quarter clockwise: the left column, read upward, is the upper row.
    assert pixels[..., 0].tolist() == [[255, 0], [255, 255], [0, 0]]


@pytest.mark.parametrize("mode, color", [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))])
def test_transparent_parts_are_white(mode, color, tmp_path):
    assert load_image(save(Image.new(mode, (4, 4), color), tmp_path / "a.png")).min() == 255


def test_transparent_palette(tmp_path):
    image = Image.new("P", (4, 4), 0)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((0, 0), 1)
    pixels = load_image(save(image, tmp_path / "a.png", transparency=0))
    assert pixels[1, 1].tolist() == [255] * 3 and pixels[0, 0].tolist() == [0, 255, 0]


def test_exif_rotation(halves, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn a quarter clockwise to stand upright
    pixels = load_image(save(halves, tmp_path / "a.png", exif=exif))
    assert pixels.shape == (40, 20, 3)
    assert pixels[0, 0].tolist() == [255, 0, 0] and pixels[39, 0].tolist() == [0, 0, 255]


@pytest.mark.parametrize("kind", ["jpeg", "png", "gif"])
def test_cut_short(kind, tmp_path):
    assert not ImageFile.LOAD_TRUNCATED_IMAGES
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, kind)
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(N3Error, match=f"cut.{kind}"):
        load_image(path)


def remedy(path):
    with pytest.raises(N3Error) as error:
        load_image(path)
    assert str(path) in error.value.problem and "\n" not in str(error.value)
    return error.value.remedy


def test_every_kind_of_bad_file_has_a_remedy_of_its_own(tmp_path, monkeypatch):
    cut = png(8, 0, np.random.default_rng(0).bytes(900))[:500]
    contents = {"empty.png": b"", "cut.png": cut, "page.jpg": b"<html>404</html>"}
    contents["phone.heic"] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    told = {name: remedy(tmp_path / name) for name in (*contents, "folder.png", "pipe.png", "none.png")}
    assert str(tmp_path / "folder.png" / "*.jpg") in told["folder.png"]
    assert "PNG" in told["phone.heic"] and told["phone.heic"] == told.pop("page.jpg")
    assert remedy(tmp_path / "empty.png" / "a.png") == told["none.png"]
    told["long"] = remedy(tmp_path / ("a" * 300))

    def locked(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", locked)  # the administrator may read everything
    told["locked"] = remedy(tmp_path / "cut.png")
    assert len(set(told.values())) == len(told) == 8


def test_a_format_that_is_not_read_is_told_which_ones_are(tmp_path):
    (tmp_path / "a.svg").write_text("<svg/>")
    with pytest.raises(N3Error) as error:
        load_image(tmp_path / "a.svg")
    assert all(name in error.value.problem for name in images.FORMATS)


@pytest.mark.parametrize("content", [b"GIF89a", b"\xff\xd8\xff", b"P5 3", b"BM"])
def test_a_beginning_alone_is_no_picture(content, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(content)
    assert remedy(tmp_path / "bad.jpg")


@pytest.mark.parametrize("side", [9000, 10_000, 14_000])
def test_too_large_is_refused_before_decoding(side, tmp_path):
    with pytest.raises(N3Error, match="a.png.*80 million"):
        load_image(save(Image.new("1", (side, side)), tmp_path / "a.png"))


def test_size_is_positive(halves, tmp_path):
    with pytest.raises(N3Error, match="size 0"):
        load_image(save(halves, tmp_path / "a.png"), 0)


@pytest.fixture
def three(tmp_path, monkeypatch):
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "cache"))
    return [save(Image.new("RGB", (12, 10), (i, 0, 0)), tmp_path / f"{i}.png") for i in (10, 20, 30)]


def test_array(three):
    array = image_array(three, 8, "key")
    assert array.shape == (3, 8, 8, 3) and not array.flags.writeable
    assert array[:, 0, 0, 0].tolist() == [10, 20, 30]
    np.testing.assert_array_equal(array[1], load_image(three[1], 8))


def test_array_is_decoded_once_per_key_size_and_paths(three, monkeypatch):
    calls = []
    monkeypatch.setattr(images, "load_image", lambda path, size: calls.append(path) or load_image(path, size))
    for paths, size, key in (
        (three, 8, "key"), (three, 8, "key"), (three[:2], 8, "key"), (three, 6, "key"), (three, 8, "k"),
    ):  # fmt: skip
        image_array(paths, size, key)
    assert len(calls) == 3 + 0 + 2 + 3 + 3


def test_one_bad_picture_leaves_nothing(three, tmp_path):
    three[1].write_bytes(b"no picture")
    with pytest.raises(N3Error, match="20.png"):
        image_array(three, 8, "key")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_a_damaged_array_is_made_again(three, tmp_path, damage):
    image_array(three, 8, "key")
    (kept,) = (tmp_path / "cache").rglob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-10] if damage is None else damage)
    assert image_array(three, 8, "key")[2, 0, 0, 0] == 30


def test_full_disk(three, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("usage", (), {"free": 10}))
    with pytest.raises(N3Error, match="cache.*room"):
        image_array(three, 8, "key")


def test_cache_that_cannot_be_written(three, tmp_path):
    (tmp_path / "cache").write_text("in the way")
    with pytest.raises(N3Error, match="N3_CACHE"):
        image_array(three, 8, "key")


def test_cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "from_environment"))
    assert cache_dir() == tmp_path / "from_environment"
    assert cache_dir(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("N3_CACHE")
    assert str(cache_dir()).endswith(os.path.join(".cache", "n3lib"))


BATCH = np.zeros((2, 4, 5, 3), np.uint8)
# What is wrong, and the word that the message has to hold.
WRONG = {
    "floats": (BATCH.astype(np.float32), "float32"),
    "doubles": (BATCH.astype(np.float64), "float64"),
    "integers": (BATCH.astype(np.int64), "int64"),
    "masks": (BATCH.astype(bool), "bool"),
    "channels first": (BATCH.transpose(0, 3, 1, 2), "(2, 3, 4, 5)"),
    "one image": (BATCH[0], "(4, 5, 3)"),
    "gray": (BATCH[..., 0], "(2, 4, 5)"),
    "transparent": (np.zeros((2, 4, 5, 4), np.uint8), "(2, 4, 5, 4)"),
    "no pixel": (np.zeros((2, 0, 5, 3), np.uint8), "(2, 0, 5, 3)"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("kind", [np.ndarray, torch.Tensor])
def test_arrays_that_are_no_pixels_are_refused(what, kind):
    array, word = WRONG[what]
    with pytest.raises(N3Error) as error:
        check_pixels(array if kind is np.ndarray else torch.from_numpy(array.copy()), kind)
    assert word in error.value.problem and "uint8" in error.value.remedy


def test_arrays_of_another_library_are_refused():
    tensor = torch.from_numpy(BATCH)
    for array, kind, word in ((BATCH, torch.Tensor, "ndarray"), (tensor, np.ndarray, "Tensor")):
        check_pixels(array, type(array))
        check_pixels(array[0], type(array), rank=3)
        with pytest.raises(N3Error, match=word):
            check_pixels(array, kind)


def test_a_dataset_holds_pixels():
    split = Split("all", (0,), (), (1,))
    texts, labels = (("A red bird.",), ("A blue bird.",)), np.array([0, 1])
    ZeroShotDataset("own", ("a", "b"), texts, BATCH, labels, split)
    with pytest.raises(N3Error, match="float32"):
        ZeroShotDataset("own", ("a", "b"), texts, BATCH.astype(np.float32) / 255, labels, split)
    with pytest.raises(N3Error, match="own"):
        ZeroShotDataset("own", ("a", "b"), texts, BATCH[..., :1], labels, split)


def test_cache_dir_without_a_home_folder(tmp_path, monkeypatch):
    def unknown(uid):
        raise KeyError(uid)

    monkeypatch.setattr(pytest.importorskip("pwd"), "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("N3_CACHE", raising=False)
    with pytest.raises(N3Error, match="N3_CACHE"):
        cache_dir()
    monkeypatch.setenv("N3_CACHE", "~/cache")
    with pytest.raises(N3Error, match="~/cache"):
        cache_dir()
    monkeypatch.setenv("N3_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
