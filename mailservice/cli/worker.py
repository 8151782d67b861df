"""`flask worker`: an RQ worker for the given queues."""

import click
from flask.cli import with_appcontext

from mailservice.jobs import drains, entries, stopping  # noqa: F401  (entries: imported before the first job)
from mailservice.queues import QueueName, connection, queue

NAMES = [name.value for name in QueueName]


@click.command("worker")
@click.argument("queues", nargs=-1, type=click.Choice(NAMES))
@with_appcontext
def command(queues: tuple[str, ...]) -> None:
    """Works off the given QUEUES (all of them by default) until it is asked to stop."""
    redis = connection(timeout=None)
    worker = stopping.InProcessWorker([queue(QueueName(name), redis) for name in queues or NAMES], redis)
    stopping.is_current(worker)
    try:
        worker.work(logging_level="WARNING")  # rq's four lines for every tick are noise
    finally:
        drains.let_go()
