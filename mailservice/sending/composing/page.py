"""The HTML part: what people write is inlined, then sanitised, then laid out.

The order matters: both tools mend a page as a browser would and move what stands where it may not. The work is
bounded, because css-inline goes down a page by recursion and both take long over a page that nobody means to send.
"""

from __future__ import annotations

import html
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import css_inline
import nh3

from mailservice.sending.composing.allowed import ATTRIBUTES, DROPPED, SCHEMES, SILENT, STYLES, TAGS, VOID
from mailservice.sending.encoding import BadLetter

FOLDER = Path(__file__).parent
MOST_TAGS = 4_000
DEEPEST = 100  # elements within elements
MOST_MATCHES = 500_000  # rules of the styles × elements
LONGEST_PAGE = 1_000_000  # characters
_TAG = re.compile(r"<([a-zA-Z][a-zA-Z0-9]*)")
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.DOTALL)
_GIVEN_BODY = re.compile(r"<(/?)body\b", re.IGNORECASE)
_ADDRESS = r"https?://[^\s<>\"]*[^\s<>\".,;:!?)'»”]"


class TooHeavy(BadLetter):
    """To make a letter of this takes too long: too many elements, too deep, too many styles."""

    def __init__(self) -> None:
        super().__init__("the text is too complicated for a letter")


class Page(NamedTuple):
    """A body that may stand in a letter, the rules for narrow screens that go with it, and what was left out."""

    body: str
    styles: str = ""
    left_out: tuple[str, ...] = ()


def of_markdown(rendered: str) -> Page:
    """In our own looks."""
    if len(rendered) > LONGEST_PAGE:
        raise TooHeavy
    inlined = css_inline.inline_fragment(rendered, _text("letter.css"), load_remote_stylesheets=False)
    return Page(_clean(inlined))


def of_html(source: str) -> Page:
    """People's own page: its styles go into the elements, those for other screens stay in the head."""
    names = [name.lower() for name in _TAG.findall(source)]
    if len(names) > MOST_TAGS:
        raise TooHeavy
    # The body's own colours would be lost with it.
    source = _GIVEN_BODY.sub(r"<\1div", source)
    whole = _sanitised(source, tags=TAGS | {"style"}, dropped=DROPPED, styles=None)
    rules = sum(style.count("{") for style in _STYLE.findall(whole))
    if _depth(whole) > DEEPEST or rules * len(names) > MOST_MATCHES:
        raise TooHeavy
    inlined = _inliner().inline(whole)
    styles = "".join(style for style in _STYLE.findall(inlined) if _is_harmless(style))
    found = _BODY.search(inlined)
    body = _clean(_STYLE.sub("", found[1] if found else inlined))
    return Page(body, styles, tuple(sorted({*names} - TAGS - SILENT)))


def of_plain(source: str, *, hole: str, links: list[str]) -> Page:
    """The words as they are; addresses of pages become links, and so do `links`, but nothing with a `hole` in it."""
    pieces = re.split("(" + "|".join([*links, _ADDRESS]) + ")", source)
    for number, piece in enumerate(pieces):
        shown = html.escape(piece)
        is_link = number % 2 and (piece in links or hole not in piece)
        pieces[number] = f'<a href="{shown}">{shown}</a>' if is_link else shown.replace("\n", "<br>\n")
    return Page(f'<div style="padding:16px;font:15px/1.5 Arial,sans-serif">{"".join(pieces)}</div>')


def lay_out(page: Page, *, own_looks: bool, lang: str, preheader: str, footer: str) -> str:
    """The whole page; what people wrote goes in last, so that nothing is searched for in it."""
    styles = f"<style>{page.styles}</style>" if page.styles else ""
    around = _text("layout.html" if own_looks else "bare.html").replace("{lang}", lang)
    before, after = around.replace("{styles}", styles).split("{body}")
    head, shown = before.split("{preheader}")
    return head + preheader + shown + page.body + after.replace("{footer}", footer)


def _clean(markup: str) -> str:
    cleaned = _sanitised(markup, tags=TAGS, dropped=DROPPED | {"style"}, styles=STYLES)
    if len(cleaned) > LONGEST_PAGE:
        raise TooHeavy
    return cleaned


def _sanitised(markup: str, *, tags: frozenset[str], dropped: frozenset[str], styles: frozenset[str] | None) -> str:
    return nh3.clean(
        markup,
        tags=set(tags),
        clean_content_tags=set(dropped),
        attributes={name: set(attributes) for name, attributes in ATTRIBUTES.items()},
        url_schemes=set(SCHEMES),
        link_rel=None,
        filter_style_properties=None if styles is None else set(styles),
    )


def _is_harmless(style: str) -> bool:
    return "<" not in style and "@import" not in style.lower()


def _depth(sanitised: str) -> int:
    """Of elements within elements; what nh3 gives is well formed."""
    meter = _Meter()
    meter.feed(sanitised)
    return meter.deepest


class _Meter(HTMLParser):
    depth = deepest = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)

    def handle_endtag(self, tag: str) -> None:
        self.depth -= tag not in VOID


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)


@cache
def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
