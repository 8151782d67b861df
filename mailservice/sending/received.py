"""Who received a mailing: those whom an attempt wrote to, but for the few who are known not to have got it.

A letter counts as received when the mail server took it, or may have. A result is looked up one by one only where
a batch is not through; a database may have a million of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, literal, or_, select, tuple_
from sqlalchemy.orm import aliased

from mailservice.models import Attempt, Batch, Client, Delivery, Result, State

# Ids of attempts by mailing: where they are known beforehand, the planner knows how many rows they have.
Attempts = Mapping[int, Sequence[int]]

NOT_GOT = (State.FAILED, State.SKIPPED, State.CANCELLED)
GOT = (State.SENT, State.UNKNOWN)


def attempts_of(mailing_ids: Collection[int], owner_id: int) -> Select[Any]:
    """(mailing, attempt) of the owner's mailings among these."""
    query: Any = select(Attempt.mailing_id, Attempt.id).where(Attempt.owner_id == owner_id)
    return query.where(Attempt.mailing_id.in_(mailing_ids))


def received(
    mailing_id: int, owner_id: int, between: tuple[int, int] | None, attempts: Attempts | None
) -> ColumnElement[bool]:
    """The question to `Client`. `between` bounds the ids that are asked about, both included."""
    ids = _ids(mailing_id, owner_id, attempts)
    lost = _lost(ids)
    query = (
        select(Delivery.id)
        .outerjoin(lost, and_(lost.c.delivery_id == Delivery.id, lost.c.round == Delivery.round))
        .where(Delivery.client_id == Client.id, Delivery.attempt_id.in_(ids), lost.c.delivery_id.is_(None))
        .where(or_(_is_in_a_batch_that_is_through(ids), _has(GOT)))
    )
    return exists((query.where(Delivery.client_id.between(*between)) if between else query).correlate(Client))


def _ids(mailing_id: int, owner_id: int, attempts: Attempts | None) -> Any:
    if attempts is None:
        return select(Attempt.id).where(Attempt.mailing_id == mailing_id, Attempt.owner_id == owner_id)
    return bindparam(None, list(attempts.get(mailing_id, ())), expanding=True, literal_execute=True)


def _lost(ids: Any) -> Any:
    """The last results of letters that were not received in any round; closed to the planner: it is to hash them."""
    earlier = aliased(Result)
    maybe = exists().where(
        earlier.delivery_id == Result.delivery_id, earlier.state == State.UNKNOWN, _is_not(State.DEFERRED, earlier)
    )
    query = select(Result.delivery_id, Result.round).where(
        Result.attempt_id.in_(ids),
        Result.state.in_(NOT_GOT),
        _is_not(State.SENT, Result),
        or_(Result.round == 1, ~maybe),
    )
    return query.offset(0).subquery()


def _is_in_a_batch_that_is_through(ids: Any) -> ColumnElement[bool]:
    waiting = select(Batch.attempt_id, Batch.number).where(Batch.attempt_id.in_(ids), Batch.waiting > 0)
    return tuple_(Delivery.attempt_id, Delivery.batch).not_in(waiting)


def _has(states: Sequence[State]) -> ColumnElement[bool]:
    """Whether any round of the delivery came to this end."""
    return exists().where(Result.delivery_id == Delivery.id, Result.state.in_(states), _is_not(State.DEFERRED, Result))


def _is_not(state: State, result: Any) -> ColumnElement[bool]:
    """Literally, as the partial indexes say it."""
    return result.state != literal(state, Result.state.type, literal_execute=True)
