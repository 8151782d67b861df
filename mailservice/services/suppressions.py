"""The stop list: addresses that an owner may no longer mail, searched, added by hand, taken off with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mailservice import clock
from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Client, Consent, Suppression, SuppressionReason, Turn, User
from mailservice.services import addresses, audit, consents, ids, texts
from mailservice.services.audit import Action
from mailservice.services.pages import Page, fetch, matches

LONGEST_NOTE = 500
AT_ONCE = 2000  # addresses in one form
NAMED = 5  # wrong addresses that a message names
CHUNK = 500  # rows in one statement
SEPARATORS = re.compile(r"[\s,;]+")
ORDERS = {
    "newest": (Suppression.created_at.desc(), Suppression.id.desc()),
    "oldest": (Suppression.created_at, Suppression.id),
    "address": (Suppression.email_normalised,),
}


class Entry(NamedTuple):
    """`client_id` of the owner's client with this address; `asked_at`: when the person asked to be let back."""

    row: Suppression
    client_id: int | None
    asked_at: datetime | None


class Added(NamedTuple):
    """How many addresses are new on the list, and how many were there before."""

    new: int
    known: int


def own(owner: User, suppression_id: int) -> Suppression:
    """The owner's entry; NotFound for everybody else's and for none."""
    found = None
    if ids.possible(suppression_id):
        query = select(Suppression).where(Suppression.id == suppression_id, Suppression.owner_id == owner.id)
        found = db.session.scalars(query).one_or_none()
    if found is None:
        raise NotFound(_("There is no such entry in the stop list."))
    return found


def speaks_of(words: str) -> ColumnElement[bool]:
    """Whether the address of an entry, or what is said of it, holds `words`: in the list and in its file."""
    return matches(words, Suppression.email_normalised, Suppression.detail, Suppression.said)


def search(
    owner: User, *, words: str, reason: SuppressionReason | None, order: str, number: int, size: int
) -> Page[Entry]:
    """Entries whose address or words hold `words`."""
    query = select(Suppression).where(Suppression.owner_id == owner.id)
    if words:
        query = query.where(speaks_of(words))
    if reason:
        query = query.where(Suppression.reason == reason)
    found = fetch(query.order_by(*ORDERS.get(order, ORDERS["newest"])), number=number, size=size)
    emails = [row.email_normalised for row in found.items]
    clients, asked = _clients(owner, emails), _asked(owner, emails)
    entries = [Entry(row, clients.get(row.email_normalised), _since(row, asked)) for row in found.items]
    return Page(entries, found.number, found.size, found.total)


def _clients(owner: User, emails: Sequence[str]) -> dict[str, int]:
    """Ids by address: asked for one page, since to count the whole list with its clients would take long."""
    query = select(Client.email_normalised, Client.id)
    rows = db.session.execute(query.where(Client.owner_id == owner.id, Client.email_normalised.in_(emails)))
    return {row.email_normalised: row.id for row in rows}


def _asked(owner: User, emails: Sequence[str]) -> dict[str, datetime]:
    """When people last signed up by the form although they are on the list."""
    query = select(Consent.email_normalised, func.max(Consent.at).label("at")).where(
        Consent.owner_id == owner.id, Consent.email_normalised.in_(emails), Consent.turn == Turn.ASKED_BACK
    )
    return {row.email_normalised: row.at for row in db.session.execute(query.group_by(Consent.email_normalised))}


def _since(row: Suppression, asked: dict[str, datetime]) -> datetime | None:
    at = asked.get(row.email_normalised)
    return at if at and at > row.created_at else None


def add(owner: User, *, pasted: str, note: str, address: str | None = None) -> Added:
    """Puts the pasted addresses on the list; those on it stay as they are.

    Invalid beside “pasted” names what is no address, and then nothing is added.
    """
    note = texts.one_line(note, field="note", longest=LONGEST_NOTE)
    wanted = _addresses(pasted)
    consents.lock(owner.id)
    new = sorted(wanted - _known(owner, wanted))
    now = clock.now()
    for chunk in _chunks(new):
        common = {"owner_id": owner.id, "reason": SuppressionReason.BY_HAND, "detail": note, "created_at": now}
        _insert([common | {"email_normalised": email} for email in chunk])
    for email in new:
        consents.note(owner.id, email, Turn.STOPPED, address=address, note=note)
    if new:
        audit.note(owner, Action.SUPPRESSED, subject=owner, address=address, rows=len(new))
    return Added(len(new), len(wanted) - len(new))


def may_lift(row: Suppression) -> bool:
    """Who unsubscribed comes back by himself alone; who complained, after he has asked for it by the form."""
    if row.reason is SuppressionReason.UNSUBSCRIBED:
        return False
    return row.reason is not SuppressionReason.COMPLAINT or asked_back_at(row) is not None


def asked_back_at(row: Suppression) -> datetime | None:
    """When the person signed up by the form and confirmed it; None if that was not since then."""
    proof = consents.proof(row.owner_id, row.email_normalised)
    return proof.at if proof is not None and proof.at > row.created_at else None


def lift(owner: User, suppression_id: int, *, note: str, address: str | None = None) -> str:
    """Takes the address off the list; Invalid without a reason, Refused where that is not the owner's to do."""
    note = texts.required(texts.one_line(note, field="note", longest=LONGEST_NOTE), field="note")
    consents.lock(owner.id)  # before the look: the person may be unsubscribing just now
    row = own(owner, suppression_id)
    if not may_lift(row):
        raise Refused(_("Only this person can lift it: by the link in a letter or by your sign-up form."))
    was, email = row.reason, row.email_normalised
    audit.note(owner, Action.SUPPRESSION_LIFTED, subject=owner, address=address, was=was.value)
    consents.note(owner.id, email, Turn.LIFTED, address=address, note=note, was=was.value)
    db.session.delete(row)
    return email


def _addresses(pasted: str) -> set[str]:
    pieces = [piece.strip("<>\"'") for piece in SEPARATORS.split(pasted or "") if piece]
    if not pieces:
        raise Invalid(_("Enter at least one address."), field="pasted")
    if len(pieces) > AT_ONCE:
        message = _("At most %(count)d addresses at once.", count=AT_ONCE)
        raise Invalid(message, field="pasted")
    found, wrong = set(), []
    for piece in dict.fromkeys(pieces):
        try:
            found.add(addresses.parse(piece).normalised)
        except Invalid:
            wrong.append(texts.search_words(piece)[:80])
    if wrong:
        raise Invalid(_name(wrong), field="pasted")
    return found


def _name(wrong: list[str]) -> str:
    named = ", ".join(wrong[:NAMED])
    if len(wrong) <= NAMED:
        return _("These are not addresses: %(named)s.", named=named)
    return ngettext(
        "These are not addresses: %(named)s and %(num)d more.",
        "These are not addresses: %(named)s and %(num)d more.",
        len(wrong) - NAMED,
        named=named,
    )


def _known(owner: User, wanted: Iterable[str]) -> set[str]:
    known: set[str] = set()
    for chunk in _chunks(sorted(wanted)):
        query = select(Suppression.email_normalised).where(
            Suppression.owner_id == owner.id, Suppression.email_normalised.in_(chunk)
        )
        known.update(db.session.scalars(query))
    return known


def _insert(rows: list[dict[str, object]]) -> None:
    """A sender may have put one of them on the list this very moment."""
    dialect = postgresql if db.engine.dialect.name == "postgresql" else sqlite
    db.session.execute(dialect.insert(Suppression).on_conflict_do_nothing(), rows)


def _chunks(values: Sequence[str]) -> Iterable[Sequence[str]]:
    return (values[i : i + CHUNK] for i in range(0, len(values), CHUNK))
