"""The scheduler: rq-scheduler, mended where it could lose or double a periodic job or die without Redis."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError
from rq.exceptions import NoSuchJobError
from rq_scheduler import Scheduler

from mailservice.queues import JOB_TIMEOUT, QUEUE_OF, Job, JsonJob, JsonQueue

log = logging.getLogger(__name__)
LOOK_EVERY = 0.5  # seconds
REGISTER_EVERY = 10.0  # seconds
LOCK_TTL = 15  # seconds
LONGEST_WAIT = 5.0  # seconds between tries to reach Redis
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"


class Periodic(NamedTuple):
    """A job that is rung for again and again; its id is fixed, so there is never more than one of it."""

    job: Job
    every: int  # seconds

    @property
    def id(self) -> str:
        return f"periodic-{self.job.name.lower()}"


class PeriodicScheduler(Scheduler):
    """Keeps the table of periodic jobs registered, and moves jobs that are due into their queues.

    One of many is at work, the holder of a lock that names it. A job's next time is written before it is
    enqueued, so that death in between costs one ring and not the recurrence; a job that cannot be enqueued
    is put off and stands in nobody's way.
    """

    def __init__(self, table: Sequence[Periodic], redis: Redis):
        super().__init__(
            QUEUE_OF[Job.TICK].value, connection=redis, job_class=JsonJob, queue_class=JsonQueue, interval=5
        )
        self.table = {periodic.id: periodic for periodic in table}
        self.token = uuid4().hex
        self.stopped = threading.Event()

    def run(self, burst: bool = False) -> None:
        """Until SIGTERM or SIGINT; without Redis it waits for Redis."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stopped.set())
        wait, registered_at = LOOK_EVERY, 0.0
        while not self.stopped.wait(wait):
            try:
                if self.hold_lock():
                    if time.monotonic() - registered_at >= REGISTER_EVERY:
                        self.register()
                        registered_at = time.monotonic()
                    self.enqueue_jobs()
                wait = LOOK_EVERY
            except RedisError as error:
                log.warning("Redis is away, the scheduler waits for it: %s", error)
                registered_at = 0.0
                wait = min(wait * 2, LONGEST_WAIT)
        self.let_go()

    def hold_lock(self) -> bool:
        """Whether this scheduler is the one at work. A lock that is ours is prolonged."""
        redis = self.connection
        if redis.set(self.scheduler_lock_key, self.token, nx=True, ex=LOCK_TTL):
            return True
        if redis.get(self.scheduler_lock_key) != self.token.encode():
            return False
        return bool(redis.set(self.scheduler_lock_key, self.token, xx=True, ex=LOCK_TTL))

    def let_go(self) -> None:
        try:
            self.connection.eval(RELEASE, 1, self.scheduler_lock_key, self.token)
        except RedisError as error:
            log.warning("Redis is away, the lock runs out by itself: %s", error)

    def register(self) -> None:
        """Puts back what is missing of the table: after a first start, a flush, a killed scheduler, a wrong clock."""
        for periodic in self.table.values():
            if periodic.id in self and self.job_class.exists(periodic.id, connection=self.connection):
                self._bring_back(periodic)
                continue
            self._create_job(periodic.job.value, id=periodic.id, timeout=JOB_TIMEOUT, result_ttl=-1)
            self.connection.zadd(self.scheduled_jobs_key, {periodic.id: time.time()})

    def _bring_back(self, periodic: Periodic) -> None:
        """A time further off than one round was written before the clock was set back."""
        latest, key = time.time() + periodic.every, self.scheduled_jobs_key
        if (self.connection.zscore(key, periodic.id) or 0) > latest:
            self.connection.zadd(key, {periodic.id: latest}, xx=True)

    def enqueue_jobs(self) -> list[str]:
        """Moves what is due into the queues; returns the ids of what it moved."""
        now = time.time()
        due = self.connection.zrangebyscore(self.scheduled_jobs_key, 0, now)
        return [job_id for raw in due if self._move(job_id := raw.decode(), now)]

    def _move(self, job_id: str, now: float) -> bool:
        periodic = self.table.get(job_id)
        if periodic:
            self.connection.zadd(self.scheduled_jobs_key, {job_id: now + periodic.every}, xx=True)
        try:
            job = self.job_class.fetch(job_id, connection=self.connection)
            queue = self.get_queue_for_job(job)
            # A periodic job that nobody has taken yet does not queue up behind itself.
            if self.connection.lpos(queue.key, job_id) is None:
                queue.enqueue_job(job)
        except NoSuchJobError:
            self.connection.zrem(self.scheduled_jobs_key, job_id)
            return False
        except RedisError:
            raise
        except Exception:  # one broken job must not stop the others
            log.exception("The job %s cannot be enqueued; it is tried again in a minute", job_id)
            self.connection.zadd(self.scheduled_jobs_key, {job_id: now + 60}, xx=True)
            return False
        if not periodic:
            self.connection.zrem(self.scheduled_jobs_key, job_id)
        return True
