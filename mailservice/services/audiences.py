"""Which clients a mailing goes to: all, or those pasted and ticked. Good at 100,000 clients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import Select, func, insert, literal, select
from sqlalchemy import delete as delete_rows

from mailservice.database import db
from mailservice.errors import Invalid
from mailservice.models import Client, Mailing, User, mailing_clients
from mailservice.services import addresses, pages, texts
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
    if words:
        query = query.where(pages.matches(words, Client.email, Client.full_name))
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
    """The audience of a mailing as one address a line; None when it is too large for that."""
    query = _clients_of(mailing, Client.email).limit(EDITABLE + 1)
    found = list(db.session.scalars(query))
    return None if len(found) > EDITABLE else "\n".join(found)


def count(mailing: Mailing) -> int:
    query = select(func.count()).where(mailing_clients.c.mailing_id == mailing.id)
    return db.session.scalar(query) or 0


def members(mailing: Mailing, *, words: str = "", number: int = 1, size: int = 50) -> pages.Page:
    """The clients of a mailing, by address."""
    query = _clients_of(mailing, Client)
    if words:
        query = query.where(pages.matches(words, Client.email, Client.full_name))
    return pages.fetch(query, number=number, size=size)


def assign(mailing: Mailing, audience: Audience) -> None:
    """Makes `audience` the clients of a mailing; Invalid beside “audience” when nobody is in it."""
    db.session.execute(delete_rows(mailing_clients).where(mailing_clients.c.mailing_id == mailing.id))
    columns = ["mailing_id", "client_id", "owner_id"]
    clients = select(literal(mailing.id), Client.id, Client.owner_id)
    clients = clients.where(Client.owner_id == mailing.owner_id)
    if audience.everyone:
        db.session.execute(insert(mailing_clients).from_select(columns, clients))
    for chunk in _chunks(sorted(audience.client_ids)):
        db.session.execute(insert(mailing_clients).from_select(columns, clients.where(Client.id.in_(chunk))))
    in_mailing = select(mailing_clients.c.client_id).where(mailing_clients.c.mailing_id == mailing.id)
    for words in audience.matching:
        found = clients.where(_matches(words), Client.id.not_in(in_mailing))
        db.session.execute(insert(mailing_clients).from_select(columns, found))
    mailing.doubled, mailing.unknown = audience.doubled, audience.unknown
    if not count(mailing):
        raise Invalid(_("Nobody would get this mailing: choose at least one client."), field="audience")


def copy(source: Mailing, target: Mailing) -> None:
    """The clients of one mailing become those of another that has none."""
    chosen = select(literal(target.id), mailing_clients.c.client_id, mailing_clients.c.owner_id)
    chosen = chosen.where(mailing_clients.c.mailing_id == source.id)
    db.session.execute(insert(mailing_clients).from_select(["mailing_id", "client_id", "owner_id"], chosen))
    target.doubled, target.unknown = source.doubled, source.unknown


def _clients_of(mailing: Mailing, what: Any) -> Select[Any]:
    query = select(what).join(mailing_clients, mailing_clients.c.client_id == Client.id)
    return query.where(mailing_clients.c.mailing_id == mailing.id).order_by(Client.email_normalised)


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
