"""Drains: a worker's slices of sending, and the ringing that keeps as many of them going as there are workers."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from datetime import datetime
from functools import partial
from uuid import uuid4

from flask import Flask, current_app
from redis.exceptions import RedisError
from sqlalchemy import Connection, select

from mailservice import clock
from mailservice.database import read
from mailservice.jobs import stopping
from mailservice.jobs.house import house
from mailservice.models import Batch
from mailservice.queues import Job, QueueName, connection, enqueue, queue
from mailservice.sending import breaker, ledger, recovery, settling
from mailservice.sending.journal import sender_of
from mailservice.sending.sender import Sender

log = logging.getLogger(__name__)
SLICE = 30.0  # seconds
ROUND = 10.0  # seconds in which all drains that wait shall have had their turn
SHORTEST = 1.0  # seconds that a turn lasts at least
PREFIX = "drain"
COLLECT_AFTER = 50_000  # values made and not yet gone; Python's own is 700


def drain(attempt_id: int) -> bool:
    """One slice of an attempt's letters; whether there were any.

    The process keeps its sender, so connections outlive the slice. What dead senders of this machine left is
    taken in first: on a machine that only sends nobody else would.
    """
    recovery.bury_dead(house().journal_path, clock.now())
    sender = own_sender()
    begun = clock.steady()
    try:
        done = sender.drain(attempt_id, must_stop=partial(_must_stop, begun), hurry=stopping.is_asked)
    except BaseException:
        let_go()
        raise
    settling.settle(attempt_id)
    return done > 0


def own_sender() -> Sender:
    """This process's sender, made when it is first needed."""
    sender: Sender | None = current_app.extensions.get("sender")
    if sender is None:
        _collect_rarely()
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        sender = app.extensions["sender"] = Sender(house(), app.app_context)
    return sender


def _collect_rarely() -> None:
    """Letters make thousands of short-lived values and no cycles: to look for some took a tenth of the time."""
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 20)


def part() -> None:
    """Closes this process's connections, if it has any."""
    sender: Sender | None = current_app.extensions.get("sender")
    if sender:
        sender.part()


def let_go() -> None:
    """Ends this process's sender."""
    sender: Sender | None = current_app.extensions.pop("sender", None)
    if sender:
        sender.close()


def _must_stop(begun: float) -> bool:
    """The process is asked to end, the slice is over, or other jobs wait for this worker: the more, the sooner."""
    stopping.beat()
    if stopping.is_asked():
        return True
    lasted = clock.steady() - begun
    if lasted <= SHORTEST or lasted > SLICE:
        return lasted > SLICE
    urgent, others = stopping.count_waiting()
    return urgent > 0 or lasted * others > ROUND


def ring() -> None:
    """As many drains for each attempt as there are workers and free batches, counting those at work.

    Where nothing can be sent, this process's connections are closed.
    """
    with read() as db:
        now = clock.now()
        work = ledger.with_work(db, now) if _may_send(db, now) else []
        leased = select(Batch.attempt_id, Batch.holder).where(Batch.waiting > 0, Batch.lease_until > now)
        held = db.execute(leased).all()
    if not work:
        part()
        return
    try:
        waiting = queue(QueueName.SENDING).get_job_ids()
        workers = stopping.count_workers(connection())
    except RedisError as error:
        log.warning("Redis is away, no worker hears of the mail that waits: %s", error)
        return
    at_work = Counter(attempt_id for attempt_id, _ in {(a, sender_of(h)) for a, h in held if h})
    queued = Counter(int(job_id.split("-")[1]) for job_id in waiting if job_id.startswith(PREFIX))
    for attempt_id, free in work:
        wanted = min(free, workers - at_work[attempt_id]) - queued[attempt_id]
        for _ in range(wanted):
            enqueue(Job.DRAIN, attempt_id, job_id=f"{PREFIX}-{attempt_id}-{uuid4().hex}")


def may_send() -> bool:
    """Whether a mail server is well, or it is time to look whether one is."""
    with read() as db:
        return _may_send(db, clock.now())


def _may_send(db: Connection, now: datetime) -> bool:
    names = [route.name for route in house().routes]
    return len(breaker.waiting(db, names, now)) < len(names)


def why_not() -> str | None:
    """A mail server's last words while all breakers are open."""
    names = [route.name for route in house().routes]
    with read() as db:
        waiting = breaker.waiting(db, names, clock.now())
    return next(iter(waiting.values())) if len(waiting) == len(names) else None
