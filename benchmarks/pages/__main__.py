"""Every page of the URL map, for an owner with 100,000 clients, 1,000 mailings and a million deliveries, on PostgreSQL.

    make bench-pages [ARGS="--clients 10000 --mailings 100 --deliveries 100000"]

Each page is asked for five times, as the owner and then as a manager; the median must be below 300 ms. Pages that
are added are measured, too.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from flask.testing import FlaskClient
from sqlalchemy import text

from benchmarks import databases, ground
from benchmarks.pages.asking import paths
from benchmarks.pages.filling import fill
from benchmarks.table import number, table
from mailservice.database import db
from mailservice.models import Role
from tests import factories
from tests.web import routes

TIMES = 5
LONGEST = 300.0  # milliseconds


class Page(NamedTuple):
    path: str
    status: int
    milliseconds: float  # the median
    longest: float


def main() -> None:
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="mailservice-pages-") as folder, databases.postgresql() as server:
        with server.empty() as url, ground.service(Path(folder), mail_port=25, database_url=url) as app:
            owner = factories.user()
            begun = time.perf_counter()
            filled = fill(owner.id, clients=asked.clients, mailings=asked.mailings, deliveries=asked.deliveries)
            things = routes.make_things(owner)
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
            seconds = time.perf_counter() - begun
            size = f"{asked.clients:,} clients, {asked.mailings:,} mailings, {filled.deliveries:,} deliveries"
            print(f"{size}, made in {seconds:.0f} s")
            manager = factories.user(role=Role.MANAGER)
            pages = []
            for user in (owner, manager):
                asked_for = list(paths(app, things, filled, user.role))
                browser = factories.sign_in(app.test_client(), user)
                with app.app_context():  # of his own: it remembers who is signed in
                    pages += [_measure(browser, path) for path in asked_for]
    sys.exit(_show(pages))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pages")
    parser.add_argument("--clients", type=int, default=100_000)
    parser.add_argument("--mailings", type=int, default=1_000)
    parser.add_argument("--deliveries", type=int, default=1_000_000)
    return parser.parse_args()


def _measure(browser: FlaskClient, path: str) -> Page:
    browser.get(path)  # templates are compiled and connections made
    durations = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        status = browser.get(path).status_code
        durations.append((time.perf_counter() - begun) * 1000)
        db.session.rollback()
    return Page(path, status, median(durations), max(durations))


def _show(pages: list[Page]) -> int:
    """Prints the slowest first; the exit status: whether one is too slow or broken."""
    pages.sort(key=lambda page: -page.milliseconds)
    rows = [(p.path, str(p.status), number(p.milliseconds), number(p.longest)) for p in pages]
    print(table(("page", "status", "median, ms", "longest, ms"), rows))
    slow = [page.path for page in pages if page.milliseconds > LONGEST]
    broken = [page.path for page in pages if page.status >= 500 and page.path != "/readyz"]
    print(f"\n{len(pages)} pages, {len(slow)} slower than {LONGEST:g} ms, {len(broken)} broken.")
    return 1 if slow or broken else 0


if __name__ == "__main__":
    main()
