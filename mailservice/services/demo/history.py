"""Past attempts with their whole ledger, as the engine would have written it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from mailservice.models import AttemptStatus, Reason, State, Suppression, SuppressionReason, User
from mailservice.services.demo.texts import Text

PACE = timedelta(milliseconds=60)  # between two letters
SLOW = timedelta(seconds=4)  # the same where somebody or something stops the attempt
NOTICED_AFTER = timedelta(hours=8)  # that a firing was missed
PATIENCE = timedelta(hours=24)
REFUSALS = 5  # in a row stop an attempt
LOST = "the connection closed before the server answered"
IMPORTED_FROM = {"ru": "из списка прежнего сервиса", "en": "from the list of the former service"}
ROW = {"reason": None, "code": None, "enhanced": None, "reply": None, "not_before": None}


class Habits(NamedTuple):
    """What befalls letters to an owner's clients, by the client's place in the order of their making."""

    gone: frozenset[int]  # no such address
    full: frozenset[int]  # the mailbox is full
    strict: frozenset[int]  # the server does not want the letter
    greylisting: frozenset[int]  # the first letter is put off
    flaky: frozenset[int]  # the answer to the first letter is lost
    leaving: Mapping[int, int]  # unsubscribes after so many letters


@dataclass
class Past:
    """An attempt as rows; `results` has a list for each of `deliveries`."""

    attempt: dict[str, Any]
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    results: list[list[dict[str, Any]]] = field(default_factory=list)


@dataclass
class Stop:
    """After `after` letters an attempt goes no further."""

    reason: Reason
    after: int


class Historian:
    """Writes one owner's past; attempts are asked for in the order of their moments."""

    def __init__(self, owner_id: int, *, sender: str, habits: Habits, random: Random):
        self.suppressions: dict[str, dict[str, Any]] = {}
        self._owner_id, self._sender, self._habits, self._random = owner_id, sender, habits, random
        self._letters: Counter[int] = Counter()  # so far, by the client's place

    def skipped(self, mailing_id: int, occurrence: int, due_at: datetime, reason: Reason) -> Past:
        """A firing that was missed, noticed when the service was back."""
        noticed = due_at + NOTICED_AFTER
        values = {"status": AttemptStatus.SKIPPED, "reason": reason, "planned_at": noticed, "finished_at": noticed}
        return Past(self._attempt(mailing_id, occurrence, due_at) | values)

    def sent(
        self,
        mailing_id: int,
        occurrence: int,
        due_at: datetime,
        *,
        message: Text,
        audience: Sequence[tuple[int, dict[str, Any]]],
        stop: Stop | None = None,
    ) -> Past:
        """An attempt that was made; `audience`: each client's place and row."""
        past = Past(self._attempt(mailing_id, occurrence, due_at))
        pace, at = (SLOW if stop else PACE), due_at + timedelta(seconds=3)
        for number, (place, client) in enumerate(audience):
            if stop and number >= stop.after:
                results = [ROW | {"state": State.CANCELLED, "reason": stop.reason, "tried_at": at}]
            else:
                at += pace
                results = self._results(place, client["email_normalised"], at, stop, number)
            past.deliveries.append(_delivery(client))
            past.results.append(results)
        past.attempt |= self._closing(past, message, due_at, stop)
        return past

    def _results(self, place: int, email: str, at: datetime, stop: Stop | None, number: int) -> list[dict[str, Any]]:
        """The tries at one delivery, the last of them final."""
        if email in self.suppressions and self.suppressions[email]["created_at"] <= at:
            return [ROW | {"state": State.SKIPPED, "reason": Reason.SUPPRESSED, "tried_at": at}]
        self._letters[place] += 1
        first = self._letters[place] == 1
        if stop and stop.reason is Reason.REFUSED and number >= stop.after - REFUSALS:
            return [_refused(at, 554, "5.7.1", "Message rejected: our policy allows no bulk mail from this sender")]
        if place in self._habits.gone:
            gone = _refused(at, 550, "5.1.1", f"<{email}>: Recipient address rejected: User unknown")
            self._suppress(email, SuppressionReason.HARD_BOUNCE, at, gone["reply"])
            return [gone]
        if place in self._habits.full:
            return [_refused(at, 552, "5.2.2", f"<{email}>: Mailbox full, over quota")]
        if place in self._habits.strict and first:
            return [_refused(at, 554, "5.7.1", f"<{email}>: Message rejected by the content filter")]
        if place in self._habits.flaky and first:
            return [ROW | {"state": State.UNKNOWN, "reply": LOST, "tried_at": at}]
        if place in self._habits.leaving and self._letters[place] == self._habits.leaving[place]:
            self._suppress(email, SuppressionReason.UNSUBSCRIBED, at + timedelta(hours=2), "")
        if place in self._habits.greylisting and first and not stop:
            again = at + timedelta(seconds=self._random.uniform(300, 360))
            return [_put_off(at, again), self._accepted(again + timedelta(seconds=2))]
        return [self._accepted(at)]

    def _accepted(self, at: datetime) -> dict[str, Any]:
        queue_id = "".join(self._random.choices("0123456789ABCDEF", k=10))
        values = {"code": 250, "enhanced": "2.0.0", "reply": f"250 2.0.0 Ok: queued as {queue_id}"}
        return ROW | values | {"state": State.SENT, "tried_at": at}

    def _suppress(self, email: str, reason: SuppressionReason, at: datetime, detail: str) -> None:
        self.suppressions[email] = {
            "owner_id": self._owner_id,
            "email_normalised": email,
            "reason": reason,
            "detail": detail,
            "created_at": at,
        }

    def _attempt(self, mailing_id: int, occurrence: int, due_at: datetime) -> dict[str, Any]:
        """All columns that the rows of a bulk insert must have in common."""
        nothing = ("succeeded", "server_reply", "began_at", "last_tried_at", "deadline_at", "subject", "body", "sender")
        counts = ("audience", *(state.value for state in State if state is not State.DEFERRED))
        return {
            "mailing_id": mailing_id,
            "owner_id": self._owner_id,
            "occurrence": occurrence,
            "due_at": due_at,
            "key": f"{self._random.getrandbits(64):016x}",
            **dict.fromkeys(nothing),
            **dict.fromkeys(counts, 0),
        }

    def _closing(self, past: Past, message: Text, due_at: datetime, stop: Stop | None) -> dict[str, Any]:
        everything = sorted((r for results in past.results for r in results), key=lambda r: r["tried_at"])
        counts = Counter(results[-1]["state"].value for results in past.results)
        tried = [r for r in everything if r["state"] not in (State.SKIPPED, State.CANCELLED)]
        refused = [r["reply"] for r in tried if r["state"] in (State.FAILED, State.DEFERRED)]
        accepted = [r for r in tried if r["state"] is State.SENT]
        reason = stop.reason if stop else None
        closed = {None: AttemptStatus.DONE, Reason.REFUSED: AttemptStatus.FAILED}
        return {
            "status": closed.get(reason, AttemptStatus.CANCELLED),
            "reason": reason,
            "succeeded": counts["sent"] == len(past.deliveries) - counts["skipped"],
            "server_reply": refused[-1] if refused else accepted[-1]["reply"],
            "planned_at": due_at + timedelta(seconds=1),
            "began_at": due_at + timedelta(seconds=2),
            "last_tried_at": tried[-1]["tried_at"],
            "finished_at": everything[-1]["tried_at"] + timedelta(seconds=1),
            "deadline_at": accepted[-1]["tried_at"] + PATIENCE,
            "subject": message.title,
            "body": message.body,
            "sender": self._sender,
            "audience": len(past.deliveries),
            **counts,
        }


def batch(past: Past) -> dict[str, Any]:
    """The only batch of an attempt: each claim and each release has raised its fence."""
    counts = {state.value: past.attempt[state.value] for state in State if state is not State.DEFERRED}
    claims = 2 if any(len(results) > 1 for results in past.results) else 1
    return {"number": 1, "size": len(past.deliveries), "waiting": 0, "fence": 2 * claims, **counts}


def imported(owner: User, emails: Sequence[str], at: datetime) -> list[Suppression]:
    """Addresses that were never clients here."""
    reason, detail = SuppressionReason.IMPORTED, IMPORTED_FROM[owner.language]
    return [
        Suppression(owner_id=owner.id, email_normalised=email, reason=reason, detail=detail, created_at=at)
        for email in emails
    ]


def _delivery(client: Mapping[str, Any]) -> dict[str, Any]:
    names = ("email", "email_normalised", "full_name", "comment")
    return {"batch": 1, "client_id": client["id"], **{name: client[name] for name in names}}


def _refused(at: datetime, code: int, enhanced: str, text: str) -> dict[str, Any]:
    values = {"code": code, "enhanced": enhanced, "reply": f"{code} {enhanced} {text}"}
    return ROW | values | {"state": State.FAILED, "tried_at": at}


def _put_off(at: datetime, again: datetime) -> dict[str, Any]:
    values = {"code": 451, "enhanced": "4.7.1", "reply": "451 4.7.1 Greylisted, please try again in 300 seconds"}
    return ROW | values | {"state": State.DEFERRED, "tried_at": at, "not_before": again}
