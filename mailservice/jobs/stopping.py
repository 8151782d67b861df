"""What a drain must know of the worker that runs it: whether to end, who waits, and that it lives."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker, Worker, worker_registration

from mailservice import clock
from mailservice.queues import JsonJob, JsonQueue, QueueName, connection

log = logging.getLogger(__name__)
WORKER_TTL = 45  # seconds after which a silent worker counts as dead
MAINTENANCE = 30  # seconds between looks after dead workers' jobs
BEAT_EVERY = 10.0  # seconds
SILENCE = 10.0  # seconds in which Redis is not asked again when it did not answer
T = TypeVar("T")


class InProcessWorker(SimpleWorker):
    """A worker that runs jobs in its own process, so that its connections to the mail server live on.

    It beats while a long job runs, so that its death is noticed within WORKER_TTL seconds.
    """

    def __init__(self, queues: Sequence[JsonQueue], redis: Redis):
        super().__init__(
            queues,
            connection=redis,
            job_class=JsonJob,
            queue_class=JsonQueue,
            worker_ttl=WORKER_TTL,
            maintenance_interval=MAINTENANCE,
            log_job_description=False,
        )
        self._beaten_at = 0.0

    def get_heartbeat_ttl(self, job: object, working_time: float = 0.0) -> int:
        return WORKER_TTL

    def beat(self, redis: Redis) -> None:
        """Says that it lives, and who it is: Redis may have forgotten."""
        if clock.steady() - self._beaten_at < BEAT_EVERY:
            return
        self._beaten_at = clock.steady()
        with redis.pipeline() as pipeline:
            worker_registration.register(self, pipeline)
            self.heartbeat(WORKER_TTL, pipeline=pipeline)
            pipeline.execute()

    @property
    def must_stop(self) -> bool:
        return self._stop_requested

    def count_waiting(self, redis: Redis) -> tuple[int, int]:
        """How many jobs wait for this worker: such as never wait behind a mailing, and drains."""
        lengths = {queue.name: int(redis.llen(queue.key)) for queue in self.queues}
        drains = lengths.pop(QueueName.SENDING.value, 0)
        return sum(lengths.values()), drains


_current: InProcessWorker | None = None
_silent_until = 0.0


def is_current(worker: InProcessWorker) -> None:
    """Makes known which worker this process is."""
    global _current
    _current = worker


def is_asked() -> bool:
    """Whether this process was asked to end."""
    return _current is not None and _current.must_stop


def beat() -> None:
    worker = _current
    if worker:
        _ask_redis(worker.beat)


def count_waiting() -> tuple[int, int]:
    """How many urgent jobs and how many drains wait for this worker; unknown counts as none."""
    worker = _current
    return (_ask_redis(worker.count_waiting) if worker else None) or (0, 0)


def _ask_redis(question: Callable[[Redis], T]) -> T | None:
    """With a short deadline, and not again for a while when it is away: letters must not wait for Redis."""
    global _silent_until
    if clock.steady() < _silent_until:
        return None
    try:
        return question(connection())
    except RedisError as error:
        _silent_until = clock.steady() + SILENCE
        log.warning("Redis is away: %s", error)
        return None


def count_workers(redis: Redis) -> int:
    """How many workers listen for sending; at least one, since a drain may wait for the first to come."""
    return max(1, Worker.count(queue=JsonQueue(QueueName.SENDING.value, connection=redis)))
