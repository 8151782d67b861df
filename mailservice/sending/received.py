"""Who received a mailing: a letter counts when the mail server took it, or may have.

Of a slice of clients, each letter is looked up. Of all of them at once that would take long, with a million
results: there they are those whom the attempts wrote to, but for the few who are known not to have got it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, literal, or_, select, tuple_

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
        # Of a slice it is the clients that are few: “+ 0” hides the indexes that lead through whole attempts.
        columns: list[Any] = [Delivery.attempt_id, Attempt.mailing_id, Attempt.owner_id]
        attempt_id, of_mailing, of_owner = [column + 0 for column in columns] if between else columns
        query = query.join(Attempt, Attempt.id == attempt_id).where(
            of_mailing == mailing_id, of_owner == owner_id, _results(GOT).exists()
        )
    return exists((query.where(Delivery.client_id.between(*between)) if between else query).correlate(Client))


def _but_for_the_lost(ids: list[int]) -> tuple[ColumnElement[bool], ...]:
    """A result is looked up only where a batch is under way: where it is through, all that there is not is `sent`."""
    attempts: Any = bindparam(None, ids, expanding=True, literal_execute=True)  # the planner knows their sizes
    troubles = (Result.attempt_id.in_(attempts), _is_not(State.SENT))
    maybe = select(Result.delivery_id).where(*troubles, Result.state == State.UNKNOWN)
    lost = select(Result.delivery_id, Result.round).where(*troubles, Result.state.in_(NOT_GOT))
    waiting = select(Batch.attempt_id, Batch.number).where(Batch.attempt_id.in_(attempts), Batch.waiting > 0)
    batch = tuple_(Delivery.attempt_id, Delivery.batch)
    # No EXISTS: for that the planner would read all results there are.
    is_sent = _results((State.SENT,)).limit(1).scalar_subquery().is_not(None)
    is_got = or_(batch.not_in(waiting), and_(batch.in_(waiting.where(Batch.waiting < Batch.size)), is_sent))
    is_lost = tuple_(Delivery.id, Delivery.round).in_(lost)
    return Delivery.attempt_id.in_(attempts), or_(and_(~is_lost, is_got), Delivery.id.in_(maybe))


def _results(states: Sequence[State]) -> Select[Any]:
    """Results of a delivery that came to this end, in any round."""
    is_so = (Result.delivery_id == Delivery.id, Result.state.in_(states), _is_not(State.DEFERRED))
    return select(Result.id).where(*is_so).correlate(Delivery)


def _is_not(state: State) -> ColumnElement[bool]:
    """Literally, as the partial indexes say it."""
    return Result.state != literal(state, Result.state.type, literal_execute=True)
