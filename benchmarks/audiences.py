"""How long it takes to freeze an audience on PostgreSQL: clients chosen one by one, by a tag, by what they got.

    python -m benchmarks.audiences [--clients 1000000]

Every client is chosen and tagged; half of them got the first mailing. Meanwhile a person saves clients: `slowest save`
is what he waits at most.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from flask.testing import FlaskClient
from sqlalchemy import func, insert, literal, select

from benchmarks import databases, ground, machine
from benchmarks.databases import Postgresql
from benchmarks.demands import Demand, show
from benchmarks.growth import MILLION, slowest_save
from benchmarks.table import number, table
from benchmarks.worker import Task, Worker
from mailservice import clock
from mailservice.database import db, read, transaction, write
from mailservice.models import Client, Delivery, Result, State, User, client_tags, mailing_filters
from tests import factories

WANTED = 60.0  # seconds for a million clients
HEAD = ("audience", "clients", "prepare, s", "CPU of sender, s", "and of database", "slowest save meanwhile, ms")


class Cost(NamedTuple):
    audience: str
    clients: int
    seconds: float
    sender_cpu: float  # seconds
    database_cpu: float  # seconds
    slowest_save: float  # milliseconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audiences", description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=MILLION)
    clients = parser.parse_args().clients
    with databases.postgresql() as server:
        print(f"{machine.description()}, PostgreSQL {server.version}\n", flush=True)
        costs = _measure(server, clients)
    print(table(HEAD, [(cost.audience, *map(number, cost[1:])) for cost in costs]))
    print(f"Load afterwards: {machine.load()}.\n")
    print(show([demand for cost in costs for demand in _demands(cost, clients)]))


def _demands(cost: Cost, clients: int) -> list[Demand]:
    bound = WANTED * clients / MILLION
    return [
        Demand(f"{cost.audience}, {clients:,} clients: prepared, s", cost.seconds, bound, at_most=True),
        Demand(f"{cost.audience}: slowest save meanwhile, ms", cost.slowest_save, 1000, at_most=True),
    ]


def _measure(server: Postgresql, clients: int) -> list[Cost]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        url = stack.enter_context(server.empty())
        app = stack.enter_context(ground.service(Path(folder), mail_port=25, database_url=url))
        chosen = ground.fill(clients)
        owner = db.session.scalars(select(User)).one()
        browser = factories.sign_in(app.test_client(), owner)
        task = Task(folder, 25, url)
        tag = _tag_everybody(owner)
        costs = [_prepared(server, browser, task, "chosen one by one", chosen)]
        _half_got_it()
        by: dict[str, dict[str, object]] = {
            "every client": {},
            "with a tag": {"any_tags": [tag]},
            "did not get the first mailing": {"not_got": chosen},
            "got the first mailing": {"got": chosen},
            "on no stop list": {"standing": "mailable"},
        }
        for name, conditions in by.items():
            costs.append(_prepared(server, browser, task, name, _mailing_by(owner, conditions)))
    return costs


def _prepared(server: Postgresql, browser: FlaskClient, task: Task, name: str, mailing_id: int) -> Cost:
    db.session.rollback()
    worker = Worker(task._replace(mailing_id=mailing_id))
    used = server.cpu()
    worker.begin()
    slowest = slowest_save(browser, meanwhile=worker)
    report = worker.report()
    used = server.cpu() - used
    with read() as connection:
        query = select(func.count()).where(Delivery.attempt_id == report.attempt_id)
        count = connection.scalar(query) or 0
    print(f"{name}: {count:,} in {report.seconds:.1f} s", file=sys.stderr)
    return Cost(name, count, report.seconds, report.cpu, used, slowest)


def _tag_everybody(owner: User) -> int:
    tag: int = factories.tag(owner, "everybody").id
    rows = select(Client.id, literal(tag), Client.owner_id)
    with write() as connection:
        connection.execute(insert(client_tags).from_select(["client_id", "tag_id", "owner_id"], rows))
    return tag


def _half_got_it() -> None:
    """The letters of every second delivery so far were taken by the mail server."""
    columns = ["delivery_id", "attempt_id", "round", "state", "code", "reply", "tried_at"]
    sent = literal(State.SENT, Result.state.type)
    values = (Delivery.id, Delivery.attempt_id, literal(1), sent, literal(250), literal("250 OK"), literal(clock.now()))
    with write() as connection:
        rows = select(*values).where(Delivery.client_id % 2 == 0)
        connection.execute(insert(Result).from_select(columns, rows))


def _mailing_by(owner: User, conditions: dict[str, object]) -> int:
    """A mailing by a saved filter that is due now; its id."""
    due = datetime.now(UTC) - timedelta(seconds=1)
    saved = factories.saved_filter(owner, name=str(conditions), **conditions)
    mailing = factories.mailing(owner, clients=[], start_local=due.replace(tzinfo=None), next_at=due, next_occurrence=0)
    with transaction() as session:
        row = {"mailing_id": mailing.id, "filter_id": saved.id, "owner_id": owner.id}
        session.execute(insert(mailing_filters), [row])
    return int(mailing.id)


if __name__ == "__main__":
    main()
