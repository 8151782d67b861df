"""Whom an attempt writes to: the clients of its mailing's list, and those whom its saved filters mean."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, union

from mailservice.models import Client, SavedFilter, mailing_clients, mailing_filters
from mailservice.sending import conditions
from mailservice.sending.conditions import Conditions
from mailservice.sending.received import Attempts


class Audience(NamedTuple):
    """`at` is the moment from which conditions look back; it stays the same for all slices."""

    mailing_id: int
    owner_id: int
    filters: tuple[Conditions, ...]
    at: datetime


def read(mailing_id: int, owner_id: int, filters: Iterable[object] | None, at: datetime) -> Audience:
    """`filters`: conditions as JSON, as the attempt or the saved filters keep them. Nonsense where they are none."""
    return Audience(mailing_id, owner_id, tuple(map(conditions.read, filters or ())), at)


def filters_of(mailing_id: int) -> Select[Any]:
    """The conditions of the mailing's saved filters."""
    return (
        select(SavedFilter.conditions)
        .join(mailing_filters, mailing_filters.c.filter_id == SavedFilter.id)
        .where(mailing_filters.c.mailing_id == mailing_id)
        .order_by(SavedFilter.id)
    )


def members(audience: Audience, between: tuple[int, int] | None = None) -> ColumnElement[bool]:
    """The question to `Client`: each once, however many filters mean him."""
    listed = mailing_clients.c.mailing_id == audience.mailing_id
    if between:
        listed = and_(listed, mailing_clients.c.client_id.between(*between))
    on_the_list = Client.id.in_(select(mailing_clients.c.client_id).where(listed))
    meant = (conditions.where(c, audience.owner_id, now=audience.at, between=between) for c in audience.filters)
    return and_(Client.owner_id == audience.owner_id, or_(on_the_list, *meant))


def members_at_once(audience: Audience, attempts: Attempts | None, *, has_list: bool = True) -> ColumnElement[bool]:
    """The same about all clients of the owner; `attempts` are those of the mailings that the filters ask about.

    Each part is a question of its own, not one with OR: so the database finds the best way to each.
    """
    options: Any = {"now": audience.at, "attempts": attempts}
    meant = [conditions.where(wanted, audience.owner_id, **options) for wanted in audience.filters]
    if len(meant) == 1 and not has_list:
        return meant[0]
    parts = [select(mailing_clients.c.client_id).where(mailing_clients.c.mailing_id == audience.mailing_id)]
    parts += [select(Client.id).where(question) for question in meant]
    return and_(Client.owner_id == audience.owner_id, Client.id.in_(union(*(part.correlate(None) for part in parts))))


def last_of_slice(connection: Connection, audience: Audience, *, after: int, size: int) -> int | None:
    """The id up to which the next slice goes; None when there is nobody left.

    With filters it is a slice of all clients of the owner, so that each costs the same however few are meant.
    """
    if audience.filters:
        ids = select(Client.id.label("id")).where(Client.owner_id == audience.owner_id, Client.id > after)
    else:
        column = mailing_clients.c.client_id
        ids = select(column.label("id")).where(mailing_clients.c.mailing_id == audience.mailing_id, column > after)
    found = ids.order_by("id").limit(size).subquery()
    return connection.scalar(select(func.max(found.c.id)))


def slice_of(audience: Audience, *columns: Any, after: int, last: int) -> Select[Any]:
    """`columns` of the clients in the slice.

    The range bounds both tables: without statistics PostgreSQL would else read all clients for each slice.
    """
    between = (after + 1, last)
    if audience.filters:
        return select(*columns).where(members(audience, between), Client.id.between(*between))
    return (
        select(*columns)
        .join(mailing_clients, mailing_clients.c.client_id == Client.id)
        .where(
            mailing_clients.c.mailing_id == audience.mailing_id,
            mailing_clients.c.client_id.between(*between),
            Client.id.between(*between),
        )
    )
