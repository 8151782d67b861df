"""Clients: the people who receive mail, each user's own."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from flask_babel import gettext as _
from sqlalchemy import delete as delete_rows
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from mailservice.database import db
from mailservice.errors import Invalid, NotFound
from mailservice.models import Client, ClientSource, Suppression, User
from mailservice.sending import conditions
from mailservice.sending.conditions import Conditions
from mailservice.services import addresses, filters, ids, tags, texts
from mailservice.services.pages import Page, fetch, fetch_once, rows

LONGEST_NAME = 200
LONGEST_COMMENT = 5000


def own(owner: User, client_id: int) -> Client:
    """The owner's client; NotFound for everybody else's and for none."""
    found = None
    if ids.possible(client_id):
        query = select(Client).where(Client.id == client_id, Client.owner_id == owner.id)
        found = db.session.scalars(query).one_or_none()
    if found is None:
        raise NotFound(_("There is no such client."))
    return found


def search(owner: User, *, wanted: Conditions, number: int, size: int) -> Page[Client]:
    """Clients who meet the conditions, by name and address."""
    query = select(Client.id).where(filters.meant(owner, wanted))
    order = (Client.full_name, Client.email_normalised)
    if not conditions.as_json(wanted):  # everybody: their number is known from an index alone
        page = fetch(query.order_by(*order), number=number, size=size)
    else:
        page = fetch_once(query, order=order, number=number, size=size)
    return replace(page, items=rows(Client, page.items))


def suppressed(owner: User, found: Collection[Client]) -> set[int]:
    """Ids of those among these clients whom the owner may not mail."""
    by_address = {client.email_normalised: client.id for client in found}
    query = select(Suppression.email_normalised).where(Suppression.owner_id == owner.id)
    rows = db.session.scalars(query.where(Suppression.email_normalised.in_(list(by_address))))
    return {by_address[address] for address in rows}


def create(
    owner: User,
    *,
    email: str,
    full_name: str,
    comment: str,
    tagged: str = "",
    source: ClientSource = ClientSource.BY_HAND,
    source_detail: str = "",
) -> Client:
    """Invalid beside “email” when the owner has this address already, however it is spelt.

    `tagged` names the client's tags, with commas between; new ones are made.
    """
    client = Client(owner_id=owner.id, source=source, source_detail=source_detail)
    _keep(client, email=email, full_name=full_name, comment=comment)
    tags.assign(owner, client, tagged)
    return client


def change(client: Client, *, email: str, full_name: str, comment: str, tagged: str | None = None) -> Client:
    """What was sent before keeps the address and the name with which it was sent. `tagged` None keeps the tags."""
    _keep(client, email=email, full_name=full_name, comment=comment)
    if tagged is not None:
        tags.assign(client.owner, client, tagged)
    return client


def delete(client: Client) -> str:
    """Takes the client out of all mailings too; the account of past deliveries stays. Returns the address."""
    email = client.email
    db.session.execute(delete_rows(Client).where(Client.id == client.id))
    return email


def _fill(client: Client, *, email: str, full_name: str, comment: str) -> None:
    address = addresses.parse(email)
    client.full_name = texts.one_line(full_name, field="full_name", longest=LONGEST_NAME)
    client.comment = texts.many_lines(comment, field="comment", longest=LONGEST_COMMENT).strip()
    client.email, client.email_normalised = address.given, address.normalised


def _keep(client: Client, **values: str) -> Client:
    """The database decides whether the address is taken: two browsers may ask at once."""
    try:
        with db.session.begin_nested():  # which flushes at its beginning: the client changes inside it
            _fill(client, **values)
            db.session.add(client)
    except IntegrityError:
        raise Invalid(_("You have a client with this address already."), field="email") from None
    return client
