"""Drains: a worker's slices of sending, and the ringing that keeps as many of them going as there are workers."""

from __future__ import annotations

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
from mailservice.models import Batch, Breaker
from mailservice.queues import Job, QueueName, connection, enqueue, queue
from mailservice.sending import ledger, recovery, settling
from mailservice.sending.journal import sender_of
from mailservice.sending.sender import Sender

log = logging.getLogger(__name__)
SLICE = 30.0  # seconds
TURN = 10.0  # seconds after which it makes room for drains that wait
SHORTEST = 1.0  # seconds after which it makes room for jobs that never wait behind a mailing
PREFIX = "drain"


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
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
        sender = app.extensions["sender"] = Sender(house(), app.app_context)
    return sender


def let_go() -> None:
    """Ends this process's sender."""
    sender: Sender | None = current_app.extensions.pop("sender", None)
    if sender:
        sender.close()


def _must_stop(begun: float) -> bool:
    """The process is asked to end, the slice is over, or other jobs wait for this worker."""
    stopping.beat()
    if stopping.is_asked():
        return True
    lasted = clock.steady() - begun
    if lasted > TURN:
        return lasted > SLICE or stopping.others_wait(urgent=False)
    return lasted > SHORTEST and stopping.others_wait(urgent=True)


def ring() -> None:
    """As many drains for each attempt as there are workers and free batches, counting those at work."""
    with read() as db:
        now = clock.now()
        work = ledger.with_work(db, now)
        if not work or not _may_send(db, now):
            return
        leased = select(Batch.attempt_id, Batch.holder).where(Batch.waiting > 0, Batch.lease_until > now)
        held = db.execute(leased).all()
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
    """Whether the mail server is well, or it is time to look whether it is."""
    with read() as db:
        return _may_send(db, clock.now())


def _may_send(db: Connection, now: datetime) -> bool:
    retry_at = db.scalar(select(Breaker.retry_at).where(Breaker.name == house().server_name))
    return retry_at is None or retry_at <= now


def why_not() -> str | None:
    """The mail server's last words while its breaker is open."""
    query = select(Breaker.last_reply).where(Breaker.name == house().server_name, Breaker.retry_at > clock.now())
    with read() as db:
        return db.scalar(query)
