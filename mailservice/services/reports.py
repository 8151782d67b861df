"""What became of the letters: attempts, and the deliveries behind each number."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Select, and_, exists, false, func, or_, select, text, tuple_
from sqlalchemy.orm import aliased

from mailservice.database import db
from mailservice.errors import NotFound
from mailservice.models import Attempt, AttemptStatus, Batch, Delivery, Mailing, Reason, Result, State, User
from mailservice.services import ids, pages
from mailservice.services.counting import Counts, counts_of

GROUPS = 30  # kinds of refusal that a page explains

# Word for word the conditions of the partial indexes, which a bound value would not match.
_is_final = text("results.state <> 'deferred'")
_is_deferred = text("results.state = 'deferred'")
_is_not_sent = text("results.state <> 'sent'")


class Ending(enum.StrEnum):
    """How an attempt stands, for choosing some from a list."""

    OPEN = "open"
    SUCCEEDED = "succeeded"
    TROUBLED = "troubled"  # through, but not every letter was accepted
    STOPPED = "stopped"
    SKIPPED = "skipped"


_done = Attempt.status == AttemptStatus.DONE
_ENDINGS: dict[Ending, ColumnElement[bool]] = {
    Ending.OPEN: Attempt.status.in_(Attempt.OPEN),
    Ending.SUCCEEDED: and_(_done, Attempt.succeeded.is_(True)),
    Ending.TROUBLED: and_(_done, or_(Attempt.succeeded.is_(False), Attempt.succeeded.is_(None))),
    Ending.STOPPED: Attempt.status.in_((AttemptStatus.CANCELLED, AttemptStatus.FAILED)),
    Ending.SKIPPED: Attempt.status == AttemptStatus.SKIPPED,
}


def ending_of(attempt: Attempt) -> Ending:
    if attempt.is_open:
        return Ending.OPEN
    match attempt.status:
        case AttemptStatus.DONE:
            return Ending.SUCCEEDED if attempt.succeeded else Ending.TROUBLED
        case AttemptStatus.SKIPPED:
            return Ending.SKIPPED
        case _:
            return Ending.STOPPED


def ends(ending: Ending) -> ColumnElement[bool]:
    """The question for attempts that stand like this."""
    return _ENDINGS[ending]


@dataclass(frozen=True)
class AttemptLine:
    """An attempt as a list shows it."""

    attempt: Attempt
    mailing: Mailing
    counts: Counts


@dataclass(frozen=True)
class Trouble:
    """Deliveries that the same thing happened to; `reply` is one of the server's answers."""

    state: State
    reason: Reason | None
    code: int | None
    enhanced: str | None
    number: int
    reply: str | None


@dataclass(frozen=True)
class DeliveryLine:
    """A delivery with its latest result; `state` None while it waits."""

    delivery: Delivery
    state: State | None
    latest: Result | None
    tries: int


@dataclass(frozen=True)
class Deliveries:
    """A stretch of a list that is read by address, from `before` or `after` one."""

    lines: Sequence[DeliveryLine]
    before: str | None
    after: str | None


Kind = tuple[Reason | None, int | None, str | None]  # reason, code, enhanced code


@dataclass(frozen=True)
class Which:
    """Which deliveries of an attempt: `state` “waiting” or a final one; `words` are part of the address.

    With `exact` only those of one kind of Trouble: of just this reason and these codes, or of none. With `kinds`
    those of any of these kinds.
    """

    state: str | None = None
    words: str = ""
    reason: Reason | None = None
    code: int | None = None
    enhanced: str | None = None
    exact: bool = False
    kinds: tuple[Kind, ...] | None = None


def own(owner: User, attempt_id: int) -> Attempt:
    """An attempt of one of the owner's mailings, or NotFound."""
    query = select(Attempt).where(Attempt.id == attempt_id, Attempt.owner_id == owner.id)
    attempt = db.session.scalars(query).one_or_none() if ids.possible(attempt_id) else None
    if attempt is None:
        raise NotFound(_("There is no such attempt."))
    return attempt


def attempts(
    owner: User,
    *,
    mailing_id: int | None = None,
    ending: Ending | None = None,
    number: int = 1,
    size: int = 50,
) -> pages.Page[AttemptLine]:
    """Attempts over all mailings of the owner, the latest first."""
    query: Any = select(Attempt, Mailing).join(Mailing, Mailing.id == Attempt.mailing_id)
    query = query.where(Attempt.owner_id == owner.id)
    if mailing_id is not None:
        query = query.where(Attempt.mailing_id == mailing_id)
    if ending:
        query = query.where(ends(ending))
    query = query.order_by(Attempt.due_at.desc(), Attempt.id.desc())
    page = pages.fetch(query, number=number, size=size, rows=True)
    return pages.Page(attempt_lines(page.items), page.number, page.size, page.total)


def attempt_lines(rows: Sequence[Any]) -> list[AttemptLine]:
    """These attempts and their mailings, anybody's, as a list shows them."""
    counts = counts_of(attempt for attempt, _mailing in rows)
    return [AttemptLine(attempt, mailing, counts[attempt.id]) for attempt, mailing in rows]


def troubles(attempt: Attempt, *, most: int = GROUPS) -> list[Trouble]:
    """Why letters were not delivered, by kind, the most frequent first."""
    kind = (Result.state, Result.reason, Result.code, Result.enhanced)
    query = (
        select(*kind, func.count().label("number"), func.max(Result.reply).label("reply"))
        .join(Delivery, and_(Delivery.id == Result.delivery_id, Delivery.round == Result.round))
        .where(Result.attempt_id == attempt.id, _is_not_sent, _is_final)
        .group_by(*kind)
        .order_by(func.count().desc(), Result.state, Result.code)
        .limit(most)
    )
    return [Trouble(**row._mapping) for row in db.session.execute(query)]


def deferred(attempt: Attempt) -> tuple[int, datetime | None]:
    """How many waiting letters the server has put off, and when the first of them is tried again."""
    final = aliased(Result, name="final")
    is_settled = exists().where(
        final.delivery_id == Delivery.id, final.round == Delivery.round, text("final.state <> 'deferred'")
    )
    latest = (
        select(func.max(Result.not_before).label("at"))
        .join(Delivery, and_(Delivery.id == Result.delivery_id, Delivery.round == Result.round))
        .where(Result.attempt_id == attempt.id, Result.state == State.DEFERRED, _is_not_sent, ~is_settled)
        .group_by(Result.delivery_id)
        .subquery()
    )
    number, at = db.session.execute(select(func.count(), func.min(latest.c.at)).select_from(latest)).one()
    return number, at


def deliveries(
    attempt: Attempt, which: Which, *, size: int = 50, after: str | None = None, before: str | None = None
) -> Deliveries:
    """Deliveries by address: the `size` next ones after one, or before one, or the first ones.

    There is no page number: an attempt may have a million deliveries, and skipping rows costs reading them.
    """
    query = _which(attempt, which)
    if before is not None:
        query = query.where(Delivery.email_normalised < before).order_by(Delivery.email_normalised.desc())
    else:
        query = query.order_by(Delivery.email_normalised)
        query = query.where(Delivery.email_normalised > after) if after is not None else query
    found = list(db.session.scalars(query.limit(size + 1)))
    more = len(found) > size
    found = found[:size]
    if before is not None:
        found.reverse()
    first, last = (found[0].email_normalised, found[-1].email_normalised) if found else (None, None)
    has_before = more if before is not None else after is not None
    has_after = True if before is not None else more
    return Deliveries(delivery_lines(found), first if has_before else None, last if has_after else None)


def _which(attempt: Attempt, which: Which) -> Select:
    """The question for exactly the deliveries that a number counts."""
    query = select(Delivery).where(Delivery.attempt_id == attempt.id)
    if which.state == "waiting":
        query = _waiting(attempt, select(Delivery))
    elif which.state == State.SENT:
        query = query.where(_final(attempt, which).exists())
    elif which.state:
        # These are few: found first, then looked up.
        found: Any = select(Result.delivery_id, Result.round)
        kind = _kind(found, attempt, which).where(_is_not_sent)
        query = query.where(tuple_(Delivery.id, Delivery.round).in_(kind))
    if which.words:
        query = query.where(pages.matches(which.words, Delivery.email))
    return query


def in_state(state: str) -> ColumnElement[bool]:
    """The question for deliveries, of any attempts, that are “waiting” or have this final result."""
    if state == "waiting":
        busy = select(Batch.attempt_id, Batch.number).where(Batch.waiting > 0)
        final = exists().where(Result.delivery_id == Delivery.id, Result.round == Delivery.round, _is_final)
        return and_(tuple_(Delivery.attempt_id, Delivery.batch).in_(busy), ~final)
    if state == State.SENT:
        return exists().where(
            Result.delivery_id == Delivery.id, Result.round == Delivery.round, Result.state == State.SENT, _is_final
        )
    few = select(Result.attempt_id, Result.delivery_id, Result.round).where(Result.state == State(state), _is_not_sent)
    return tuple_(Delivery.attempt_id, Delivery.id, Delivery.round).in_(few)


def _final(attempt: Attempt, which: Which) -> Select[Any]:
    """The final result of a delivery in its round, if it is of this kind."""
    query = _kind(select(Result.id), attempt, which)
    return query.where(Result.delivery_id == Delivery.id, Result.round == Delivery.round, _is_final)


def _kind(query: Select[Any], attempt: Attempt, which: Which) -> Select[Any]:
    """Restricts to results of the state and, where asked, exactly the reason and the codes."""
    state = State(str(which.state))
    query = query.where(Result.attempt_id == attempt.id, Result.state == state)
    if which.exact:
        return query.where(_is_kind((which.reason, which.code, which.enhanced)))
    if which.kinds is not None:
        return query.where(or_(false(), *map(_is_kind, which.kinds)))
    return query


def _is_kind(kind: Kind) -> ColumnElement[bool]:
    columns = (Result.reason, Result.code, Result.enhanced)
    return and_(*(column.is_not_distinct_from(value) for column, value in zip(columns, kind, strict=True)))


def _waiting(attempt: Attempt, query: Select) -> Select:
    """Restricts to deliveries without a final result in their round; only in batches that have any."""
    numbers = select(Batch.number).where(Batch.attempt_id == attempt.id, Batch.waiting > 0)
    final = select(Result.id).where(Result.delivery_id == Delivery.id, Result.round == Delivery.round, _is_final)
    return query.select_from(Delivery).where(
        Delivery.attempt_id == attempt.id, Delivery.batch.in_(numbers), ~final.correlate(Delivery).exists()
    )


def delivery_lines(found: Sequence[Delivery]) -> list[DeliveryLine]:
    """These deliveries, of any attempts, each with its latest result."""
    results = results_of([delivery.id for delivery in found])
    return [_delivery_line(delivery, results[delivery.id]) for delivery in found]


def results_of(delivery_ids: Sequence[int]) -> dict[int, list[Result]]:
    """All that became of these deliveries, by delivery and in order."""
    query = select(Result).where(Result.delivery_id.in_(delivery_ids))
    parts = (_is_deferred, _is_final)  # one index each
    found = [result for part in parts for result in db.session.scalars(query.where(part))]
    results: dict[int, list[Result]] = {delivery_id: [] for delivery_id in delivery_ids}
    for result in sorted(found, key=lambda result: result.id):
        results[result.delivery_id].append(result)
    return results


def _delivery_line(delivery: Delivery, results: list[Result]) -> DeliveryLine:
    current = [r for r in results if r.round == delivery.round]
    final = next((r for r in current if r.state is not State.DEFERRED), None)
    latest = final or (current[-1] if current else None)
    return DeliveryLine(delivery, final.state if final else None, latest, len(results))
