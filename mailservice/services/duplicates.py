"""Clients who are probably one person: groups of them, and their merge."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Subquery, Table, and_, case, func, literal, or_, select, union_all, update
from sqlalchemy import delete as delete_rows
from sqlalchemy.dialects import postgresql, sqlite

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid
from mailservice.models import (
    Client,
    Delivery,
    Suppression,
    SuppressionReason,
    User,
    client_tags,
    mailing_clients,
)
from mailservice.services import pages, unsubscribing
from mailservice.services.clients import LONGEST_COMMENT
from mailservice.services.ids import possible

MOST = 50  # clients of one group that a page shows and one merge takes
GMAIL = ("gmail.com", "googlemail.com")


class Likeness(enum.StrEnum):
    """Why clients look like one person."""

    MAILBOX = "mailbox"  # anna+news@… is anna@…; Gmail also leaves out dots
    NAME = "name"


@dataclass(frozen=True)
class Group:
    """Clients alike, the oldest first; `total` may be more than a page shows."""

    clients: Sequence[Client]
    total: int


def groups(owner: User, likeness: Likeness, *, number: int, size: int) -> pages.Page[Group]:
    """Groups of two and more, the largest first."""
    keyed = _keyed(owner, likeness)
    # The number of groups comes with them: to look for them once is costly enough.
    found = func.count().over().label("groups")
    query = select(keyed.c.key, func.count().label("total"), found).group_by(keyed.c.key)
    query = query.having(func.count() > 1).order_by(func.count().desc(), keyed.c.key)
    rows = db.session.execute(query.limit(size).offset((number - 1) * size)).all()
    if not rows and number > 1:  # beyond the end, as after the last merge of the last page
        return groups(owner, likeness, number=1, size=size)
    members = _members(owner, likeness, [row.key for row in rows])
    alike = [Group(members[row.key], row.total) for row in rows]
    return pages.Page(alike, number, size, rows[0].groups if rows else 0)


def merge(owner: User, *, keep_id: int, ids: Collection[int]) -> Client:
    """The one who is kept takes over the mailings, tags, comments and deliveries of the others, who are deleted.

    What stands on the stop list for one of them stands there for the one who is kept.
    """
    wanted = sorted({*filter(possible, (*ids, keep_id))})
    if len(wanted) > MOST:
        raise Invalid(_("These are too many clients for one merge."))
    query = select(Client).where(Client.owner_id == owner.id, Client.id.in_(wanted)).order_by(Client.id)
    found = {client.id: client for client in db.session.scalars(query.with_for_update())}
    if keep_id not in found or not 1 < len(found) == len(wanted):
        raise Invalid(_("Choose at least two clients who are still there, and who of them stays."))
    kept = found.pop(keep_id)
    others = list(found.values())
    _join_texts(kept, others)
    _join_suppressions(owner, kept, others)
    db.session.flush()
    other_ids = [other.id for other in others]
    _move(mailing_clients, mailing_clients.c.mailing_id, kept.id, other_ids)
    _move(client_tags, client_tags.c.tag_id, kept.id, other_ids)
    moved = update(Delivery).where(Delivery.client_id.in_(other_ids)).values(client_id=kept.id)
    db.session.execute(moved, execution_options={"synchronize_session": False})
    db.session.execute(delete_rows(Client).where(Client.id.in_(other_ids)))
    return kept


def mailings_of(client_ids: Collection[int]) -> dict[int, int]:
    """By client id, how many mailings have him on their list."""
    column = mailing_clients.c.client_id
    query = select(column, func.count()).where(column.in_(client_ids)).group_by(column)
    return {row[0]: row[1] for row in db.session.execute(query)}


def _join_texts(kept: Client, others: Sequence[Client]) -> None:
    kept.full_name = next((c.full_name for c in (kept, *others) if c.full_name), "")
    comments = dict.fromkeys(c.comment.strip() for c in (kept, *others))
    joined = "\n".join(filter(None, comments))
    if len(joined) > LONGEST_COMMENT:
        raise Invalid(_("Their comments together are too long. Shorten one of them first."))
    kept.comment = joined
    kept.created_at = min(c.created_at for c in (kept, *others))
    kept.updated_at = clock.now()  # he is more than an import made: its undoing leaves him


def _join_suppressions(owner: User, kept: Client, others: Sequence[Client]) -> None:
    """A wish not to be written to is stronger than any other reason."""
    addresses = [c.email_normalised for c in (kept, *others)]
    query = select(Suppression).where(Suppression.owner_id == owner.id, Suppression.email_normalised.in_(addresses))
    rows = {row.email_normalised: row for row in db.session.scalars(query.order_by(Suppression.id))}
    if any(row.reason is SuppressionReason.UNSUBSCRIBED for row in rows.values()):
        unsubscribing.unsubscribe(owner.id, email_normalised=kept.email_normalised)
    elif rows and kept.email_normalised not in rows:
        reason, detail = next((row.reason, row.email_normalised) for row in rows.values())
        values = {"email_normalised": kept.email_normalised, "reason": reason, "detail": detail}
        db.session.add(Suppression(owner_id=owner.id, **values))


def _move(pairs: Table, side: Any, kept_id: int, other_ids: Sequence[int]) -> None:
    """What others are paired with, the kept one is paired with."""
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    rows = select(side, literal(kept_id), pairs.c.owner_id).where(pairs.c.client_id.in_(other_ids)).distinct()
    columns = [side.name, "client_id", "owner_id"]
    db.session.execute(dialect.insert(pairs).from_select(columns, rows).on_conflict_do_nothing())


def _members(owner: User, likeness: Likeness, keys: Sequence[str]) -> dict[str, list[Client]]:
    keyed = _keyed(owner, likeness)
    place = func.row_number().over(partition_by=keyed.c.key, order_by=keyed.c.id).label("place")
    ranked = select(keyed.c.id, keyed.c.key, place).where(keyed.c.key.in_(keys)).subquery()
    query = select(ranked.c.key, Client).join(ranked, ranked.c.id == Client.id).where(ranked.c.place <= MOST)
    found: dict[str, list[Client]] = {}
    for value, client in db.session.execute(query.order_by(Client.id)):
        found.setdefault(value, []).append(client)
    return found


def _keyed(owner: User, likeness: Likeness) -> Subquery:
    """(id, key): who has the same key is alike. Nobody is like another for having no name.

    Of mailboxes only those that have another spelling, and whoever has that: of most, address and key are the same.
    """
    own = Client.owner_id == owner.id
    query = select(Client.id, _key(likeness).label("key"))
    if likeness is Likeness.NAME:
        return query.where(own, Client.full_name != "").subquery()
    spelt = query.where(own, _is_spelt_otherwise()).cte("spelt")
    plain = select(Client.id, Client.email_normalised.label("key"))
    plain = plain.where(own, ~_is_spelt_otherwise(), Client.email_normalised.in_(select(spelt.c.key)))
    return union_all(select(spelt.c.id, spelt.c.key), plain).subquery()


def _is_spelt_otherwise() -> ColumnElement[bool]:
    """Whether the key of a mailbox may be another than its address."""
    address = Client.email_normalised
    gmail, other = (f"@{domain}" for domain in GMAIL)
    return or_(
        address.contains("+"), address.endswith(other), and_(address.endswith(gmail), address.like(f"%.%{gmail}"))
    )


def _key(likeness: Likeness) -> ColumnElement[str]:
    if likeness is Likeness.NAME:
        return func.lower(func.trim(Client.full_name))
    address = Client.email_normalised
    at = _position(address, "@")
    local, domain = func.substr(address, 1, at - 1), func.substr(address, at + 1)
    plus = _position(local, "+")
    base = case((plus > 1, func.substr(local, 1, plus - 1)), else_=local)
    is_gmail = domain.in_(GMAIL)
    return case((is_gmail, func.replace(base, ".", "").concat(f"@{GMAIL[0]}")), else_=base.concat("@").concat(domain))


def _position(text: Any, part: str) -> Any:
    """Where `part` stands in `text`, counted from 1; 0 where it does not."""
    return (func.strpos if db.engine.dialect.name == "postgresql" else func.instr)(text, part)
