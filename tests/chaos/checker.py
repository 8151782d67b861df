"""After the storm: the mail server's own ledger against ours, by all twelve invariants of the design."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Row, func, select

from mailservice import clock
from mailservice.database import db, read
from mailservice.models import (
    Attempt,
    AttemptStatus,
    Batch,
    Delivery,
    Mailing,
    Reason,
    Result,
    State,
    Suppression,
)
from mailservice.sending.batches import is_final
from mailservice.services import invariants
from mailservice.services.counting import counts_of
from tests.chaos.nemesis import IN_FLIGHT, Sleep
from tests.chaos.servers import Begun
from tests.chaos.stops import SCOPE, Stop
from tests.invariants import delivery_of

PROMISE = 1.0  # seconds after a stop in which letters may still begin
# The sender looks at its clock, and then writes: on a busy machine others may run in between, and the moment that
# we note is when our thread, beside all others of this test, had its turn to read what had come.
NOISE = 0.5  # seconds
# A sender that was stopped between the two writes what it had begun when it goes on.
AWAKENING = 0.5  # seconds


class Account(NamedTuple):
    """What the storm left behind, beside the database."""

    accepted: list[str]  # Message-IDs, in the mail server's ledger
    begun: list[Begun]  # every letter whose head came to the mail server's door
    stops: list[Stop]
    sleeps: list[Sleep]  # of senders
    kills: int
    at_risk: int  # letters that may be unknown


@dataclass
class Report:
    letters: int = 0
    attempts: int = 0
    states: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    at_risk: int = 0
    unheard: int = 0  # unknown, though the mail server never heard of them: begun, and then death came
    lost: list[int] = field(default_factory=list)  # deliveries without a final result
    doubled: list[int] = field(default_factory=list)  # that the mail server accepted more than once
    latest: float = 0.0  # seconds after a stop that a letter began, at most
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        states = ", ".join(f"{number} {state}" for state, number in self.states.most_common())
        return (
            f"{self.letters} letters of {self.attempts} attempts: {states}; lost {len(self.lost)}, doubled"
            f" {len(self.doubled)}; {self.kills} senders killed; unknown at most {self.at_risk}, never on the wire"
            f" {self.unheard}; the latest began {self.latest:.2f} s after a stop"
        )


def check(account: Account) -> Report:
    """In an app context, when no attempt is open any more."""
    lines = {row.delivery_id: row for row in _lines()}
    report = Report(letters=len(lines), kills=account.kills, at_risk=account.at_risk)
    report.states = Counter(row.state.value if row.state else "waiting" for row in lines.values())
    report.attempts = db.session.scalar(select(func.count()).select_from(Attempt)) or 0
    with read() as connection:
        report.problems += [f"{rule}: {ids[:20]}" for rule, ids in invariants.broken(connection).items()]
    _compare_ledgers(report, lines, account.accepted)
    _look_for_the_forgotten(report)
    _check_causes(report, lines)
    _check_pages(report)
    _check_stops(report, lines, account)
    _check_unknown(report, lines, account)
    return report


def _check_unknown(report: Report, lines: dict[int, Row], account: Account) -> None:
    """They are what was in flight when answers were lost, and nothing else."""
    heard = {delivery_of(begun.message_id) for begun in account.begun}
    report.unheard = sum(row.state is State.UNKNOWN and key not in heard for key, row in lines.items())
    if report.states["unknown"] > account.at_risk:
        report.problems.append(f"{report.states['unknown']} unknown, though at most {account.at_risk} were in flight")
    if report.unheard > (deaths := account.kills + len(account.sleeps)) * IN_FLIGHT:
        report.problems.append(f"{report.unheard} unknown that nobody heard of, after {deaths} deaths")


def _lines() -> list[Row]:
    """Every delivery with its final result, where it has one."""
    query = (
        select(
            Delivery.id.label("delivery_id"),
            Delivery.attempt_id,
            Delivery.client_id,
            Delivery.email_normalised,
            Attempt.mailing_id,
            Attempt.owner_id,
            Attempt.reason.label("stopped"),
            Result.state,
            Result.reason,
            Result.code,
            Result.reply,
        )
        .join(Attempt, Attempt.id == Delivery.attempt_id)
        .outerjoin(Result, is_final())
    )
    return list(db.session.execute(query))


def _compare_ledgers(report: Report, lines: dict[int, Row], accepted: list[str]) -> None:
    """Invariants 2, 4, 5, 6 and 7."""
    taken = Counter(map(delivery_of, accepted))
    report.lost = [key for key, row in lines.items() if row.state is None]
    report.doubled = [key for key, times in taken.items() if times > 1]
    findings = {
        "2 no final result": report.lost,
        "4 accepted more than once": report.doubled,
        "5 sent, and the server has it not": [k for k, r in lines.items() if r.state is State.SENT and k not in taken],
        "6 failed, and the server has it": [k for k, r in lines.items() if r.state is State.FAILED and k in taken],
        "6 not begun, and the server has it": [
            k for k, r in lines.items() if r.state in (State.SKIPPED, State.CANCELLED) and k in taken
        ],
        "7 the server has what we know nothing of": [key for key in taken if key not in lines],
    }
    report.problems += [f"{rule}: {_some(keys)}" for rule, keys in findings.items() if keys]


def _look_for_the_forgotten(report: Report) -> None:
    """Nobody's work is left over: no attempt is open, no batch is held, no mailing has waited in vain."""
    open_attempts = select(Attempt.id).where(Attempt.status.in_(Attempt.OPEN))
    held = select(Batch.attempt_id).where(Batch.holder.is_not(None))
    due = select(Mailing.id).where(Mailing.next_at <= clock.now(), Mailing.disabled_at.is_(None))
    for what, query in {"open attempts": open_attempts, "held batches": held, "mailings still due": due}.items():
        if found := list(db.session.scalars(query)):
            report.problems.append(f"{what}: {_some(found)}")


def _check_causes(report: Report, lines: dict[int, Row]) -> None:
    """What was not sent has its reason: nothing is lost under another name."""
    unwanted = {
        (row[0], row[1]) for row in db.session.execute(select(Suppression.owner_id, Suppression.email_normalised))
    }
    for key, row in lines.items():
        if complaint := _complaint(row, unwanted):
            report.problems.append(f"delivery {key} is {row.state.value}, {complaint}")


def _complaint(row: Row, unwanted: set[tuple[int, str]]) -> str:
    match row.state:
        case State.UNKNOWN if not row.reply:
            return "and nothing says why"
        case State.CANCELLED if row.stopped is None:
            return "and its attempt was not stopped"
        case State.SKIPPED if row.reason is Reason.SUPPRESSED and (row.owner_id, row.email_normalised) not in unwanted:
            return "and the address is on no list"
        case State.FAILED if row.code is None and row.stopped is None:
            return "and nobody refused it"
    return ""


def _check_pages(report: Report) -> None:
    """Invariant 12: what a page shows is what a count of the results gives."""
    query = select(Result.attempt_id, Result.state, func.count()).join(Delivery, is_final())
    counted: dict[int, Counter[str]] = {}
    for attempt_id, state, number in db.session.execute(query.group_by(Result.attempt_id, Result.state)):
        counted.setdefault(attempt_id, Counter())[state.value] = number
    attempts = list(db.session.scalars(select(Attempt).where(Attempt.status != AttemptStatus.SKIPPED)))
    for attempt_id, shown in counts_of(attempts).items():
        if Counter(dict(shown.items())) != counted.get(attempt_id, Counter()):
            report.problems.append(f"12 attempt {attempt_id} shows {shown}, and has {counted.get(attempt_id)}")


def _check_stops(report: Report, lines: dict[int, Row], account: Account) -> None:
    """Invariant 10, by the moments at which letters came to the mail server's door."""
    by_key: dict[tuple[str, object], list[Begun]] = {}
    for begun in account.begun:
        if row := lines.get(delivery_of(begun.message_id)):
            for column in set(SCOPE.values()):
                by_key.setdefault((column, _key(row, column)), []).append(begun)
    for stop in account.stops:
        for begun in by_key.get((SCOPE[stop.reason], stop.key), ()):
            late = begun.at - stop.since
            if not 0 < late < stop.until - stop.since or _just_awoke(begun, stop, account.sleeps):
                continue
            report.latest = max(report.latest, late)
            if late > PROMISE + NOISE:
                report.problems.append(f"10 {begun.message_id} began {late:.2f} s after {stop}")


def _key(row: Row, column: str) -> object:
    return (row.owner_id, row.email_normalised) if column == "address" else getattr(row, column)


def _just_awoke(begun: Begun, stop: Stop, sleeps: list[Sleep]) -> bool:
    """Whether it may be the letter of a sender that slept while the stop took effect."""
    return any(
        sleep.until <= begun.at <= sleep.until + AWAKENING and sleep.since - PROMISE <= stop.since <= sleep.until
        for sleep in sleeps
    )


def _some(keys: list[int]) -> str:
    return f"{len(keys)}: {keys[:20]}"
