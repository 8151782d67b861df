"""The functions that RQ calls by name (`queues.Job`); each leaves no database session behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mailservice import visits
from mailservice.database import db, transaction
from mailservice.jobs import account_letters, drains, importing, ticks
from mailservice.services import signups


@contextmanager
def _clean_session() -> Iterator[None]:
    try:
        yield
    finally:
        db.session.remove()


def tick() -> None:
    with _clean_session():
        ticks.tick()
        drains.ring()
        importing.ring()


def drain(attempt_id: int) -> None:
    with _clean_session():
        if drains.drain(attempt_id):
            drains.ring()  # else the tick rings, in its own time


def account_letter(kind: str, user_id: int, tried: int = 0, about_id: int | None = None) -> None:
    with _clean_session():
        account_letters.send(kind, user_id, tried, about_id)


def write_views() -> None:
    with _clean_session():
        visits.flush()


def forget_sign_ups() -> None:
    with _clean_session(), transaction():
        signups.forget()


def import_clients(import_id: int) -> None:
    with _clean_session():
        importing.take_turn(import_id)


def clear_up_imports() -> None:
    with _clean_session():
        importing.clear_up()
