"""Which clients a mailing goes to: by list (all, or those pasted and ticked) and by saved filters. Good at 100,000."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import ColumnElement, Select, exists, func, insert, literal, select
from sqlalchemy import delete as delete_rows

from mailservice import clock
from mailservice.database import db, large_joins
from mailservice.errors import Invalid
from mailservice.models import Client, Mailing, SavedFilter, User, mailing_clients, mailing_filters
from mailservice.sending import audience as sending_audience
from mailservice.services import addresses, filters, pages, texts
from mailservice.services.ids import possible

CHUNK = 900  # values in one question; SQLite and PostgreSQL both take them
MATCHES = 200  # clients that one search offers for ticking
NAMED = 10  # unknown addresses that a message names
EDITABLE = 1000  # an audience of up to so many is shown as text when it is edited


@dataclass(frozen=True)
class Audience:
    """`everyone`: all clients of the owner as they are now; else `client_ids` and all who match any of `matching`.

    `doubled` and `unknown` count pasted addresses that are left out: pasted twice, or no client's.
    """

    everyone: bool = False
    client_ids: frozenset[int] = frozenset()
    matching: tuple[str, ...] = ()
    doubled: int = 0
    unknown: int = 0


def everyone() -> Audience:
    return Audience(everyone=True)


def chosen(
    owner: User, *, pasted: str, ticked: Iterable[int] = (), matching: Iterable[str] = (), leave_out: bool = False
) -> Audience:
    """The owner's clients with these addresses (one a line) and ids, and all who match these words.

    Invalid beside “pasted” names addresses that no client has, unless they are to be left out; beside “ticked”:
    an id is not the owner's.
    """
    ticked = set(ticked)
    ids = frozenset(_own_ids(owner, ticked))
    if len(ids) < len(ticked):
        message = _("Some of the ticked clients are no longer there. Look through the list again.")
        raise Invalid(message, field="ticked")
    lines = [_normalise(line) for line in _lines(pasted)]
    known = _ids_of_addresses(owner, pasted, leave_out=leave_out)
    different = len(set(lines))
    return Audience(
        client_ids=ids | frozenset(known),
        matching=tuple(filter(None, dict.fromkeys(matching))),
        doubled=len(lines) - different,
        unknown=different - len(known),
    )


def size(owner: User) -> int:
    """How many clients the owner has."""
    query = select(func.count()).select_from(Client).where(Client.owner_id == owner.id)
    return db.session.scalar(query) or 0


def find(owner: User, words: str) -> Sequence[Client]:
    """Up to `MATCHES` clients whose address or name contains `words`."""
    query = select(Client).where(Client.owner_id == owner.id)
    query = query.where(_matches(words)) if words else query
    return db.session.scalars(query.order_by(Client.email_normalised).limit(MATCHES)).all()


def count_matching(owner: User, words: str) -> int:
    """How many clients `find` would have offered without its limit."""
    query = select(func.count()).select_from(Client).where(Client.owner_id == owner.id, _matches(words))
    return db.session.scalar(query) or 0


def _matches(words: str) -> Any:
    return pages.matches(words, Client.email, Client.full_name)


def addresses_of(owner: User, ids: Iterable[int]) -> list[str]:
    """The addresses of these clients as they were given; ids of others are left out."""
    found: list[str] = []
    for chunk in _chunks(sorted(_possible(ids))):
        query = select(Client.email).where(Client.owner_id == owner.id, Client.id.in_(chunk))
        found += db.session.scalars(query)
    return sorted(found)


def as_text(mailing: Mailing) -> str | None:
    """The list of a mailing as one address a line; None when it is too large for that."""
    query = _listed(mailing, Client.email).order_by(Client.email_normalised).limit(EDITABLE + 1)
    found = list(db.session.scalars(query))
    return None if len(found) > EDITABLE else "\n".join(found)


def count(mailing: Mailing) -> int:
    """How many would get it now, by list and by filters."""
    if not filter_ids_of(mailing):
        return count_listed(mailing)
    query = select(func.count()).select_from(Client).where(are_meant(mailing))
    with large_joins():
        return db.session.scalar(query) or 0


def is_empty(mailing: Mailing) -> bool:
    """Whether nobody could ever get it: there is no list, and no filter that may come to mean somebody."""
    return not filter_ids_of(mailing) and not count_listed(mailing)


def count_listed(mailing: Mailing) -> int:
    """How many are on its list: whoever is there is still a client."""
    query = select(func.count()).where(mailing_clients.c.mailing_id == mailing.id)
    return db.session.scalar(query) or 0


def members(mailing: Mailing, *, words: str = "", number: int = 1, size: int = 50) -> pages.Page:
    """Who would get the mailing now, in the order in which they became clients."""
    by_filter = bool(filter_ids_of(mailing))
    if words or by_filter:
        query = select(Client.id).where(are_meant(mailing)) if by_filter else _listed(mailing, Client.id)
        query = query.where(_matches(words)) if words else query
        page = pages.fetch_once(query, order=(Client.id,), number=number, size=size)
    else:  # the list's own key has this order
        listed: Any = mailing_clients.c
        query = select(listed.client_id).where(listed.mailing_id == mailing.id).order_by(listed.client_id)
        page = pages.fetch(query, number=number, size=size, total=count_listed(mailing))
    return replace(page, items=pages.rows(Client, page.items))


def assign(mailing: Mailing, audience: Audience | None, filter_ids: Collection[int] | None = None) -> None:
    """Makes `audience` the list of a mailing and these its saved filters; None keeps what there is.

    Invalid beside “audience” when it would go to nobody: a filter that means nobody now is somebody.
    """
    had_filters = bool(filter_ids_of(mailing))
    if filter_ids is not None:
        _assign_filters(mailing, set(filter_ids))
    if audience is not None:
        _assign_list(mailing, audience)
    is_asked = audience is not None or (had_filters and not filter_ids and filter_ids is not None)
    if is_asked and is_empty(mailing):
        raise Invalid(_("Nobody would get this mailing: choose at least one client."), field="audience")


def filter_ids_of(mailing: Mailing) -> list[int]:
    """Ids of the saved filters that a mailing uses."""
    query = select(mailing_filters.c.filter_id).where(mailing_filters.c.mailing_id == mailing.id)
    return list(db.session.scalars(query.order_by(mailing_filters.c.filter_id)))


def _assign_list(mailing: Mailing, audience: Audience) -> None:
    db.session.execute(delete_rows(mailing_clients).where(mailing_clients.c.mailing_id == mailing.id))
    columns = ["mailing_id", "client_id", "owner_id"]
    clients = select(literal(mailing.id), Client.id, Client.owner_id)
    clients = clients.where(Client.owner_id == mailing.owner_id)
    clients = clients.with_for_update(key_share=True, read=True)  # who is being deleted at this moment is left out
    if audience.everyone:
        db.session.execute(insert(mailing_clients).from_select(columns, clients))
    for chunk in _chunks(sorted(audience.client_ids)):
        db.session.execute(insert(mailing_clients).from_select(columns, clients.where(Client.id.in_(chunk))))
    in_mailing = select(mailing_clients.c.client_id).where(mailing_clients.c.mailing_id == mailing.id)
    for words in audience.matching:
        found = clients.where(_matches(words), Client.id.not_in(in_mailing))
        db.session.execute(insert(mailing_clients).from_select(columns, found))
    mailing.doubled, mailing.unknown = audience.doubled, audience.unknown


def _assign_filters(mailing: Mailing, filter_ids: set[int]) -> None:
    """Invalid beside “filter_ids” when one is not the owner's."""
    db.session.execute(delete_rows(mailing_filters).where(mailing_filters.c.mailing_id == mailing.id))
    rows = select(literal(mailing.id), SavedFilter.id, SavedFilter.owner_id)
    rows = rows.where(SavedFilter.owner_id == mailing.owner_id, SavedFilter.id.in_(_possible(filter_ids)))
    rows = rows.with_for_update(key_share=True, read=True)
    db.session.execute(insert(mailing_filters).from_select(["mailing_id", "filter_id", "owner_id"], rows))
    if len(filter_ids_of(mailing)) < len(filter_ids):
        message = _("One of the saved filters is no longer there. Look through them again.")
        raise Invalid(message, field="filter_ids")


def copy(source: Mailing, target: Mailing) -> None:
    """The list and the filters of one mailing become those of another that has none."""
    for table, column in ((mailing_clients, "client_id"), (mailing_filters, "filter_id")):
        chosen = select(literal(target.id), table.c[column], table.c.owner_id).where(table.c.mailing_id == source.id)
        chosen = chosen.with_for_update(key_share=True, read=True)
        db.session.execute(insert(table).from_select(["mailing_id", column, "owner_id"], chosen))
    target.doubled, target.unknown = source.doubled, source.unknown


def are_meant(mailing: Mailing) -> ColumnElement[bool]:
    """The question to `Client` whether he would get it now, about all at once (database.large_joins)."""
    found = db.session.scalars(sending_audience.filters_of(mailing.id)).all()
    now = sending_audience.read(mailing.id, mailing.owner_id, found, clock.now())
    asked_about = frozenset().union(*(wanted.mailings for wanted in now.filters))
    attempts = filters.attempts_of(mailing.owner_id, asked_about)
    has_list = db.session.scalar(select(exists().where(mailing_clients.c.mailing_id == mailing.id))) or False
    return sending_audience.members_at_once(now, attempts, has_list=has_list)


def _listed(mailing: Mailing, what: Any) -> Select[Any]:
    query = select(what).join(mailing_clients, mailing_clients.c.client_id == Client.id)
    return query.where(mailing_clients.c.mailing_id == mailing.id)


def _own_ids(owner: User, ids: Iterable[int]) -> Iterator[int]:
    for chunk in _chunks(sorted(_possible(ids))):
        query = select(Client.id).where(Client.owner_id == owner.id, Client.id.in_(chunk))
        yield from db.session.scalars(query)


def _ids_of_addresses(owner: User, pasted: str, *, leave_out: bool) -> set[int]:
    lines = {_normalise(line): line for line in _lines(pasted)}
    known = _known(owner, lines)
    if len(known) < len(lines) and not leave_out:
        unknown = [line for address, line in lines.items() if address not in known]
        raise Invalid(_unknown_addresses(unknown), field="pasted")
    return set(known.values())


def _lines(pasted: str) -> Iterator[str]:
    """Addresses are separated by line breaks, commas or semicolons, as they come from elsewhere."""
    text = (pasted or "").replace(",", "\n").replace(";", "\n")
    return filter(None, (line.strip() for line in text.splitlines()))


def _known(owner: User, normalised: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in _chunks(sorted(a for a in normalised if "\x00" not in a)):
        query = select(Client.email_normalised, Client.id).where(Client.owner_id == owner.id)
        rows = db.session.execute(query.where(Client.email_normalised.in_(chunk)))
        found |= {row.email_normalised: row.id for row in rows}
    return found


def _normalise(line: str) -> str:
    """Lower case, and the domain in ASCII; a line that is no address stays as it is."""
    local, at, domain = line.lower().rpartition("@")
    return f"{local}{at}{_ascii(domain)}"


@lru_cache(maxsize=1000)
def _ascii(domain: str) -> str:
    """Parsing costs half a millisecond, and a list of 100,000 addresses has few domains."""
    try:
        return domain if domain.isascii() else addresses.parse(f"a@{domain}").normalised.removeprefix("a@")
    except Invalid:
        return domain


def _unknown_addresses(unknown: list[str]) -> str:
    named = ", ".join(texts.search_words(line)[:80] for line in unknown[:NAMED])
    if len(unknown) <= NAMED:
        return _("These addresses are not among your clients: %(named)s.", named=named)
    return ngettext(
        "These addresses are not among your clients: %(named)s and %(num)d more.",
        "These addresses are not among your clients: %(named)s and %(num)d more.",
        len(unknown) - NAMED,
        named=named,
    )


def _possible(ids: Iterable[int]) -> set[int]:
    return set(filter(possible, ids))


def _chunks(values: Sequence) -> Iterator[Sequence]:
    return (values[i : i + CHUNK] for i in range(0, len(values), CHUNK))
