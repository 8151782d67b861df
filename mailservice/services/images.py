"""Pictures that people upload: looked at with suspicion, drawn anew in several sizes, kept under names of our own.

What is served is never what was sent: only the colours of the pixels come through.
"""

from __future__ import annotations

import contextlib
import io
import re
import secrets
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from flask_babel import gettext as _
from PIL import Image, ImageCms, ImageOps

from mailservice.errors import Invalid

LARGEST_FILE = 12 * 1024 * 1024  # octets
MOST_PIXELS = 50_000_000
LONGEST_SIDE = 15_000  # pixels
WIDTHS = (480, 960, 1600)
ENDINGS = {"JPEG": ("jpg", "jpeg", "jfif"), "PNG": ("png",), "WEBP": ("webp",)}
KINDS = {"webp": "image/webp", "jpg": "image/jpeg", "png": "image/png"}
NAME = re.compile(r"[0-9a-f]{20}-[0-9]{1,4}\.(webp|jpg|png)")
LETTER_WIDTH = 1200  # pixels: twice what a letter is wide, for fine screens
# What a browser, a web server or a reader of documents would take a picture with this in it for.
FOREIGN = re.compile(rb"<script|<\?php|<!doctype html|<html|<iframe|javascript:|%PDF-", re.IGNORECASE)
BROKEN = (OSError, ValueError, SyntaxError, TypeError, KeyError, IndexError, EOFError, OverflowError)
DECODERS = (*BROKEN, struct.error, zlib.error, MemoryError, Image.DecompressionBombError)


@dataclass(frozen=True)
class Picture:
    """The name that its files share, and the size of the largest of them."""

    name: str
    width: int
    height: int


def widths(width: int) -> list[int]:
    """Of the files of a picture whose largest is so wide."""
    return [*(w for w in WIDTHS if w < width), width]


def file_name(name: str, width: int, ending: str) -> str:
    return f"{name}-{width}.{ending}"


def is_file_name(text: str) -> bool:
    return NAME.fullmatch(text) is not None


def store(data: bytes, *, filename: str, folder: Path) -> Picture:
    """Draws the picture anew into `folder`; Invalid beside “image” when it is not one that we take."""
    with _checked(data, filename) as image:
        drawn = _upright(image)
    largest = min(drawn.width, WIDTHS[-1])
    picture = Picture(secrets.token_hex(10), largest, max(1, round(drawn.height * largest / drawn.width)))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for width in reversed(widths(largest)):
            height = max(1, round(picture.height * width / largest))
            drawn = drawn if width == drawn.width else drawn.resize((width, height), Image.Resampling.LANCZOS)
            drawn.save(folder / file_name(picture.name, width, "webp"), "WEBP", quality=80, method=4)
            _on_white(drawn).save(folder / file_name(picture.name, width, "jpg"), "JPEG", quality=82, progressive=True)
    except BaseException:
        remove(picture.name, folder=folder)
        raise
    return picture


def store_for_letters(data: bytes, *, filename: str, folder: Path) -> tuple[str, Picture]:
    """One file that every mail program shows, and its name: a PNG where something is transparent, else a JPEG."""
    with _checked(data, filename) as image:
        drawn = _upright(image)
    drawn.thumbnail((LETTER_WIDTH, LONGEST_SIDE), Image.Resampling.LANCZOS)
    picture = Picture(secrets.token_hex(10), drawn.width, drawn.height)
    file = file_name(picture.name, drawn.width, "png" if drawn.mode == "RGBA" else "jpg")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if drawn.mode == "RGBA":
            drawn.save(folder / file, "PNG", optimize=True)
        else:
            drawn.save(folder / file, "JPEG", quality=82, progressive=True)
    except BaseException:
        (folder / file).unlink(missing_ok=True)
        raise
    return file, picture


def remove(name: str | None, *, folder: Path) -> None:
    for path in folder.glob(f"{name}-*") if name else ():
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _checked(data: bytes, filename: str) -> Iterator[Image.Image]:
    if len(data) > LARGEST_FILE:
        raise _invalid(_("This file is too big: at most %(size)s MB.", size=LARGEST_FILE // 1024**2))
    if b"<svg" in data[:4096].lower():
        raise _invalid(_("SVG is not possible: such a file may hold scripts. Send a JPEG, PNG or WebP picture."))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is looked at below
            image = Image.open(io.BytesIO(data), formats=tuple(ENDINGS))
    except Image.DecompressionBombError:
        raise _too_large() from None
    except DECODERS:
        raise _invalid(_("This is not a picture that can be read. Send a JPEG, PNG or WebP picture.")) from None
    with image:
        _check_size(image)
        _check_kind(image, filename)
        try:
            # A photograph is decoded at a fraction of its size at once, which saves time and memory.
            image.draft("RGB", (WIDTHS[-1] * 2, WIDTHS[-1] * 2))
            image.load()
        except DECODERS:
            raise _invalid(_("This picture is damaged or cut short.")) from None
        _check_nothing_is_hidden(data, str(image.format))
        yield image


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE:
        raise _too_large()


def _check_kind(image: Image.Image, filename: str) -> None:
    kind = "JPEG" if image.format == "MPO" else str(image.format)  # a phone's JPEG with a second one in it
    ending = PurePath(filename.lower()).suffix.lstrip(".")
    if ending and ending not in ENDINGS[kind]:
        raise _invalid(_("This file is called “.%(ending)s”, but it is a %(kind)s picture.", ending=ending, kind=kind))
    if kind != "JPEG" and getattr(image, "is_animated", False):
        raise _invalid(_("This picture moves. Send one that stands still."))


def _check_nothing_is_hidden(data: bytes, kind: str) -> None:
    """A file that is a picture to one program and an archive or a page to another is nobody's holiday snap."""
    if _ends_elsewhere(data, kind) or FOREIGN.search(data) or zipfile.is_zipfile(io.BytesIO(data)):
        raise _invalid(_("Something else is hidden in this picture. Save it anew in a picture editor and send that."))


def _ends_elsewhere(data: bytes, kind: str) -> bool:
    """Whether something stands behind the picture's end."""
    if kind == "PNG":
        return not data.endswith(b"IEND\xaeB`\x82")
    if kind == "WEBP":
        size = int.from_bytes(data[4:8], "little") + 8
        return len(data) > size + size % 2
    return not data.rstrip(b"\0").endswith(b"\xff\xd9")


def _upright(image: Image.Image) -> Image.Image:
    """Turned as the camera was held, in the colours of the web, without a word of where and by whom it was taken."""
    profile = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    has_alpha = "A" in image.getbands() or "transparency" in image.info
    if profile and image.mode in ("RGB", "L", "CMYK"):
        with contextlib.suppress(ImageCms.PyCMSError, OSError):  # a broken profile: the colours are a little off
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            image = converted or image
    image = image.convert("RGBA" if has_alpha else "RGB")
    clean = Image.new(image.mode, image.size)
    clean.paste(image)
    return clean


def _on_white(image: Image.Image) -> Image.Image:
    """JPEG knows no transparency."""
    if image.mode != "RGBA":
        return image
    paper = Image.new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper


def _too_large() -> Invalid:
    return _invalid(
        _(
            "This picture is too large: at most %(side)s pixels on a side and %(pixels)s million in all.",
            side=LONGEST_SIDE,
            pixels=MOST_PIXELS // 1_000_000,
        )
    )


def _invalid(message: str) -> Invalid:
    return Invalid(message, field="image")
