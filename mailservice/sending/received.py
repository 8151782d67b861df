"""Who received a mailing: a letter counts when the mail server took it, or may have.

Of a slice of clients, each letter is looked up. Of all of them at once that would take long, with a million
results: there they are those whom the attempts wrote to, but for the few who are known not to have got it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, exists, literal, or_, select, tuple_
from sqlalchemy.orm import aliased

from mailservice.models import Attempt, Batch, Client, Delivery, Result, State

Attempts = Mapping[int, Sequence[int]]  # their ids, by mailing

NOT_GOT = (State.FAILED, State.SKIPPED, State.CANCELLED)
GOT = (State.SENT, State.UNKNOWN)


def attempts_of(mailing_ids: Collection[int], owner_id: int) -> Select[Any]:
    """(mailing, attempt) of the owner's mailings among these."""
    query: Any = select(Attempt.mailing_id, Attempt.id).where(Attempt.owner_id == owner_id)
    return query.where(Attempt.mailing_id.in_(mailing_ids))


def received(
    mailing_id: int, owner_id: int, between: tuple[int, int] | None, attempts: Attempts | None
) -> ColumnElement[bool]:
    """The question to `Client`: in the one way `between` two ids, in the other with all `attempts` of the mailing."""
    query = select(Delivery.id).where(Delivery.client_id == Client.id)
    if attempts is not None:
        query = query.where(*_but_for_the_lost(list(attempts.get(mailing_id, ()))))
    else:
        query = query.join(Attempt, Attempt.id == Delivery.attempt_id).where(
            Attempt.mailing_id == mailing_id, Attempt.owner_id == owner_id, _has(GOT)
        )
    return exists((query.where(Delivery.client_id.between(*between)) if between else query).correlate(Client))


def _but_for_the_lost(ids: list[int]) -> tuple[ColumnElement[bool], ...]:
    """A result is looked up only where a batch is not through: else all that there is not is `sent`."""
    attempts: Any = bindparam(
        None, ids, expanding=True, literal_execute=True
    )  # for the planner, which knows their sizes
    maybe = aliased(Result)
    lost = exists().where(
        Result.attempt_id.in_(attempts),
        Result.delivery_id == Delivery.id,
        Result.round == Delivery.round,
        Result.state.in_(NOT_GOT),
        _is_not(State.SENT, Result),
        or_(Result.round == 1, ~_has((State.UNKNOWN,), maybe, maybe.attempt_id.in_(attempts))),
    )
    waiting = select(Batch.attempt_id, Batch.number).where(Batch.attempt_id.in_(attempts), Batch.waiting > 0)
    is_through = tuple_(Delivery.attempt_id, Delivery.batch).not_in(waiting)
    return Delivery.attempt_id.in_(attempts), ~lost, or_(is_through, _has(GOT))


def _has(states: Sequence[State], result: Any = Result, *further: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether any round of the delivery came to this end."""
    is_so = (result.delivery_id == Delivery.id, result.state.in_(states), _is_not(State.DEFERRED, result), *further)
    return exists().where(*is_so).correlate(Delivery)


def _is_not(state: State, result: Any) -> ColumnElement[bool]:
    """Literally, as the partial indexes say it."""
    return result.state != literal(state, Result.state.type, literal_execute=True)
