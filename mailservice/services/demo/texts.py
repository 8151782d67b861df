"""The texts of the demonstration, from the Markdown files beside this module: the first line is the title."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent


class Text(NamedTuple):
    name: str  # of its file, without the ending
    title: str
    body: str


def messages(owner: str) -> list[Text]:
    return _read(FOLDER / "messages" / owner)


def posts() -> list[Text]:
    return _read(FOLDER / "posts")


def _read(folder: Path) -> list[Text]:
    texts = []
    for path in sorted(folder.glob("*.md")):
        title, _, body = path.read_text(encoding="utf-8").partition("\n")
        texts.append(Text(path.stem, title.strip(), body.strip() + "\n"))
    return texts
