"""The text of a post: Markdown to HTML that a page may show, and its beginning as plain words."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

TAGS = frozenset(
    {"p", "br", "hr", "h2", "h3", "h4", "h5", "h6", "strong", "em", "s", "code", "pre", "blockquote", "a"}
    | {"ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td"}
)
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES = frozenset({"http", "https", "mailto"})
SUMMARY = 160  # characters; what search engines show
WORDS_A_MINUTE = 180


@cache
def _markdown() -> MarkdownIt:
    """CommonMark with tables; raw HTML stays text. The page's heading is the title, so the text's begin below it."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    markdown.core.ruler.push("headings", _lower_headings)
    markdown.add_render_rule("image", _image_as_link)
    return markdown


def _lower_headings(state: Any) -> None:
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close") and token.tag == "h1":
            token.tag = "h2"


def _image_as_link(renderer: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    """Pictures of other sites would tell those who reads here, so the page's policy loads none."""
    token = tokens[index]
    return f'<a href="{html.escape(str(token.attrs["src"]))}">{html.escape(token.content or "…")}</a>'


def to_html(text: str) -> str:
    rendered = _markdown().render(text)
    return nh3.clean(rendered, tags=set(TAGS), attributes=ATTRIBUTES, url_schemes=set(SCHEMES), link_rel="noopener")


def summary(text: str, *, longest: int = SUMMARY) -> str:
    """The first words of the text, cut at a word's end; headings and tables are passed over."""
    words = " ".join(" ".join(_paragraphs(text)).split())
    if len(words) <= longest:
        return words
    return re.sub(r"[\s.,;:–—-]*\s\S*$", "", words[: longest - 1]) + "…"


def _paragraphs(text: str) -> list[str]:
    """Plain words of the paragraphs, those of lists aside; of all else where there are none."""
    found: list[str] = []
    others: list[str] = []
    inside = ""
    for token in _markdown().parse(text):
        if token.type.endswith("_open"):
            inside = token.type
        elif token.type == "inline":
            words = "".join(_plain(child) for child in token.children or [])
            (found if inside == "paragraph_open" and token.level == 1 else others).append(words)
    return found or others


def _plain(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return " "
    return token.content if token.type in ("text", "code_inline", "image") else ""


def minutes(text: str) -> int:
    """For which an unhurried person reads it."""
    return max(1, round(len(text.split()) / WORDS_A_MINUTE))
