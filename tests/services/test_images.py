"""Uploaded pictures: drawn anew in sizes of our own, or refused in words that a person understands."""

import io
import struct
import zipfile
import zlib

import pytest
from flask_babel import force_locale
from PIL import Image, PngImagePlugin

from mailservice.app import create_app
from mailservice.errors import Invalid
from mailservice.services import images


def encoded(kind="JPEG", size=(64, 40), mode="RGB", **options) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, "teal").save(buffer, kind, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """A small PNG that says it has 60,000 × 60,000 pixels."""
    data = bytearray(encoded("PNG"))
    header = b"IHDR" + struct.pack(">II", 60_000, 60_000) + bytes(data[24:29])
    data[12:33] = header + struct.pack(">I", zlib.crc32(header))
    return bytes(data)


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("x.html", "<b>hello</b>")
    return buffer.getvalue()


def moving(kind: str) -> bytes:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "green")]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
COMMENT = b"\xff\xfe\x00\x1b<script>alert(1)</script>"
REFUSED = {
    "an SVG": (SVG, "x.svg", "SVG"),
    "an SVG under another name": (SVG, "x.png", "SVG"),
    "a page": (b"<!doctype html><p>hello", "x.jpg", "not a picture"),
    "nothing": (b"", "x.jpg", "not a picture"),
    "a GIF": (encoded("GIF"), "x.gif", "not a picture"),
    "a TIFF called JPEG": (encoded("TIFF"), "x.jpg", "not a picture"),
    "a PNG called JPEG": (encoded("PNG"), "x.jpg", "called “.jpg”, but it is a PNG"),
    "a JPEG called a page": (encoded(), "x.html", "called “.html”, but it is a JPEG"),
    "a bomb": (bomb(), "x.png", "too large"),
    "a long strip": (encoded("PNG", (15_001, 1)), "x.png", "too large"),
    "too many pixels": (encoded("PNG", (10_000, 5_001), "1"), "x.png", "too large"),
    "a moving PNG": (moving("PNG"), "x.png", "moves"),
    "a moving WebP": (moving("WEBP"), "x.webp", "moves"),
    "a JPEG and an archive": (encoded() + archive(), "x.jpg", "hidden"),
    "a PNG and an archive": (encoded("PNG") + archive(), "x.png", "hidden"),
    "a WebP and a page": (encoded("WEBP") + b"<html>", "x.webp", "hidden"),
    "a script in a comment": (encoded()[:2] + COMMENT + encoded()[2:], "x.jpg", "hidden"),
    "half a JPEG": (encoded(size=(400, 400), quality=95)[:-900], "x.jpg", "damaged"),
    "half a PNG": (encoded("PNG", (400, 400))[:60] + b"\0\0\0\0IEND\xaeB`\x82", "x.png", "damaged"),
    "a heavy file": (b"\xff\xd8" + bytes(images.LARGEST_FILE), "x.jpg", "too big"),
}


@pytest.fixture(scope="module")
def english(make_settings):
    """The words of the refusals need an app, and no database."""
    with create_app(make_settings()).app_context(), force_locale("en"):
        yield


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_a_plain_picture_is_refused_with_the_reason(english, tmp_path, case):
    data, filename, words = REFUSED[case]
    with pytest.raises(Invalid) as refusal:
        images.store(data, filename=filename, folder=tmp_path / "images")
    assert words in refusal.value.message
    assert refusal.value.field == "image"
    assert not list(tmp_path.rglob("*.*"))


def test_a_large_photograph_is_kept_in_every_size_in_webp_and_jpeg(english, tmp_path):
    picture = images.store(encoded(size=(3000, 2000)), filename="Мой снимок.JPG", folder=tmp_path)
    assert (picture.width, picture.height) == (1600, 1067)
    assert images.widths(picture.width) == [480, 960, 1600]
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {f"{picture.name}-{w}.{ending}" for w in (480, 960, 1600) for ending in ("webp", "jpg")}
    assert all(images.is_file_name(name) for name in files)
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            assert image.width == int(path.stem.split("-")[1])
            assert image.format == ("WEBP" if path.suffix == ".webp" else "JPEG")
    images.remove(picture.name, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_small_picture_is_not_blown_up(english, tmp_path):
    picture = images.store(encoded("PNG", (300, 500)), filename="a.png", folder=tmp_path)
    assert (picture.width, picture.height) == (300, 500)
    assert images.widths(300) == [300]


def test_nothing_of_the_file_but_its_pixels_comes_through(english, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: to be turned
    exif[0x010E] = "at home"
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", "at home")
    for data, name in ((encoded(exif=exif), "a.jpg"), (encoded("PNG", pnginfo=notes), "a.png")):
        picture = images.store(data, filename=name, folder=tmp_path)
        assert (picture.width, picture.height) == ((40, 64) if name == "a.jpg" else (64, 40))
    for path in tmp_path.iterdir():
        assert b"at home" not in path.read_bytes()
        with Image.open(path) as image:
            assert not image.getexif()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_pixels_is_taken(english, tmp_path, mode):
    buffer = io.BytesIO()
    Image.new(mode, (50, 30)).save(buffer, "PNG")
    picture = images.store(buffer.getvalue(), filename="a.png", folder=tmp_path)
    assert (picture.width, picture.height) == (50, 30)


def test_transparency_is_kept_in_webp_and_white_in_jpeg(english, tmp_path):
    buffer = io.BytesIO()
    Image.new("RGBA", (50, 30), (255, 0, 0, 0)).save(buffer, "PNG")
    picture = images.store(buffer.getvalue(), filename="a.png", folder=tmp_path)
    with (
        Image.open(tmp_path / f"{picture.name}-50.webp") as webp,
        Image.open(tmp_path / f"{picture.name}-50.jpg") as jpeg,
    ):
        assert webp.convert("RGBA").getpixel((5, 5))[3] == 0
        assert jpeg.getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("name", ["../secret_key", "0" * 20 + "-480.svg", "0" * 20 + "-480.webp.php", "x-480.jpg", ""])
def test_only_names_of_our_own_are_file_names(name):
    assert not images.is_file_name(name)
