"""`flask send-mailings`: plans what is due and sends it, in the foreground and without Redis."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask.cli import with_appcontext
from sqlalchemy.exc import DBAPIError

from mailservice import clock
from mailservice.database import db, read
from mailservice.jobs import drains, importing, ticks
from mailservice.sending import ledger, settling
from mailservice.services import progress
from mailservice.services.progress import Progress

WATCH_EVERY = 5.0  # seconds
SAY_EVERY = 2.0  # seconds between plain lines about one attempt


@click.command("send-mailings")
@click.option("--mailing", "mailing_id", type=int, help="Only the mailing with this number.")
@click.option("--dry-run", is_flag=True, help="Show what is due and send nothing.")
@click.option("--watch", is_flag=True, help="Go on until interrupted.")
@with_appcontext
def command(mailing_id: int | None, dry_run: bool, watch: bool) -> None:
    """Plans the mailings that are due and sends them.

    Safe beside the workers and beside itself. Exits with 1 when an attempt failed.
    """
    if mailing_id is not None and not progress.exists(mailing_id):
        raise click.ClickException(f"There is no mailing {mailing_id}.")
    if dry_run:
        _show_due(mailing_id)
        return
    stopped = threading.Event()
    failed = False
    with _stopping(stopped):
        while True:
            failed = _send(mailing_id, stopped) or failed
            if not watch or stopped.wait(WATCH_EVERY):
                break
    sys.exit(1 if failed else 0)


@contextmanager
def _stopping(stopped: threading.Event) -> Iterator[None]:
    """SIGINT and SIGTERM finish the letters on their way; the sender is let go in any case."""
    before = {number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        drains.let_go()
        for number, handler in before.items():
            signal.signal(number, handler)


def _show_due(mailing_id: int | None) -> None:
    due = progress.due(clock.now(), mailing_id=mailing_id)
    for item in due:
        click.echo(f"Mailing {item.mailing_id} “{item.title}”: due {item.next_at:%Y-%m-%d %H:%M} UTC, ", nl=False)
        click.echo(f"{item.clients} clients.")
    open_ids = progress.open_ids(mailing_id)
    for attempt in progress.of_attempts(since=clock.now(), among=open_ids, mailing_id=mailing_id):
        click.echo(f"Attempt {attempt.attempt_id} “{attempt.title}”: {attempt.waiting} of {attempt.size} wait.")
    click.echo(f"{len(due)} due, {len(open_ids)} under way. Nothing was sent.")


def _send(mailing_id: int | None, stopped: threading.Event) -> bool:
    """One round; whether an attempt failed in it."""
    begun, under_way = clock.now(), progress.open_ids(mailing_id)
    db.session.rollback()
    ticks.tick(mailing_id)
    stuck: set[int] = set()  # there is work, and none of it can be done now: a limit is reached, the disk is full
    while not stopped.is_set() and (attempt_id := _next_attempt(mailing_id, stuck)) is not None:
        if not _send_attempt(attempt_id, stopped):
            stuck.add(attempt_id)
    drains.part()
    if mailing_id is None:
        importing.work_off(stopped.is_set)
    attempts = progress.of_attempts(since=begun, among=under_way, mailing_id=mailing_id)
    db.session.rollback()
    _sum_up(attempts)
    return any(attempt.is_failure for attempt in attempts)


def _next_attempt(mailing_id: int | None, stuck: set[int]) -> int | None:
    """The attempt with the least work that can be done now."""
    mine = progress.open_ids(mailing_id) - stuck
    db.session.rollback()
    if not drains.may_send():
        return None
    with read() as connection:
        work = ledger.with_work(connection, clock.now())
    return next((attempt_id for attempt_id, _ in work if attempt_id in mine), None)


def _send_attempt(attempt_id: int, stopped: threading.Event) -> int:
    """Sends until nothing of it can be sent now, showing how far it is; returns how many letters got a result."""
    with _Display(attempt_id) as display:

        def must_stop() -> bool:
            display.show()
            return stopped.is_set()

        try:
            count = drains.own_sender().drain(attempt_id, must_stop=must_stop, hurry=stopped.is_set)
        except BaseException:
            drains.let_go()
            raise
        settling.settle(attempt_id)
        display.show(last=True)
    return count


class _Display:
    """A progress bar on a terminal, plain lines elsewhere."""

    def __init__(self, attempt_id: int):
        self.attempt_id = attempt_id
        self._said_at = clock.steady()
        self._shown = 0
        now = self._look()
        self._bar = None
        if sys.stderr.isatty():
            self._bar = click.progressbar(length=now.size, label=now.title[:40], file=sys.stderr)
        else:
            click.echo(f"Attempt {attempt_id} “{now.title}”: {now.size} letters.")

    def __enter__(self) -> _Display:
        if self._bar:
            self._bar.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar:
            self._bar.render_finish()

    def _look(self) -> Progress:
        found = progress.of_attempts(since=clock.now(), among={self.attempt_id})[0]
        db.session.rollback()
        return found

    def show(self, *, last: bool = False) -> None:
        if not last and clock.steady() - self._said_at < (0.5 if self._bar else SAY_EVERY):
            return
        self._said_at = clock.steady()
        try:
            now = self._look()
        except (DBAPIError, LookupError):  # letters are under way: what cannot be shown now is shown later
            return
        if self._bar:
            self._bar.update(now.done - self._shown)
            self._shown = now.done
        elif not last:
            click.echo(f"Attempt {self.attempt_id}: {now.done} of {now.size}.")


def _sum_up(attempts: list[Progress]) -> None:
    for a in attempts:
        counts = f"{a.sent} sent, {a.failed} failed, {a.unknown} unknown, {a.skipped + a.cancelled} skipped"
        waiting = f", {a.waiting} wait" if a.waiting else ""
        click.echo(f"Attempt {a.attempt_id} “{a.title}”: {a.status.value}; {counts}{waiting}.", nl=False)
        click.echo(f" {a.server_reply}" if a.server_reply else "")
    if reason := drains.why_not():
        click.echo(f"The mail server is away: {reason} The letters wait.")
    elif not attempts and not sys.stdout.isatty():
        return  # run every minute by cron, it says nothing where there is nothing to say
    click.echo(f"{len(attempts)} attempts, {sum(a.sent for a in attempts)} letters sent.")
