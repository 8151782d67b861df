"""`flask scheduler`: rings for the periodic jobs."""

import click
from flask import current_app
from flask.cli import with_appcontext

from mailservice.jobs.scheduler import Periodic, PeriodicScheduler
from mailservice.queues import Job, connection

WRITE_VIEWS_EVERY = 60  # seconds
FORGET_SIGN_UPS_EVERY = 3600
CLEAR_UP_IMPORTS_EVERY = 600


@click.command("scheduler")
@with_appcontext
def command() -> None:
    """Rings for the periodic jobs until it is asked to stop; any number may run, one is at work."""
    table = [
        Periodic(Job.TICK, every=current_app.config["SETTINGS"].tick_seconds),
        Periodic(Job.WRITE_VIEWS, every=WRITE_VIEWS_EVERY),
        Periodic(Job.FORGET_SIGN_UPS, every=FORGET_SIGN_UPS_EVERY),
        Periodic(Job.CLEAR_UP_IMPORTS, every=CLEAR_UP_IMPORTS_EVERY),
    ]
    PeriodicScheduler(table, connection(timeout=5.0)).run()
