import io
import os

import numpy as np
import pytest
from PIL import Image, ImageFile

from n3lib.data import images
from n3lib.data.images import cache_dir, image_array, load_image
from n3lib.errors import N3Error


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


def test_16_bit_gray_is_scaled_not_clipped(tmp_path):
    pixels = load_image(save(Image.new("I;16", (4, 4), 32768), tmp_path / "a.png"))
    assert pixels[0, 0].tolist() == [127, 127, 127]


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
    with pytest.raises(N3Error, match=f"cut.{kind} cannot be read"):
        load_image(path)


@pytest.mark.parametrize(
    "content, problem",
    [(b"", "is empty"), (b"GIF89a", "cannot be read"), (b"<html>404</html>", "cannot be read")],
)
def test_not_a_picture(content, problem, tmp_path):
    path = tmp_path / "bad.jpg"
    path.write_bytes(content)
    with pytest.raises(N3Error, match=f"bad.jpg {problem}") as error:
        load_image(path)
    assert "\n" not in str(error.value)


def test_missing(tmp_path):
    with pytest.raises(N3Error, match="none.jpg does not exist"):
        load_image(tmp_path / "none.jpg")


@pytest.mark.parametrize("side", [9000, 10_000, 14_000])
def test_too_large_is_refused_before_decoding(side, tmp_path):
    with pytest.raises(N3Error, match="a.png has more than 80 million pixels"):
        load_image(save(Image.new("1", (side, side)), tmp_path / "a.png"))


def test_size_is_positive(halves, tmp_path):
    with pytest.raises(N3Error, match="size 0"):
        load_image(save(halves, tmp_path / "a.png"), 0)


@pytest.fixture
def three(tmp_path):
    return [save(Image.new("RGB", (12, 10), (i, 0, 0)), tmp_path / f"{i}.png") for i in (10, 20, 30)]


def test_array(three, tmp_path):
    array = image_array(three, 8, "key", tmp_path / "cache")
    assert array.shape == (3, 8, 8, 3) and not array.flags.writeable
    assert array[:, 0, 0, 0].tolist() == [10, 20, 30]
    np.testing.assert_array_equal(array[1], load_image(three[1], 8))


def test_array_is_decoded_once_per_key_size_and_paths(three, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(images, "load_image", lambda path, size: calls.append(path) or load_image(path, size))
    for arguments in [
        (three, 8, "key"),
        (three, 8, "key"),
        (three[:2], 8, "key"),
        (three, 6, "key"),
        (three, 8, "k"),
    ]:
        image_array(*arguments, tmp_path / "cache")
    assert len(calls) == 3 + 0 + 2 + 3 + 3


def test_one_bad_picture_leaves_nothing(three, tmp_path):
    three[1].write_bytes(b"no picture")
    with pytest.raises(N3Error, match="1?20.png|20.png cannot be read"):
        image_array(three, 8, "key", tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_a_damaged_array_is_made_again(three, tmp_path, damage):
    image_array(three, 8, "key", tmp_path / "cache")
    (kept,) = (tmp_path / "cache").rglob("*.npy")
    kept.write_bytes(kept.read_bytes()[:-10] if damage is None else damage)
    assert image_array(three, 8, "key", tmp_path / "cache")[2, 0, 0, 0] == 30


def test_full_disk(three, tmp_path, monkeypatch):
    usage = type("usage", (), {"free": 10})
    monkeypatch.setattr(images.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(N3Error, match="N3_CACHE"):
        image_array(three, 8, "key", tmp_path / "cache")


def test_cache_that_cannot_be_written(three, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(N3Error, match="cannot write.*N3_CACHE"):
        image_array(three, 8, "key", tmp_path / "file")


def test_cache_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("N3_CACHE", str(tmp_path / "from_environment"))
    assert cache_dir() == tmp_path / "from_environment"
    assert cache_dir(tmp_path / "given") == tmp_path / "given"
    monkeypatch.delenv("N3_CACHE")
    assert str(cache_dir()).endswith(os.path.join(".cache", "n3lib"))


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
