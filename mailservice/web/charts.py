"""Charts as values: columns of states on a ground of 1000 × 200, drawn by `macros/charts.html` without any script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask_babel import format_datetime

from mailservice.services.courses import Course
from mailservice.services.reports import AttemptLine
from mailservice.web import filters, states

WIDTH, HEIGHT = 1000, 200
WIDEST = 60.0  # of a column; a few of them need not fill the ground
GAP = 0.25  # of a column's room
SHOWN = ("sent", "failed", "unknown", "skipped", "cancelled")  # from the bottom up
LOWEST = 2.0  # what exists is seen, however little of it there is


@dataclass(frozen=True)
class Column:
    """What one column tells: its name beneath, in full for a pointer and for the table, and numbers by state."""

    short: str
    name: str
    counts: Any

    @property
    def total(self) -> int:
        return sum(getattr(self.counts, state) for state in SHOWN)


@dataclass(frozen=True)
class Part:
    colour: str
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    x: float
    width: float
    column: Column
    parts: list[Part]


@dataclass(frozen=True)
class Chart:
    """`top` is the number at the upper edge; `states` are those that occur."""

    bars: list[Bar]
    top: int
    states: list[str]

    @property
    def columns(self) -> list[Column]:
        return [bar.column for bar in self.bars]

    @property
    def totals(self) -> list[tuple[str, int]]:
        return [(state, sum(getattr(c.counts, state) for c in self.columns)) for state in self.states]


def of_columns(columns: Sequence[Column]) -> Chart:
    """From left to right."""
    top = _round_up(max((column.total for column in columns), default=0))
    room = WIDTH / max(1, len(columns))
    width = min(room * (1 - GAP), WIDEST)
    bars = [
        Bar(round(n * room + (room - width) / 2, 2), round(width, 2), column, _parts(column, top))
        for n, column in enumerate(columns)
    ]
    found = [state for state in SHOWN if any(getattr(column.counts, state) for column in columns)]
    return Chart(bars, top, found)


def of_course(course: Course) -> Chart:
    return of_columns([Column(*_moment(slot.at, course), slot.counts) for slot in course.slots])


def of_attempts(lines: Sequence[AttemptLine]) -> Chart:
    """The occurrences of a mailing as a list has them, the latest first; one that was skipped is an empty column."""
    columns = [
        Column(filters.day(line.attempt.due_at), filters.moment_text(line.attempt.due_at), line.counts)
        for line in reversed(lines)
    ]
    return of_columns(columns)


def _moment(at: Any, course: Course) -> tuple[str, str]:
    """How a slot is called: by its time of day, or by its day where the chart has several."""
    begin, end = course.slots[0].at, course.slots[-1].at
    full = filters.moment_text(at) if course.step < timedelta(days=1) else filters.day(at)
    if course.step >= timedelta(days=1):
        return format_datetime(at, "d MMM"), full
    if end - begin > timedelta(hours=20):
        return format_datetime(at, "d MMM, HH:mm"), full
    form = "HH:mm:ss" if course.step < timedelta(minutes=1) else "HH:mm"
    return format_datetime(at, form), f"{format_datetime(at, 'd MMM, ' + form)}"


def _parts(column: Column, top: int) -> list[Part]:
    parts = []
    y = float(HEIGHT)
    for state in SHOWN:
        number = getattr(column.counts, state)
        if number:
            height = max(LOWEST, number / top * HEIGHT)
            y -= height
            parts.append(Part(states.colour(state), round(max(0.0, y), 2), round(height, 2)))
    return parts


def _round_up(number: int) -> int:
    """The next of 1, 2, 5, 10, 20, 50, …"""
    step = 1
    while True:
        for times in (1, 2, 5):
            if step * times >= number:
                return step * times
        step *= 10
