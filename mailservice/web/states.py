"""How a state looks and is called: one word and one of the five colours, the same on every page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask_babel import lazy_gettext as _l
from flask_babel import npgettext

WORDS = {
    # deliveries
    "waiting": _l("waiting"),
    "deferred": _l("waiting for another try"),
    "sent": _l("sent"),
    "failed": _l("failed"),
    "unknown": _l("uncertain"),
    "skipped": _l("skipped"),
    "cancelled": _l("cancelled"),
    # attempts
    "planned": _l("planned"),
    "preparing": _l("being prepared"),
    "sending": _l("being sent"),
    "done": _l("done"),
    # mailings
    "created": _l("created"),
    "running": _l("running"),
    "finished": _l("finished"),
    "paused": _l("paused"),
    "disabled": _l("disabled"),
    "draft": _l("draft"),
}
# Beside a number some of them take another form.
_COUNTED: dict[str, Callable[[int], str]] = {
    "waiting": lambda n: npgettext("how many", "waiting", "waiting", n),
    "created": lambda n: npgettext("how many", "created", "created", n),
    "running": lambda n: npgettext("how many", "running", "running", n),
    "sending": lambda n: npgettext("how many", "being sent", "being sent", n),
    "finished": lambda n: npgettext("how many", "finished", "finished", n),
    "paused": lambda n: npgettext("how many", "paused", "paused", n),
    "disabled": lambda n: npgettext("how many", "disabled", "disabled", n),
    "draft": lambda n: npgettext("how many", "draft", "drafts", n),
}
COLOURS = {
    "sent": "sent",
    "done": "sent",
    "running": "sent",
    "waiting": "waiting",
    "deferred": "waiting",
    "paused": "waiting",
    "planned": "accent",
    "preparing": "accent",
    "sending": "accent",
    "failed": "failed",
    "disabled": "failed",
    "unknown": "unknown",
}
BAR = ("sent", "waiting", "failed", "unknown", "skipped", "cancelled")  # from left to right
BAR_WIDTH = 1000
NARROWEST = 8  # what exists is seen, however little of it there is


@dataclass(frozen=True)
class Segment:
    state: str
    colour: str
    count: int
    x: float
    width: float


def word(state: Any) -> Any:
    """The word for a state (an enum's member or its value)."""
    return WORDS.get(str(state), str(state))


def counted(state: Any, number: int) -> Any:
    """The word for a state beside the number of those in it."""
    form = _COUNTED.get(str(state))
    return form(number) if form else word(state)


def colour(state: Any) -> str:
    return COLOURS.get(str(state), "skipped")


def segments(counts: Any) -> list[Segment]:
    """The parts of a bar `BAR_WIDTH` wide, from a mapping or an object with counts by state."""
    numbers = {state: _count(counts, state) for state in BAR}
    total = sum(numbers.values())
    shown = {state: n for state, n in numbers.items() if n > 0}
    free = BAR_WIDTH - NARROWEST * len(shown)
    parts: list[Segment] = []
    x = 0.0
    for state, number in shown.items():
        width = round(NARROWEST + free * number / total, 2)
        parts.append(Segment(state, colour(state), number, round(x, 2), width))
        x += width
    return parts


def _count(counts: Any, state: str) -> int:
    found = counts.get(state) if isinstance(counts, Mapping) else getattr(counts, state, 0)
    return int(found or 0)
