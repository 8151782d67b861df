"""What must be reached: each demand is computed from the figures of one run."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.contenders.engine import name_of
from benchmarks.contenders.nodemailer import Nodemailer
from benchmarks.contenders.one_connection import FlaskMail, Smtplib
from benchmarks.contenders.smtp_source import SmtpSource
from benchmarks.contest import Place
from benchmarks.databases import Postgresql
from benchmarks.figures import Figures
from benchmarks.sinks import SMTP_SINK, c_place
from benchmarks.table import number, table

OURS = name_of(Postgresql, 1)
DATA, BDAT = c_place(0, has_chunking=False), c_place(0, has_chunking=True)
CPU = 35.0  # µs


class Demand(NamedTuple):
    """`found` is None where something that it takes is missing."""

    text: str
    found: float | None
    bound: float
    at_most: bool = False

    @property
    def is_met(self) -> bool | None:
        if self.found is None:
            return None
        return self.found <= self.bound if self.at_most else self.found >= self.bound

    @property
    def row(self) -> tuple[str, str, str, str]:
        asked = f"{'≤' if self.at_most else '≥'} {self.bound:g}"
        verdict = {True: "met", False: "NOT MET", None: "not measured"}[self.is_met]
        return self.text, asked, "–" if self.found is None else number(self.found), verdict


def demands(figures: Figures) -> list[Demand]:
    return [*_of_the_bound(figures), *_of_peers(figures), *_with_delays(figures)]


def show(found: list[Demand]) -> str:
    return table(("demand", "asked", "found", ""), [demand.row for demand in found])


def _of_the_bound(figures: Figures) -> list[Demand]:
    ours, bound = figures.of(OURS, BDAT), figures.of(SmtpSource.name, DATA)
    return [
        Demand("letters/s into smtp-sink, × smtp-source", _times(figures, SmtpSource.name, SMTP_SINK, SMTP_SINK), 1.0),
        Demand("letters/s into the C sink, × smtp-source", _times(figures, SmtpSource.name, BDAT, DATA), 1.3),
        Demand("CPU of sender and database into the C sink, µs/letter", ours and ours.cpu, CPU, at_most=True),
        Demand("the same, × smtp-source's", ours.cpu / bound.cpu if ours and bound else None, 1.0, at_most=True),
    ]


def _of_peers(figures: Figures) -> list[Demand]:
    peers = ((FlaskMail.name, 35.0), (Smtplib.name, 40.0), (Nodemailer.name, 15.0))
    return [
        Demand(f"letters/s into {where}, × {peer}", _times(figures, peer, ours, theirs), bound)
        for where, ours, theirs in (("smtp-sink", SMTP_SINK, SMTP_SINK), ("the C sink", BDAT, DATA))
        for peer, bound in peers
    ]


def _with_delays(figures: Figures) -> list[Demand]:
    asked = ((5, False, 4.0), (50, False, 2.0), (5, True, 25.0), (50, True, 14.0))
    found = []
    for delay, has_chunking, bound in asked:
        ours, theirs = c_place(delay, has_chunking=has_chunking), c_place(delay, has_chunking=False)
        text = f"letters/s at {delay} ms with {ours.way}, × {Nodemailer.name}"
        found.append(Demand(text, _times(figures, Nodemailer.name, ours, theirs), bound))
    return found


def _times(figures: Figures, peer: str, ours: Place, theirs: Place) -> float | None:
    """Our rate in one place as a multiple of a peer's in another."""
    mine, other = figures.of(OURS, ours), figures.of(peer, theirs)
    return mine.rate / other.rate if mine and other else None
