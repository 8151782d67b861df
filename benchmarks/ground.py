"""What every benchmark stands on: servers of its own, an app on them, and rows made in bulk."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import insert, literal, select

from config import ROOT, load
from mailservice import clock
from mailservice.app import create_app
from mailservice.database import transaction, write
from mailservice.models import Client, Mailing, Message, Periodicity, User, mailing_clients

CHUNK = 10_000


def make_app(folder: Path, *, mail_port: int, database_url: str = "", **settings: object) -> Flask:
    """An app on an empty, migrated database, whose mail server is on this port."""
    app = create_app(
        load(
            {
                "INSTANCE_PATH": str(folder),
                "SECRET_KEY": "k" * 40,
                "DATABASE_URL": database_url,
                "MAIL_SERVER": "127.0.0.1",
                "MAIL_PORT": str(mail_port),
                "MAIL_SECURITY": "none",
                "MAIL_SENDER": "Shop <news@shop.example>",
                "LOG_LEVEL": "ERROR",
            }
            | {name.upper(): str(value) for name, value in settings.items()}
        )
    )
    with app.app_context():
        upgrade(str(ROOT / "migrations"))
    return app


def body(size: int = 5000) -> str:
    """Markdown that makes, with its HTML part, a letter of about twice its size."""
    paragraph = (
        "Dear {{ first_name | friend }}, this week we have **new things** on the shelves, among them a lamp, "
        "a table and a chair that you may like; see [the shop](https://shop.example/news).\n\n"
    )
    filler = "Words and words about what is new, so that the letter is as long as letters usually are.\n\n"
    return paragraph + filler * ((size - len(paragraph)) // len(filler))


def fill(count: int) -> int:
    """A user with so many clients and a mailing to all of them that is due now; the mailing's id."""
    now = clock.now()
    with transaction() as session:
        owner = User(email="o@example.org", email_normalised="o@example.org", password_hash="-", confirmed_at=now)
        session.add(owner)
        session.flush()
        message = Message(owner_id=owner.id, subject="News for {{ first_name | you }}", body=body())
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
        rows = [
            {
                "owner_id": owner_id,
                "email": f"user{n}@example.org",
                "email_normalised": f"user{n}@example.org",
                "full_name": f"Anna Petrova {n}",
                "comment": "",
                "created_at": now,
                "updated_at": now,
            }
            for n in range(start, min(start + CHUNK, count))
        ]
        with write() as connection:
            connection.execute(insert(Client), rows)
    with write() as connection:
        chosen = select(literal(mailing_id), Client.id, literal(owner_id))
        connection.execute(insert(mailing_clients).from_select(["mailing_id", "client_id", "owner_id"], chosen))
    return mailing_id


@contextlib.contextmanager
def fastsink(source: Path, *options: str) -> Iterator[int]:
    """The cheap sink, built in a temporary folder; its port."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "fastsink"
        subprocess.run(["cc", "-O2", "-w", "-o", str(binary), str(source)], check=True)
        port = free_port()
        process = subprocess.Popen([binary, *options, str(port)], stderr=subprocess.DEVNULL)
        try:
            wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def cpu_of(pids: list[int]) -> float:
    """Seconds of CPU that these processes have used, their ended children included."""
    tick, total = os.sysconf("SC_CLK_TCK"), 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(value) for value in fields[11:15])
    return total / tick


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found
