"""This service, end to end: from an attempt made ready to the last of its outcomes in the database."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

from benchmarks import ground
from benchmarks.contest import Measured, Place, Sink
from benchmarks.databases import Database
from benchmarks.worker import Task, Worker

WINDOW = 8  # letters in flight on a connection with BDAT


class Sent(NamedTuple):
    seconds: float
    sender_cpu: float  # seconds
    database_cpu: float  # seconds
    peak: float  # megabytes that one of the senders had in memory


def name_of(database: type[Database], workers: int) -> str:
    return f"Mailservice, {database.name}, {workers} worker{'s' if workers > 1 else ''}"


class Engine:
    share = 1.0

    def __init__(self, database: Database, workers: int):
        self.name = name_of(type(database), workers)
        self.about = f"{ground.CONNECTIONS} connections of each worker"
        self._database = database
        self._workers = workers

    def takes_part(self, place: Place) -> bool:
        return True

    def per_round_trip(self, place: Place) -> float:
        return self._workers * ground.CONNECTIONS * (WINDOW if place.has_chunking else 1)

    def run(self, letters: int, sink: Sink) -> Measured:
        with tempfile.TemporaryDirectory() as folder, self._database.empty() as url:
            with ground.service(Path(folder), mail_port=sink.port, database_url=url):
                mailing_id = ground.fill(letters)
                attempt_id = ground.prepare(mailing_id)
                sent = send(self._database, Task(folder, sink.port, url), attempt_id, workers=self._workers)
                ground.check(attempt_id, letters)
        return Measured(letters / sent.seconds, (sent.sender_cpu + sent.database_cpu) / letters * 1e6)


def send(database: Database, task: Task, attempt_id: int, *, workers: int = 1) -> Sent:
    """Sends an attempt's letters, with senders that have sent before: in service they live for days."""
    senders = [
        Worker(task._replace(attempt_id=attempt_id, before=ground.prepare(ground.fill(ground.WARM_UP))))
        for _ in range(workers)
    ]
    used = database.cpu()
    for sender in senders:
        sender.begin()
    reports = [sender.report() for sender in senders]
    return Sent(
        seconds=max(report.seconds for report in reports),
        sender_cpu=sum(report.cpu for report in reports),
        database_cpu=database.cpu() - used,
        peak=max(report.peak for report in reports),
    )
