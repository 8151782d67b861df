"""What is worth a look before a message goes out, in plain words. Nothing of it keeps a message from being saved."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from flask_babel import format_decimal, ngettext
from flask_babel import gettext as _

from mailservice.models import MessageKind
from mailservice.sending import content, fields
from mailservice.sending.composing.reading import Link, Picture
from mailservice.sending.content import Draft
from mailservice.sending.fields import Hole, Part, Values

CLIPPED = 102 * 1024  # octets of HTML, beyond which Gmail shows a link instead
LONG_SUBJECT = 70  # characters; a list of letters shows fewer
NAMED = 3  # links or pictures that one piece of advice names
SAMPLE = 60  # characters of a line
NOBODY = Values("", "client@example.org", "", "#")
MAY_BE_EMPTY = ("full_name", "first_name", "comment")
HOST = re.compile(r"(?:[\w-]+\.)+[\w-]{2,}\.?|localhost|[0-9.]+|\[[0-9a-fA-F:.]+\]|[0-9a-fA-F:]+")


class Advice(NamedTuple):
    """`weighs`: it would be seen as a fault by those who get the letter."""

    text: str
    weighs: bool = True


def on(subject: str, body: str, *, kind: MessageKind, preheader: str, public_url: str) -> list[Advice]:
    """The weightiest first. The message has no problems that keep it from being a letter."""
    draft = content.draft(subject, body, kind=kind, preheader=preheader)
    found = [
        *_on_subject(draft),
        *_on_missing_data(draft),
        *_on_links(draft.links, public_url),
        *_on_pictures(draft.pictures, public_url, may_be_silent=kind is MessageKind.HTML),
        *_on_size(draft),
        *_on_the_rest(draft),
    ]
    return sorted(found, key=lambda advice: not advice.weighs)


def _on_subject(draft: Draft) -> Iterator[Advice]:
    subject = fields.fill(draft.content.subject, NOBODY).strip()
    if not subject:
        if draft.content.subject:
            yield Advice(_("For a client of whom you know no more than the address, the subject is empty."))
        else:
            yield Advice(_("The subject is empty."))
    if len(subject) > LONG_SUBJECT:
        text = ngettext(
            "The subject has %(num)d character. A phone shows about 40 of them, a computer about 70.",
            "The subject has %(num)d characters. A phone shows about 40 of them, a computer about 70.",
            len(subject),
        )
        yield Advice(text, weighs=False)


def _on_missing_data(draft: Draft) -> Iterator[Advice]:
    """Lines with a field that may be empty and has no default, as the client of whom nothing is known reads them."""
    told: set[str] = set()
    for line in _lines([*draft.content.subject, "\n", *draft.preheader, "\n", *draft.content.text]):
        bare = [part for part in line if isinstance(part, Hole) and part.name in MAY_BE_EMPTY and not part.default]
        words = " ".join(fields.fill(line, NOBODY).split())
        if not bare or not re.search(r"\w", words) or words in told:
            continue  # alone in its line a field leaves nothing behind
        told.add(words)
        if len(told) > NAMED:
            return
        default = _("friend") if bare[0].name != "comment" else "…"
        yield Advice(
            _(
                "Where the client's data are missing, this reads: “%(line)s”. "
                "Say what stands instead, for example %(field)s.",
                line=_shortened(words),
                field="{{ " + bare[0].name + " | " + default + " }}",
            )
        )


def _lines(parts: Iterable[Part]) -> Iterator[list[Part]]:
    line: list[Part] = []
    for part in parts:
        if isinstance(part, Hole):
            line.append(part)
            continue
        first, *others = part.split("\n")
        line.append(first)
        for other in others:
            yield line
            line = [other]
    yield line


def _on_links(links: Iterable[Link], public_url: str) -> Iterator[Advice]:
    found: dict[str, list[str]] = {fault: [] for fault in ("empty", "relative", "malformed", "plain")}
    for link in links:
        fault = _fault(link.url, public_url)
        if fault:
            found[fault].append(link.label or link.url)
    for fault, labels in found.items():
        if labels:
            yield Advice(_about_links(fault, labels), weighs=fault != "plain")


def _about_links(fault: str, labels: list[str]) -> str:
    count, named = len(labels), _named(labels)
    if fault == "empty":
        return ngettext(
            "%(num)d link leads nowhere: %(named)s.", "%(num)d links lead nowhere: %(named)s.", count, named=named
        )
    if fault == "plain":
        return ngettext(
            "%(num)d link begins with http://, not https://: %(named)s. Browsers warn of such pages.",
            "%(num)d links begin with http://, not https://: %(named)s. Browsers warn of such pages.",
            count,
            named=named,
        )
    if fault == "relative":
        return ngettext(
            "%(num)d link works only within a site: %(named)s. Write the whole address, beginning with https://.",
            "%(num)d links work only within a site: %(named)s. Write the whole addresses, beginning with https://.",
            count,
            named=named,
        )
    return ngettext(
        "The address of %(num)d link is broken: %(named)s.",
        "The addresses of %(num)d links are broken: %(named)s.",
        count,
        named=named,
    )


def _on_pictures(pictures: Sequence[Picture], public_url: str, *, may_be_silent: bool) -> Iterator[Advice]:
    """In HTML an empty alt says that a picture only adorns; Markdown has no word for that."""
    silent = [p.url for p in pictures if not (p.alt or "").strip() and not (may_be_silent and p.alt == "")]
    faults = [(picture.url, _fault(picture.url, public_url)) for picture in pictures]
    broken = [url or "…" for url, fault in faults if fault in ("empty", "relative", "malformed")]
    plain = [url for url, fault in faults if fault == "plain"]
    if broken:
        yield Advice(
            ngettext(
                "%(num)d picture will not be found: %(named)s. Its address must be whole and begin with https://.",
                "%(num)d pictures will not be found: %(named)s. Their addresses must be whole and begin with https://.",
                len(broken),
                named=_named(broken),
            )
        )
    if silent:
        yield Advice(
            ngettext(
                "%(num)d picture has no text that says what it shows: %(named)s. "
                "Many mail programs show no pictures at first.",
                "%(num)d pictures have no text that says what they show: %(named)s. "
                "Many mail programs show no pictures at first.",
                len(silent),
                named=_named(silent),
            )
        )
    if plain:
        yield Advice(
            ngettext(
                "%(num)d picture is fetched by http://, not https://: %(named)s. Some mail programs will not show it.",
                "%(num)d pictures are fetched by http://, not https://: %(named)s. "
                "Some mail programs will not show them.",
                len(plain),
                named=_named(plain),
            ),
            weighs=False,
        )


def _fault(url: str, public_url: str) -> str | None:
    """What is wrong with an address; our own is as the installation says."""
    if not url.strip():
        return "empty"
    if url.startswith(("#", f"{public_url}/")):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _port = parts.port
    except ValueError:
        return "malformed"
    if parts.scheme in ("mailto", "tel"):
        return None if parts.path else "malformed"
    if not parts.scheme:
        return "relative"
    if not HOST.fullmatch(host):
        return "malformed"
    return "plain" if parts.scheme == "http" else None


def _on_size(draft: Draft) -> Iterator[Advice]:
    size = len(fields.fill(draft.content.html, NOBODY, html.escape).encode("utf-8", "replace"))
    if size > CLIPPED:
        yield Advice(
            _(
                "The letter has %(size)s kB. Gmail cuts off what is beyond 102 kB, the link to unsubscribe with it.",
                size=format_decimal(round(size / 1024)),
            )
        )


def _on_the_rest(draft: Draft) -> Iterator[Advice]:
    if draft.left_out:
        yield Advice(
            _(
                "Left out, since mail programs do not show it: %(elements)s.",
                elements=", ".join(f"<{name}>" for name in draft.left_out[:10]),
            )
        )
    if not draft.has_own_link:
        yield Advice(
            _(
                "There is no link to unsubscribe, so one is added at the end. "
                "To choose its place and words, use %(field)s.",
                field="{{ unsubscribe_url }}",
            ),
            weighs=False,
        )


def _named(labels: list[str]) -> str:
    named = ", ".join(_("“%(title)s”", title=_shortened(label)) for label in dict.fromkeys(labels[:NAMED]))
    return named + (" …" if len(labels) > NAMED else "")


def _shortened(text: str) -> str:
    return text if len(text) <= SAMPLE else text[: SAMPLE - 1].rstrip() + "…"
