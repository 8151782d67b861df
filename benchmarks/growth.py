"""How cost grows with the number of clients: time to prepare, letters a second, memory, pages.

    make bench-growth [SINK=path/to/sink.c] [ARGS="--sizes 10000 100000 1000000 --rounds 3"]

Into the C sink where its source is given, else into Postfix's smtp-sink.
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from flask.testing import FlaskClient
from sqlalchemy import select

from benchmarks import databases, ground, machine, postfix, sinks
from benchmarks.contenders.engine import send
from benchmarks.contest import Missing, Sink
from benchmarks.databases import Database, Postgresql, Sqlite
from benchmarks.demands import Demand, show
from benchmarks.table import number, table
from benchmarks.worker import Task, Worker
from mailservice.database import db
from mailservice.models import User
from tests.factories import post, sign_in

MILLION = 1_000_000
SIZES = (10_000, 100_000, MILLION)
PAUSE = 0.1  # seconds between the requests of a person at work
HEAD = (
    "clients",
    "prepare, s",
    "slowest save meanwhile, ms",
    "letters/s",
    "CPU of sender, µs/letter",
    "and of database",
    "peak of sender, MB",
    "report before, ms",
    "report after, ms",
)


class Cost(NamedTuple):
    """Of one size on one database. `slowest_save`: what a person waits at most who saves a client meanwhile."""

    clients: int
    prepare: float  # seconds
    slowest_save: float  # milliseconds
    rate: float  # letters a second
    sender_cpu: float  # microseconds for each letter
    database_cpu: float  # microseconds for each letter
    peak: float  # megabytes
    report_before: float  # milliseconds: the attempt's page when nothing is sent yet
    report_after: float  # milliseconds

    @property
    def cpu(self) -> float:
        return self.sender_cpu + self.database_cpu


def measure(database: Database, sink: Sink, clients: int) -> Cost:
    with tempfile.TemporaryDirectory() as folder, database.empty() as url:
        with ground.service(Path(folder), mail_port=sink.port, database_url=url) as app:
            task = Task(folder, sink.port, url, mailing_id=ground.fill(clients))
            browser = sign_in(app.test_client(), db.session.scalars(select(User)).one())
            db.session.rollback()
            preparing = Worker(task)
            preparing.begin()
            slowest = slowest_save(browser, meanwhile=preparing)
            prepared = preparing.report()
            report = f"/attempts/{prepared.attempt_id}"
            before = _page(browser, report)
            sent = send(database, task, prepared.attempt_id)
            ground.check(prepared.attempt_id, clients)
            after = _page(browser, report)
    return Cost(
        clients,
        prepared.seconds,
        slowest,
        rate=clients / sent.seconds,
        sender_cpu=sent.sender_cpu / clients * 1e6,
        database_cpu=sent.database_cpu / clients * 1e6,
        peak=sent.peak,
        report_before=before,
        report_after=after,
    )


def slowest_save(browser: FlaskClient, *, meanwhile: Worker) -> float:
    """Milliseconds of the slowest form among those that a person saves while the worker is busy."""
    slowest = 0.0
    while meanwhile.is_busy() or not slowest:
        form = {"email": f"new-{secrets.token_hex(6)}@example.org", "full_name": "New Client"}
        began = time.perf_counter()
        status = post(browser, "/clients/new", form).status_code
        slowest = max(slowest, time.perf_counter() - began)
        if status != 302:
            raise SystemExit(f"a client was not saved: {status}")
        with browser.session_transaction() as session:
            session.pop("_flashes", None)  # nobody reads them here, and a cookie holds only so many
        time.sleep(PAUSE)
    return slowest * 1000


def _page(browser: FlaskClient, address: str) -> float:
    """Milliseconds of a page: the median of five, after one that fills the caches."""
    times = []
    for _ in range(6):
        began = time.perf_counter()
        status = browser.get(address).status_code
        times.append(time.perf_counter() - began)
        if status != 200:
            raise SystemExit(f"{address}: {status}")
    return median(times[1:]) * 1000


def demands(database: Database, costs: list[Cost]) -> list[Demand]:
    """`costs` by size; what grows is compared with the smallest."""
    name, first, biggest = database.name, costs[0], costs[-1]
    flat = [cost.cpu / first.cpu for cost in costs]
    slowest, peak = max(cost.slowest_save for cost in costs), max(cost.peak for cost in costs)
    sizes = f"{first.clients:,} to {biggest.clients:,} clients"
    found = [
        Demand(f"{name}: CPU for each letter, {sizes}: the most, × the first", max(flat), 1.2, at_most=True),
        Demand(f"{name}: CPU for each letter, {sizes}: the least, × the first", min(flat), 0.8),
        Demand(f"{name}: peak of a sender, MB", peak, 150, at_most=True),
        Demand(f"{name}: slowest save while an attempt is prepared, ms", slowest, 1000, at_most=True),
    ]
    if isinstance(database, Postgresql) and biggest.clients >= MILLION:
        found.append(Demand(f"{name}: {biggest.clients:,} deliveries prepared, s", biggest.prepare, 60, at_most=True))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.growth", description=__doc__.partition("\n")[0])
    parser.add_argument("--sink", type=Path, help="C source of a cheap SMTP sink")
    parser.add_argument("--postfix", type=Path, help="folder with Postfix's smtp-source and smtp-sink")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        sink = stack.enter_context(_sink(asked, Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        server = stack.enter_context(databases.postgresql())
        print(f"{machine.description()}, PostgreSQL {server.version}; into {sink.place.server}, one sender", flush=True)
        found = [_grow(database, sink, sorted(asked.sizes), asked.rounds) for database in (server, Sqlite())]
    print(f"\n{show([demand for some in found for demand in some])}")


def _grow(database: Database, sink: Sink, sizes: list[int], rounds: int) -> list[Demand]:
    """Prints the table of one database: medians of all rounds, and the worst of what must never be bad."""
    runs: dict[int, list[Cost]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            runs[size].append(measure(database, sink, size))
            print(f"{database.name}, {size:,} clients: {runs[size][-1].rate:,.0f} letters/s", file=sys.stderr)
    costs = [_summary(runs[size]) for size in sizes]
    rows = [(f"{cost.clients:,}", *map(number, cost[1:])) for cost in costs]
    print(f"\n### {database.name}\n\n{table(HEAD, rows)}", flush=True)
    return demands(database, costs)


def _summary(runs: list[Cost]) -> Cost:
    medians = Cost(*map(median, zip(*runs, strict=True)))
    return medians._replace(slowest_save=max(run.slowest_save for run in runs), peak=max(run.peak for run in runs))


def _sink(asked: argparse.Namespace, scratch: Path) -> contextlib.AbstractContextManager[Sink]:
    try:
        if asked.sink:
            return sinks.c_sink(sinks.build(asked.sink, scratch), sinks.c_place(0, has_chunking=True))
        return sinks.smtp_sink(postfix.find(asked.postfix, scratch))
    except Missing as why:
        raise SystemExit(f"there is no sink to send to: {why}") from why


if __name__ == "__main__":
    main()
