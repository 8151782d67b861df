"""A finished page read as a person does without pictures and colours: its words in lines, its links, its pictures."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import NamedTuple

from mailservice.sending.composing.allowed import VOID, words

SPACES = re.compile(r"[ \t\r\n\f]+")
PARAGRAPHS = words("p h1 h2 h3 h4 h5 h6 blockquote pre table dl figure")
BLOCKS = PARAGRAPHS | words(
    "div ul ol li tr address article section header footer main center caption dt dd figcaption td th"
)
RULE = "-" * 40


class Link(NamedTuple):
    label: str
    url: str


class Picture(NamedTuple):
    url: str
    alt: str | None  # None: it has no alt at all; empty: it says that there is nothing to tell


class Attribute(NamedTuple):
    name: str
    value: str


class Reading(HTMLParser):
    """Of sanitised HTML, which is well formed. Afterwards: `text`, `links`, `pictures`, `attributes`."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[Link] = []
        self.pictures: list[Picture] = []
        self.attributes: list[Attribute] = []
        self._lines: list[str] = []
        self._line: list[str] = []
        self._blank: int | None = None  # a blank line goes before the next one, within so many of the prefixes
        self._prefixes: list[str] = []
        self._bullet = ""
        self._counters: list[int | None] = []
        self._labels: list[tuple[str, list[str]]] = []
        self._tables: list[bool] = []  # of each table around: whether it is one of data
        self._hidden = self._pre = 0
        self._open: list[tuple[str, bool]] = []  # of each element around: whether it is hidden
        self.feed(page)
        self.close()
        self._break()
        self.text = "\n".join(self._lines)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.attributes += [Attribute(name, value) for name, value in values.items()]
        if tag == "img":
            self._picture(values)
        if tag in VOID:
            return self._void(tag)
        hidden = "display:none" in values.get("style", "").replace(" ", "")
        self._open.append((tag, hidden))
        self._hidden += hidden
        if tag == "a" and "href" in values:
            self._labels.append((values["href"], []))
        elif tag == "a":
            self._labels.append(("", []))
        elif tag in BLOCKS:
            self._begin(tag, values)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or tag in VOID:
            return
        if tag == "a" and self._labels:
            self._end_link()
        elif tag in BLOCKS:
            self._end(tag)
        self._hidden -= self._open.pop()[1]

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._pre:
            first, *others = data.replace("\r", "").split("\n")
            self._add(first)
            for line in others:
                self._break(keep=True)
                self._add(line)
            return
        text = SPACES.sub(" ", data)
        if not self._line or self._line[-1].endswith(" "):
            text = text.removeprefix(" ")
        self._add(text)

    def _add(self, text: str) -> None:
        if text:
            self._line.append(text)
            for _, label in self._labels:
                label.append(text)

    def _picture(self, values: dict[str, str]) -> None:
        self.pictures.append(Picture(values.get("src", ""), values.get("alt")))
        if not self._hidden:
            self._add(SPACES.sub(" ", values.get("alt", "")))

    def _void(self, tag: str) -> None:
        if tag == "hr":
            self._break(blank=True)
            self._line.append(RULE)
            self._break(blank=True)
        elif tag == "br" and not self._in_data:
            self._break(blank=not self._line)

    @property
    def _in_data(self) -> bool:
        return bool(self._tables) and self._tables[-1] and any(tag in ("td", "th") for tag, _ in self._open)

    def _begin(self, tag: str, values: dict[str, str]) -> None:
        if tag in ("td", "th"):
            return self._begin_cell(tag)
        if self._in_data:
            return self._add(" ")
        self._break(blank=tag in PARAGRAPHS or (tag in ("ul", "ol") and not self._counters))
        match tag:
            case "ul":
                self._counters.append(None)
            case "ol":
                start = values.get("start", "1")
                self._counters.append(int(start) if re.fullmatch("[0-9]{1,6}", start) else 1)
            case "li":
                self._begin_item()
            case "blockquote":
                self._prefixes.append("> ")
            case "table":
                self._tables.append(False)
            case "pre":
                self._pre += 1

    def _begin_item(self) -> None:
        number = self._counters[-1] if self._counters else None
        bullet = "- " if number is None else f"{number}. "
        if number is not None:
            self._counters[-1] = number + 1
        self._prefixes.append(" " * len(bullet))
        self._bullet = bullet

    def _begin_cell(self, tag: str) -> None:
        if not self._tables:
            return
        if tag == "th":
            self._tables[-1] = True
        if not self._tables[-1]:
            self._break()
        elif before := "".join(self._line).rstrip():
            self._line = [before, " | "]

    def _end(self, tag: str) -> None:
        if tag in ("td", "th"):
            if not self._in_data:
                self._break()
            return
        if self._in_data and tag != "table":
            return self._add(" ")
        self._break(blank=tag in PARAGRAPHS or (tag in ("ul", "ol") and len(self._counters) == 1))
        if tag in ("ul", "ol") and self._counters:
            self._counters.pop()
        elif tag in ("li", "blockquote") and self._prefixes:
            self._prefixes.pop()
            self._bullet = ""
        elif tag == "table" and self._tables:
            self._tables.pop()
        elif tag == "pre":
            self._pre -= 1

    def _end_link(self) -> None:
        url, pieces = self._labels.pop()
        label = SPACES.sub(" ", "".join(pieces)).strip()
        self.links.append(Link(label, url))
        shown = url.removeprefix("mailto:").removeprefix("tel:")
        if not self._hidden and url and not url.startswith("#") and shown != label:
            self._add(f" ({shown})" if label else shown)

    def _break(self, *, blank: bool = False, keep: bool = False) -> None:
        """Ends the line, if there is one; with `blank` the next one stands apart. `keep`: as it is, empty ones too."""
        line = "".join(self._line)
        line = line if self._pre else line.strip(" ")
        self._line = []
        if line or (keep and self._lines):
            if self._blank is not None and self._lines:
                self._lines.append("".join(self._prefixes[: self._blank]).rstrip())
            *around, last = self._prefixes or [""]
            self._lines.append("".join(around) + (self._bullet or last) + line)
            self._bullet, self._blank = "", None
        if blank:
            depth = len(self._prefixes)
            self._blank = depth if self._blank is None else min(depth, self._blank)
