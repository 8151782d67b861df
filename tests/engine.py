"""Runs the engine in the test's own process, as ticks and drains would."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import insert, literal, select

from mailservice import clock
from mailservice.database import db, read, transaction, write
from mailservice.jobs import drains, ticks
from mailservice.models import Attempt, Client, Delivery, Mailing, Result, User, mailing_clients
from mailservice.sending import ledger
from tests import factories


def due_mailing(owner: User, emails: list[str], **values: object) -> Mailing:
    """A mailing to these addresses whose time has come."""
    values = {"next_at": clock.now() - timedelta(seconds=1), "next_occurrence": 0} | values
    mailing = factories.mailing(owner, clients=[], **values)
    owner_id, mailing_id, now = owner.id, mailing.id, clock.now()
    rows = [
        {"owner_id": owner_id, "email": email, "email_normalised": email, "full_name": "Boris Ivanov"}
        | {"comment": "", "created_at": now, "updated_at": now}
        for email in emails
    ]
    with write() as connection:
        if rows:
            connection.execute(insert(Client), rows)
        chosen = select(literal(mailing_id), Client.id, literal(owner_id)).where(Client.email.in_(emails))
        connection.execute(insert(mailing_clients).from_select(["mailing_id", "client_id", "owner_id"], chosen))
    db.session.rollback()  # what the session has begun to read is from before these rows
    return mailing


def run_senders(*, times: int = 1) -> None:
    """A tick, then drains until nothing is due now; `times` over."""
    for _ in range(times):
        ticks.tick()
        before = None
        while (work := _work()) and work != before:
            before = work
            for attempt_id, _ in work:
                drains.drain(attempt_id)
        drains.let_go()
        db.session.rollback()


def _work() -> list[tuple[int, int]]:
    with read() as connection:
        return ledger.with_work(connection, clock.now())


def attempt_of(mailing: Mailing) -> Attempt:
    db.session.rollback()
    query = select(Attempt).where(Attempt.mailing_id == mailing.id).order_by(Attempt.occurrence)
    return db.session.scalars(query).one()


def results_of(mailing: Mailing) -> dict[str, list[Result]]:
    """Results by address, in order."""
    found: dict[str, list[Result]] = {}
    query = (
        select(Delivery.email, Result)
        .outerjoin(Result, Result.delivery_id == Delivery.id)
        .join(Attempt, Attempt.id == Delivery.attempt_id)
        .where(Attempt.mailing_id == mailing.id)
        .order_by(Result.id)
    )
    for email, result in db.session.execute(query):
        found.setdefault(email, []).extend([result] if result else [])
    return found


def states_of(mailing: Mailing) -> dict[str, str]:
    """The last state of each address; `waiting` where there is no result."""
    return {
        email: str(results[-1].state.value) if results else "waiting" for email, results in results_of(mailing).items()
    }


def change(row: object, **values: object) -> None:
    """Sets columns of a row in a transaction of its own."""
    with transaction():
        for name, value in values.items():
            setattr(row, name, value)
