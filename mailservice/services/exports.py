"""Long lists for files, a slice at a time: each is one short question, by the index on addresses."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, select

from mailservice.database import db
from mailservice.models import Attempt, Client, State, Suppression, SuppressionReason
from mailservice.sending import conditions
from mailservice.sending.conditions import Conditions
from mailservice.services import reports, tags
from mailservice.services.reports import DeliveryLine, Which
from mailservice.services.suppressions import speaks_of

SLICE = 1_000  # rows
EVERYBODY = Conditions()


class ClientRow(NamedTuple):
    email: str
    full_name: str
    comment: str
    tags: str  # with commas between
    created_at: datetime


class SuppressionRow(NamedTuple):
    email: str
    reason: SuppressionReason
    detail: str
    created_at: datetime


class Slice(NamedTuple):
    """`after` is the address from which the list goes on; None where it ends."""

    rows: Sequence[Any]
    after: str | None


def clients(owner_id: int, *, wanted: Conditions = EVERYBODY, at: datetime, after: str | None = None) -> Slice:
    """ClientRows of those who are `wanted` as it was at that moment, by address."""
    columns = (Client.email, Client.full_name, Client.comment, Client.created_at)
    query: Any = select(Client.email_normalised, Client.id, *columns).where(conditions.where(wanted, owner_id, now=at))
    found, last = _slice(query, Client.email_normalised, after)
    carried = tags.of_clients([row.id for row in found])
    return Slice([_client_row(row, carried.get(row.id, [])) for row in found], last)


def _client_row(row: Any, names: Sequence[str]) -> ClientRow:
    return ClientRow(row.email, row.full_name, row.comment, ", ".join(names), row.created_at)


def suppressions(
    owner_id: int, *, words: str = "", reason: SuppressionReason | None = None, after: str | None = None
) -> Slice:
    """SuppressionRows, by address. The detail of an unsubscribing is the list's own affair."""
    address = Suppression.email_normalised
    query: Any = select(address, Suppression.reason, Suppression.detail, Suppression.created_at)
    query = query.where(Suppression.owner_id == owner_id)
    if words:
        query = query.where(speaks_of(words))
    if reason:
        query = query.where(Suppression.reason == reason)
    found, last = _slice(query, address, after)
    rows = [SuppressionRow(*row) for row in found]
    return Slice([r._replace(detail="") if r.reason is SuppressionReason.UNSUBSCRIBED else r for r in rows], last)


def deliveries(attempt_id: int, which: Which, *, after: str | None = None) -> Slice:
    """DeliveryLines of an attempt that the caller may see, by address."""
    attempt = db.session.get_one(Attempt, attempt_id)
    found = reports.deliveries(attempt, which, size=SLICE, after=after)
    return Slice(found.lines, found.after)


def state_of(line: DeliveryLine) -> str:
    """“waiting” and “deferred” are told apart."""
    if line.state:
        return line.state.value
    return State.DEFERRED.value if line.latest else "waiting"


def _slice(query: Select[Any], address: Any, after: str | None) -> tuple[Sequence[Any], str | None]:
    if after is not None:
        query = query.where(address > after)
    found = db.session.execute(query.order_by(address).limit(SLICE)).all()
    return found, found[-1][0] if len(found) == SLICE else None
