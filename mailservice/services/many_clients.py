"""Acts on many clients at once: those who are ticked, or all who meet conditions; slice by slice."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, and_, func, literal, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.dialects import postgresql, sqlite

from mailservice.database import db, large_joins
from mailservice.errors import Invalid
from mailservice.models import Client, User, client_tags
from mailservice.sending.conditions import Conditions
from mailservice.services import filters, pages, tags
from mailservice.services.ids import possible

SLICE = 5000  # clients looked at in one transaction
MOST_TICKED = 1000
EVERYBODY = Conditions()


class Act(enum.StrEnum):
    TAG = "tag"
    UNTAG = "untag"
    DELETE = "delete"


@dataclass(frozen=True)
class Chosen:
    """Clients with these ids; with `ids` None all who meet the conditions."""

    ids: tuple[int, ...] | None = None
    wanted: Conditions = EVERYBODY

    def __post_init__(self) -> None:
        if self.ids is not None and not 0 < len(self.ids) <= MOST_TICKED:
            raise Invalid(_("Tick the clients first."))


def count(owner: User, chosen: Chosen) -> int:
    """How many of the owner's clients they are now."""
    query = select(func.count()).select_from(Client).where(_are(owner, chosen))
    with large_joins():
        return db.session.scalar(query) or 0


def examples(owner: User, chosen: Chosen, *, most: int = 5) -> Sequence[Client]:
    query = select(Client.id).where(_are(owner, chosen))
    page = pages.fetch_once(query, order=(Client.full_name, Client.id), number=1, size=most)
    return pages.rows(Client, page.items)


def last_id(owner: User) -> int:
    """Who is added later has a greater id: an act that has begun leaves him out."""
    return db.session.scalar(select(func.max(Client.id)).where(Client.owner_id == owner.id)) or 0


def check(owner: User, act: Act, *, named: str) -> str:
    """The tags that the act is about, as they will be written; Invalid beside “named”."""
    if act is Act.DELETE:
        return ""
    if act is Act.UNTAG:
        tags.known(owner, named, field="named")
    names = tags.parse(named, field="named")
    if not names:
        raise Invalid(_("Name a tag."), field="named")
    return ", ".join(names)


def step(owner: User, chosen: Chosen, act: Act, *, named: str, after: int, until: int) -> tuple[int, int | None]:
    """Does the act to the next slice of clients: (how many they were, where to go on), None at the end.

    Done twice, it changes nothing more.
    """
    ids = select(Client.id).where(Client.owner_id == owner.id, Client.id > after, Client.id <= until)
    edge = db.session.scalar(select(func.max(ids.order_by(Client.id).limit(SLICE).subquery().c.id)))
    if edge is None:
        return 0, None
    slice_ = select(Client.id).where(_are(owner, chosen, between=(after + 1, edge)))
    found = db.session.scalars(slice_.order_by(Client.id).with_for_update(key_share=True)).all()
    if found:
        _do(owner, act, found, named)
    return len(found), edge if edge < until else None


def _do(owner: User, act: Act, client_ids: Sequence[int], named: str) -> None:
    match act:
        case Act.TAG:
            for tag_id in tags.ensure(owner, tags.parse(named)).values():
                _tag(tag_id, client_ids)
        case Act.UNTAG:
            tag_ids = tags.known(owner, named, field="named")
            carried = and_(client_tags.c.client_id.in_(client_ids), client_tags.c.tag_id.in_(tag_ids))
            db.session.execute(delete_rows(client_tags).where(carried))
        case Act.DELETE:
            gone = delete_rows(Client).where(Client.owner_id == owner.id, Client.id.in_(client_ids))
            db.session.execute(gone, execution_options={"synchronize_session": False})


def _tag(tag_id: int, client_ids: Sequence[int]) -> None:
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    rows = select(Client.id, literal(tag_id), Client.owner_id).where(Client.id.in_(client_ids))
    columns = ["client_id", "tag_id", "owner_id"]
    db.session.execute(dialect.insert(client_tags).from_select(columns, rows).on_conflict_do_nothing())


def _are(owner: User, chosen: Chosen, *, between: tuple[int, int] | None = None) -> ColumnElement[bool]:
    if chosen.ids is None:
        return filters.meant(owner, chosen.wanted, between=between)
    ticked = Client.id.in_(list(filter(possible, chosen.ids)))
    bounds = [Client.id.between(*between)] if between else []
    return and_(Client.owner_id == owner.id, ticked, *bounds)
