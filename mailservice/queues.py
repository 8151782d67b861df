"""Redis as a doorbell: names of jobs, and ringing. Nobody imports `jobs` to enqueue one.

Losing Redis costs latency, never mail: ringing that fails is logged and forgotten, the tick asks the
database again.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from flask import current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker
from rq.job import Job as RqJob
from rq.serializers import JSONSerializer
from rq_scheduler import Scheduler

log = logging.getLogger(__name__)
JOB_TIMEOUT = 1200  # seconds; far above every deadline of our own, since rq's alarm may fire anywhere
RESULT_TTL = 60
FAILURE_TTL = 3 * 24 * 3600
T = TypeVar("T")


class QueueName(enum.StrEnum):
    """In the order in which a worker looks at them."""

    ACCOUNTS = "accounts"  # letters of the accounts, which never wait behind a mailing
    TICKS = "ticks"
    SENDING = "sending"


class Job(enum.StrEnum):
    """A job's name is the path of its function."""

    TICK = "mailservice.jobs.entries.tick"
    DRAIN = "mailservice.jobs.entries.drain"
    ACCOUNT_LETTER = "mailservice.jobs.entries.account_letter"
    WRITE_VIEWS = "mailservice.jobs.entries.write_views"
    FORGET_SIGN_UPS = "mailservice.jobs.entries.forget_sign_ups"
    IMPORT = "mailservice.jobs.entries.import_clients"
    CLEAR_UP_IMPORTS = "mailservice.jobs.entries.clear_up_imports"


QUEUE_OF = {
    Job.TICK: QueueName.TICKS,
    Job.DRAIN: QueueName.SENDING,
    Job.ACCOUNT_LETTER: QueueName.ACCOUNTS,
    Job.WRITE_VIEWS: QueueName.TICKS,
    Job.FORGET_SIGN_UPS: QueueName.TICKS,
    Job.IMPORT: QueueName.SENDING,
    Job.CLEAR_UP_IMPORTS: QueueName.TICKS,
}


class JsonJob(RqJob):
    """A job as JSON: rq and rq-scheduler would pickle it wherever they are not asked."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **(kwargs | {"serializer": JSONSerializer}))

    @classmethod
    def create(cls, *args: Any, **kwargs: Any) -> RqJob:
        return super().create(*args, **(kwargs | {"serializer": JSONSerializer}))


class JsonQueue(Queue):
    job_class = JsonJob

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **(kwargs | {"serializer": JSONSerializer}))


def connection(*, timeout: float | None = 1.0) -> Redis:
    """A Redis client; `timeout` seconds for each call (None: as long as a worker's blocking calls need)."""
    url = str(current_app.config["REDIS_URL"])
    clients: dict[float | None, Redis] = current_app.extensions.setdefault("redis_clients", {})
    if timeout not in clients:
        clients[timeout] = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout or 2.0,
            retry=Retry(NoBackoff(), 0),
        )
    return clients[timeout]


def queue(name: QueueName, redis: Redis | None = None) -> JsonQueue:
    return JsonQueue(name.value, connection=redis or connection())


def enqueue(job: Job, *args: Any, job_id: str | None = None) -> bool:
    """Ring for `job`. Call it after the commit. False when Redis is away."""
    try:
        queue(QUEUE_OF[job]).enqueue(
            job.value,
            *args,
            job_id=job_id,
            job_timeout=JOB_TIMEOUT,
            result_ttl=RESULT_TTL,
            failure_ttl=FAILURE_TTL,
        )
    except RedisError as error:
        log.warning("Redis is away, nobody hears %s: %s", job.value, error)
        return False
    return True


def enqueue_in(delay: timedelta, job: Job, *args: Any) -> bool:
    """Ring for `job` later, through rq-scheduler. False when Redis is away."""
    name = QUEUE_OF[job].value
    scheduler = Scheduler(name, connection=connection(), job_class=JsonJob, queue_class=JsonQueue)
    try:
        scheduler.enqueue_in(delay, job.value, *args, timeout=JOB_TIMEOUT, job_result_ttl=RESULT_TTL)
    except RedisError as error:
        log.warning("Redis is away, %s is not put off: %s", job.value, error)
        return False
    return True


class QueueState(NamedTuple):
    """Numbers of jobs."""

    name: str
    waiting: int
    at_work: int
    failed: int


class WorkerState(NamedTuple):
    """`state`: idle, busy …; `seen_at`: its last sign of life (UTC)."""

    place: str  # host:pid
    queues: tuple[str, ...]
    state: str
    began_at: datetime | None
    seen_at: datetime | None


def ask(question: Callable[[Redis], T]) -> T | None:
    """What Redis answers; None when it is away."""
    try:
        return question(connection())
    except RedisError as error:
        log.warning("Redis is away: %s", error)
        return None


def queue_states(redis: Redis) -> list[QueueState]:
    """All queues as RQ sees them. Raises RedisError."""
    found = []
    for name in QueueName:
        jobs = queue(name, redis)
        at_work = jobs.started_job_registry.get_job_count(cleanup=False)
        failed = jobs.failed_job_registry.get_job_count(cleanup=False)
        found.append(QueueState(name.value, jobs.count, at_work, failed))
    return found


def worker_states(redis: Redis) -> list[WorkerState]:
    """All workers that live. Raises RedisError."""
    workers = Worker.all(connection=redis, job_class=JsonJob, queue_class=JsonQueue)
    found = [
        WorkerState(f"{w.hostname}:{w.pid}", tuple(w.queue_names()), w.get_state(), w.birth_date, w.last_heartbeat)
        for w in workers
    ]
    return sorted(found, key=lambda worker: worker.place)
