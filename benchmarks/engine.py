"""Letters per second of one sender, end to end: attempt prepared, sent, every result in the database.

    python -m benchmarks.engine --sink fastsink.c [--letters 20000] [--rounds 5] [--connections 10]

Each round does every database once, in turn, so that a noisy neighbour hurts all alike; medians are printed.
The sink's source is built in a temporary folder.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import resource
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import ground
from mailservice.database import db
from mailservice.jobs import drains, ticks
from mailservice.sending import settling
from mailservice.services import progress
from tests import servers

DATABASES = ("sqlite", "postgresql")


class Measured(NamedTuple):
    prepared: float  # seconds
    rate: float  # letters a second
    cpu: float  # microseconds of the sender's CPU for each letter
    peak: float  # megabytes of the sender's memory so far


def measure(mail_port: int, database_url: str, letters: int, connections: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        app = ground.make_app(
            Path(folder), mail_port=mail_port, database_url=database_url, mail_connections=connections
        )
        with app.app_context():
            ground.fill(letters)
            began = time.perf_counter()
            ticks.plan_due()
            settling.prepare(sender="Shop <news@shop.example>", seconds=3600)
            prepared = time.perf_counter() - began
            attempt_id = progress.open_ids().pop()
            db.session.rollback()
            used, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
            done = drains.own_sender().drain(attempt_id)
            wall, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
            drains.let_go()
            db.engine.dispose()
            if done != letters:
                raise SystemExit(f"only {done} of {letters} letters got a result")
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return Measured(prepared, letters / wall, cpu / letters * 1e6, now.ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sink", type=Path, required=True, help="C source of the SMTP sink")
    parser.add_argument("--letters", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=10)
    asked = parser.parse_args()
    found: dict[str, list[Measured]] = {name: [] for name in DATABASES}
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(ground.fastsink(asked.sink))
        server = stack.enter_context(servers.postgresql())
        for _ in range(asked.rounds):
            for name in DATABASES:
                url = servers.new_database(server) if name == "postgresql" else ""
                found[name].append(measure(port, url, asked.letters, asked.connections))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; ", end="")
    print(f"{asked.letters} letters, {asked.connections} connections, medians of {asked.rounds}")
    print(f"{'ledger':<12}{'prepare, s':>12}{'letters/s':>12}{'CPU, µs/letter':>16}{'peak, MB':>10}")
    for name, runs in found.items():
        medians = [statistics.median(column) for column in zip(*runs, strict=True)]
        print(f"{name:<12}{medians[0]:>12.2f}{medians[1]:>12.0f}{medians[2]:>16.1f}{medians[3]:>10.0f}")


if __name__ == "__main__":
    main()
