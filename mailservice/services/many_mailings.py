"""The same done to many mailings at once: to all that allow it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sqlalchemy import select

from mailservice.database import db
from mailservice.errors import Refused
from mailservice.models import Mailing, User
from mailservice.services import ids, mailings

MOST = 100  # mailings at once: as many as the longest page shows


@dataclass
class Done:
    """How many it was done to; of the others the title, and why not."""

    number: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def chosen(owner: User, mailing_ids: Iterable[int], *, lock: bool = False) -> list[Mailing]:
    """The owner's mailings among these, by title."""
    possible = sorted(set(filter(ids.possible, mailing_ids)))[:MOST]
    query = select(Mailing).where(Mailing.owner_id == owner.id, Mailing.id.in_(possible)).order_by(Mailing.id)
    query = query.with_for_update() if lock else query
    return sorted(db.session.scalars(query), key=lambda mailing: (mailing.title, mailing.id))


def pause(owner: User, mailing_ids: Iterable[int]) -> Done:
    return _each(owner, mailing_ids, mailings.pause)


def resume(owner: User, mailing_ids: Iterable[int]) -> Done:
    return _each(owner, mailing_ids, mailings.resume)


def delete(owner: User, mailing_ids: Iterable[int]) -> Done:
    return _each(owner, mailing_ids, mailings.delete)


def _each(owner: User, mailing_ids: Iterable[int], act: Callable[[Mailing], object]) -> Done:
    done = Done()
    for mailing in chosen(owner, mailing_ids, lock=True):
        try:
            act(mailing)
            done.number += 1
        except Refused as error:
            done.refused.append((mailing.title, error.message))
    return done
