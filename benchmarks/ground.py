"""What every benchmark stands on: an app on an empty database, rows made in bulk, an attempt made ready."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import func, insert, literal, select, text

from config import ROOT, load
from mailservice import clock
from mailservice.app import create_app
from mailservice.database import db, read, transaction, write
from mailservice.jobs import ticks
from mailservice.models import Client, Mailing, Message, Periodicity, Result, State, User, mailing_clients
from mailservice.sending import settling
from mailservice.services import progress

SENDER = "Shop <news@shop.example>"
SUBJECT = "News for {{ first_name | you }}"
CONNECTIONS = 10  # of each sender
CHUNK = 10_000
WARM_UP = 5_000  # letters
FIRST_NAMES = (
    *("Alexander", "Alexey", "Alice", "Anastasia", "Andrey", "Anna", "Anton", "Boris", "Daria", "Denis", "Dmitry"),
    *("Ekaterina", "Elena", "Emma", "Fedor", "Galina", "George", "Grace", "Igor", "Irina", "Ivan", "James", "Julia"),
    *("Kirill", "Ksenia", "Larisa", "Liam", "Lucy", "Maria", "Maxim", "Mia", "Mikhail", "Natalia", "Nikita", "Nina"),
    *("Noah", "Oleg", "Olga", "Oliver", "Pavel", "Polina", "Roman", "Sergey", "Sofia", "Stepan", "Svetlana", "Tatiana"),
    *("Timur", "Valentina", "Vera", "Victor", "Vladimir", "William", "Yana", "Yury", "Zoe"),
)


@contextlib.contextmanager
def service(folder: Path, *, mail_port: int, database_url: str = "", redis_url: str = "") -> Iterator[Flask]:
    """An app on an empty, migrated database, and its context."""
    app = app_on(folder, mail_port=mail_port, database_url=database_url, redis_url=redis_url)
    with app.app_context():
        upgrade(str(ROOT / "migrations"))
        try:
            yield app
        finally:
            db.session.remove()
            db.engine.dispose()


def app_on(folder: Path, *, mail_port: int, database_url: str = "", redis_url: str = "") -> Flask:
    """The app on what a process before this one has made."""
    return create_app(
        load(
            {
                "INSTANCE_PATH": str(folder),
                "SECRET_KEY": "k" * 40,
                "DATABASE_URL": database_url,
                "REDIS_URL": redis_url,
                "MAIL_SERVER": "127.0.0.1",
                "MAIL_PORT": str(mail_port),
                "MAIL_SECURITY": "none",
                "MAIL_SENDER": SENDER,
                "MAIL_CONNECTIONS": str(CONNECTIONS),
                "LOG_LEVEL": "ERROR",
            }
        )
    )


def body(size: int = 3650) -> str:
    """Markdown that makes, with its HTML part, a letter of about twice its size."""
    paragraph = (
        "Dear {{ first_name | friend }}, this week we have **new things** on the shelves, among them a lamp, "
        "a table and a chair that you may like; see [the shop](https://shop.example/news).\n\n"
    )
    filler = "Words and words about what is new, so that the letter is as long as letters usually are.\n\n"
    return paragraph + filler * ((size - len(paragraph)) // len(filler))


def fill(count: int) -> int:
    """A new user with so many clients and a mailing to all of them that is due now; the mailing's id."""
    now, address = clock.now(), f"owner-{secrets.token_hex(4)}@example.org"
    with transaction() as session:
        owner = User(email=address, email_normalised=address, password_hash="-", confirmed_at=now)
        session.add(owner)
        session.flush()
        message = Message(owner_id=owner.id, subject=SUBJECT, body=body())
        session.add(message)
        session.flush()
        mailing = Mailing(
            owner_id=owner.id,
            title="News",
            message_id=message.id,
            start_local=now.replace(tzinfo=None),
            time_zone="UTC",
            periodicity=Periodicity.ONCE,
            next_occurrence=0,
            next_at=now - timedelta(seconds=1),
        )
        session.add(mailing)
        session.flush()
        owner_id, mailing_id = owner.id, mailing.id
    for start in range(0, count, CHUNK):
        rows = [_client(n, owner_id) for n in range(start, min(start + CHUNK, count))]
        with write() as connection:
            connection.execute(insert(Client), rows)
    if db.engine.dialect.name == "postgresql":  # as autovacuum has done with clients that are not new
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE clients"))
    with write() as connection:
        chosen = select(literal(mailing_id), Client.id, Client.owner_id).where(Client.owner_id == owner_id)
        connection.execute(insert(mailing_clients).from_select(["mailing_id", "client_id", "owner_id"], chosen))
    return mailing_id


def _client(number: int, owner_id: int) -> dict[str, object]:
    address, now = email(number), clock.now()
    return {
        "owner_id": owner_id,
        "email": address,
        "email_normalised": address,
        "full_name": full_name(number),
        "comment": "",
        "created_at": now,
        "updated_at": now,
    }


def full_name(number: int) -> str:
    return f"{FIRST_NAMES[number % len(FIRST_NAMES)]} Petrov {number}"


def email(number: int) -> str:
    return f"user{number}@example.org"


def prepare(mailing_id: int) -> int:
    """Plans the mailing and freezes its audience, as ticks do in slices; the attempt's id."""
    ticks.plan_due(mailing_id)
    settling.prepare(sender=SENDER, seconds=24 * 3600)
    attempt_id = progress.open_ids(mailing_id).pop()
    db.session.rollback()
    return attempt_id


def check(attempt_id: int, letters: int) -> None:
    """Every letter of the attempt has its acceptance in the database."""
    with read() as connection:
        query = select(func.count()).where(Result.attempt_id == attempt_id, Result.state == State.SENT)
        sent = connection.scalar(query)
    if sent != letters:
        raise SystemExit(f"only {sent} of {letters} letters are recorded as sent")
