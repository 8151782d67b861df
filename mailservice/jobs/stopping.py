"""What a drain must know of the worker that runs it: whether to end, who waits, and that it lives."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from redis import Redis
from redis.exceptions import RedisError
from rq import SimpleWorker, Worker

from mailservice import clock
from mailservice.queues import JsonJob, JsonQueue, QueueName

log = logging.getLogger(__name__)
WORKER_TTL = 45  # seconds after which a silent worker counts as dead
MAINTENANCE = 30  # seconds between looks after dead workers' jobs
BEAT_EVERY = 10.0  # seconds


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

    def beat(self) -> None:
        if clock.steady() - self._beaten_at >= BEAT_EVERY:
            self._beaten_at = clock.steady()
            self.heartbeat(WORKER_TTL)

    @property
    def must_stop(self) -> bool:
        return self._stop_requested

    def others_wait(self) -> bool:
        return any(queue.count for queue in self.queues)


_current: InProcessWorker | None = None


def is_current(worker: InProcessWorker) -> None:
    """Makes known which worker this process is."""
    global _current
    _current = worker


def is_asked() -> bool:
    """Whether this process was asked to end."""
    return _current is not None and _current.must_stop


def beat() -> None:
    try:
        if _current:
            _current.beat()
    except RedisError as error:
        log.warning("Redis is away, nobody hears that this worker lives: %s", error)


def others_wait() -> bool:
    """Whether other jobs wait for this worker; unknown counts as no."""
    try:
        return _current is not None and _current.others_wait()
    except RedisError:
        return False


def count_workers(redis: Redis) -> int:
    """How many workers listen for sending; at least one, since a drain may wait for the first to come."""
    return max(1, Worker.count(queue=JsonQueue(QueueName.SENDING.value, connection=redis)))
