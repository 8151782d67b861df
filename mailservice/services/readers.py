"""Who reads a preview: an example, the client of whom nothing is known, or one of the owner's own."""

from __future__ import annotations

import enum
from typing import NamedTuple

from flask_babel import gettext as _
from sqlalchemy import select

from mailservice.database import db
from mailservice.errors import Invalid
from mailservice.models import Client, User
from mailservice.services import addresses, pages, texts

OFFERED = 10  # clients that a search offers


class Sample(enum.StrEnum):
    EXAMPLE = "example"
    EMPTIEST = "emptiest"
    CLIENT = "client"


class Reader(NamedTuple):
    full_name: str
    email: str
    comment: str


def example(owner: User) -> Reader:
    return Reader(owner.full_name or _("Anna Petrova"), owner.email, _("(the client's comment)"))


def emptiest() -> Reader:
    return Reader("", "client@example.org", "")


def find(owner: User, words: str) -> Reader | None:
    """The client that was meant: by the whole address, else the first whose name or address has the words."""
    client = _by_address(owner, words) or next(iter(offer(owner, words)), None)
    return Reader(client.full_name, client.email, client.comment) if client else None


def offer(owner: User, words: str) -> list[Client]:
    """Some clients whose name or address has the words."""
    words = texts.search_words(words)
    if not words:
        return []
    query = select(Client).where(Client.owner_id == owner.id, pages.matches(words, Client.email, Client.full_name))
    return list(db.session.scalars(query.order_by(Client.full_name, Client.id).limit(OFFERED)))


def _by_address(owner: User, words: str) -> Client | None:
    try:
        email = addresses.parse(words).normalised
    except Invalid:
        return None
    query = select(Client).where(Client.owner_id == owner.id, Client.email_normalised == email)
    return db.session.scalars(query).one_or_none()
