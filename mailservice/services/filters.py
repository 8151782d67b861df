"""Saved filters: conditions with a name. Whom they mean is one SQL condition, asked anew each time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import ColumnElement, func, select
from sqlalchemy import delete as delete_rows

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Client, Mailing, SavedFilter, Tag, User, mailing_filters
from mailservice.sending import conditions, received
from mailservice.sending.conditions import Conditions
from mailservice.services import addresses, ids, pages, texts
from mailservice.services.tags import folded, lock

LONGEST_NAME = 100
LONGEST_FOLDED = 300
MOST = 200  # saved filters of one owner
OFFERED = 200  # mailings to choose from
NAMED = 5


@dataclass(frozen=True)
class Line:
    """A saved filter and the mailings that use it, by id and title."""

    filter: SavedFilter
    conditions: Conditions
    mailings: Sequence[tuple[int, str]]


def own(owner: User, filter_id: int) -> SavedFilter:
    """The owner's saved filter, or NotFound."""
    query = select(SavedFilter).where(SavedFilter.id == filter_id, SavedFilter.owner_id == owner.id)
    found = db.session.scalars(query).one_or_none() if ids.possible(filter_id) else None
    if found is None:
        raise NotFound(_("There is no such filter."))
    return found


def conditions_of(saved: SavedFilter) -> Conditions:
    return conditions.read(saved.conditions)


def listed(owner: User) -> list[Line]:
    """All saved filters of the owner, by name."""
    query = select(SavedFilter).where(SavedFilter.owner_id == owner.id).order_by(SavedFilter.name_folded)
    rows = db.session.scalars(query).all()
    used = _mailings([row.id for row in rows])
    return [Line(row, conditions_of(row), used.get(row.id, [])) for row in rows]


def choices(owner: User) -> list[tuple[int, str]]:
    """(id, name) of the owner's saved filters, by name."""
    query = select(SavedFilter.id, SavedFilter.name).where(SavedFilter.owner_id == owner.id)
    return [(row[0], row[1]) for row in db.session.execute(query.order_by(SavedFilter.name_folded))]


def of_mailing(mailing: Mailing) -> list[SavedFilter]:
    """The filters that a mailing uses, by name."""
    query = select(SavedFilter).join(mailing_filters, mailing_filters.c.filter_id == SavedFilter.id)
    query = query.where(mailing_filters.c.mailing_id == mailing.id).order_by(SavedFilter.name_folded)
    return list(db.session.scalars(query))


def mailing_choices(owner: User, *, also: Collection[int] = ()) -> list[tuple[int, str]]:
    """(id, title) of the owner's latest mailings and of these: what may have been received."""
    query = select(Mailing.id, Mailing.title).where(Mailing.owner_id == owner.id).order_by(Mailing.id.desc())
    rows = [*db.session.execute(query.limit(OFFERED)), *db.session.execute(query.where(Mailing.id.in_(also)))]
    return list({row[0]: (row[0], row[1]) for row in rows}.values())


def domains(text: str, *, field: str) -> tuple[str, ...]:
    """Domains as addresses are compared, out of “Example.org, @пример.рф”; Invalid beside `field`."""
    names = texts.search_words(text.replace(",", " ").replace(";", " ")).split()
    try:
        parsed = [addresses.parse(f"a@{name.removeprefix('@')}").normalised for name in names]
    except Invalid:
        raise Invalid(_("This is not a domain. An example: example.org"), field=field) from None
    if len(parsed) > conditions.MOST_DOMAINS:
        raise Invalid(_("These are too many domains."), field=field)
    return tuple(sorted({address.removeprefix("a@") for address in parsed}))


def meant(owner: User, wanted: Conditions, *, between: tuple[int, int] | None = None) -> ColumnElement[bool]:
    """The question to `Client` whether he is meant now; without `between` about all at once (database.large_joins)."""
    attempts = attempts_of(owner.id, wanted.mailings) if between is None else None
    return conditions.where(wanted, owner.id, now=clock.now(), between=between, attempts=attempts)


def attempts_of(owner_id: int, mailing_ids: Collection[int]) -> dict[int, list[int]] | None:
    """Ids of attempts by mailing; None for SQLite, which joins row by row: it does better to look up each letter."""
    if db.engine.dialect.name == "sqlite":
        return None
    found: dict[int, list[int]] = {}
    for mailing_id, attempt_id in (
        db.session.execute(received.attempts_of(mailing_ids, owner_id)) if mailing_ids else ()
    ):
        found.setdefault(mailing_id, []).append(attempt_id)
    return found


def look(owner: User, wanted: Conditions, *, most: int = 5) -> tuple[int, Sequence[Client]]:
    """How many clients are meant now, and some of them, the latest first."""
    latest = (Client.id.desc(),)
    page = pages.fetch_once(select(Client.id).where(meant(owner, wanted)), order=latest, number=1, size=most)
    return page.total, pages.rows(Client, page.items)


def create(owner: User, *, name: str, wanted: Conditions) -> SavedFilter:
    """Invalid beside “name” when it is empty or taken."""
    lock(owner)
    have = db.session.scalar(select(func.count()).select_from(SavedFilter).where(SavedFilter.owner_id == owner.id))
    if have and have >= MOST:
        message = ngettext("You can keep %(num)d filter at most.", "You can keep %(num)d filters at most.", MOST)
        raise Invalid(message, field="name")
    saved = SavedFilter(owner_id=owner.id, **_checked(owner, name, wanted, None))
    db.session.add(saved)
    db.session.flush()
    return saved


def change(owner: User, saved: SavedFilter, *, name: str, wanted: Conditions) -> SavedFilter:
    """Mailings that use it go by the new conditions from their next attempt on."""
    lock(owner)
    for column, value in _checked(owner, name, wanted, saved.id).items():
        setattr(saved, column, value)
    return saved


def delete(owner: User, saved: SavedFilter) -> str:
    """Refused while a mailing uses it. Returns its name."""
    lock(owner)
    # Locked, so that no mailing takes it up meanwhile.
    db.session.execute(select(SavedFilter.id).where(SavedFilter.id == saved.id).with_for_update())
    if used := _mailings([saved.id]).get(saved.id):
        named = _named([title for _id, title in used])
        message = ngettext(
            "“%(name)s” says who gets %(num)d mailing: %(named)s. Choose other clients there first.",
            "“%(name)s” says who gets %(num)d mailings: %(named)s. Choose other clients there first.",
            len(used),
            name=saved.name,
            named=named,
        )
        raise Refused(message)
    name = saved.name
    db.session.execute(delete_rows(SavedFilter).where(SavedFilter.id == saved.id))
    return name


def refuse_if_asked_about(mailing: Mailing) -> None:
    """Refused while a saved filter asks who got this mailing: without it nobody would know any more."""
    query = select(SavedFilter).where(SavedFilter.owner_id == mailing.owner_id).order_by(SavedFilter.name)
    names = [row.name for row in db.session.scalars(query) if mailing.id in conditions_of(row).mailings]
    if names:
        raise Refused(_("Saved filters ask who got this mailing: %(named)s. Change them first.", named=_named(names)))


def check(owner: User, wanted: Conditions) -> None:
    """Invalid when a tag or a mailing in it is not the owner's."""
    query = select(func.count()).select_from(Tag).where(Tag.owner_id == owner.id, Tag.id.in_(wanted.tags))
    if db.session.scalar(query) != len(wanted.tags):
        raise Invalid(_("One of the tags is no longer there."))
    query = select(func.count()).select_from(Mailing)
    query = query.where(Mailing.owner_id == owner.id, Mailing.id.in_(wanted.mailings))
    if db.session.scalar(query) != len(wanted.mailings):
        raise Invalid(_("There is no such mailing."))


def _checked(owner: User, name: str, wanted: Conditions, saved_id: int | None) -> dict[str, Any]:
    name = texts.required(texts.one_line(name, field="name", longest=LONGEST_NAME), field="name")
    key = folded(name, longest=LONGEST_FOLDED)
    taken = select(SavedFilter.id).where(SavedFilter.owner_id == owner.id, SavedFilter.name_folded == key)
    if db.session.scalar(taken) not in (None, saved_id):
        raise Invalid(_("You have a filter with this name already."), field="name")
    check(owner, wanted)
    return {"name": name, "name_folded": key, "conditions": conditions.as_json(wanted)}


def _mailings(filter_ids: Collection[int]) -> dict[int, list[tuple[int, str]]]:
    query = (
        select(mailing_filters.c.filter_id, Mailing.id, Mailing.title)
        .join(Mailing, Mailing.id == mailing_filters.c.mailing_id)
        .where(mailing_filters.c.filter_id.in_(filter_ids))
        .order_by(Mailing.title, Mailing.id)
    )
    found: dict[int, list[tuple[int, str]]] = {}
    for filter_id, mailing_id, title in db.session.execute(query):
        found.setdefault(filter_id, []).append((mailing_id, title))
    return found


def _named(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    named = ", ".join(f"“{name}”" for name in names[:NAMED])
    return (
        named if more <= 0 else ngettext("%(named)s and %(num)d more", "%(named)s and %(num)d more", more, named=named)
    )
