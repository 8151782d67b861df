"""Redis as a doorbell: names of jobs, and ringing. Nobody imports `jobs` to enqueue one.

Losing Redis costs latency, never mail: ringing that fails is logged and forgotten, the tick asks the
database again.
"""

from __future__ import annotations

import enum
import logging
from typing import Any

from flask import current_app
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue
from rq.serializers import JSONSerializer

log = logging.getLogger(__name__)
JOB_TIMEOUT = 1200  # seconds; far above every deadline of our own, since rq's alarm may fire anywhere
RESULT_TTL = 60
FAILURE_TTL = 3 * 24 * 3600


class QueueName(enum.StrEnum):
    """In the order in which a worker looks at them."""

    ACCOUNTS = "accounts"  # letters of the accounts, which never wait behind a mailing
    TICKS = "ticks"
    SENDING = "sending"


class Job(enum.StrEnum):
    """A job's name is the path of its function."""

    TICK = "mailservice.jobs.tick"
    DRAIN = "mailservice.jobs.drain"
    ACCOUNT_LETTER = "mailservice.jobs.account_letter"


QUEUE_OF = {
    Job.TICK: QueueName.TICKS,
    Job.DRAIN: QueueName.SENDING,
    Job.ACCOUNT_LETTER: QueueName.ACCOUNTS,
}


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


def queue(name: QueueName, redis: Redis | None = None) -> Queue:
    return Queue(name.value, connection=redis or connection(), serializer=JSONSerializer)


def enqueue(job: Job, *args: Any) -> bool:
    """Ring for `job`. Call it after the commit. False when Redis is away."""
    try:
        queue(QUEUE_OF[job]).enqueue(
            job.value, *args, job_timeout=JOB_TIMEOUT, result_ttl=RESULT_TTL, failure_ttl=FAILURE_TTL
        )
    except RedisError as error:
        log.warning("Redis is away, nobody hears %s: %s", job.value, error)
        return False
    return True
